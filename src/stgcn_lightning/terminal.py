"""The terminal: where text leaves, and how paths, counts and values are written."""

import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from stgcn_lightning.errors import BadInput

# Characters that move, hide, colour or turn round what stands beside them: controls, Unicode's
# marks of direction and separators; and halves of characters, which no terminal can be sent.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
UNLIMITED = 10_000  # columns of a file, in which a table is never cut

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    console: Console


def __getattr__(name: str) -> Any:
    """`console`, made when it is first asked for: importing rich takes longer than `--help` may.

    File and sample names are printed as they are, not read as markup, and without characters that
    a terminal obeys; lines are broken between words alone; rank 0 alone prints.
    """
    if name != "console":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from stgcn_lightning.ranks import global_rank

    class Plain(Console):
        @property
        def quiet(self) -> bool:  # asked whenever something is written
            return global_rank() > 0

        @quiet.setter
        def quiet(self, _: bool) -> None:
            """Rich sets it once, when it is made."""

        def print(self, *objects: Any, **options: Any) -> None:
            fit = [Text(fitting(one)) if isinstance(one, str) else one for one in objects]
            for table in (one for one in fit if isinstance(one, Table)):
                if self.measure(table).maximum >= self.width:  # of a table that is as wide or wider
                    table.box, table.pad_edge, table.padding = SIMPLE, False, (0, 1, 0, 0)
            with outliving(self.file):
                try:
                    super().print(*fit, **options)
                except OSError:
                    with suppress(OSError):  # else rich keeps the line, and all further ones
                        self.begin_capture()
                        self.end_capture()
                    raise

        def render_str(self, text: str, **options: Any) -> Text:  # the cells of a table
            return super().render_str(plain(text), **options)

    made = Plain(
        soft_wrap=True,
        markup=False,
        emoji=False,
        highlight=False,
        width=None if sys.stdout.isatty() else UNLIMITED,
    )
    globals()["console"] = made
    return made


def prepare_streams() -> None:
    """Make any text fit the standard streams: a name never costs a run its result.

    Where the terminal's encoding has no such character (LANG=C), an escape is written; a stream
    that was closed (`>&-`) takes everything and keeps nothing.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


lost: list[str] = []  # why lines of standard output could not be written


def say(text: str) -> None:
    """Print a line without rich, on a terminal broken between words."""
    with outliving(sys.stdout):
        print(fitting(text), flush=True)


def complain(text: str) -> None:
    """Print a line on standard error; where that cannot be written, nothing is said."""
    with outliving(sys.stderr):
        print(text, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Write on standard output what a user asked for: without it, there is no answer.

    Raises:
        BadInput: it cannot be written.
    """
    with outliving(sys.stdout, quiet=True):
        print(text, end="", flush=True)
    refuse_lost()


def refuse_lost() -> None:
    """Refuse to call good what was to be printed and was not.

    Raises:
        BadInput: standard output could not be written.
    """
    if lost:
        raise BadInput(f"{lost[0]}: free some space, or send it elsewhere")


@contextmanager
def outliving(stream: IO[str], *, quiet: bool = False) -> Generator[None]:
    """Go on where a line cannot be written, as in a log on a full disk; that is said, once.

    The lines after it are tried again: space may have been freed.

    Args:
        stream: that is written to.
        quiet: say nothing: the caller does.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # `| head`: nobody reads any more
    except OSError as error:
        _discard(stream)
        if stream is sys.stdout and not lost:
            lost.append(f"standard output cannot be written ({error.strerror})")
            if not quiet:
                complain(f"{lost[0]}: what is printed is lost, until it can be written again")


def _discard(stream: IO[str]) -> None:
    """Forget what a stream still holds, which it would try to write again, and fail, at exit."""
    number, elsewhere = stream.fileno(), os.open(os.devnull, os.O_WRONLY)
    own = os.dup(number)
    try:
        os.dup2(elsewhere, number)
        stream.flush()
    finally:
        os.dup2(own, number)
        os.close(own)
        os.close(elsewhere)


def fitting(text: str, stream: IO[str] | None = None) -> str:
    """A line as a stream can take it: `plain`, and on a terminal broken between words.

    Args:
        text: one line.
        stream: where it goes; None is standard output.
    """
    text = plain(text)
    columns = shutil.get_terminal_size().columns
    if len(text) <= columns or not (stream or sys.stdout).isatty():
        return text
    return textwrap.fill(
        text, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def plain(text: str) -> str:
    r"""Text in which characters that a terminal would obey are written as escapes.

    Examples:
        >>> plain("a\x1b[31mb\n")
        'a\\x1b[31mb\\n'
    """
    return UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)


def shown(path: Path) -> Path:
    """`path` as it is printed: relative to the working directory if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def counted(number: int, one: str, many: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{number} {one if number == 1 else many}"


def shown_value(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """A time in words.

    Examples:
        >>> [duration(seconds) for seconds in (40, 200, 7500, 97_200)]
        ['40 s', '3 min 20 s', '2 h 05 min', '1 d 3 h']
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def size(number: int) -> str:
    """A number of bytes in words.

    Examples:
        >>> size(2_410_000_000), size(16_400_000)
        ('2.41 GB', '16.4 MB')
    """
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def figures_bar(where: "Console", *, disable: bool = False) -> "Progress":
    """A bar with a description before it and figures behind; removed when it is done.

    Its tasks have the field `figures`. No thread draws it: whoever changes it, refreshes it.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[figures]}", markup=False),
        console=where,
        auto_refresh=False,
        expand=True,
        transient=True,
        disable=disable,
    )
