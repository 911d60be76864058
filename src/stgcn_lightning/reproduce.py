"""Train, test and fuse the four streams of a benchmark, beside the published figures.

python -m stgcn_lightning.reproduce --help
"""

from stgcn_lightning.jobs.reproducing import reproduce
from stgcn_lightning.launching.doors import open_door


def main() -> None:
    """Run the door."""
    open_door(reproduce, "reproduce")


if __name__ == "__main__":
    main()
