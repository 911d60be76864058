"""Build the store of a benchmark and print what is in it.

python -m stgcn_lightning.prepare --help
"""

from stgcn_lightning.launching.doors import open_door

if __name__ == "__main__":
    open_door("prepare")
