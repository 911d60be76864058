"""Changes to HDF5 files: to the data sets, attributes and links in them."""

import io
from random import Random
from typing import Any

import h5py
import numpy as np
from pickled import in_pickle
from trees import HOSTILE_TEXTS

SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (1,), (3,), (2, 3), (1, 2, 3), (3, 2, 3, 2), (0, 0, 0, 0), (3, 1, 3, 2), (1,) * 30,
)  # fmt: skip
LARGE = 1 << 27  # entries, none of which is written


def in_file(rng: Random, content: bytes) -> bytes:
    """A file in which something is another thing."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as root:
        for _ in range(rng.choice((1, 1, 2, 3))):
            _change(rng, root)
    return file.getvalue()


def _change(rng: Random, root: Any) -> None:
    names: list[str] = []
    root.visit(names.append)
    name = rng.choice(names)
    kind = rng.randrange(10)
    if kind == 0:
        del root[name]
    elif kind == 1:
        root.move(
            name, rng.choice(("tracks", "node_names", "df_with_missing/table", "x/y", name + "2"))
        )
    elif kind == 2:
        attributes = root[rng.choice((name, "/"))].attrs
        key = rng.choice([*attributes, "dims", "x"])
        old = attributes.get(key)
        if isinstance(old, bytes) and len(old) > 2 and old.endswith(b".") and rng.random() < 0.7:
            attributes[key] = np.bytes_(in_pickle(rng, bytes(old)))  # names of columns of pandas
        elif rng.random() < 0.2 and key in attributes:
            del attributes[key]
        else:
            attributes[key] = _value(rng)
    elif kind == 3:
        del root[name]
        root[name] = rng.choice((
            h5py.SoftLink("/"), h5py.SoftLink("/" + name), h5py.ExternalLink("/etc/passwd", "/"),
            h5py.ExternalLink("x.h5", "/"), h5py.SoftLink("/absent"),
        ))  # fmt: skip
    elif kind == 4:
        del root[name]
        root.create_group(name)
    elif kind == 5:
        _replace(rng, root, name)
    elif kind < 8 and isinstance(root[name], h5py.Dataset) and 0 < root[name].size < 1 << 16:
        found = root[name][()]
        if rng.random() < 0.4:
            found = found.T if rng.random() < 0.5 else found[: len(found) // 2]
        elif found.dtype.kind in "fiu":
            flat = found.reshape(-1)
            with np.errstate(all="ignore"):
                lie = rng.choice((-1, 0, 1, 99, 1e30, 2**31, 127, float("nan"), float("inf")))
                flat[rng.randrange(flat.size)] = np.array(lie).astype(flat.dtype)
        del root[name]
        root[name] = found
    else:
        del root[name]
        root[name] = _value(rng)


def _replace(rng: Random, root: Any, name: str) -> None:
    """A data set that is large, stored elsewhere, or packed."""
    del root[name]
    shape = rng.choice(
        ((LARGE,), (LARGE // 8, 2, 2, 2), (2, LARGE // 8, 2, 2), (1 << 40,), (3, 2, 3, 2))
    )
    way = rng.randrange(4)
    if way == 0:
        root.create_dataset(name, shape, "f8", chunks=True, compression="gzip", fillvalue=1.0)
    elif way == 1:
        small = (3, 2, 3, 2)
        root.create_dataset(name, small, "f8", external=[("/etc/passwd", 0, 8 * 36)])
    elif way == 2:
        layout = h5py.VirtualLayout(shape=(3, 2, 3, 2), dtype="f8")
        layout[...] = h5py.VirtualSource("/etc/hostname", "x", shape=(3, 2, 3, 2))
        root.create_virtual_dataset(name, layout)
    else:
        root.create_dataset(name, shape, "f4", maxshape=(None,) * len(shape), chunks=True)


def _value(rng: Random) -> Any:
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(HOSTILE_TEXTS).replace("\0", "").encode(errors="replace")
    shape = rng.choice(SHAPES)
    if kind == 1:
        return np.full(shape, b"x", "S3")
    if kind == 2:
        return np.full(shape, "x", h5py.string_dtype())
    if kind == 3:
        return np.zeros(shape, [("index", "i8"), ("values_block_0", "f8", (2,))])
    return np.zeros(shape, rng.choice(("f2", "f4", "f8", ">f8", "i1", "u8", "i8", "?", "c16")))
