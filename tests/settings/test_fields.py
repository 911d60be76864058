"""Fields by hand: a dataclass of one field each."""

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings import fields
from stgcn_lightning.settings.fields import describe, path_of, read
from stgcn_lightning.settings.frozen import frozen, thawed


@dataclass(frozen=True)
class Inner:
    """Things below."""

    count: int | None = fields.whole("how many", 1, 10, unit="things", null="as many as fit")
    share: float = fields.number("part of all", 0, 1)
    mode: str | None = fields.choice("the way", None, True, "slow")
    label: str = fields.name("what it is called")
    folder: Path = fields.path("where it lies")
    free: object = fields.anything("whatever", "anything", key="_free_")
    others: object = fields.rest("an argument")


@dataclass(frozen=True)
class Outer:
    """Everything."""

    inner: Inner = fields.group(Inner)


GOOD = {"count": 3, "share": 0.5, "mode": None, "label": "x", "folder": "y", "more": [1, {"a": 2}]}


def outer(**changed):
    return read(Outer, {"inner": GOOD | changed})


def test_values_are_kept_as_they_are_and_cannot_be_changed():
    inner = outer(_free_={"list": [1, 2]}).inner
    assert (inner.count, inner.share, inner.mode, inner.label) == (3, 0.5, None, "x")
    assert inner.folder == Path("y")
    assert inner.free["list"] == (1, 2)
    assert inner.others["more"] == (1, {"a": 2})
    with pytest.raises(FrozenInstanceError):
        inner.count = 4
    with pytest.raises(TypeError):
        inner.free["list"] = 3
    with pytest.raises(TypeError):
        inner.others["more"][1]["a"] = 3


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"count": 0}, "inner.count=0 must be a whole number of at least 1"),
        ({"count": 11}, "inner.count=11 must be a whole number of at most 10"),
        ({"count": 1.5}, "inner.count=1.5 must be a whole number of at least 1"),
        ({"count": True}, "inner.count=true must be a whole number of at least 1"),
        ({"count": "many"}, "inner.count=many must be a whole number of at least 1"),
        ({"share": 2}, "inner.share=2 must be a number of at most 1"),
        ({"share": float("nan")}, "inner.share=nan must be a number of at least 0"),
        ({"share": None}, "inner.share=null must be a number of at least 0"),
        ({"mode": "fast"}, "inner.mode=fast is none of null, true, slow"),
        ({"mode": 1}, "inner.mode=1 is none of null, true, slow"),
        ({"mode": False}, "inner.mode=false is none of null, true, slow"),
        ({"label": ""}, "inner.label= is no name: give one, inner.label=NAME"),
        ({"label": None}, "inner.label=null is no name: give one, inner.label=NAME"),
        ({"folder": 5}, "inner.folder=5 is no path: give a file or folder"),
        ({"folder": "~nobody_here/x"}, "inner.folder=~nobody_here/x cannot be found: there is no"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_in_a_sentence(changed, sentence):
    with pytest.raises(BadInput) as refused:
        outer(**changed)
    assert str(refused.value).startswith(sentence)


def test_a_group_that_is_none_is_refused():
    with pytest.raises(BadInput, match="inner=5 is no group of keys"):
        read(Outer, {"inner": 5})
    with pytest.raises(BadInput, match="inner=null is no group of keys"):
        read(Outer, {})


def test_a_lenient_reader_takes_what_is_there_and_checks_it():
    assert read(Outer, {}, lenient=True).inner.label is None
    with pytest.raises(BadInput, match=r"inner\.count=0"):
        read(Outer, {"inner": {"count": 0}}, lenient=True)


def test_the_home_directory_is_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert path_of("key", "~/x") == Path("/home/somebody/x")


def test_keys_are_documented_from_their_fields():
    rows = {row.key: row for row in describe(Outer, {"inner": GOOD})}
    assert list(rows) == [
        "inner.count", "inner.share", "inner.mode", "inner.label", "inner.folder", "inner._free_",
        "inner.more",
    ]  # fmt: skip
    assert rows["inner.count"][1:] == (
        "how many; null: as many as fit", "things", "whole number, 1 to 10", "3",
    )  # fmt: skip
    assert rows["inner.mode"][1:] == ("the way", "", "null, true, slow", "null")
    assert rows["inner.more"].meaning == "an argument"


def test_freezing_is_undone_by_thawing():
    tree = {"a": [1, {"b": None}], "c": {"d": [[2.0, "x"]]}}
    assert thawed(frozen(tree)) == tree
    copy = thawed(frozen(tree))
    copy["a"][1]["b"] = 1
    assert tree["a"][1]["b"] is None
