"""Changes to files: to bytes, and to what a format is made of.

The latter reach what lies behind a reader's first check. `mutated` asks a file for its kind and
chooses. All chance comes from the generator that it is given.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Any

import archives
import hdf5
import headed
import pickled
import yaml
from trees import HOSTILE_NUMBERS, HOSTILE_TEXTS, changed

SHORT = (1, 1, 2, 3, 6)  # changes to a file, or bytes of a stretch
LONG = 1 << 16  # bytes beyond which a file is not made longer
COUNTS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
WORDS = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|[A-Za-z_]\w*|[^\sA-Za-z_0-9]")


def mutated(rng: Random, name: str, content: bytes, others: list[bytes]) -> bytes:
    """A file with changes.

    Args:
        rng: where chance comes from.
        name: of the file, whose ending says what it is.
        content: of the file.
        others: of which pieces may be taken.
    """
    change = structure_of(name, content)
    if change is None or rng.random() < 0.2:
        return in_bytes(rng, content, others)
    try:
        content = change(rng, content)
    except Exception:  # what was made cannot be written: it names itself, or nests too deep
        return in_bytes(rng, content, others)
    return in_bytes(rng, content, others) if rng.random() < 0.05 else content


def structure_of(name: str, content: bytes) -> Callable[[Random, bytes], bytes] | None:
    """What changes a file by its structure; None where nothing here knows it."""
    ending = name.rpartition(".")[2]
    if content[:4] == b"PK\x03\x04":
        return in_archive
    if content[:6] == b"\x93NUMPY":
        return archives.in_array
    if content[:4] == b"\x89HDF":
        return hdf5.in_file
    by_ending: dict[str, Callable[[Random, bytes], bytes]] = {
        "pkl": pickled.in_pickle,
        "ckpt": pickled.in_pickle,  # of torch before version 1.6
        "pth": pickled.in_pickle,
        "json": in_json,
        "jsonl": in_json,
        "yaml": in_yaml,
        "safetensors": headed.in_safetensors,
        "parquet": headed.in_parquet,
        "csv": in_text,
        "txt": in_text,
        "bvh": in_text,
        "trc": in_text,
        "skeleton": in_text,
    }
    return by_ending.get(ending)


def in_bytes(rng: Random, content: bytes, others: list[bytes]) -> bytes:
    """Some bytes changed, put in, taken out, repeated, or taken from another file."""
    found = bytearray(content)
    for _ in range(rng.choice(SHORT)):
        at = rng.randrange(len(found) + 1)
        to = at + rng.choice((1, 1, 2, 4, 8, rng.randrange(1, 64)))
        kind = rng.randrange(9)
        if kind < 2:
            found[at:to] = rng.randbytes(len(found[at:to]))
        elif kind == 2:
            found[at:at] = rng.randbytes(to - at)
        elif kind == 3:
            del found[at:to]
        elif kind == 4 and len(found) < LONG:
            found[at:at] = found[at:to] * rng.choice((1, 2, 50))
        elif kind == 5:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(COUNTS) % (1 << 8 * width)
            found[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif kind == 6:
            other = rng.choice(others)
            begin = rng.randrange(len(other) + 1)
            found[at:to] = other[begin : begin + rng.choice((4, 16, 64, 1024))]
        elif kind == 7:
            if at < len(found):
                found[at] ^= 1 << rng.randrange(8)
        else:
            del found[at if rng.random() < 0.3 else len(found) - min(at, 8) :]
    return bytes(found)


def in_archive(rng: Random, content: bytes) -> bytes:
    """A zip file of which members are changed as files of their own."""

    def member(rng: Random, name: str, inner: bytes) -> bytes:
        change = structure_of(name, inner)
        if change is None or change is in_archive or rng.random() < 0.2:
            return in_bytes(rng, inner, [content])
        if b"'|O'" in inner[:128] and rng.random() < 0.8:  # objects, as a pickle
            end = inner.index(b"\n") + 1
            return inner[:end] + pickled.in_pickle(rng, inner[end:])
        return change(rng, inner)

    if b"/data.pkl" in content and rng.random() < 0.3:
        return pickled.of_tensors(rng, content) or archives.in_archive(rng, content, member)
    return archives.in_archive(rng, content, member)


def in_json(rng: Random, content: bytes) -> bytes:
    """JSON whose values are others, or whose text is no longer quite JSON."""
    if rng.random() < 0.3:
        return in_text(rng, content)
    text = content.decode("utf-8-sig")
    lines = text.splitlines() if text.count("\n{") else [text]
    at = rng.randrange(len(lines))
    lines[at] = dumped(rng, changed(rng, json.loads(lines[at])))
    return "\n".join(lines).encode(errors="surrogatepass")


def dumped(rng: Random, tree: Any) -> str:
    """JSON of a tree in which anything may be."""
    text = json.dumps(tree, default=str, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1:  # what json.dumps would not write
        whole = rng.choice(
            ("1e999", "-1e999", "9" * 5000, "[" * 5000, "-0", "1E400", "00", '"\\ud800"')
        )
        text = re.sub(r"-?\d+(\.\d+)?", whole, text, count=rng.choice((1, 3, 0)))
    return text


@lru_cache(maxsize=64)
def _loaded(content: bytes) -> Any:
    return yaml.safe_load(content)


YAML_PIECES = (
    "&a [*a]", "*a", "<<: *a", "!!python/object/apply:os.system [id]", "!!binary x", "!!set {a}",
    "${oc.env:HOME}", "${.}", "? [a]\n: b", "\t", "2001-01-01", "0x1f", "1e400", "[" * 3000, "|",
    ">-",
    "[&b [1,1,1,1,1,1,1,1,1,1], &c [*b,*b,*b,*b,*b,*b,*b,*b,*b], &d [*c,*c,*c,*c,*c,*c,*c,*c,*c],"
    " &e [*d,*d,*d,*d,*d,*d,*d,*d,*d], &f [*e,*e,*e,*e,*e,*e,*e,*e,*e], [*f,*f,*f,*f,*f,*f,*f,*f]]",
    "---", "...", "%TAG ! x", "@", "`", "&a", "{a: {b: [", "~", "!!null x", "!!float x", "1:30",
    "'",
)  # fmt: skip


def in_yaml(rng: Random, content: bytes) -> bytes:
    """YAML with other values, or other text."""
    kind = rng.random()
    if kind < 0.3:
        return in_text(rng, content)
    if kind < 0.5:
        lines = content.decode(errors="replace").split("\n")
        at = rng.randrange(len(lines))
        head, mark, _ = lines[at].partition(": ")
        lines[at] = f"{head}{mark or ': '}{rng.choice(YAML_PIECES)}"
        return "\n".join(lines).encode()
    # parsing YAML is slow, copying is not
    tree = changed(rng, json.loads(json.dumps(_loaded(content))), rng.choice(SHORT))
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(tree, Dumper=dumper, sort_keys=False).encode(errors="surrogatepass")


def in_text(rng: Random, content: bytes) -> bytes:
    """Text of which words, numbers and lines are changed."""
    text = content.decode(errors="surrogateescape")
    for _ in range(rng.choice(SHORT)):
        kind = rng.randrange(8)
        if kind < 4:  # a word
            places = list(islice(WORDS.finditer(text, rng.randrange(len(text) + 1)), 20))
            if not places:
                continue
            word = rng.choice(places)
            new = rng.choice((str(rng.choice(HOSTILE_NUMBERS)), rng.choice(HOSTILE_TEXTS), ""))
            if kind == 3:
                new = rng.choice(places)[0]
            text = text[: word.start()] + new + text[word.end() :]
            continue
        lines = text.split("\n")
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        if kind == 4:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 5:
            del lines[at : at + rng.choice((1, 1, 3))]
        elif kind == 6 and len(text) < LONG:
            lines[at:at] = lines[at : at + rng.choice((1, 1, 3))] * rng.choice((1, 2, 300))
        else:
            mark = rng.choice(" ,;\t\r\0\"'{}[]:-#\x1a\x85\u2028")
            cells = lines[at].split(mark) if mark in lines[at] else list(lines[at])
            cells.insert(rng.randrange(len(cells) + 1), rng.choice((mark, mark * 3, "", "\r\n")))
            lines[at] = mark.join(cells) if mark in lines[at] else "".join(cells)
        text = "\n".join(lines)
    return text.encode(errors="surrogatepass" if rng.random() < 0.1 else "replace")
