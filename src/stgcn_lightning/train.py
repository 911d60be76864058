"""Train one stream of one benchmark.

python -m stgcn_lightning.train --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "train")

if __name__ == "__main__":
    main()
