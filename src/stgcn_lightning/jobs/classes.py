"""Names of classes, in the order of their labels: a shifted list would be wrong in silence."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings.fields import names as names_of_list
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed

UTF16 = (b"\xff\xfe", b"\xfe\xff")  # marks at the begin of such a file
ONE_A_LINE = "write one name a line, in the order of the labels"
BEFORE = re.compile(r"\W*[Aa]?(\d{1,9})\b[\s\W]+\S")  # 0: drink, "1","drink", A1. drink
AFTER = re.compile(r".*\S\s*[\t,;:=]\s*(\d{1,9})\W*$")  # drink,0; but `exercise 1` is a name
HEADINGS = ("action", "actions", "class", "class_name", "classes", "label", "labels", "name")
MOST = 1_000_000  # classes; more is a slip, whose names alone would fill the memory
FEW = 3  # lines below which numbers in them may be chance


def class_names(classes: int | str | Sequence[Any] | None) -> list[str]:
    """Names of the classes, from a list, a file with one name a line, or their number.

    Raises:
        BadInput: it is none of these, or there are fewer than two classes or one of them twice.
    """
    classes = thawed(classes)
    if not isinstance(classes, int | str | list) or isinstance(classes, bool):
        raise BadInput(
            f"benchmark.classes={classes} is no number, list of names, or file with one name a line"
        )
    if isinstance(classes, int) and classes > MOST:
        raise BadInput(f"benchmark.classes={classes} must be at most {MOST} classes")
    if isinstance(classes, int):
        names = [str(i) for i in range(classes)]
    elif isinstance(classes, str):
        path = path_of("benchmark.classes", classes)
        if not path.is_file():
            raise BadInput(
                f"benchmark.classes={classes} is no file: give a number, a list of names, or a "
                "file with one name a line"
            )
        names = names_in(path)
    else:
        names = names_of_list("benchmark.classes", classes)
    if len(names) < 2:
        raise BadInput(f"benchmark.classes={classes} must be at least 2 classes, each named once")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise BadInput(f"benchmark.classes={classes} has {name} {times} times: name each once")
    return names


def names_in(path: Path) -> list[str]:
    """The lines of a file, which are UTF-8 with or without a byte-order mark.

    Raises:
        BadInput: the file has another encoding, an empty line among its lines, or is no plain list
            of names.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if content.startswith(UTF16) or "\0" in text:
        raise BadInput(f"{path} is not UTF-8 text: save it as UTF-8, {ONE_A_LINE}")
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text.rstrip())]
    if "" in lines[:-1]:
        raise BadInput(
            f"{path} has an empty line, {lines.index('') + 1}, among its names: remove it, so that "
            "no label is shifted"
        )
    if lines[0].startswith("#") or lines[0].casefold() in HEADINGS:
        raise BadInput(
            f"{path} begins with `{lines[0]}`, which is no class: remove it, so that no label is "
            "shifted"
        )
    if form := _form_of(lines):
        raise BadInput(f"{path} is {form}, `{lines[-1]}`: {ONE_A_LINE}")
    return lines


def _form_of(lines: list[str]) -> str:
    """What other form a list of names has; empty if each line is a name."""
    if lines[0][:1] in ("[", "{") or lines[-1][-1:] in ("]", "}"):
        return "a list of JSON or YAML"
    if all(line.startswith("- ") for line in lines):
        return "a list of YAML"
    for pattern in (BEFORE, AFTER):
        for first in (0, 1):  # the first line may be a heading
            found = [pattern.match(line) for line in lines[first:]]
            numbers = [int(one[1]) for one in found if one]
            if len(found) >= FEW and len(numbers) == len(found) and _counts(numbers):
                return "a numbered list"
    return ""


def _counts(numbers: list[int]) -> bool:
    return numbers in ([*range(len(numbers))], [*range(1, len(numbers) + 1)])
