"""The console command: `stgcn train ...` is `python -m stgcn_lightning.train ...`.

python -m stgcn_lightning
"""

import os
import sys

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.terminal import answer, complain, fitting


def main() -> None:
    """List the doors, or open the one that the command line names first."""
    try:
        _main()
    except BadInput as error:
        complain(fitting(f"stgcn: {error}", sys.stderr))
        sys.exit(2)


def _main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "--version":
        from importlib.metadata import version

        answer(f"{version('stgcn_lightning')}\n")
        return
    from stgcn_lightning.launching.tasks import TASKS

    doors = {name: task.about for name, task in TASKS.items()}
    doors["sweeps"] = "print the table of a sweep: the figures of the jobs that have ended so far"
    if name in ("--help", "-h"):
        lines = [f"  {door:<10} {about}" for door, about in doors.items()]
        usage = "usage: stgcn DOOR [key=value ...], or python -m stgcn_lightning.DOOR\n"
        last = "\nstgcn DOOR --help lists the keys of a door; stgcn --version\n"
        answer("\n".join([usage, *lines, last]))
        return
    if name not in doors:
        raise BadInput(f"there is no door {name}: {nearest(name, [*doors])}")
    # as with python -m: messages begin with the name of the door, a user's modules are found here
    sys.argv[:2] = [f"{name}.py"]
    if not getattr(sys.flags, "safe_path", False) and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if name == "sweeps":
        from stgcn_lightning import sweeps

        sweeps.main()
    else:
        from stgcn_lightning.launching.doors import open_door

        open_door(name)


if __name__ == "__main__":
    main()
