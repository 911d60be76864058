"""Recordings such as people have: a file each, and a table that names them."""

import csv

import numpy as np


def write_recordings(folder, annotations, classes, splits, *, form="npz", skeleton=None):
    """Write the samples of `splits` to `folder`, each to a file of its own; returns the table.

    Args:
        folder: made if absent.
        annotations: of one data set.
        classes: names, in the order of the labels.
        splits: names of splits that share no sample.
        form: npz, or csv as x1, y1, z1, ... of one person.
        skeleton: its name, where the file can say it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    split_of = {id: name for name in splits for id in annotations.splits[name]}
    rows = [("file", "label", "split")]
    for sample in annotations.samples:
        if sample.id in split_of:
            name = f"{sample.id}.{form}"
            write = write_npz if form == "npz" else write_csv
            write(folder / name, sample, skeleton)
            rows.append((name, classes[sample.label], split_of[sample.id]))
    table = folder / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return table


def write_npz(path, sample, skeleton):
    content = {"keypoint": sample.keypoint}
    if sample.score is not None:
        content["score"] = sample.score
    if skeleton is not None:
        content["skeleton"] = skeleton
    np.savez(path, **content)


def write_csv(path, sample, skeleton):
    """All digits of float32; a score as v where there is one."""
    values, (_, T, V, C) = sample.keypoint[0], sample.keypoint.shape
    axes = "xyz"[:C]
    if sample.score is not None:
        values, axes = np.concatenate([values, sample.score[0, ..., None]], -1), f"{axes}v"
    with path.open("w") as file:
        file.write(",".join(f"{axis}{v}" for v in range(1, V + 1) for axis in axes) + "\n")
        for frame in values.reshape(T, -1):
            file.write(",".join(np.format_float_positional(x, unique=True) for x in frame) + "\n")


def record(path, seed=0, *, T=12, M=1, skeleton="coco17", V=17, **more):
    """Write a recording of people at random places in a picture of 200 x 300."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    people = np.arange(M)[:, None, None, None] * 100 + 20
    keypoint = (people + rng.uniform(10, 80, (M, T, V, 2))).astype(np.float32)
    content = {"keypoint": keypoint, "img_shape": [200, 300], "fps": 10.0}
    np.savez(path, **content | ({"skeleton": skeleton} if skeleton else {}) | more)
    return keypoint


def two_classes(root):
    """A folder of the classes hop and walk: 4 subjects, each with 2 recordings of both."""
    for i in range(16):
        action, subject, number = ("walk", "hop")[i % 2], i // 4, i // 2 % 2
        record(root / action / f"P{subject}_{number}.npz", i)
    (root / "walk" / ".DS_Store").touch()
    return root
