"""Fuse the scores of several streams.

python -m stgcn_lightning.fuse --help
"""

from stgcn_lightning.doors import open_door
from stgcn_lightning.jobs.fusing import fuse_scores


def main() -> None:
    """Run the door."""
    open_door(fuse_scores, "fuse")


if __name__ == "__main__":
    main()
