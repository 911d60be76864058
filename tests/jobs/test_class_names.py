"""Names of classes: a file is read as it was meant, or refused; no label is ever shifted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.classes import class_names

NAMES = st.lists(
    st.from_regex(r"[a-zé深][a-z é深/()-]{0,10}[a-zé深]", fullmatch=True),
    min_size=2, max_size=6, unique=True,
)  # fmt: skip
FORMS = {
    "UTF-16": lambda names: "\n".join(names).encode("utf-16"),
    "UTF-16 without a mark": lambda names: "\n".join(names).encode("utf-16-le"),
    "a YAML list": lambda names: "".join(f"- {name}\n" for name in names).encode(),
    "JSON": lambda names: json.dumps(names, indent=1).encode(),
    "JSON of numbers": lambda names: json.dumps(dict(enumerate(names))).encode(),
    "0: name": lambda names: "".join(f"{i}: {n}\n" for i, n in enumerate(names)).encode(),
    "1 name": lambda names: "".join(f"{i} {n}\n" for i, n in enumerate(names, 1)).encode(),
    "A1. name": lambda names: "".join(f"A{i}. {n}\n" for i, n in enumerate(names, 1)).encode(),
    "0,name": lambda names: "".join(f'{i},"{n}"\n' for i, n in enumerate(names)).encode(),
    "name,0": lambda names: "".join(f"{n},{i}\n" for i, n in enumerate(names)).encode(),
    "a table with a heading": lambda names: "\n".join(
        ["label,name", *(f"{i},{n}" for i, n in enumerate(names))]
    ).encode(),
}  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("classes") / "labels.txt"


@given(NAMES, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.integers(0, 3))
def test_marks_ends_of_lines_and_lines_after_the_last_change_nothing(file, names, end, mark, after):
    text = end.join(names) + end * after
    file.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    assert class_names(str(file)) == names


@pytest.mark.parametrize("form", FORMS)
@given(names=NAMES.filter(lambda names: len(names) > 2))
def test_other_forms_of_a_list_are_refused_with_the_remedy(file, form, names):
    file.write_bytes(FORMS[form](names))
    with pytest.raises(BadInput, match="one name a line, in the order of the labels"):
        class_names(str(file))


@pytest.mark.parametrize(("text", "encoding"), [("深蹲\n弓步\n跳\n", "gbk"), ("É\nÜ", "latin-1")])
def test_another_encoding_is_named(file, text, encoding):
    file.write_bytes(text.encode(encoding))
    with pytest.raises(BadInput, match=r"labels\.txt is not UTF-8 text: save it as UTF-8"):
        class_names(str(file))


@given(NAMES, st.data())
def test_an_empty_line_among_the_names_is_refused(file, names, data):
    place = data.draw(st.integers(0, len(names) - 1))
    file.write_text("\n".join([*names[:place], " ", *names[place:]]))
    with pytest.raises(BadInput, match=f"has an empty line, {place + 1}, among its names"):
        class_names(str(file))


@pytest.mark.parametrize("heading", ["# classes", "#", "name", "Label"])
def test_a_heading_is_no_class(file, heading):
    file.write_text(f"{heading}\nsit\nstand\n")
    with pytest.raises(BadInput, match=f"begins with `{heading}`, which is no class: remove it"):
        class_names(str(file))


def test_numbers_in_names_are_no_numbering(file):
    names = ["exercise 1", "exercise 2", "exercise 3"]
    file.write_text("\n".join(names))
    assert class_names(str(file)) == names


def test_a_number_of_classes_that_is_a_slip_is_refused():
    with pytest.raises(BadInput, match=r"benchmark\.classes=1000000000 must be at most"):
        class_names(10**9)


def test_a_name_that_is_there_twice_is_named():
    with pytest.raises(BadInput, match="has sit 2 times: name each once"):
        class_names(("sit", "stand", "sit"))


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (True, "'yes' or 'on'"),
        (False, "'no' or 'off'"),
        (7, "'7'"),
        (None, "'null'"),
        ({"a": "b"}, "'a: b'"),
    ],
)
def test_a_name_that_yaml_does_not_read_as_text_is_to_be_quoted(value, remedy):
    with pytest.raises(BadInput, match=r"benchmark\.classes\[1\].* is no name .*quote it") as error:
        class_names(("sit", value))
    assert str(error.value).endswith(remedy)
