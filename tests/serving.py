"""A web server on this machine that fails in the ways that servers do."""

import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `files` (path -> bytes), and notes what it was asked for.

    Attributes:
        files: path -> bytes, changed at will.
        etags: path -> ETag; a file without one is sent without one.
        faults: what to do instead of answering properly, one per request, in order.
        asked: (path, headers) of all requests.
        resumes: whether Range is obeyed.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.faults: list[Callable[[Answer], None]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.resumes = True

    def __enter__(self) -> "Server":
        served = self

        class Handler(Answer):
            server_of_test = served

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=lambda: self.http.serve_forever(0.01), daemon=True)
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def ranges(self) -> list[str | None]:
        """The Range of every request."""
        return [headers.get("Range") for _, headers in self.asked]


class Answer(BaseHTTPRequestHandler):
    """One request, and its answer."""

    server_of_test: Server

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        served = self.server_of_test
        served.asked.append((self.path, dict(self.headers)))
        if served.faults:
            served.faults.pop(0)(self)
        else:
            self.send()

    def send(self, **changes: object) -> None:
        """Answer properly, but for `changes`: where the body stops, its kind, no length."""
        served = self.server_of_test
        content = served.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        etag = served.etags.get(self.path)
        piece = re.match(r"bytes=(\d+)-$", self.headers["Range"] or "")
        same = self.headers["If-Range"] in (None, etag)
        start = int(piece[1]) if piece and same and served.resumes else 0
        if start and start >= len(content):
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if changes.get("length", True):
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", str(changes.get("kind", "application/octet-stream")))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(content[start : changes.get("stop")])


def breaks_after(stop: int) -> Callable[[Answer], None]:
    """Close the connection after byte `stop` of the file."""
    return lambda answer: answer.send(stop=stop)


def answers(status: int) -> Callable[[Answer], None]:
    """Answer with an error."""
    return lambda answer: answer.send_error(status)


def stalls(seconds: float, stop: int = 0) -> Callable[[Answer], None]:
    """Fall silent after byte `stop` of the file."""

    def stall(answer: Answer) -> None:
        answer.send(stop=stop)
        answer.wfile.flush()
        time.sleep(seconds)

    return stall


def shows_a_page(answer: Answer) -> None:
    """Send something of the right length that calls itself a web page."""
    answer.send(kind="text/html; charset=utf-8")
