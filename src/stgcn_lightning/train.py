"""Train one stream of one benchmark.

python -m stgcn_lightning.train --help
"""

from stgcn_lightning.jobs.training import train
from stgcn_lightning.launching.doors import open_door


def main() -> None:
    """Run the door."""
    open_door(train, "train")


if __name__ == "__main__":
    main()
