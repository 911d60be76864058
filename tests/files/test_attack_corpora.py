"""Attacks that are publicly known, rebuilt from their descriptions: none is executed.

Sources: advisories and issues of picklescan (its bypasses of 2025 and 2026), fickling's list of
unsafe imports, modelscan's issues 89 and 263, safetensors' attacks/README.md and its audit by Trail
of Bits (2023), and reports of files that two programs read differently.
"""

import io
import json
import pickle
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import assembled
from watched import OTHER, SENTENCE, Auditor, outcome

from stgcn_lightning.checkpoints.safetensors import read_safetensors
from stgcn_lightning.checkpoints.weights import read_weights
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.recordings import READING


@pytest.fixture(scope="module")
def auditor(tmp_path_factory) -> Auditor:
    found = Auditor(tmp_path_factory.getbasetemp())
    found.install()
    return found


SHELL = "touch executed"
CALLS = {  # name -> arguments
    "os system": (SHELL,),
    "posix system": (SHELL,),
    "nt system": (SHELL,),
    "os execv": ("/bin/true", ["true"]),
    "subprocess check_output": (["touch", "executed"],),
    "builtins eval": ("__import__('os').system('touch executed')",),
    "builtins exec": ("open('executed', 'w')",),
    "__builtin__ apply": (),
    "builtins getattr": ("os", "system"),
    "builtins __import__": ("antigravity",),
    "builtins open": ("executed", "w"),
    "builtins breakpoint": (),
    "builtins map": (None, ["a"]),
    "builtins dict.get": ({}, "exec"),
    "importlib import_module": ("antigravity",),
    "importlib.util spec_from_file_location": ("a", "a.py"),
    "importlib.machinery SourceFileLoader": ("a", "a.py"),
    "pkgutil resolve_name": ("os:system",),
    "runpy run_path": ("a.py",),
    "runpy _run_code": ("open('executed', 'w')", {}),
    "marshal loads": (b"\xe3",),
    "types FunctionType": (b"", {}),
    "types CodeType": (),
    "code InteractiveInterpreter": (),
    "codeop compile_command": ("1",),
    "ctypes CDLL": ("libc.so.6",),
    "_ctypes dlopen": ("libc.so.6", 0),
    "pty spawn": ("true",),
    "platform popen": ("true",),
    "commands getoutput": ("true",),
    "operator attrgetter": ("system",),
    "_operator methodcaller": ("system", SHELL),
    "operator itemgetter": (0,),
    "functools partial": (SHELL,),
    "functools reduce": (),
    "itertools starmap": (),
    "asyncio.unix_events _UnixSubprocessTransport._start": (),
    "multiprocessing.util spawnv_passfds": (b"/bin/true", [b"true"], []),
    "_posixsubprocess fork_exec": (),
    "_interpreters run_string": (1, "1"),
    "_xxsubinterpreters create": (),
    "signal set_wakeup_fd": (1,),
    "atexit register": (),
    "site addsitedir": (".",),
    "sys settrace": (),
    "sys modules": (),
    "threading Thread": (),
    "cProfile run": ("open('executed', 'w')",),
    "profile Profile.run": ("1",),
    "trace Trace.run": ("1",),
    "pdb run": ("1",),
    "bdb Bdb.run": ("1",),
    "timeit timeit": ("open('executed', 'w')",),
    "doctest debug_script": ("1",),
    "pydoc pipepager": ("a", "touch executed"),
    "pydoc locate": ("antigravity",),
    "idlelib.pyshell ModifiedInterpreter.runcode": (),
    "idlelib.run Executive.runcode": (),
    "idlelib.autocomplete AutoComplete.get_entity": ("1",),
    "lib2to3.pgen2.grammar Grammar.loads": (b"\x80\x02N.",),
    "pip main": (["install", "a"],),
    "venv create": ("executed",),
    "ensurepip _run_pip": ([],),
    "uuid _get_command_stdout": ("true",),
    "_osx_support _read_output": ("true",),
    "_aix_support _read_cmd_output": ("true",),
    "imaplib IMAP4_stream": ("true",),
    "webbrowser open": ("http://127.0.0.1:9",),
    "http.client HTTPSConnection": ("127.0.0.1",),
    "urllib.request urlopen": ("http://127.0.0.1:9",),
    "socket create_connection": (("127.0.0.1", 9),),
    "ssl get_server_certificate": (("127.0.0.1", 9),),
    "smtplib SMTP": ("127.0.0.1",),
    "requests.api get": ("http://127.0.0.1:9",),
    "aiohttp.client ClientSession": (),
    "linecache getlines": ("/etc/passwd",),
    "_io FileIO": ("executed", "w"),
    "io open": ("executed", "w"),
    "codecs open": ("executed", "w"),
    "pathlib Path.write_text": ("executed", "a"),
    "shutil move": ("a", "executed"),
    "tempfile NamedTemporaryFile": (),
    "distutils.file_util write_file": ("executed", ["a"]),
    "logging.config listen": (9,),
    "logging FileHandler": ("executed",),
    "sqlite3 connect": ("executed",),
    "test.support.script_helper assert_python_ok": ("-c", "1"),
    "pickle loads": (assembled("os system", SHELL),),
    "_pickle loads": (assembled("os system", SHELL),),
    "pickle _loads": (assembled("os system", SHELL),),
    "dill loads": (b"",),
    "cloudpickle loads": (b"",),
    "joblib load": ("a",),
    "numpy load": ("a.npy",),
    "numpy fromfile": ("/etc/passwd",),
    "numpy memmap": ("executed", "u1", "w+", 0, 9),
    "numpy __builtins__": (),
    "numpy core._internal.sys.modules": (),
    "numpy.testing._private.utils runstring": ("open('executed', 'w')", {}),
    "numpy.f2py.crackfortran getlincoef": ("open('executed', 'w')", {"a"}),
    "numpy.f2py.crackfortran myeval": ("open('executed', 'w')",),
    "numpy.ctypeslib load_library": ("c", "."),
    "torch load": ("a.pth",),
    "torch os.system": (SHELL,),
    "torch.serialization load": ("a.pth",),
    "torch.storage _load_from_bytes": (assembled("os system", SHELL),),
    "torch.hub load": ("a", "b"),
    "torch.jit load": ("a",),
    "torch.utils.data.datapipes.utils.decoder basichandlers": ("pickle", b""),
    "torch.utils._config_module load_config": (b"",),
    "torch.utils.bottleneck.__main__ run_cprofile": ("1",),
    "torch._dynamo.guards GuardBuilder.get": ("1",),
    "torch._inductor.codecache compile_file": ("a.c", "a.so", ["touch", "executed"]),
    "torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression": ("1",),
    "torch.cuda._utils _check_cuda": (1,),
    "pandas.io.pickle read_pickle": ("a",),
    "pandas.core.computation.eval eval": ("1",),
    "cv2 imread": ("a",),
    "ast literal_eval": ("1" * 5000,),
    "collections namedtuple": ("a", "b"),
    "enum Enum": ("a", "b"),
    "copyreg __newobj__": (),
    "weakref ref": (),
    "__main__ auditor": (),
}
# ways to ask for a name, and to call it
RUN = b"c" + b"os\nsystem\n"
WAYS = {
    "call": assembled("os system", SHELL),
    "object": b'(cpty\nspawn\nS"true"\no.',
    "instance": b"(S'touch executed'\nios\nsystem\n.",
    "new object": RUN + b"(S'touch executed'\nt\x81.",
    "new object with keywords": RUN + b"(S'a'\nt}\x92.",
    "stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0etouch executed\x85R.",
    "stack of the memo": b"\x80\x04\x8c\x06system\x940\x8c\x02os\x940h\x01h\x00\x93\x8c\x01a\x85R.",
    "stack after numbers": b"\x80\x04\x8c\x02osK\x01K\x0200\x8c\x06system\x93\x8c\x01a\x85R.",
    "state": b"cbuiltins\nobject\n)R" + RUN + b"b.",
    "state of a name": b"cnumpy\nprod\nN" + b"cnumpy\ncore._internal.sys.modules\n\x86b0N.",
    "damaged after the call": assembled("os system", SHELL)[:-1] + b"\xff\xff",
    "cut off after the call": assembled("os system", SHELL)[:-1],
    "second pickle": pickle.dumps([]) + assembled("os system", SHELL),
    "extension": b"\x82\x01)R.",
    "dotted": b"\x80\x04\x8c\x05torch\x8c\x17serialization.os.system\x93\x8c\x01a\x85R.",
    "name of Python 2": b"c__builtin__\neval\n(S'1'\ntR.",
    "letters beyond ASCII": "cos\u200b\nsystem\n)R.".encode(),
    "empty name": b"c\n\n)R.",
    "reference": b"Pos.system\n.",
    "list of calls": b"]" + RUN + b"(S'a'\ntRa.",
    "key": b"}" + RUN + b"(S'a'\ntRK\x01s.",
    "compressed with 7z": b"7z\xbc\xaf\x27\x1c" + assembled("os system", SHELL),
}


