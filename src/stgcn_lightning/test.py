"""Test a checkpoint with several clips per sample.

python -m stgcn_lightning.test --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "test")

if __name__ == "__main__":
    main()
