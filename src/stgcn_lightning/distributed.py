"""How ranks meet, and what they exchange: values, a barrier, the running statistics of batch norms.

Before the process group exists, and where there is none, a process is alone and all of this
returns at once. Which rank a process is, is in `ranks`.

What travels between ranks is numbers and JSON, never a pickle: reading it executes nothing.
"""

import hashlib
import json
import secrets
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from stgcn_lightning.errors import BadInput

LOST = "another rank does not answer; its own message says why, and resume=auto goes on ({})"
KINDS = {"list": list, "tuple": tuple}


def key_value_store(address: str, port: int) -> Any:
    """The store of keys and values that torchrun's agent holds, at `port` of `address`."""
    return dist.TCPStore(address, port)  # pyright: ignore[reportPrivateImportUsage]


def meet(
    place: str,
    rank: int,
    world_size: int,
    *,
    backend: str,
    timeout: timedelta | None,
    device: torch.device,
) -> None:
    """Make the process group of all ranks of this machine.

    Nothing listens for them: they find each other in a file that only their user can open. What
    the group itself connects is then checked, since its sockets ask nobody who they are.

    Args:
        place: the file, empty at first.
        rank: of this process.
        world_size: how many they are.
        backend: of the group.
        timeout: after which a rank that does not answer is an error; None is torch's own.
        device: on which this rank computes.

    Raises:
        BadInput: another process connected first.
    """
    store = dist.FileStore(place, world_size)  # pyright: ignore[reportPrivateImportUsage]
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=world_size, timeout=timeout,
        device_id=None if device.type == "cpu" else device,
    )  # fmt: skip
    if rank == 0:
        store.set("secret", secrets.token_hex())
    know_each_other(store.get("secret"))


def group_on_cpus(timeout: timedelta | None) -> Any:
    """A further process group, of gloo; all ranks must call this.

    Raises:
        BadInput: another process connected first.
    """
    group = dist.new_group(backend="gloo", timeout=timeout)
    know_each_other(gathered(secrets.token_hex())[0].encode(), group)
    return group


def know_each_other(secret: bytes, group: Any = None) -> None:
    """Each rank shows the others of a group that it has the secret; all of them must call this.

    Raises:
        BadInput: a process that answers in the place of a rank has not.
    """

    def shown(rank: int) -> str:
        return hashlib.sha256(secret + b"%d" % rank).hexdigest()

    answers = gathered(shown(dist.get_rank()), group)
    if unknown := [rank for rank, answer in enumerate(answers) if answer != shown(rank)]:
        raise BadInput(
            f"a process that is none of this job's answers as rank {unknown[0]}: start it again, "
            "on a machine that you share with nobody who does this"
        )


def together() -> bool:
    """Whether several ranks have found each other."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gathered(value: Any, group: Any = None) -> list[Any]:
    """The values of all ranks, in their order; all of them must call this.

    Args:
        value: tensors, numbers, texts and None, and lists, tuples and dictionaries of these;
            tensors arrive on the CPU.
        group: process group to exchange through; None is that of the training.

    Raises:
        TypeError: it is something else.
    """
    if not together():
        return [value]
    on_cpu = dist.get_backend(group) == "gloo"
    device = torch.device("cpu") if on_cpu else torch.accelerator.current_accelerator()
    own = _packed(value).to(device)
    sizes = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(own)], device=device), group=group)
    most = max(int(size) for size in sizes)
    parts = [torch.empty(most, dtype=torch.uint8, device=device) for _ in sizes]
    dist.all_gather(parts, nn.functional.pad(own, (0, most - len(own))), group=group)
    return [_unpacked(part[: int(n)].cpu()) for part, n in zip(parts, sizes, strict=True)]


def _packed(value: Any) -> Tensor:
    """Bytes of a value: the length of a JSON text, the text, the bytes of its tensors."""
    parts: list[Tensor] = []
    form = json.dumps(_form(value, parts)).encode()
    head = bytearray(len(form).to_bytes(8, "little") + form)
    return torch.cat([torch.frombuffer(head, dtype=torch.uint8), *parts])


def _form(value: Any, parts: list[Tensor]) -> Any:
    """What JSON can say of a value; the bytes of its tensors are put to `parts`."""
    if isinstance(value, Tensor):
        start = sum(map(len, parts))
        parts.append(value.detach().cpu().reshape(-1).view(torch.uint8))
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tensor": [dtype, list(value.shape), start, start + len(parts[-1])]}
    if isinstance(value, dict):
        return {"dict": [[name, _form(one, parts)] for name, one in value.items()]}
    if type(value) in KINDS.values():
        return {type(value).__name__: [_form(one, parts) for one in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"ranks exchange tensors, numbers and texts, not a {type(value).__name__}")


def _unpacked(data: Tensor) -> Any:
    end = 8 + int.from_bytes(data[:8].numpy().tobytes(), "little")
    return _formed(json.loads(data[8:end].numpy().tobytes()), data[end:])


def _formed(form: Any, data: Tensor) -> Any:
    """The value of a form; `data` has the bytes of its tensors."""
    if not isinstance(form, dict):
        return form
    ((kind, content),) = form.items()
    if kind == "tensor":
        dtype, shape, start, end = content
        return data[start:end].clone().view(getattr(torch, dtype)).reshape(shape)
    if kind == "dict":
        return {name: _formed(one, data) for name, one in content}
    return KINDS[kind](_formed(one, data) for one in content)


def wait_for_all() -> None:
    """Go on when all ranks have called this: the others can then read what rank 0 wrote before."""
    if together():
        dist.barrier()


def lost(error: BaseException) -> bool:
    """Whether an error says that another rank is gone, or does not answer."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(name in text for name in ("gloo", "nccl"))
    )


def running_statistics(model: nn.Module) -> dict[str, Tensor]:
    """The running means and variances of all batch norms, by name."""
    return {
        f"{name}.{kind}": getattr(module, kind)
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for kind in ("running_mean", "running_var")
        if getattr(module, kind) is not None
    }


@torch.no_grad()
def averaged_statistics(model: nn.Module) -> dict[str, Tensor]:
    """The running statistics averaged over ranks, as the reference saves them.

    Every rank must call this; the model keeps its own.
    """
    statistics = running_statistics(model)
    if not together() or not statistics:
        return statistics
    flat = torch.cat([value.flatten() for value in statistics.values()])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([value.numel() for value in statistics.values()])
    return {
        name: part.view_as(value)
        for (name, value), part in zip(statistics.items(), parts, strict=True)
    }


@torch.no_grad()
def average_statistics(model: nn.Module) -> None:
    """Set the running statistics of every rank's model to the average of all ranks."""
    averages = averaged_statistics(model)
    for name, value in running_statistics(model).items():
        if value is not averages[name]:
            value.copy_(averages[name])
