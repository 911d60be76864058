"""Try readers with mutated files, and print how these ended.

    python scripts/fuzz/campaign.py --reader all --seconds 60
    python scripts/fuzz/campaign.py --reader scores --inputs 200000 --seed 1 --out FOLDER
    python scripts/fuzz/campaign.py --out FOLDER --sum
    python scripts/fuzz/campaign.py --reader scores --seed 1 --show 4711

An input ends in a clean result, in a sentence (BadInput), or otherwise: another exception, a crash,
a hang, more memory than allowed, a sentence of several lines, a file opened or written elsewhere, a
process, a socket. Inputs depend on reader, seed and number alone. `--out` keeps what came of each
reader and seed, and the inputs that ended otherwise; the same command goes on where it stopped, or
half a minute before it was interrupted. The status is 1 if any input ended otherwise. Linux only.
"""

import argparse
import json
import os
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from limits import Tally, campaign, save
from readers import READERS, input_of
from watched import lines_of, no_warnings

from stgcn_lightning.files.writing import write_atomically

HEADS = (
    "reader",
    "inputs",
    "clean",
    "sentences",
    "other",
    "slowest",
    "memory",
    "a second",
    "lines",
)


def main(arguments: list[str] | None = None) -> int:
    asked = _arguments(arguments)
    names = list(READERS) if "all" in asked.reader else asked.reader
    if asked.show is not None:
        return _show(names[0], asked.seed, asked.show, asked.out)
    if asked.sum:
        tallies = [_load(path) for path in sorted(asked.out.glob("*.json"))]
        rows = [_together([one for one in tallies if one.reader == name]) for name in READERS]
        print(table([row for row in rows if row]))
        return int(any(one.other for one in tallies))
    rows: list[Tally | None] = []
    for name in names:
        kept = asked.out / f"{name}-{asked.seed}.json" if asked.out else None
        tally = _load(kept) if kept and kept.exists() else Tally(name, asked.seed)
        campaign(
            name, READERS[name], tally, inputs=asked.inputs, seconds=asked.seconds, out=asked.out,
            say=lambda line: print(line, file=sys.stderr, flush=True),
            keep=partial(_keep, kept),
        )  # fmt: skip
        rows.append(tally)
        print(table([tally], heads=len(rows) == 1), flush=True)
    return int(any(row.other for row in rows if row))


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reader", nargs="+", default=["all"], choices=["all", *READERS])
    parser.add_argument(
        "--inputs", type=int, help="of each reader, those of earlier calls included"
    )
    parser.add_argument("--seconds", type=float, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder that keeps results and inputs")
    parser.add_argument("--sum", action="store_true", help="print what the folder `out` holds")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="read one input here")
    asked = parser.parse_args(arguments)
    if asked.sum and not asked.out:
        parser.error("--sum needs --out")
    if asked.show is None and not asked.sum and not (asked.inputs or asked.seconds):
        parser.error("say how long: --inputs or --seconds")
    return asked


def table(tallies: list[Tally], heads: bool = True) -> str:
    """Lines of text with a column for each of `HEADS`."""
    rows: list[tuple[str, ...]] = [HEADS] if heads else []
    for one in tallies:
        there = lines_of(READERS[one.reader].modules) if one.reader in READERS else {}
        reached = sum(len(one.lines.get(module, set()) & lines) for module, lines in there.items())
        per_second = f"{one.inputs / max(one.seconds, 1e-9):.0f}"
        rows.append((
            one.reader, f"{one.inputs:,}", f"{one.clean:,}", f"{one.sentences:,}", f"{one.other:,}",
            f"{one.slowest:.2f} s", f"{one.peak / 1e6:.0f} MB", per_second,
            f"{reached} of {sum(map(len, there.values()))}",
        ))  # fmt: skip
    widths = (-18, 9, 9, 9, 6, 8, 8, 8, 13)
    lines = [
        [cell.rjust(width) if width > 0 else cell.ljust(-width)
         for cell, width in zip(row, widths, strict=True)]
        for row in rows
    ]  # fmt: skip
    return "\n".join("  ".join(line) for line in lines)


def _together(tallies: list[Tally]) -> Tally | None:
    if not tallies:
        return None
    whole = Tally(tallies[0].reader, -1)
    for one in tallies:
        whole.clean += one.clean
        whole.sentences += one.sentences
        whole.other += one.other
        whole.seconds += one.seconds
        whole.slowest, whole.peak = max(whole.slowest, one.slowest), max(whole.peak, one.peak)
        for module, lines in one.lines.items():
            whole.lines.setdefault(module, set()).update(lines)
    return whole


def _keep(path: Path | None, tally: Tally) -> None:
    lines = {name: sorted(lines) for name, lines in tally.lines.items()}
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            file.write(json.dumps(vars(tally) | {"lines": lines}).encode())


def _load(path: Path) -> Tally:
    kept = json.loads(path.read_text())
    return Tally(**kept | {"lines": {name: set(lines) for name, lines in kept["lines"].items()}})


def _show(name: str, seed: int, number: int, out: Path | None) -> int:
    """Read one input in this process, with a traceback."""
    made = input_of(READERS[name].seeds(), name, seed, number)
    folder = (out or Path(tempfile.mkdtemp())) / f"{name}-{seed}-{number}"
    save(made, folder)
    print(folder / made.opened)
    try:
        with no_warnings():
            READERS[name].read(folder / made.opened)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: with --out, the same command goes on")
