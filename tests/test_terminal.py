"""What leaves to a terminal: nothing that it obeys, and no broken words."""

import io
import os
import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table

from stgcn_lightning import terminal
from stgcn_lightning.terminal import console, duration, fitting, plain

OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
HOSTILE = st.text(
    st.sampled_from("ab [red]\x1b[31m\r\n\x07\x9b\u202e\u2066\udcff:car"), max_size=30
)


class Screen(io.StringIO):
    """A terminal that keeps what it is sent."""

    def isatty(self):
        return True


@given(HOSTILE)
def test_no_character_that_a_terminal_obeys_is_left(text):
    assert not OBEYED.search(plain(text))
    plain(text).encode()


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"))))
def test_other_text_is_not_changed(text):
    assert plain(text) == text


@given(HOSTILE.filter(str.strip))
@example("drive a :car: and [red]stop[/red]")
def test_lines_and_tables_print_names_as_they_are(text):
    table = Table(title=text, show_header=False, box=None)
    table.add_row(text)
    screen = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "_file", screen)  # undone, `file` would be the stream of that moment
        console.print(text)
        console.print(table)
    lines = screen.getvalue().splitlines()
    assert lines[0] == plain(text)
    assert [line.strip() for line in lines[1:]] == [plain(text).strip()] * 2


@given(st.lists(st.from_regex("[a-z/-]{1,60}", fullmatch=True), min_size=1, max_size=40))
def test_a_terminal_of_80_columns_breaks_no_word(words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        text = fitting(" ".join(words), Screen())
        assert text.split() == words
        assert all(len(line) <= 80 for line in text.splitlines())
        assert fitting(" ".join(words), io.StringIO()) == " ".join(words)  # one line in a file


def test_a_line_in_a_terminal_is_broken_and_in_a_file_it_is_not(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    terminal.say("the loss of step 3 is nan")
    assert capsys.readouterr().out == "the loss of step 3 is nan\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal.say("the loss of step 3 is nan")
    assert capsys.readouterr().out == "the loss of step 3\n  is nan\n"


def test_a_table_that_is_wider_than_the_terminal_is_set_closer_and_keeps_its_words():
    table = Table()
    for column in ("", "ours", "95 % interval", "published", "difference", "verdict"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    cells = ("joint_motion", "87.30 ± 0.12", "87.02 - 87.91", "86.93", "-0.12", "reproduced")
    table.add_row(*cells)
    screen = Screen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "_file", screen)  # undone, `file` would be the stream of that moment
        patch.setattr(console, "_width", 80)
        console.print(table)
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(cell in screen.getvalue() for cell in cells)


def test_text_that_a_stream_cannot_take_is_escaped_and_a_closed_stream_takes_all(monkeypatch):
    kept = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(kept, "ascii", write_through=True))
    monkeypatch.setattr(sys, "stderr", None)
    terminal.prepare_streams()
    terminal.say("caf\xe9 \U0001f600")
    assert kept.getvalue() == b"caf\\xe9 \\U0001f600\n"
    print("lost", file=sys.stderr)
    assert sys.stderr.name == os.devnull
    sys.stderr.close()


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")


@FULL
def test_lines_that_a_full_log_cannot_take_are_lost_and_the_others_are_not(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(terminal, "lost", [])
    with (tmp_path / "log").open("w") as log, open("/dev/full", "wb") as full:
        room = os.dup(log.fileno())
        monkeypatch.setattr(sys, "stdout", log)
        monkeypatch.setattr(console, "_file", log)
        os.dup2(full.fileno(), log.fileno())
        terminal.say("first")
        console.print("second")
        os.dup2(room, log.fileno())  # space was freed
        os.close(room)
        terminal.say("third")
        console.print("fourth")
    assert (tmp_path / "log").read_text() == "third\nfourth\n"
    assert capsys.readouterr().err == (
        "standard output cannot be written (No space left on device): what is printed is lost, "
        "until it can be written again\n"
    )


@FULL
@pytest.mark.parametrize("write", ["say", "answer", "complain"])
def test_a_device_that_is_full_ends_nothing_but_answers(write):
    code = (
        "from stgcn_lightning import terminal; terminal.prepare_streams()\n"
        f"terminal.{write}('text')\nterminal.complain('went on')"
    )
    with open("/dev/full", "w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE}
        if write == "complain":
            streams = {"stdout": subprocess.PIPE, "stderr": full}
        ended = subprocess.run([sys.executable, "-c", code], text=True, check=False, **streams)
    if write == "answer":
        assert ended.returncode == 1
        assert "BadInput: standard output cannot be written" in ended.stderr
    else:
        assert ended.returncode == 0
    if write == "say":
        assert ended.stderr.endswith("went on\n")
        assert ended.stderr.count("\n") == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text
