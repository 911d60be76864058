"""Train one stream of one benchmark.

python -m stgcn_lightning.train --help
"""

from stgcn_lightning.doors import open_door
from stgcn_lightning.jobs.training import train


def main() -> None:
    """Run the door."""
    open_door(train, "train")


if __name__ == "__main__":
    main()
