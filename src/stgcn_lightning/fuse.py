"""Fuse the scores of several streams.

python -m stgcn_lightning.fuse --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "fuse")

if __name__ == "__main__":
    main()
