"""Test a checkpoint with several clips per sample.

python -m stgcn_lightning.test --help
"""

from stgcn_lightning.launching.doors import open_door

if __name__ == "__main__":
    open_door("test")
