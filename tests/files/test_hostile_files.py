"""Files that mean harm end in a clean result or a sentence, soon and in little memory."""

import os
import subprocess
import sys
from pathlib import Path

from helpers import shared

ADDRESSES = 16 << 20  # KB of address space; libraries reserve much more of it than they use
SECONDS, MEGABYTES = 10, 1000
READERS = Path(__file__).parents[1] / "hostile_readers.py"


def test_hostile_files_end_in_a_sentence_or_a_clean_result():
    paths = sorted(str(path) for path in shared("hostile").iterdir() if path.suffix != ".md")
    limited = f'ulimit -v {ADDRESSES}; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, "bash", sys.executable, str(READERS), *paths],
        capture_output=True,
        text=True,
        timeout=SECONDS * len(paths),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == [Path(path).name for path in paths], done.stderr[-2000:]
    for name, ended, seconds, megabytes, said in lines:
        assert ended in ("clean", "refused"), (name, said)
        assert float(seconds) < SECONDS, name
        assert int(megabytes) < MEGABYTES, name
        assert r"\n" not in said, (name, said)
        assert len(said) < 1000, (name, said)
