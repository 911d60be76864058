import math

import lightning
import numpy as np
import pytest
import torch
from helpers import GOLDEN, LEGACY, skeleton
from torch.utils.data import DataLoader

from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.data.datamodule import Batch, Feed, SkeletonData
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.errors import BadInput, NotFinite
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models import registry
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.optimisation import cosine
from stgcn_lightning.recipe import Optimisation
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.sources.annotations import Sample

CLASSES = 3
IDS = np.array(["first", "second", "third", "fourth"])


def recognizer(**optimisation):
    torch.manual_seed(0)
    model = STGCN(adjacency(skeleton("coco17"), "stgcn_spatial"), CLASSES, base_channels=4)
    return Recognizer(model, ids=IDS, optimisation=Optimisation(**optimisation))


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
    with pytest.raises(
        BadInput, match=r"loss of step 0 \(epoch 1, .* is nan.*first, second, third, fourth"
    ):
        trainer(max_epochs=1).fit(module, loader(batch(fill=math.nan)), loader(batch()))


def test_a_validation_that_is_not_finite_ends_the_run_with_the_step(tmp_path):
    module = recognizer(lr=1e3)
    own = lightning.pytorch.callbacks.ModelCheckpoint(tmp_path, "best", "val/loss", save_last=True)
    running = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        max_epochs=3, callbacks=[own],
    )  # fmt: skip
    with pytest.raises(NotFinite, match=r"the val loss after step \d \(epoch \d, learning rate"):
        running.fit(module, loader(batch()), loader(batch(fill=1e30)))
    assert not list(tmp_path.glob("*.ckpt"))


def test_only_the_samples_that_are_not_finite_are_named():
    module, one = recognizer(), batch()
    one.clips[2] = math.nan
    with pytest.raises(NotFinite, match=r"is nan; lower recipe.lr or look at the samples third$"):
        trainer(max_epochs=1).fit(module, loader(batch()), loader(one))


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    module = recognizer()
    running = trainer(max_epochs=1, default_root_dir=tmp_path)
    running.fit(module, loader(batch()), loader(batch()))
    running.save_checkpoint(tmp_path / "x.ckpt")
    before = (tmp_path / "x.ckpt").read_bytes()
    with torch.no_grad():
        module.model.classify.weight[0, 0] = math.inf
    with pytest.raises(NotFinite, match=r"`model.classify.weight` are no numbers after step 1"):
        running.save_checkpoint(tmp_path / "x.ckpt")
    assert (tmp_path / "x.ckpt").read_bytes() == before


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


def test_the_loss_of_a_family_s_own_is_learned_from_and_logged():
    losses = {}
    for weight in (0.0, 0.5):
        torch.manual_seed(0)
        none = adjacency(skeleton("coco17"), "none")
        options = {"base_channels": 8, "prototypes": 3, "contrast_weight": weight}
        model = registry.build("protogcn", none, CLASSES, **options)
        fitted = trainer(max_epochs=1)
        fitted.fit(Recognizer(model, optimisation=Optimisation(lr=0.0)), *[loader(batch())] * 2)
        losses[weight] = fitted.callback_metrics
    further = losses[0.5]["train/further_loss"]
    assert further > 0
    torch.testing.assert_close(losses[0.5]["train/loss"], losses[0.0]["train/loss"] + further)


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
def test_training_on_the_device_s_frames_gives_the_same_weights(make_store, tmp_path, precision):
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
        fitted = trainer(max_epochs=1, default_root_dir=tmp_path, precision=precision)
        fitted.fit(module, data)
        weights.append(module.model.state_dict())
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def card():
    return {
        "version": "0.1.0",
        "model": {
            "name": "stgcn",
            "graph": "stgcn_spatial",
            "base_channels": 4,
            "norm_group": 2,
            "compile": None,
        },
        "skeleton": skeleton("coco17").to_dict(),
        "classes": ["a", "b", "c"],
    }


def trained(tmp_path, **optimisation):
    """A recognizer after a step, and its checkpoint."""
    module = recognizer(**optimisation)
    module.card = card()
    module.model.classify.dropout = 0.25
    running = trainer(max_epochs=1, default_root_dir=tmp_path)
    running.fit(module, loader(batch()), loader(batch()))
    running.save_checkpoint(tmp_path / "x.ckpt")
    return module, tmp_path / "x.ckpt"


def test_a_recognizer_comes_back_from_its_checkpoint(tmp_path):
    numbers = {"lr": 0.03, "momentum": 0.5, "nesterov": False, "weight_decay": 0.01}
    module, path = trained(tmp_path, label_smoothing=0.125, **numbers)
    again = Recognizer.load_from_checkpoint(path)
    assert again.optimisation == module.optimisation
    assert again.optimisation == Optimisation(label_smoothing=0.125, **numbers)
    assert again.model.classify.dropout == 0.25
    assert again.card == card()
    assert (again.engine.norm_group, again.engine.compile_mode) == (2, None)
    assert again.training
    torch.testing.assert_close(again.eval()(batch()), module.eval()(batch()))
    other = Recognizer.load_from_checkpoint(path, optimisation=Optimisation(lr=1.0), ids=IDS)
    assert other.optimisation.lr == 1
    trainer(max_epochs=1, default_root_dir=tmp_path).fit(other, loader(batch()), loader(batch()))


