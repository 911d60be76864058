"""Downloads of published files: resumed where they broke off, checked, done by one process.

A transfer is written to NAME.part; NAME.part.json keeps the file's validator and size, as the
server stated them, so that a broken or killed transfer continues where it ended, or starts again if
the file has changed (RFC 9110: Range, If-Range). The complete part is checked and then renamed.

Certificates and proxies are those of the system (`urllib`). A server may lead elsewhere, but never
from https to http, nor to anything that is no web server; and it may send no more than was asked
for.
"""

import json
import os
import re
import shutil
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.locks import alone

BLOCK = 1 << 18
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses after which a server may answer soon


@dataclass(frozen=True)
class Downloads:
    """Where published files come from, where they are kept, and how often a transfer is tried.

    Args:
        address: of the folder in which MMAction2's files are published, or of a mirror of it.
        folder: where downloaded files are kept.
        timeout: seconds without a byte after which a server counts as silent.
        tries: tries before we give up; counted from 0 again after a try that brings new bytes.
        wait: seconds before the second try, doubled before each further one.
        pyskl: address of the folder in which PYSKL's files are published, or of a mirror of it.
    """

    address: str
    folder: Path
    timeout: float
    tries: int
    wait: float
    pyskl: str = ""


class _Broken(Exception):  # noqa: N818 - named after what has happened
    """A transfer that may succeed when it is tried again."""


class _Refused(Exception):  # noqa: N818 - named after what has happened
    """A transfer that will not succeed however often it is tried."""


def fetch(
    address: str,
    path: Path,
    check: Callable[[Path], object],
    downloads: Downloads,
    console: Console,
    *,
    most: int,
) -> None:
    """Download the file at `address` to `path`, unless `path` exists.

    Args:
        address: of the file, http or https.
        path: of the downloaded file; its folder is made.
        check: called with the complete file before it is renamed to `path`; raises BadInput if it
            is not the file that is needed.
        downloads: timeout, tries and wait.
        console: where progress is shown: a bar on a terminal, otherwise a line every 10 %.
        most: bytes that the file may have.

    Raises:
        BadInput: the file cannot be downloaded or written, or `check` refuses it (it is then
            deleted).
    """
    if path.exists():
        return
    with _explaining_where(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path, console.print):
            if not path.exists():  # another process may have fetched it meanwhile
                _fetch(address, path, check, downloads, console, most)


def _fetch(
    address: str,
    path: Path,
    check: Callable[[Path], object],
    downloads: Downloads,
    console: Console,
    most: int,
) -> None:
    part = path.with_name(f"{path.name}.part")
    console.print(f"downloading {address} to {path}")
    try:
        _transfer_patiently(address, part, downloads, console, most)
    except (_Broken, _Refused) as error:
        raise BadInput(
            f"cannot download {address}: {error}; fetch it elsewhere and put it at {path}"
        ) from error
    try:
        check(part)
    except BadInput as error:
        _forget(part)
        raise BadInput(f"what {address} sent is of no use and was deleted: {error}") from error
    part.replace(path)
    _forget(part)


def _transfer_patiently(
    address: str, part: Path, downloads: Downloads, console: Console, most: int
) -> None:
    failures, furthest = 0, _size(part)
    while True:
        try:
            return _transfer(address, part, downloads.timeout, console, most)
        except _Broken as error:
            failures = 1 if _size(part) > furthest else failures + 1
            if failures >= downloads.tries:
                raise
            furthest = max(furthest, _size(part))
            pause = downloads.wait * 2 ** (failures - 1)
            console.print(f"{error}: trying again in {pause:g} s")
            time.sleep(pause)


def _transfer(address: str, part: Path, timeout: float, console: Console, most: int) -> None:
    """Complete `part`, from where it ends if the server supports that."""
    about = _about(part)
    have = _size(part) if about else 0
    if have and have == about["size"]:
        return
    resuming = {"Range": f"bytes={have}-", "If-Range": about["validator"]} if have else {}
    request = _request(address, {"User-Agent": "stgcn_lightning", **resuming})
    with _explaining_network(timeout):
        try:
            response = build_opener(_Redirects).open(request, timeout=timeout)
        except HTTPError as error:
            if error.code == 416:  # our part is not the beginning of the file
                _forget(part)
            raise
    with response:
        if response.headers.get_content_type() == "text/html":
            raise _Refused("the server answers with a web page instead of the file")
        if have and response.status == 206:
            size = about["size"]
            if not _continues(response.headers, have, about):
                _forget(part)
                raise _Broken("the server sent another piece than was asked for")
        else:  # the whole file: at first, if it has changed, or if the server cannot resume
            have, size = 0, response.length
        if (size or 0) > most:
            raise _too_large(part, most)
        _check_space(part, (size or 0) - have)
        with part.open("ab" if have else "wb") as file:
            if not have:
                _remember(part, response.headers, size)
            with _progress(console, part.stem, have, size) as show:
                while size is None or have < size:
                    with _explaining_network(timeout):
                        block = response.read1(min(BLOCK, (size or BLOCK + have) - have))
                    if not block:
                        break
                    if have + len(block) > most:  # of a file whose size was not said
                        raise _too_large(part, most)
                    file.write(block)
                    have += len(block)
                    show(have)
            file.flush()
            os.fsync(file.fileno())
    if size is not None and have < size:
        raise _Broken(f"the transfer broke off after {have} of {size} bytes")


