"""Fuse the scores of several streams.

python -m stgcn_lightning.fuse --help
"""

from stgcn_lightning.launching.doors import open_door

if __name__ == "__main__":
    open_door("fuse")
