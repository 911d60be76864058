"""Test a checkpoint with several clips per sample.

python -m stgcn_lightning.test --help
"""

from stgcn_lightning.jobs.testing import test
from stgcn_lightning.launching.doors import open_door


def main() -> None:
    """Run the door."""
    open_door(test, "test")


if __name__ == "__main__":
    main()
