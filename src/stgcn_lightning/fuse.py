"""Fuse the scores of several streams.

python -m stgcn_lightning.fuse --help
"""

from stgcn_lightning.jobs.fusing import fuse_scores
from stgcn_lightning.launching.doors import open_door


def main() -> None:
    """Run the door."""
    open_door(fuse_scores, "fuse")


if __name__ == "__main__":
    main()
