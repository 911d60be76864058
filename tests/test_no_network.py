"""Nothing connects to another machine: not when modules are imported, and in no test."""

import os
import socket
import subprocess
import sys

import pytest
from helpers import CHECKOUT
from test_structure import FILES, OURS

ELSEWHERE = ("192.0.2.1", 9)  # RFC 5737: belongs to nobody
CONNECT = f"import socket; socket.create_connection({ELSEWHERE}, timeout=1)"
IMPORT_ALL = """
import importlib, sys

def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        print(event, arguments)

sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
CONNECTING_TEST = f"""
import socket
from contextlib import suppress

def test_connects():
    with suppress(OSError):
        socket.create_connection({ELSEWHERE}, timeout=1)

def test_does_not():
    pass
"""


def python(*arguments, **env):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | env)


def imported(names, **env):
    """What a Python does with sockets while it imports modules."""
    done = python("-c", IMPORT_ALL, *names, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_importing_every_module_uses_no_socket():
    modules = [f"{OURS}.{name}".removesuffix(".__init__") for name in FILES]
    modules = [OURS if name == f"{OURS}.__init__" else name for name in modules]
    assert imported(["hydra_plugins.stgcn_lightning", *modules]) == ""


def test_an_import_that_uses_a_socket_is_seen(tmp_path):
    (tmp_path / "connecting.py").write_text("import socket\nsocket.socket().bind(('127.0.0.1', 0))")
    paths = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    assert imported(["connecting"], PYTHONPATH=paths).startswith("socket.bind ")


@pytest.mark.parametrize(
    "connect",
    [
        lambda: socket.create_connection(ELSEWHERE, timeout=1),
        lambda: socket.create_connection(("example.invalid", 9), timeout=1),
        lambda: socket.socket().connect_ex(ELSEWHERE),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ELSEWHERE),
        lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 9)),
        lambda: socket.gethostbyname("example.invalid"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_test_reaches_another_machine(connect, connections):
    with pytest.raises(OSError, match="no test may connect to "):
        connect()
    assert len(connections.read_text().split()) == 1
    connections.unlink()


def test_no_process_of_a_test_does(connections):
    done = python("-c", CONNECT)
    assert "no test may connect to 192.0.2.1" in done.stderr
    assert connections.read_text() == "192.0.2.1\n"
    connections.unlink()


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


@pytest.mark.slow
def test_a_test_that_hides_its_attempt_fails(tmp_path):
    (tmp_path / "test_connecting.py").write_text(CONNECTING_TEST)
    done = python(
        "-m", "pytest", "-q", "-p", "conftest", "-c", CHECKOUT / "pyproject.toml",
        "--rootdir", tmp_path, tmp_path / "test_connecting.py",
        PYTHONPATH=os.pathsep.join([str(CHECKOUT / "tests"), str(CHECKOUT / "tests" / "guard"),
                                    os.environ["PYTHONPATH"]]),
    )  # fmt: skip
    assert "it tried to connect to 192.0.2.1" in done.stdout
    assert "2 passed, 1 error" in done.stdout, done.stdout
