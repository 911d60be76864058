"""Print the table of a sweep: the figures of the jobs that have ended so far.

python -m stgcn_lightning.sweeps FOLDER
"""

import sys
from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.table import runs_in, say_table
from stgcn_lightning.terminal import complain, fitting, refuse_lost


def main() -> None:
    """Print the table of the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m stgcn_lightning.sweeps FOLDER")
    try:
        say_table(runs_in(Path(sys.argv[1])))
        refuse_lost()
    except BadInput as error:
        complain(fitting(f"sweeps: {error}", sys.stderr))
        sys.exit(2)


if __name__ == "__main__":
    main()
