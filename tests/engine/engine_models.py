"""Models, clips and comparisons of the engine's tests."""

import torch
from helpers import learn
from torch import Tensor, nn

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.parts import Head, normalise_places


def make(joints=5, channels=3, base_channels=8, family="stgcn") -> Backbone:
    """A model in float64 no weight of which has a value that could hide a mistake."""
    torch.manual_seed(0)
    graphs = registry.family_of(family).graphs
    if graphs == ("none",):
        adjacency = torch.zeros(0, joints, joints)
    elif graphs == ("binary_adj",):
        adjacency = torch.ones(joints - 1).diag(1)[None]  # a chain
        adjacency = adjacency + adjacency.mT
    else:
        adjacency = torch.rand(3, joints, joints)
        adjacency = adjacency if family == "stgcn" else adjacency / joints
    options = {"prototype_dropout": 0.0} if family == "protogcn" else {}
    model = registry.build(
        family, adjacency, 4, channels=channels, base_channels=base_channels, **options
    )
    model = model.double()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
            if "edge_importance" in name:
                tensor.uniform_(0.5, 1.5).div_(joints)
            if "edge_offset" in name:
                tensor.uniform_(-0.5, 0.5).div_(tensor.shape[-1])
    return model


class Toy(Backbone):
    """A family of its own, without a folded form: norms of every kind, in PyTorch's own layout."""

    def __init__(self, adjacency, classes, *, channels=3, dropout=0.0, width=6, inside=0.0):
        super().__init__()
        self.joints, self.channels = adjacency.shape[-1], channels
        self.frames = nn.Conv2d(channels, width, (9, 1), padding=(4, 0))
        self.norm2d = nn.BatchNorm2d(width)
        self.volume = nn.BatchNorm3d(width, momentum=None)
        self.flat = nn.BatchNorm1d(width, affine=False)
        self.own = nn.BatchNorm1d(width, track_running_stats=False)
        self.mix = nn.Linear(width, width)
        self.inside = nn.Dropout(inside)
        self.classify = Head(width, classes, dropout)

    def features(self, x: Tensor) -> Tensor:
        x = self.frames(x.permute(0, 3, 1, 2).contiguous())  # R, C, T, V
        x = self.norm2d(x).relu_()
        x = self.volume(x[:, :, :, None])[:, :, :, 0].tanh()
        x = self.flat(self.inside(self.mix(x.mean((2, 3)))))
        return self.own(x[:, :, None].repeat(1, 1, 3))[:, :, 0]


def toy(**options) -> Toy:
    torch.manual_seed(0)
    return Toy(torch.ones(1, 5, 5), 4, **options).double()


class Places(Backbone):
    """A family whose first norm tells places apart, and that learns from more than its logits."""

    persons = 2
    title = "a family with places"

    def __init__(self, adjacency, classes, *, channels=3, dropout=0.0, persons=2):
        super().__init__()
        self.joints, self.channels, self.persons = adjacency.shape[-1], channels, persons
        self.data_norm = nn.BatchNorm1d(persons * self.joints * channels)
        self.frames = nn.Conv2d(channels, 6, (3, 1), padding=(1, 0))
        self.norm = nn.BatchNorm2d(6)
        self.clip_norm = nn.BatchNorm1d(6)
        self.classify = Head(6, classes, dropout)

    def normalise_clips(self, clips: Tensor) -> Tensor:
        return normalise_places(self.data_norm, clips)

    def features(self, x: Tensor) -> Tensor:
        return self.norm(self.frames(x.permute(0, 3, 1, 2))).tanh().mean((2, 3))

    def training_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.features(x)
        return rows, rows.square()

    def further_loss(self, more: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return (self.clip_norm(more.mean(1)).square() * labels[:, None]).tanh().mean()


def places() -> Places:
    torch.manual_seed(0)
    model = Places(torch.ones(1, 5, 5), 4).double()
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return model


def pairs(clips: int, alone: int, frames=20, joints=5, channels=3) -> Tensor:
    """Clips of two persons; in the first `alone` of them the second one is absent."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(clips, 2, frames, joints, channels, generator=generator, dtype=torch.float64)
    x[:alone, 1] = 0
    return x


def assert_near(ours: Tensor, theirs: Tensor, tolerance: float, name: str = "") -> None:
    error = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-3)
    assert error < tolerance, f"{name}: {error:.2g}"


def assert_trains_alike(
    run: Backbone | Engine, model: Backbone, plain: Backbone, clips: Tensor
) -> None:
    """Logits to 1e-12, gradients to 1e-10, running statistics and memories to 1e-12.

    Args:
        run: computes `model`, or is it.
        model: what is trained.
        plain: the same weights, all persons computed.
        clips: a batch.
    """
    labels = torch.arange(len(clips)) % 4
    logits, loss = learn(run, clips, labels)
    loss.backward()
    expected, loss = learn(plain, clips, labels)
    loss.backward()
    assert_near(logits, expected, 1e-12, "logits")
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert_near(ours.grad, theirs.grad, 1e-10, name)
    for (name, ours), theirs in zip(model.named_buffers(), plain.buffers(), strict=True):
        if ours.is_floating_point():
            assert_near(ours, theirs, 1e-12, name)
