"""What is measured of this machine, and how it is kept."""

import json
import time

import pytest

from stgcn_lightning.engine import choices
from stgcn_lightning.engine.choices import faster


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A process that knows nothing, with a cache folder of its own."""
    monkeypatch.setattr(choices, "_known", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "stgcn_lightning" / "choices.json"


def quick():
    """Take no time."""


def slow():
    """Take 2 ms."""
    time.sleep(0.002)


def refuse():
    raise AssertionError("measured again")


def forget(monkeypatch):
    monkeypatch.setattr(choices, "_known", {})


def test_what_is_measured_is_kept_for_later_processes(fresh, monkeypatch):
    assert faster("a", quick, slow)
    assert not faster("b", slow, quick)
    assert faster("a", refuse, refuse)
    forget(monkeypatch)
    assert faster("a", refuse, refuse)
    assert not faster("b", refuse, refuse)
    assert len(json.loads(fresh.read_bytes())) == 2


def test_the_usual_computation_stays_where_both_take_as_long():
    assert not faster("a", slow, slow)


def test_an_answer_counts_for_one_machine_and_number_of_threads(monkeypatch):
    assert faster("a", quick, slow)
    monkeypatch.setattr(choices, "machine", lambda: "another one")
    assert not faster("a", slow, quick)
    monkeypatch.setattr(choices.torch, "get_num_threads", lambda: 77)
    assert faster("a", quick, slow)


def test_another_process_that_was_quicker_is_followed(fresh, monkeypatch):
    def other_process():
        if not fresh.exists():
            mine = dict(choices._known)
            forget(monkeypatch)
            monkeypatch.setattr(choices, "shortest", lambda *_: False)
            faster("a", refuse, refuse)
            monkeypatch.setattr(choices, "_known", mine)

    monkeypatch.setattr(choices, "shortest", lambda other, usual: (usual(), True)[1])
    assert not faster("a", quick, other_process)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": "yes"}', b"[" * 100_000, b"\xff"])
def test_a_file_that_says_nothing_is_measured_anew(content, fresh):
    fresh.parent.mkdir()
    fresh.write_bytes(content)
    assert faster("a", quick, slow)
    assert any(answer is True for answer in json.loads(fresh.read_bytes()).values())


def test_without_a_folder_every_process_measures(tmp_path, monkeypatch):
    (tmp_path / "stgcn_lightning").write_text("a file is in the way")
    assert faster("a", quick, slow)
    forget(monkeypatch)
    assert not faster("a", slow, quick)
