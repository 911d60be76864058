"""The evaluation form of an ST-GCN."""

import torch
from torch import nn

from stgcn_lightning.engine.folded import (
    Folded,
    FoldedStage,
    FoldedTimeConv,
    Order,
    fold,
    fold_graph,
    fold_residual,
    linear_and_norm,
)
from stgcn_lightning.models.stgcn import STGCN, Stage


@fold.register
@torch.no_grad()
def fold_stgcn(model: STGCN, *, quick: bool = False) -> Folded:
    """See `fold`."""
    stages = [stage for stage in model.stages if isinstance(stage, Stage)]
    order = Order.of(stages[0].graph.adjacency, quick)
    with torch.autocast(model.classify.weight.device.type, enabled=False):
        folded = [
            fold_stage(stage, order, None if i else model.data_norm)
            for i, stage in enumerate(stages)
        ]
    return Folded(folded, model.classify)


def fold_stage(stage: Stage, order: Order, input_norm: nn.BatchNorm1d | None) -> FoldedStage:
    """The evaluation form of one stage; `input_norm` comes before the first one."""
    graph = fold_graph(
        stage.graph.edges(), stage.graph.project, stage.graph.norm, order, input_norm=input_norm
    )
    conv = stage.temporal.conv
    assert conv.bias is not None
    weight, bias = linear_and_norm(conv.weight, conv.bias, stage.temporal.norm)
    shortcut = fold_residual(stage.residual)
    if shortcut is not None:
        bias = bias + shortcut[1]
    return FoldedStage(
        graph,
        FoldedTimeConv(weight, bias, conv.stride[0]),
        conv.stride[0],
        shortcut=None if shortcut is None else shortcut[0],
        identity=isinstance(stage.residual, nn.Identity),
    )
