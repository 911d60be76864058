"""Train, test and fuse the streams of a benchmark, beside the published figures.

python -m stgcn_lightning.reproduce --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "reproduce")

if __name__ == "__main__":
    main()
