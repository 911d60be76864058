"""List the published checkpoints that checkpoint=zoo:NAME downloads.

python -m stgcn_lightning.zoo --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "zoo")

if __name__ == "__main__":
    main()
