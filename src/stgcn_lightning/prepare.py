"""Build the store of a benchmark and print what is in it.

python -m stgcn_lightning.prepare --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "prepare")

if __name__ == "__main__":
    main()
