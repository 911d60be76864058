"""Train, test and fuse the four streams of a benchmark, beside the published figures.

python -m stgcn_lightning.reproduce --help
"""

from stgcn_lightning.launching.doors import open_door

if __name__ == "__main__":
    open_door("reproduce")