def zipped(content: bytes, **more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, other in more.items():
            archive.writestr(f"archive/{name}", other)
    return file.getvalue()


def legacy(content: bytes) -> bytes:
    """Torch's format of before version 1.6: magic number, protocol, system, object, keys."""
    magic = 0x1950A86A20F9469CFC6C
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = (pickle.dumps(magic, 2), pickle.dumps(1001, 2), pickle.dumps(about, 2), content)
    return b"".join(parts) + pickle.dumps([], 2)


def npz(content: bytes) -> bytes:
    file = io.BytesIO()
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
    with zipfile.ZipFile(file, "w") as archive:
        array = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + content
        for name in ("positions_3d", "keypoint", "scores", "meta"):
            archive.writestr(f"{name}.npy", array)
    return file.getvalue()


READERS = {
    "annotations": ("x.pkl", lambda content: content, read_annotations),
    "dump": ("x.pkl", lambda content: content, read_scores),
    "checkpoint": ("x.pth", zipped, read_weights),
    "old checkpoint": ("x.pth", legacy, read_weights),
    "recordings": ("x.npz", npz, lambda path: read_recordings(path, READING)),
    "scores": ("x.npz", npz, read_scores),
}


def refused(auditor, tmp_path, monkeypatch, name, content, read) -> str:
    """The sentence in which a file ends, of which nothing was executed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    before = set(sys.modules)
    auditor.scratch = str(tmp_path)
    ended, said = outcome(read, tmp_path / name, auditor)
    assert (ended, [path.name for path in tmp_path.iterdir()]) == (SENTENCE, [name]), said
    new = {module for module in set(sys.modules) - before if not module.startswith(OURS)}
    assert new & {call.split()[0] for call in CALLS} == set()
    return said


OURS = ("stgcn_lightning", "torch", "numpy", "encodings")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_is_executed(auditor, tmp_path, monkeypatch, call, reader):
    name, wrapped, read = READERS[reader]
    content = wrapped(assembled(call, *CALLS[call]))
    refused(auditor, tmp_path, monkeypatch, name, content, read)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_call_is_executed(auditor, tmp_path, monkeypatch, way, reader):
    name, wrapped, read = READERS[reader]
    refused(auditor, tmp_path, monkeypatch, name, wrapped(WAYS[way]), read)


@pytest.mark.parametrize(
    "way", ["call", "instance", "stack", "stack of the memo", "dotted", "damaged after the call"]
)
def test_python_itself_would_execute_them(auditor, tmp_path, way):
    path = tmp_path / "x.pkl"
    path.write_bytes(WAYS[way])
    auditor.scratch = str(tmp_path)
    ended, said = outcome(lambda path: pickle.loads(path.read_bytes()), path, auditor)
    assert ended == OTHER
    assert "did what no reader may: pickle.find_class" in said


EVIL = zipped(assembled("os system", SHELL))


def lied(offset: int, value: bytes, mark: bytes = b"PK\x01\x02") -> bytes:
    """An archive with another value in a header."""
    at = EVIL.index(mark) + offset
    return EVIL[:at] + value + EVIL[at + len(value) :]


def tar(content: bytes) -> bytes:
    """Torch's first format."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        lied(16, b"\0\0\0\0"),  # its checksum, which torch does not compare
        lied(14, b"\0\0\0\0", b"PK\x03\x04"),
        lied(8, b"\x01\0"),  # encrypted, says the index
        lied(6, b"\x01\0", b"PK\x03\x04"),
        lied(30, b"archive/data.txt", b"PK\x03\x04"),  # two names of one file
        lied(10, b"\x0c\0"),  # bzip2
        lied(24, b"\xff\xff\xff\x7f"),  # its size
        lied(42, b"\xff\xff\xff\x7f"),  # its place
        lied(12, b"\xff\xff", b"PK\x05\x06"),  # size of the index
        EVIL[:-22] + EVIL[-22:] * 2,
        b"\x80\x02N." + EVIL,  # a pickle, and an archive
        EVIL + assembled("os system", SHELL),
        zipped(pickle.dumps({}), **{"constants.pkl": assembled("os system", SHELL)}),  # TorchScript
        zipped(pickle.dumps({}), **{"code/a.py": b"import os", "byteorder": b"middle"}),
        zipped(pickle.dumps({}), **{"data/0": assembled("os system", SHELL)}),
        tar(assembled("os system", SHELL)),
    ],
    ids=range(16),
)
def test_archives_that_scanners_read_otherwise(auditor, tmp_path, monkeypatch, content):
    refused(auditor, tmp_path, monkeypatch, "x.pth", content, read_weights)


