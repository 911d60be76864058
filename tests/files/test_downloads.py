"""Downloads from a server that breaks off, stalls, lies and recovers."""

import io
import json
import multiprocessing
import random
import socket
import time
from urllib.request import Request

import pytest
from rich.console import Console
from serving import answers, breaks_after, shows_a_page, stalls

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files import downloads
from stgcn_lightning.files.downloads import Downloads, fetch

CONTENT = random.Random(0).randbytes(3_000_000)


@pytest.fixture
def file(server, tmp_path):
    """Where the server's file goes; it has an ETag."""
    server.files["/file.bin"] = CONTENT
    server.etags["/file.bin"] = '"first"'
    return tmp_path / "cache" / "file.bin"


def get(server, file, check=lambda part: None, terminal=False, most=10**7, **settings):
    """Fetch the server's file; returns what was shown."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=200, soft_wrap=True)
    settings = {"timeout": 5, "tries": 3, "wait": 0} | settings
    downloads = Downloads(address=server.address, folder=file.parent, **settings)
    fetch(f"{server.address}/file.bin", file, check, downloads, console, most=most)
    return shown.getvalue()


def left(file):
    """What lies in the folder besides the lock."""
    return sorted(path.name for path in file.parent.iterdir() if path.suffix != ".lock")


def test_a_file_arrives_whole_and_alone_and_is_not_fetched_twice(server, file):
    get(server, file)
    get(server, file)
    assert file.read_bytes() == CONTENT
    assert left(file) == ["file.bin"]
    assert len(server.asked) == 1


def test_a_broken_transfer_goes_on_where_it_ended(server, file):
    server.faults = [breaks_after(1_000_000), breaks_after(2_000_000)]
    shown = get(server, file)
    assert file.read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=1000000-", "bytes=2000000-"]
    assert server.asked[1][1]["If-Range"] == '"first"'
    assert "broke off after 1000000 of 3000000 bytes: trying again" in shown


def test_a_later_process_goes_on_where_an_earlier_one_ended(server, file):
    server.faults = [breaks_after(1_000_000)]
    with pytest.raises(BadInput, match="broke off after 1000000 of 3000000 bytes"):
        get(server, file, tries=1)
    assert left(file) == ["file.bin.part", "file.bin.part.json"]
    get(server, file)
    assert server.ranges() == [None, "bytes=1000000-"]
    assert file.read_bytes() == CONTENT


def test_a_part_that_is_complete_is_not_asked_for_again(server, file):
    def interrupted(part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, file, check=interrupted)
    get(server, file)
    assert len(server.asked) == 1
    assert file.read_bytes() == CONTENT


def test_tries_that_bring_something_are_not_counted(server, file):
    server.faults = [breaks_after(stop) for stop in range(500_000, 3_000_000, 500_000)]
    get(server, file, tries=2)
    assert file.read_bytes() == CONTENT


def test_a_server_that_ignores_range_sends_all_again(server, file):
    server.resumes = False
    server.faults = [breaks_after(1_000_000)]
    get(server, file)
    assert server.ranges() == [None, "bytes=1000000-"]
    assert file.read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_at_one_place_is_given_up(server, file):
    server.resumes = False
    server.faults = [breaks_after(1_000_000)] * 10
    with pytest.raises(BadInput, match="broke off after 1000000"):
        get(server, file)
    assert len(server.asked) == 3


def test_a_file_that_changed_meanwhile_starts_again(server, file):
    server.faults = [breaks_after(1_000_000)]
    with pytest.raises(BadInput):
        get(server, file, tries=1)
    server.files["/file.bin"] = CONTENT[::-1]
    server.etags["/file.bin"] = '"second"'
    get(server, file)
    assert file.read_bytes() == CONTENT[::-1]


def test_a_server_that_obeys_range_but_not_if_range_is_noticed(server, file):
    server.faults = [breaks_after(1_000_000)]
    with pytest.raises(BadInput):
        get(server, file, tries=1)
    server.files["/file.bin"] = CONTENT[::-1]
    server.etags["/file.bin"] = '"second"'

    def ignores_if_range(answer):
        del answer.headers["If-Range"]
        answer.send()

    server.faults = [ignores_if_range]
    assert "another piece than was asked for" in get(server, file)
    assert server.ranges() == [None, "bytes=1000000-", None]
    assert file.read_bytes() == CONTENT[::-1]


def test_what_was_known_of_an_earlier_state_of_the_file_is_forgotten(server, file):
    server.faults = [breaks_after(1_000_000)]
    with pytest.raises(BadInput):
        get(server, file, tries=1)
    del server.etags["/file.bin"]  # and so the next answer is the whole file, of which we know less
    server.faults = [breaks_after(2_000_000)]
    get(server, file)
    assert server.ranges() == [None, "bytes=1000000-", None]
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_validator_nothing_is_resumed(server, file, etag):
    del server.etags["/file.bin"]
    if etag:
        server.etags["/file.bin"] = etag
    server.faults = [breaks_after(1_000_000)]
    get(server, file)
    assert server.ranges() == [None, None]
    assert file.read_bytes() == CONTENT


def test_a_server_that_does_not_say_how_long_the_file_is_will_do(server, file):
    server.faults = [lambda answer: answer.send(length=False)]
    get(server, file)
    assert file.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_again(server, file):
    file.parent.mkdir()
    (file.parent / "file.bin.part").write_bytes(CONTENT + b"more")
    about = {"validator": '"first"', "size": 4_000_000}
    (file.parent / "file.bin.part.json").write_text(json.dumps(about))
    assert "answers 416" in get(server, file)
    assert server.ranges() == ["bytes=3000004-", None]
    assert file.read_bytes() == CONTENT


def test_a_part_of_which_nothing_is_known_starts_again(server, file):
    file.parent.mkdir()
    (file.parent / "file.bin.part").write_bytes(b"x" * 100)
    (file.parent / "file.bin.part.json").write_text("{}")
    get(server, file)
    assert server.ranges() == [None]
    assert file.read_bytes() == CONTENT


def test_a_file_that_fails_its_check_never_gets_its_name(server, file):
    seen = []

    def check(part):
        seen.append((part.read_bytes() == CONTENT, file.exists()))
        raise BadInput("it is garbage")

    with pytest.raises(BadInput, match=r"what http.*/file\.bin sent .* deleted: it is garbage"):
        get(server, file, check=check)
    assert seen == [(True, False)]
    assert left(file) == []


def test_a_web_page_is_refused(server, file):
    server.faults = [shows_a_page]
    with pytest.raises(BadInput, match=r"web page instead of the file; fetch it elsewhere and put"):
        get(server, file)
    assert len(server.asked) == 1
    assert left(file) == []


def test_a_silent_server_is_tried_again_and_named(server, file):
    server.faults = [stalls(2, stop=1_000_000)]
    shown = get(server, file, timeout=0.3)
    assert "silent for 0.3 s" in shown
    assert server.ranges() == [None, "bytes=1000000-"]
    assert file.read_bytes() == CONTENT

    file.unlink()
    server.faults = [stalls(2)] * 2
    with pytest.raises(BadInput, match=r"silent for 0\.2 s"):
        get(server, file, timeout=0.2, tries=2)


def test_a_server_that_is_busy_is_tried_again_after_longer_and_longer_waits(server, file):
    server.faults = [answers(503), answers(429)]
    shown = get(server, file, wait=0.1)
    assert "503 Service Unavailable: trying again in 0.1 s" in shown
    assert "trying again in 0.2 s" in shown
    assert file.read_bytes() == CONTENT


def test_a_file_that_is_not_there_is_asked_for_once(server, file):
    del server.files["/file.bin"]
    with pytest.raises(BadInput, match=r"cannot download http.*/file\.bin: .* answers 404"):
        get(server, file)
    assert len(server.asked) == 1


def test_offline_says_what_to_fetch_and_where_to_put_it(server, file):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BadInput) as error:
        get(server, file)
    message = str(error.value)
    assert f"cannot download {server.address}/file.bin" in message
    assert "Connection refused" in message
    assert f"fetch it elsewhere and put it at {file}" in message


@pytest.mark.parametrize("address", ["", "file:///etc", "ftp://example.org", "http://"])
def test_what_is_no_address_of_a_web_server_is_refused(server, file, address):
    server.address = address
    with pytest.raises(BadInput, match="no address of a web server"):
        get(server, file)


@pytest.mark.parametrize("said", [True, False])
def test_no_more_is_taken_than_such_a_file_can_have(server, file, said, monkeypatch):
    if said:  # before a byte of it is
        monkeypatch.setattr(downloads, "_check_space", None)
    else:
        server.faults = [lambda answer: answer.send(length=False)] * 3
    with pytest.raises(BadInput, match="sends more than 1,000,000 bytes, too much for such a file"):
        get(server, file, most=10**6)
    assert left(file) == []
    assert len(server.asked) == 1, "it is not tried again"


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_a_server_that_leads_to_what_is_no_web_server_is_not_followed(server, file, place):
    server.faults = [leads_to(place)]
    said = r"leads from http to ftp, which is not followed|Redirection to url .* is not allowed"
    with pytest.raises(BadInput, match=said):
        get(server, file)
    assert left(file) == []


def test_a_server_that_leads_to_another_address_is_followed(server, file):
    server.files["/moved.bin"] = CONTENT
    server.faults = [leads_to(f"{server.address}/moved.bin")]
    get(server, file)
    assert file.read_bytes() == CONTENT


def test_https_is_not_left():
    request = Request("https://example.org/file.bin")
    with pytest.raises(downloads._Refused, match="leads from https to http, which is not followed"):
        downloads._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/x")


def leads_to(place):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", place)
        request.end_headers()

    return answer


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(BadInput, match=r"cannot write .*file\.bin: .*downloads\.folder=FOLDER"):
        get(server, tmp_path / "cache" / "file.bin")


def test_a_disk_without_space_is_named_before_anything_is_written(server, file, monkeypatch):
    from stgcn_lightning.files import downloads

    class Full:
        free = 1_000_000

    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: Full)
    with pytest.raises(BadInput, match=r"file\.bin takes 3 MB more, but .* has 1 left"):
        get(server, file)
    assert left(file) == []


def test_progress_is_a_line_every_tenth_or_a_bar_on_a_terminal(server, file):
    lines = [line for line in get(server, file).splitlines() if "%" in line]
    assert 9 <= len(lines) <= 10
    assert lines[-1] == "file.bin: 100 % of 3.0 MB"
    file.unlink()
    assert "B/s" in get(server, file, terminal=True)


def _fetch_in_process(server_address, file, started):
    started.wait()
    downloads = Downloads(server_address, file.parent, timeout=5, tries=3, wait=0)
    quiet = Console(quiet=True)
    fetch(f"{server_address}/file.bin", file, lambda part: None, downloads, quiet, most=10**7)


def test_two_processes_fetch_once(server, file):
    def slow(answer):
        time.sleep(0.5)
        answer.send()

    server.faults = [slow, slow]
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(2)
    arguments = (server.address, file, started)
    jobs = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0]
    assert file.read_bytes() == CONTENT
    assert len(server.asked) == 1
