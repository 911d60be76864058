import math

import lightning
import numpy as np
import pytest
import torch
from helpers import GOLDEN, skeleton
from torch.utils.data import DataLoader

from stgcn_lightning.data.datamodule import Batch, Feed, SkeletonData
from stgcn_lightning.errors import BadInput
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.recognizer import Recognizer, cosine
from stgcn_lightning.sources.annotations import Sample

CLASSES = 3
IDS = np.array(["first", "second", "third", "fourth"])


def recognizer(**settings):
    torch.manual_seed(0)
    model = STGCN(adjacency(skeleton("coco17"), "stgcn_spatial"), CLASSES, base_channels=4)
    return Recognizer(model, ids=IDS, classes=CLASSES, **settings)


def batch(clips=1, fill=None):
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(4, clips, 2, 8, 17, 3, generator=generator)
    if fill is not None:
        values[:] = fill
    return Batch(values, torch.tensor([0, 1, 2, 0]), torch.arange(4))


def trainer(**settings):
    return lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


def loader(*batches):
    return DataLoader(list(batches), batch_size=None)


def test_against_mmaction2_the_learning_rate_of_every_iteration():
    with np.load(GOLDEN / "fusion_schedule.npz") as file:
        expected = file["lr"]
    rates = []

    class Watch(lightning.Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    steps = loader(*[batch()] * 7)
    trainer(max_epochs=16, callbacks=[Watch()]).fit(
        recognizer(lr=expected[0]), steps, loader(batch())
    )
    np.testing.assert_allclose(rates, expected, atol=1e-7)


def test_cosine_ends_above_zero():
    assert cosine(0, 112) == 1
    assert 0 < cosine(111, 112) < 1e-3
    assert math.isclose(cosine(56, 112), 0.5)


def test_weight_decay_acts_on_every_parameter():
    module = recognizer(weight_decay=0.25)
    fitted = trainer(max_epochs=1)
    fitted.fit(module, loader(batch()), loader(batch()))
    (group,) = fitted.optimizers[0].param_groups
    assert group["weight_decay"] == 0.25
    assert len(group["params"]) == len(list(module.model.parameters()))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples():
    module = recognizer()
    with pytest.raises(BadInput, match=r"the loss of step 0 is nan.*first, second, third, fourth"):
        trainer(max_epochs=1).fit(module, loader(batch(fill=math.nan)), loader(batch()))


def test_scores_are_softmaxed_before_clips_are_averaged():
    module = recognizer().eval()
    several = batch(clips=5)
    trainer().test(module, loader(several), verbose=False)
    samples, scores = module.test_scores()
    with torch.no_grad():
        logits = torch.stack([module.model(several.clips[:, n]) for n in range(5)], dim=1)
    torch.testing.assert_close(scores, logits.softmax(-1).mean(1))
    assert samples.tolist() == [0, 1, 2, 3]


def test_scores_come_in_the_order_of_the_store():
    module = recognizer().eval()
    one, other = batch(), batch(fill=0.5)
    swapped = [
        one._replace(samples=torch.tensor([6, 4, 2, 0])),
        other._replace(samples=torch.tensor([7, 5, 3, 1])),
    ]
    trainer().test(module, loader(*swapped), verbose=False)
    samples, scores = module.test_scores()
    assert samples.tolist() == list(range(8))
    with torch.no_grad():
        expected = module(one)[:, 0].softmax(-1).flip(0)
    torch.testing.assert_close(scores[::2], expected)


def test_label_smoothing_reaches_the_loss_of_training_alone():
    losses = {}
    for smoothing in (0.0, 0.5):
        fitted = trainer(max_epochs=1)
        fitted.fit(recognizer(label_smoothing=smoothing, lr=0.0), loader(batch()), loader(batch()))
        losses[smoothing] = [
            float(fitted.callback_metrics[f"{part}/loss"]) for part in ("train", "val")
        ]
    assert losses[0.0][0] != losses[0.5][0]
    assert losses[0.0][1] == losses[0.5][1]


def test_training_on_the_device_s_frames_gives_the_same_weights(make_store, tmp_path):
    rng = np.random.default_rng(0)
    body = skeleton("coco17")
    samples = [
        Sample("", i % 3, rng.uniform(0, 900, (1 + i % 2, 5 + i, 17, 2)).astype(np.float32))
        for i in range(12)
    ]
    store, weights = make_store(samples, body, "2d"), []
    for on_device in (False, True):
        data = SkeletonData(
            store, "joint_motion", train_split="all", val_split="all",
            feed=Feed(clip_frames=8, test_clips=2, batch_size=4, on_device=on_device),
        )  # fmt: skip
        module = recognizer()
        trainer(max_epochs=1, default_root_dir=tmp_path).fit(module, data)
        weights.append(module.model.state_dict())
    torch.testing.assert_close(*weights, rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_scores_as_the_cpu_does():
    module = recognizer().eval()
    trainer().test(module, loader(batch(clips=2)), verbose=False)
    expected = module.test_scores()[1]
    on_gpu = lightning.Trainer(
        accelerator="gpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    on_gpu.test(module, loader(batch(clips=2)), verbose=False)
    torch.testing.assert_close(module.test_scores()[1], expected, atol=1e-3, rtol=0)
