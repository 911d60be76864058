"""Build the store of a benchmark and print what is in it.

python -m stgcn_lightning.prepare --help
"""

from stgcn_lightning.jobs.preparing import prepare
from stgcn_lightning.launching.doors import open_door


def main() -> None:
    """Run the door."""
    open_door(prepare, "prepare")


if __name__ == "__main__":
    main()