class _Redirects(HTTPRedirectHandler):
    """Follows a server to another address, if that is one of the web and no less safe."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ):
        """The request for the new address."""
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before, after) == ("https", "http"):
            raise _Refused(f"the server leads from {before} to {after}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _too_large(part: Path, most: int) -> _Refused:
    _forget(part)
    return _Refused(f"the server sends more than {most:,} bytes, too much for such a file")


def _request(address: str, headers: dict[str, str]) -> Request:
    if not re.match(r"https?://[^/\s]+/\S+$", address):
        raise _Refused("that is no address of a web server")
    return Request(address, headers=headers)


@contextmanager
def _explaining_network(timeout: float) -> Generator[None]:
    """Turn errors of the network, and answers that are errors, into `_Broken` or `_Refused`."""
    try:
        yield
    except HTTPError as error:
        error.close()
        kind = _Broken if error.code in (*PASSING, 416) else _Refused
        raise kind(f"the server answers {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise _Refused(f"its certificate is not trusted ({reason.verify_message})") from None
        if isinstance(reason, TimeoutError):
            raise _Broken(f"the server was silent for {timeout:g} s") from None
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise _Broken(f"the server cannot be reached ({text})") from None


@contextmanager
def _explaining_where(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}; free some space, or choose another folder "
            "with downloads.folder=FOLDER"
        ) from error


def _check_space(part: Path, need: int) -> None:
    if need > (free := shutil.disk_usage(part.parent).free):
        raise BadInput(
            f"{part.stem} takes {need / 1e6:.0f} MB more, but {part.parent} has {free / 1e6:.0f} "
            "left: free some space, or choose another folder with downloads.folder=FOLDER"
        )


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _about(part: Path) -> dict[str, Any]:
    """What NAME.part.json says about the file; empty if it is unusable."""
    try:
        about = json.loads(_beside(part).read_text())
        return {"validator": str(about["validator"]), "size": int(about["size"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _validator(headers: Message) -> str | None:
    """What changes whenever a file changes; a weak ETag need not."""
    etag = headers["ETag"]
    return etag if etag and etag.startswith('"') else headers["Last-Modified"]


def _continues(headers: Message, have: int, about: dict[str, Any]) -> bool:
    """Whether a partial answer begins after `have` bytes of the file described by `about`."""
    piece = re.match(r"bytes (\d+)-\d+/(\d+)$", headers["Content-Range"] or "")
    return (
        piece is not None
        and (int(piece[1]), int(piece[2])) == (have, about["size"])
        # some servers obey Range but not If-Range
        and _validator(headers) in (None, about["validator"])
    )


def _remember(part: Path, headers: Message, size: int | None) -> None:
    """Keep what resuming needs, for the part that has just been emptied."""
    _beside(part).unlink(missing_ok=True)
    if (validator := _validator(headers)) and size:
        _beside(part).write_text(json.dumps({"validator": validator, "size": size}))


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part).unlink(missing_ok=True)


@contextmanager
def _progress(
    console: Console, name: str, have: int, size: int | None
) -> Generator[Callable[[int], None]]:
    """A function that is called with the number of bytes so far, and shows it."""
    if console.is_terminal:
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(
            TextColumn("{task.description}", markup=False), *columns, console=console
        ) as bar:
            task = bar.add_task(name, completed=have, total=size)
            yield lambda have: bar.update(task, completed=have)
        return

    step = (size or 1e9) / 10
    shown = have // step

    def show(have: int) -> None:
        nonlocal shown
        if have // step > shown:
            shown = have // step
            share = f"{100 * have / size:.0f} % of " if size else ""
            console.print(f"{name}: {share}{(size or have) / 1e6:.1f} MB")

    yield show
