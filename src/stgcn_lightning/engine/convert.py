"""Giving the modules of a plain model faster classes, in place.

Parameters, their names and the model itself stay: only what `forward` of a module does becomes
faster, and batch norms count a row as often as it stands for a person.
`models.backbone.plain_copy` undoes it.
"""

from torch import nn

from stgcn_lightning.engine import adaptive, dynamic_graphs, frames_first, joints_first, windows
from stgcn_lightning.engine.fourier import FourierConv
from stgcn_lightning.engine.gathering import GatherFirst
from stgcn_lightning.engine.norms import CurrentRows, RowNorm, RowNorm1d, RowNorm2d, RowNorm3d
from stgcn_lightning.errors import UnfitModel

FASTER = {
    one.plain_class: one
    for one in (
        *(RowNorm1d, RowNorm2d, RowNorm3d, GatherFirst),
        *(frames_first.GraphConv, frames_first.Pointwise, frames_first.Stage),
        *(adaptive.Attention, adaptive.GraphConv, adaptive.Stage),
        *(joints_first.CTRStage, joints_first.PPStage),
        *(windows.GraphConv, windows.TemporalConv, windows.WindowConv),
        *dynamic_graphs.FASTER,
    )
}


def convert(model: nn.Module) -> CurrentRows:
    """Convert all modules before the head; a second time changes nothing.

    Returns:
        The object from which the norms read what their rows stand for.

    Raises:
        UnfitModel: the model has a batch norm of another kind, which knows nothing of rows.
    """
    parts = [part for name, part in model.named_modules() if name.split(".")[0] != "classify"]
    current = next((part.current for part in parts if isinstance(part, RowNorm)), CurrentRows())
    for part in parts:
        if type(part) in FASTER:
            part.__class__ = FASTER[type(part)]
        elif type(part) is nn.Conv2d and FourierConv.suits(part):
            part.__class__ = FourierConv
        if isinstance(part, RowNorm):
            part.current = current
        elif isinstance(part, nn.modules.batchnorm._BatchNorm):
            raise UnfitModel(
                f"an engine cannot compute absent persons once through {type(part).__name__}: use"
                " nn.BatchNorm1d, 2d or 3d"
            )
    return current
