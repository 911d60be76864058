"""Changes to safetensors and to tables of Parquet."""

import io
import json
import struct
from functools import lru_cache
from random import Random
from typing import Any

from trees import HOSTILE_NUMBERS, HOSTILE_TEXTS, changed

CARD = "stgcn_lightning"
TYPES = ("F64", "F16", "BF16", "I8", "U64", "BOOL", "F8_E4M3", "F4", "C64", "", "f32")
LENGTHS = (0, 1, 8, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


def in_safetensors(rng: Random, content: bytes) -> bytes:
    """A file with another header, another card in it, or other places of tensors."""
    (length,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + length])
    data, kind = content[8 + length :], rng.random()
    about = head.get("__metadata__", {})
    if kind < 0.5 and CARD in about:
        card = changed(rng, json.loads(about[CARD]))
        about[CARD] = json.dumps(card, default=str)
        if rng.random() < 0.05:
            about[CARD] = rng.choice(
                ("[" * 9000, "9" * 9000, "{", "[]", "null", '"x"', "NaN", "1e999")
            )
    elif kind < 0.85:
        name = rng.choice([one for one in head if one != "__metadata__"] or [""])
        entry: Any = head.get(name, {})
        way = rng.randrange(6)
        if way == 0:
            entry["dtype"] = rng.choice(TYPES)
        elif way == 1:
            side = rng.choice((0, 1, 2, 2**31, 2**62, 2**63, -1, 1.5))
            entry["shape"] = [*entry.get("shape", []), side][-rng.choice((1, 2, 9)) :]
        elif way == 2:
            first = rng.choice((0, 1, 4, len(data), 2**63, -1))
            entry["data_offsets"] = rng.choice(
                ([first, first + 4], [4, 0], [0, len(data)], [first], [])
            )
        elif way == 3:
            head[rng.choice(HOSTILE_TEXTS)] = head.pop(name, None)
        elif way == 4:
            head.pop(name, None)
        else:
            head["copy"] = entry
    else:
        head = changed(rng, head)
    text = json.dumps(head, default=str)
    if rng.random() < 0.05:  # a key twice
        text = text[:-1] + "," + text[1:]
    if rng.random() < 0.05:
        text = text.replace("0", str(rng.choice(HOSTILE_NUMBERS)), 1)
    whole = text.encode(errors="surrogatepass")
    said = (
        len(whole)
        if rng.random() < 0.93
        else rng.choice((*LENGTHS, len(whole) + 1, len(whole) - 1))
    )
    return struct.pack("<Q", said) + whole + data


@lru_cache(maxsize=8)
def _columns(content: bytes) -> Any:
    import pyarrow.parquet as parquet

    return parquet.read_table(io.BytesIO(content)).to_pydict()


def in_parquet(rng: Random, content: bytes) -> bytes:
    """A table with other columns."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = {name: list(values) for name, values in _columns(content).items()}
    name = rng.choice([*table])
    rows, kind = len(table[name]), rng.randrange(6)
    at = rng.randrange(rows)
    if kind == 0:
        del table[name]
    elif kind == 1:
        table[name] = [rng.choice((None, "pose", 0.5, 2**40, float("nan"), b"x"))] * rows
    elif kind == 2:
        table[name][at] = rng.choice((None, *HOSTILE_NUMBERS[:12]))
    elif kind == 3:
        table[rng.choice(("x", "type", "frame", "a\nb"))] = table.pop(name)
    elif kind == 4:
        table = {key: values[:at] for key, values in table.items()}
    else:  # of which the file keeps little
        table = {key: values[:1] * 20_000 for key, values in table.items()}
    file = io.BytesIO()
    parquet.write_table(pa.table(table), file, compression=rng.choice(("none", "snappy", "zstd")))
    return file.getvalue()
