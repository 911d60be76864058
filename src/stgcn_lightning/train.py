"""Train one stream of one benchmark.

python -m stgcn_lightning.train --help
"""

from stgcn_lightning.launching.doors import open_door

if __name__ == "__main__":
    open_door("train")
