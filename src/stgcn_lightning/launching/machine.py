"""Ends of a job for which the machine is the reason and not its settings: one sentence each.

Disks and logs that are full, memory that is spent, loader processes and ranks that are gone. Where
a checkpoint was written before, it is complete, and `resume=auto` goes on from it.
"""

import os
import re
import sys

from stgcn_lightning.errors import out_of_memory
from stgcn_lightning.files.writing import FAILING, FULL

# door -> which setting to lower
LOWER = {
    "train": "data.batch_size (half of it with recipe.accumulate=2 takes steps of as many clips)",
    "reproduce": "data.batch_size",
    "test": "data.batch_size or data.workers, or test on the CPU, trainer=cpu",
    "predict": "window, or answer on the CPU, device=cpu",
}
# what PyTorch says of a loader process that is gone, or that had no room in /dev/shm
GONE = re.compile(
    r"DataLoader worker \(pid.*?\) (is killed by signal: (?P<how>[\w ]+)|exited unexpectedly)"
)
NO_ROOM = re.compile(r"out of shared memory|unable to (write|mmap|resize|allocate).*(shm|/torch_)")


def end_of(error: BaseException, door: str) -> tuple[str, int] | None:
    """The sentence and the status with which such an error ends a job; None of any other error."""
    if out_of_memory(error):
        return _memory(error, door), 2
    if isinstance(error, OSError) and error.errno in (*FULL, *FAILING):
        return _disk(error), 2
    if isinstance(error, RuntimeError) and (sentence := _loader(str(error)) or _peer(error)):
        return sentence, 1
    return None


def _memory(error: BaseException, door: str) -> str:
    text = str(error)
    asked = re.search(r"[Tt]ried to allocate (\d+ bytes|[\d.]+ \w+)", text)
    wanted = f" ({asked[1]} more were asked for)" if asked else ""
    where = "a GPU" if "CUDA" in text else "this machine"
    remedy = f"lower {LOWER[door]}" if door in LOWER else "end other programs, or take a larger one"
    return f"the memory of {where} is spent{wanted}: {remedy}"


def _disk(error: OSError) -> str:
    where = "a disk, or what standard output goes to,"
    if error.filename is not None:
        where = os.fsdecode(error.filename)
    return (
        f"{where} cannot be used ({error.strerror}): free some space, or choose a folder on "
        "another disk, hydra.run.dir=FOLDER"
    )


def _loader(text: str) -> str | None:
    if NO_ROOM.search(text):
        return (
            "loader processes have no room left in /dev/shm: lower data.workers or data.batch_size,"
            " or set data.workers=0"
        )
    found = GONE.search(text)
    if not found:
        return None
    how = f" (signal: {found['how']})" if found["how"] else ""
    return (
        f"a loader process was ended from outside{how}: if it was for want of memory, lower "
        "data.workers or data.batch_size; resume=auto goes on from the last checkpoint"
    )


def _peer(error: BaseException) -> str | None:
    """The sentence of an error that another rank is gone or does not answer."""
    if "torch" not in sys.modules:  # such an error is one of its process group
        return None
    from stgcn_lightning.distributed import LOST, lost, together

    return LOST.format(str(error).splitlines()[0]) if together() and lost(error) else None
