"""What a torch checkpoint of anybody holds: its weights, out of what they are wrapped in.

Programs save a `state_dict` bare or under a name, beside an optimiser, of a model within wrappers
(`nn.DataParallel`, `torch.compile`, a LightningModule), in half precision. None of that changes
what the weights are; `weights_of` undoes it. `network_like` recognises weights of other networks.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import Inert, whole_model
from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.unpickling import shown

Say = Callable[[str], object]  # how a remark reaches the user

# where programs put a state_dict, best first
KEYS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params",
    "module",
)  # fmt: skip
LONGEST = 1000  # letters of a name
WRAPPERS = ("module.", "model.", "net.", "network.")

# What the names of other networks' weights contain, more particular ones first.
OTHERS = (
    (r"gcn3d\d\.", "MS-G3D"),
    (r"\.Linear_weight$|\.shift_in$", "Shift-GCN"),
    (r"A_vector|to_joint_embedding|\.shared_topology$", "InfoGCN"),
    (r"l\d+\.gcn1\.conv_down\.|\.hypergraph", "HD-GCN"),
    (r"gcn1?\.convs\.\d", "CTR-GCN"),
    (r"gcn1?\.conv_[abd]\.", "2s-AGCN or AAGCN"),
    (r"gcn\.pre\.|gcn\.post\.", "DG-STGCN"),
    (r"^cls_token$|pos_embed|\.attn\.qkv", "a transformer"),
    (r"Mixed_\d\w|mixed_\d\w", "I3D"),
    (r"(slow|fast)_path\.|layer\d\.\d\.conv\d\.conv\.weight", "SlowOnly, PoseC3D or I3D"),
    (r"layer\d\.\d\.conv\d\.weight", "ResNet"),
)


def weights_of(content: Mapping[Any, Any], path: AnyPath, say: Say) -> dict[str, Tensor]:
    """The weights in a checkpoint under their model's own names, floats in float32.

    Args:
        content: what the file holds.
        path: of the file, for sentences.
        say: is given a remark if weights were saved in another precision than float32.

    Raises:
        BadInput: it holds no weights.
    """
    tensors = _tensors(content, path, say)
    if (longest := max(map(len, tensors), default=0)) > LONGEST:
        raise BadInput(f"{path} has a weight with a name of {longest} letters: rename it")
    state = _unwrapped(tensors)
    found = sorted({str(v.dtype).removeprefix("torch.") for v in state.values() if _other(v)})
    if found:
        say(f"{path} holds weights in {' and '.join(found)}: they are computed in float32")
    return {name: value.float() if _other(value) else value for name, value in state.items()}


def _other(value: Tensor) -> bool:
    return value.is_floating_point() and value.dtype != torch.float32


def _tensors(content: Mapping[Any, Any], path: AnyPath, say: Say) -> dict[str, Tensor]:
    """The tensors in a checkpoint: those below one of `KEYS`, at most three deep, or its own.

    Under other names, such as that of averaged weights, they are taken where there are no others.
    """
    found: dict[str, Tensor] = {}
    for _ in range(3):
        sets = {key: value for key, value in content.items() if _is_weights(key, value)}
        key = next((key for key in KEYS if isinstance(content.get(key), Mapping)), None)
        found = _own(content)
        if "param_groups" in content:
            break
        if key is None and not found and len(sets) > 1:
            raise BadInput(
                f"{path} holds weights under several names ({_quoted(sets)}): write those that you "
                "mean alone, torch.save(content[NAME], FILE)"
            )
        if key is None and not found and sets:
            key = next(iter(sets))
            say(f"{path} holds its weights under `{shown(str(key))}`, which are taken")
        if key is None:
            break
        if others := [
            other for other in sets if re.search("ema|average", str(other)) and other != key
        ]:
            say(
                f"{path} holds weights under {_quoted([key, *others])}: those under the first name "
                "are taken"
            )
        content = content[key]
    if found:
        return found
    if not content:
        raise BadInput(
            f"{path} holds nothing, an empty dictionary: write it again with "
            "torch.save(model.state_dict(), FILE)"
        )
    if any(value is Inert for key, value in content.items() if key in KEYS):
        raise BadInput(whole_model(path))
    texts = [key for key in content if isinstance(key, str)]
    keys = ", ".join(f"`{shown(key)}`" for key in texts[:5]) or "nothing that has a name"
    if any("optim" in str(key) for key in content) or {"state", "param_groups"} <= content.keys():
        raise BadInput(
            f"{path} holds the state of an optimiser ({keys}) and no weights: give the checkpoint "
            "of the model"
        )
    raise BadInput(
        f"{path} holds no weights, but {keys}: write them with torch.save(model.state_dict(), FILE)"
    )


def _own(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _is_weights(key: object, value: object) -> bool:
    """Whether a value is a table of tensors, itself or under a name within it; of no optimiser."""
    if not isinstance(value, Mapping) or "param_groups" in value or "optim" in str(key):
        return False
    table = cast("Mapping[Any, Any]", value)
    return bool(_own(table)) or any(isinstance(v, Mapping) and _own(v) for v in table.values())


def _quoted(names: Iterable[Any]) -> str:
    return ", ".join(f"`{shown(str(name))}`" for name in names)


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names without what wrappers put before them."""
    state = {name.replace("_orig_mod.", ""): value for name, value in state.items()}
    state.pop("n_averaged", None)  # of torch's AveragedModel
    while prefix := next((p for p in WRAPPERS if all(n.startswith(p) for n in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def network_like(names: Iterable[str]) -> str | None:
    """The network that has weights of such names; None: it is not known."""
    names = list(names)
    for pattern, network in OTHERS:
        if any(re.search(pattern, name) for name in names):
            return network
    return None


def first_names(names: Iterable[str]) -> str:
    """The first names of weights, as a sentence quotes them."""
    names = list(names)
    some = ", ".join(f"`{shown(name)}`" for name in names[:3])
    return some + (f" and {len(names) - 3} more" if len(names) > 3 else "")