def test_a_checkpoint_without_a_card_is_refused(tmp_path):
    content = torch.load(trained(tmp_path)[1], weights_only=True)
    torch.save(content | {"stgcn_lightning": {}}, tmp_path / "x.ckpt")
    with pytest.raises(BadInput, match=r"x.ckpt has no card, which says how its model is built"):
        Recognizer.load_from_checkpoint(tmp_path / "x.ckpt")


def test_a_checkpoint_keeps_what_it_held_and_the_numbers_besides(tmp_path):
    content = torch.load(trained(tmp_path)[1], weights_only=True)
    before = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    assert before.keys() - {"ranks"} <= content.keys()  # which a callback adds
    assert content["hyper_parameters"] == {
        "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4,
        "label_smoothing": 0.0, "dropout": 0.25, "optimizer": "sgd", "betas": None,
        "class_weights": None, "freeze": None,
    }  # fmt: skip


def test_a_checkpoint_of_version_0_1_0_says_what_its_optimiser_was_given():
    path = LEGACY / "version_0_1_0_within_epoch.ckpt"
    (group,) = torch.load(path, weights_only=True)["optimizer_states"][0]["param_groups"]
    again = Recognizer.load_from_checkpoint(str(path)).eval()
    assert again.optimisation == Optimisation(
        lr=group["initial_lr"], momentum=group["momentum"], nesterov=group["nesterov"],
        weight_decay=group["weight_decay"], label_smoothing=0.0,
    )  # fmt: skip
    assert again.optimisation.lr != group["lr"]
    clips = torch.randn(2, 1, 2, 24, 17, 3)
    expected = load_model(path)[0](clips[:, 0])
    torch.testing.assert_close(
        again(Batch(clips, torch.zeros(2).long(), torch.arange(2)))[:, 0], expected
    )


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"lr": "fast"}, "was trained with lr=fast, which is no number"),
        ({"nesterov": 1}, "was trained with nesterov=1, which is no number"),
        (7, "does not say what it was trained with"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path, numbers, message):
    content = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    torch.save(content | {"hyper_parameters": numbers}, tmp_path / "x.ckpt")
    with pytest.raises(BadInput, match=message):
        Recognizer.load_from_checkpoint(tmp_path / "x.ckpt")


def test_a_file_that_would_run_code_is_not_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'executed')!r}, 'w')",)

    torch.save({"state_dict": {}, "stgcn_lightning": Evil()}, tmp_path / "x.ckpt")
    with pytest.raises(BadInput):
        Recognizer.load_from_checkpoint(tmp_path / "x.ckpt")
    assert not (tmp_path / "executed").exists()


def test_norms_over_all_devices_are_refused():
    module = recognizer()
    module.model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module.model)
    with pytest.raises(BadInput, match=r"trainer.sync_batchnorm=true would count an absent person"):
        module.on_fit_start()


def test_samples_without_names_are_numbered():
    module = recognizer()
    module.ids = None
    with pytest.raises(BadInput, match=r"samples of this batch: 0, 1, 2, 3"):
        trainer(max_epochs=1).fit(module, loader(batch(fill=math.nan)), loader(batch()))


class Own(lightning.LightningModule):
    """A user's own module, around the plain model or an engine."""

    def __init__(self, engine: bool):
        super().__init__()
        torch.manual_seed(0)
        self.model = STGCN(adjacency(skeleton("coco17"), "stgcn_spatial"), 3, base_channels=4)
        self.run = Engine(self.model) if engine else self.model

    def training_step(self, batch):
        return torch.nn.functional.cross_entropy(self.run(batch.clips[:, 0]), batch.labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def test_a_user_s_own_module_trains_our_model_with_an_engine_or_without():
    weights = []
    for engine in (False, True):
        module, alone = Own(engine).double(), batch()
        alone.clips[1:, :, 1] = 0
        alone = alone._replace(clips=alone.clips.double())
        trainer(max_epochs=2).fit(module, loader(alone))
        weights.append(module.model.state_dict())
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-9, atol=1e-12)


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


def test_ranks_that_opened_different_stores_end(make_store, monkeypatch):
    sample = Sample("", 0, np.ones((1, 9, 17, 2), np.float32))
    store, seen = make_store([sample], skeleton("coco17"), "2d", normalise="none"), []

    def gathered(value):
        seen.append(value)
        return [value, "of another"]

    monkeypatch.setattr("stgcn_lightning.recognizer.gathered", gathered)
    data = SkeletonData(store, "joint", train_split="all", val_split="all", feed=Feed())
    with pytest.raises(BadInput, match="ranks opened different stores"):
        trainer(max_epochs=1).fit(recognizer(), data)
    assert seen == [store.build]
    assert len(store.build) == 32