@pytest.mark.parametrize("header", ["__import__('os').system('touch executed')", "[" * 9000])
def test_a_header_of_numpy_is_not_evaluated(auditor, tmp_path, monkeypatch, header):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        text = f"{{'descr': {header}, 'fortran_order': False, 'shape': (1,), }}\n".encode()
        content = b"\x93NUMPY\x02\0" + struct.pack("<I", len(text)) + text + bytes(8)
        for name in ("keypoint", "meta", "scores"):
            archive.writestr(f"{name}.npy", content)
    for read in (read_scores, lambda path: read_recordings(path, READING)):
        refused(auditor, tmp_path, monkeypatch, "x.npz", file.getvalue(), read)


TENSOR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
TEXT = json.dumps(TENSOR)[1:-1]


def safetensors(header: object, data: bytes = bytes(4), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def twice(first: str, second: str) -> bytes:
    """Two tensors of one name on the same bytes: a scanner sees one, a program the other."""
    return f'{{"w": {{{first}}}, "w": {{{second}}}}}'.encode()


@pytest.mark.parametrize(
    "content",
    [
        safetensors({"a": TENSOR}, length=2**63),
        safetensors({"a": TENSOR}, length=2**64 - 1),
        safetensors({"a": TENSOR}, length=100_000_001),
        safetensors({"a": TENSOR}, length=len(json.dumps({"a": TENSOR})) + 5),
        safetensors({"a": TENSOR, "b": TENSOR}),  # both on the same bytes
        safetensors({"a": TENSOR, "b": TENSOR | {"data_offsets": [2, 6]}}, bytes(6)),
        safetensors({"a": TENSOR, "b": TENSOR | {"data_offsets": [8, 12]}}, bytes(12)),  # a hole
        safetensors({"a": TENSOR | {"data_offsets": [4, 8]}}, bytes(8)),  # a hole at the begin
        safetensors({"a": TENSOR}, bytes(4) + EVIL),  # a hole at the end, in which a zip file is
        safetensors({"a": TENSOR | {"data_offsets": [4, 0]}}),
        safetensors({"a": TENSOR | {"data_offsets": [0, 2**63]}}),
        safetensors({"a": TENSOR | {"shape": [2]}}),
        safetensors({"a": TENSOR | {"shape": [-1]}}),
        safetensors({"a": TENSOR | {"shape": [2**62, 4]}}),  # whose product is 0 in 64 bits
        safetensors({"a": TENSOR | {"shape": [4194305, 4194305, 211106198978564]}}, bytes(16)),
        safetensors({"a": TENSOR | {"dtype": "F4"}}),
        safetensors({"a": TENSOR | {"dtype": "object"}}),
        safetensors(twice('"dtype":"U8","shape":[4],"data_offsets":[0,4]', TEXT)),
        safetensors(b"\xff\xfe{}"),
        safetensors(b'{"a":' + b"[" * 100_000),
        safetensors(b"[]"),
        safetensors(b"\x80\x02N." + json.dumps({"a": TENSOR}).encode()),  # a pickle first
        safetensors({"a": TENSOR, "__metadata__": {"a": 1}}),
        safetensors({"a": TENSOR, "__metadata__": {"stgcn_lightning": "[" * 100_000}}),
        safetensors({"a": TENSOR, "__metadata__": {"stgcn_lightning": "9" * 10_000}}),
        safetensors({"a": TENSOR, "__metadata__": {"stgcn_lightning": '{"a": 1, "a": 2}'}}),
        assembled("os system", SHELL),
        EVIL,
    ],
    ids=range(28),
)  # fmt: skip
def test_attacks_on_safetensors_are_refused(auditor, tmp_path, monkeypatch, content):
    refused(auditor, tmp_path, monkeypatch, "x.safetensors", content, read_safetensors)


def test_a_tensor_of_no_bytes_may_share_a_place(tmp_path: Path):
    """Which takes nothing from the other, and is what safetensors itself allows."""
    path = tmp_path / "x.safetensors"
    empty = TENSOR | {"shape": [0], "data_offsets": [0, 0]}
    path.write_bytes(safetensors({"a": empty, "b": TENSOR}, np.float32(3).tobytes()))
    found, _ = read_safetensors(path)
    assert found["a"].shape == (0,)
    assert torch.equal(found["b"], torch.tensor([3.0]))
