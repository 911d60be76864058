"""Say which actions key points show.

python -m stgcn_lightning.predict --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "predict")

if __name__ == "__main__":
    main()
