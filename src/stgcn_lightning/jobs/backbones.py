"""The backbone that settings name: built, and in words."""

from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.settings.groups import Model
from stgcn_lightning.settings.objects import imported
from stgcn_lightning.skeleton import Skeleton


def build_model(
    model: Model, skeleton: Skeleton, classes: int, *, persons: int, dropout: float = 0.0
) -> Backbone:
    """The untrained plain model that settings name.

    Args:
        model: the settings.
        skeleton: of the clips.
        classes: number of classes.
        persons: of a clip.
        dropout: share of the pooled features that is set to zero in training.

    Raises:
        BadInput: there is no such backbone, option or graph.
    """
    if model.target is not None:
        registry.register(model.name, imported("model._target_", model.target))
    return registry.build(
        model.name,
        registry.graph_of(model.name, skeleton, model.graph),
        classes,
        persons=persons,
        dropout=dropout,
        **thawed(model.options),
    )


def backbone(model: Model) -> str:
    """The name of a backbone and its width: `stgcn, 64 base channels`."""
    width = model.options.get("base_channels")
    return model.name if width is None else f"{model.name}, {width} base channels"
