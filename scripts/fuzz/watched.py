"""One input read: how it ended, what it did besides, which lines it reached."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import stgcn_lightning
from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import CONF

PACKAGE = Path(stgcn_lightning.__file__).parent
LONGEST = 1300  # letters of a sentence
CLEAN, SENTENCE, OTHER = "clean", "sentence", "other"

# What no reader may do, as Python's auditing events name it.
FORBIDDEN = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
    "os.forkpty",
    "pty.spawn", "os.kill", "os.putenv", "os.unsetenv", "socket.", "webbrowser.open", "ftplib.",
    "smtplib.",
    "http.client.", "urllib.Request", "ctypes.dlopen", "os.startfile", "pickle.find_class",
    "code.__new__",
)  # fmt: skip
ON_PATHS = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod",
    "os.chown",
    "os.truncate", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OF_PYTHON = tuple(
    {sys.prefix, sys.base_prefix, str(PACKAGE), str(CONF), "/proc", "/sys", "/dev", "/usr"}
)
OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|Unable to allocate|malloc of size|std::bad_alloc"
)


class Auditor:
    """Notes what is done beyond reading, from when it is installed until the process ends.

    Args:
        scratch: the one folder in which anything may be written.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = str(scratch)
        self.noted: list[str] = []
        self.looking = False

    def install(self) -> None:
        """From now on; Python has no way to take a hook away."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.looking:
            return
        if event.startswith(FORBIDDEN):
            self._refuse(f"{event} {args!r:.200}")
        elif event == "open":
            path, mode, flags = args
            writes = (
                bool(flags & WRITING) if flags is not None else bool(set(mode or "") & set("wax+"))
            )
            if not isinstance(path, int) and not self._admitted(path, writes):
                self._refuse(f"opens {path!r:.200} for {'writing' if writes else 'reading'}")
        elif event in ON_PATHS:
            relative = any(
                isinstance(one, int) and one >= 0 for one in args[1:]
            )  # to an open folder
            if not relative and not self._admitted(args[0], writes=True):
                self._refuse(f"{event} {args[0]!r:.200}")

    def _admitted(self, path: Any, writes: bool) -> bool:
        place = os.path.abspath(os.fsdecode(path))
        if place == self.scratch or place.startswith(self.scratch + os.sep):
            return True
        return place == os.devnull or (not writes and place.startswith(OF_PYTHON))

    def _refuse(self, what: str) -> None:
        self.noted.append(what)
        raise PermissionError(what)


def outcome(read: Callable[[Path], object], path: Path, auditor: Auditor) -> tuple[str, str]:
    """How reading a file ended, and what was said or done."""
    auditor.noted.clear()
    auditor.looking = True
    try:
        read(path)
        ended, said = CLEAN, ""
    except BadInput as error:
        ended, said = SENTENCE, str(error)
        if fault := fault_of(error, str(path)):
            ended, said = OTHER, f"{fault}: {said!r:.400}"
    except BaseException as error:
        ended, said = OTHER, f"{type(error).__name__}: {error!s:.300} ({_where(error)})"
    finally:
        auditor.looking = False
    if auditor.noted:
        return OTHER, f"did what no reader may: {auditor.noted[0]}"
    return ended, said


def fault_of(error: BadInput, path: str) -> str:
    """What is wrong with a sentence; empty where nothing is."""
    text = str(error).replace(path, "")
    if len(text.splitlines()) != 1:
        return "not one line"
    if len(text) > LONGEST:
        return f"{len(text):,} letters"
    seen: BaseException | None = error
    for _ in range(10):  # a limit that was reached, and made a sentence
        if seen is None:
            break
        if isinstance(seen, MemoryError) or OUT_OF_MEMORY.search(str(seen)[:1000]):
            return "out of memory"
        seen = seen.__cause__ or seen.__context__
    return ""


def _where(error: BaseException) -> str:
    """The last line of ours that an error passed."""
    found, trace = "", error.__traceback__
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            found = f"{file.relative_to(PACKAGE)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def lines_of(modules: tuple[str, ...]) -> dict[str, set[int]]:
    """The lines of the functions in these files below the package."""
    found: dict[str, set[int]] = {}
    for module in modules:
        file = PACKAGE / module
        top = compile(file.read_text(), str(file), "exec")
        found[module] = {line for code in _functions(top) for line in _lines(code)}
    return found


def _functions(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & 0x2:  # new locals: a function, no body of a class
                yield inner
            yield from _functions(inner)


def _lines(code: CodeType) -> set[int]:
    return {line for *_, line in code.co_lines() if line and line != code.co_firstlineno}


@contextmanager
def tracing(modules: tuple[str, ...], reached: dict[str, set[int]]) -> Iterator[None]:
    """Within, lines of these files that are executed are added to `reached`."""
    files = {str(PACKAGE / module): reached.setdefault(module, set()) for module in modules}

    def call(frame: FrameType, event: str, arg: object) -> Any:
        lines = files.get(frame.f_code.co_filename)
        if lines is None:
            return None

        def line(frame: FrameType, event: str, arg: object) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
            return line

        return line

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Within, no warning is printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
