"""Say what any file or folder is, what is in it, and what will hurt when it is used.

python -m stgcn_lightning.inspect --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "inspect")

if __name__ == "__main__":
    main()
