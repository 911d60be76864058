"""The campaigns against the readers: that they notice faults, and that they find none."""

import os
import socket
import subprocess
import time
from pathlib import Path

import campaign
import limits
import pytest
from limits import SeedRefused, Tally
from limits import campaign as run
from readers import READERS, Reader, input_of
from seeds import Seed

from stgcn_lightning.errors import BadInput

SECONDS = float(os.environ.get("FUZZ_SECONDS", "1"))  # for each reader
SEED = int(os.environ.get("FUZZ_SEED", "0"))


def small() -> list[Seed]:
    return [Seed({"x.txt": b"1 2 3 4 5 6\n"}, "x.txt")]


def faulty(fault) -> Reader:
    """A reader that does something else with changed files of an even length, and takes others."""

    def read(path: Path) -> None:
        content = path.read_bytes()
        if len(content) % 2 == 0 and content != small()[0].files["x.txt"]:
            fault(path)

    return Reader(small, read, ("errors.py",))


def keeps_all_memory(path: Path) -> None:
    try:
        bytearray(3 << 30)
    except MemoryError as error:
        raise BadInput("is damaged") from error


def outcomes(reader: Reader, tmp_path: Path, **limits) -> Tally:
    said = []
    tally = Tally("faulty", 0)
    run("faulty", reader, tally, inputs=40, out=tmp_path, say=said.append, **limits)
    assert tally.inputs == 40
    assert len(said) == bool(tally.other)
    return tally


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda path: {}["x"], "KeyError: 'x'"),
        (lambda path: bytearray(3 << 30), "MemoryError"),
        (keeps_all_memory, "out of memory: 'is damaged'"),
        (lambda path: os._exit(3), "ends the process: 3"),
        (lambda path: os.abort(), "ends the process: SIGABRT"),
        (lambda path: (path.parent / "../../x").write_text("x"), "/x' for writing"),
        (lambda path: Path("/etc/passwd").read_text(), "opens '/etc/passwd' for reading"),
        (lambda path: subprocess.run(["true"]), "subprocess.Popen"),
        (lambda path: socket.socket().connect(("127.0.0.1", 9)), "socket."),
    ],
)
def test_a_planted_fault_is_noticed_and_its_input_kept(tmp_path, fault, said):
    tally = outcomes(faulty(fault), tmp_path)
    assert 0 < tally.other < 40
    assert tally.sentences == 0
    assert said in tally.findings[0]["said"]
    number = tally.findings[0]["number"]
    kept = (tmp_path / f"faulty-0-{number}" / "x.txt").read_bytes()
    assert kept == input_of(small(), "faulty", 0, number).files["x.txt"]
    assert len(kept) % 2 == 0


def test_a_reader_that_hangs_or_waits_is_ended(tmp_path):
    def spins(path: Path) -> None:
        while True:
            pass

    for fault in (spins, lambda path: time.sleep(60)):
        tally = Tally("faulty", 0)
        run("faulty", faulty(fault), tally, inputs=3, per_input=0.2, say=lambda line: None)
        assert tally.inputs == 3
        assert tally.other > 0
        assert tally.findings[0]["said"] == "hangs: 0.2 s"


def test_sentences_are_looked_at(tmp_path):
    class Unbounded(BadInput):
        def __str__(self):
            return self.args[0] * 999

    def long(path: Path) -> None:
        raise Unbounded("long")

    assert "3,996 letters" in outcomes(faulty(long), tmp_path).findings[0]["said"]

    def plain(path: Path) -> None:
        raise BadInput("is damaged")

    tally = outcomes(faulty(plain), tmp_path)
    assert (tally.other, tally.clean + tally.sentences) == (0, 40)
    assert tally.sentences > 0


def test_a_campaign_in_which_nothing_can_be_read_is_refused():
    def refuses(path: Path) -> None:
        raise BadInput("is damaged")

    with pytest.raises(SeedRefused, match="not one of 1 seeds is taken: is damaged"):
        run("x", Reader(small, refuses, ()), Tally("x", 0), inputs=5)


def test_a_campaign_goes_on_where_it_stopped_and_results_add_up(tmp_path, capsys):
    alone = ["--reader", "classes", "--out", str(tmp_path)]
    assert campaign.main([*alone, "--inputs", "40"]) == 0
    assert campaign.main([*alone, "--inputs", "100"]) == 0
    assert campaign.main([*alone, "--inputs", "50", "--seed", "7"]) == 0
    assert campaign.main(["--out", str(tmp_path), "--sum"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:2] == ["classes", "150"]
    at_once = Tally("classes", 0)
    run("classes", READERS["classes"], at_once, inputs=100)
    kept = campaign._load(tmp_path / "classes-0.json")
    assert (kept.clean, kept.sentences) == (at_once.clean, at_once.sentences)
    assert min(at_once.clean, at_once.sentences) > 10


def test_an_interrupted_campaign_keeps_what_its_processes_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SPELL", 0.2)
    times, keep = [], campaign._keep

    def interrupted(path: Path, tally: Tally) -> None:
        keep(path, tally)
        times.append(tally.inputs)
        if len(times) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        campaign.main(["--reader", "classes", "--out", str(tmp_path), "--seconds", "60"])
    assert 0 < times[0] < times[1] < times[2]
    assert campaign._load(tmp_path / "classes-0.json").inputs == times[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_no_reader_ends_otherwise_than_clean_or_in_a_sentence(name, tmp_path):
    tally = Tally(name, SEED)
    run(name, READERS[name], tally, seconds=SECONDS)
    assert tally.inputs > 0
    assert [one["said"] for one in tally.findings] == []
