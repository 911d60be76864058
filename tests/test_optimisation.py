"""Optimizers, accumulated batches, class weights and frozen parts, beside what they stand for."""

import lightning
import pytest
import torch
from helpers import skeleton
from torch.utils.data import DataLoader

from stgcn_lightning.data.datamodule import Batch
from stgcn_lightning.errors import BadInput
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.optimisation import trained_with
from stgcn_lightning.recipe import Optimisation
from stgcn_lightning.recognizer import Recognizer

CLASSES = 3
ADAMW = {"optimizer": "adamw", "momentum": None, "nesterov": None, "betas": (0.5, 0.75)}
pytestmark = pytest.mark.usefixtures("shallow")


def recognizer(norm_group=None, **optimisation):
    torch.manual_seed(0)
    model = STGCN(adjacency(skeleton("coco17"), "stgcn_spatial"), CLASSES, base_channels=4)
    one = Recognizer(model, optimisation=Optimisation(**optimisation), norm_group=norm_group)
    return one.double()


def batches(*sizes):
    """Batches of these sizes, cut from the same clips."""
    whole = sum(sizes)
    clips = torch.randn(whole, 1, 2, 8, 17, 3, generator=torch.Generator().manual_seed(1)).double()
    labels = torch.arange(whole) ** 2 % CLASSES
    parts = [part.split(sizes) for part in (clips, labels, torch.arange(whole))]
    return DataLoader([Batch(*some) for some in zip(*parts, strict=True)], batch_size=None)


def trained(module, loader, **settings):
    """The trainer after an epoch."""
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **{"max_epochs": 1} | settings,
    )  # fmt: skip
    trainer.fit(module, loader, batches(5))
    return trainer


def weights(module):
    return dict(module.model.named_parameters())


@pytest.mark.parametrize(
    "optimisation",
    [{}, {"class_weights": (1.0, 2.0, 0.5)}, {"label_smoothing": 0.1}, ADAMW],
    ids=["sgd", "class weights", "smoothing", "adamw"],
)
@pytest.mark.parametrize("clip", [None, 0.01])
def test_accumulated_batches_make_the_steps_of_one_large_batch(optimisation, clip):
    """Two whole groups of 4 x 2 clips, and one of 2 + 1 that the epoch's end cuts short."""
    optimisation = {"lr": 0.05} | optimisation
    large, small = recognizer(2, **optimisation), recognizer(2, **optimisation)
    clipped = {"gradient_clip_val": clip}
    whole = trained(large, batches(8, 8, 3), **clipped)
    pieces = trained(small, batches(*[2] * 9, 1), accumulate_grad_batches=4, **clipped)
    assert pieces.global_step == whole.global_step == 3
    for name, expected in weights(large).items():
        torch.testing.assert_close(weights(small)[name], expected, rtol=1e-7, atol=1e-9)
    # the loss of a step is that of all its clips
    torch.testing.assert_close(
        pieces.callback_metrics["train/loss"], whole.callback_metrics["train/loss"]
    )


@pytest.mark.parametrize("clip", [None, 0.01])
def test_all_weights_are_updated_in_one_call_unless_lightning_would_refuse_to_clip(clip):
    module = recognizer(lr=0.05).float()
    loader = DataLoader([Batch(one.clips.float(), *one[1:]) for one in batches(4)], batch_size=None)
    before = module.model.classify.weight.clone()
    trainer = trained(
        module, loader, precision="bf16-mixed", gradient_clip_val=clip, limit_val_batches=0
    )
    assert trainer.optimizers[0].param_groups[0]["fused"] is (clip is None)
    assert not torch.equal(module.model.classify.weight, before)


def test_the_cosine_counts_steps_and_not_batches():
    rates = []

    class Watch(lightning.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            rates.append(optimizer.param_groups[0]["lr"])

    trained(recognizer(lr=1.0), batches(*[2] * 10), accumulate_grad_batches=4, callbacks=[Watch()])
    assert rates == pytest.approx([1, 0.75, 0.25])


def test_adamw_takes_torch_s_steps_and_keeps_its_numbers(tmp_path):
    module = recognizer(lr=0.01, weight_decay=0.125, **ADAMW)
    trainer = trained(module, batches(4))
    (optimizer,) = trainer.optimizers
    assert type(optimizer) is torch.optim.AdamW
    (group,) = optimizer.param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.5, 0.75), 0.125)
    assert len(group["params"]) == len(weights(module))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    content = torch.load(tmp_path / "x.ckpt", weights_only=True)
    numbers = trained_with(content, tmp_path / "x.ckpt")
    numbers.pop("dropout")
    assert Optimisation(**numbers) == module.optimisation


def test_class_weights_reach_the_loss_of_training_alone():
    losses = {}
    for given in (None, (1.0, 0.0, 1.0)):
        figures = trained(recognizer(class_weights=given, lr=0.0), batches(5)).callback_metrics
        losses[given] = [float(figures[f"{part}/loss"]) for part in ("train", "val")]
    assert losses[None][0] != losses[1.0, 0.0, 1.0][0]
    assert losses[None][1] == losses[1.0, 0.0, 1.0][1]


@pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode at the start of training")
def test_a_frozen_backbone_keeps_weights_and_statistics_and_the_head_learns():
    module = recognizer(lr=0.5, freeze="backbone", weight_decay=0.5)
    before = {name: value.clone() for name, value in module.model.state_dict().items()}
    trained(module, batches(4, 4), max_epochs=2)
    moved = {
        name for name, value in module.model.state_dict().items()
        if not torch.equal(value, before[name])
    }  # fmt: skip
    assert moved == {"classify.weight", "classify.bias"}
    assert sum(one.requires_grad for one in module.parameters()) == 2
    assert module.model.training
    assert not module.model.data_norm.training


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"optimizer": "lion"}, "optimizer=lion, which is unknown here"),
        ({"betas": 0.9}, "betas=0.9, which is no list of numbers"),
        ({"class_weights": ["a"]}, "class_weights=.*, which is no list of numbers"),
        ({"lr": None}, "lr=None, which is no number"),
        ({"freeze": True}, "freeze=True, which is unknown here"),
    ],
)
def test_what_a_checkpoint_says_of_its_training_is_checked(tmp_path, numbers, message):
    with pytest.raises(BadInput, match=message):
        trained_with({"hyper_parameters": numbers}, tmp_path / "x.ckpt")
