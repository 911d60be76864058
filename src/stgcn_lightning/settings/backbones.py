"""Options of the families of this package; of a user's own nothing is known."""

from stgcn_lightning.settings import fields

# arguments of our backbones' constructors whose values are checked before anything is read
BACKBONE_OPTIONS = {
    "base_channels": fields.stated_number(
        "channels of the first stages, doubled twice", int, 1, 10_000
    ),
    "prototypes": fields.stated_number("prototypes of ProtoGCN", int, 1, 100_000),
    "contrast_weight": fields.stated_number(
        "weight of the loss that ProtoGCN adds to the cross entropy", float, 0, 1e30
    ),
    "prototype_dropout": fields.stated_number(
        "probability with which a number that prototypes make is dropped", float, 0, 1
    ),
}
