"""The LightningModule around the backbone: loss, optimiser, schedule, averaging of clips."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric, MetricCollection
from typing_extensions import Self

from stgcn_lightning.checkpoints.weights import (
    CARD,
    first_not_finite,
    load,
    model_of,
    weights_in,
)
from stgcn_lightning.data.datamodule import Batch
from stgcn_lightning.distributed import average_statistics, averaged_statistics, gathered
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.errors import BadInput, NotFinite
from stgcn_lightning.evaluation.metrics import accuracies
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.optimisation import (
    DEFAULT,
    HYPER_PARAMETERS,
    Accumulation,
    besides_rate,
    cosine,
    freeze,
    hold,
    optimizer_of,
    trained_with,
)
from stgcn_lightning.recipe import Optimisation

PARTS = ("val", "holdout")  # what is validated on
MOST_NAMES = 16  # samples that a sentence names


class Unchecked:
    """The loss of a training step on its way to the CPU.

    Args:
        loss: a number, maybe on a GPU.
        step: of the training, with its epoch and learning rate, in words.
        samples: numbers of the samples of its batch.
    """

    def __init__(self, loss: Tensor, step: str, samples: Tensor):
        self.loss, self.step, self.samples, self.arrived = loss, step, samples, None
        if loss.is_cuda:
            self.loss = torch.empty((), dtype=loss.dtype, pin_memory=True)
            self.loss.copy_(loss, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def value(self) -> float:
        """The loss; waits until it has arrived."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.loss.item()


class Recognizer(lightning.LightningModule):
    """Trains and tests a backbone with the recipe of MMAction2.

    Args:
        model: the network, which the recognizer gives an engine.
        ids: (samples,) names of the store's samples; a loss that is no number names them.
        optimisation: learning rate and so on.
        card: plain values that `test` and `predict` need to use the checkpoint without its training
            configuration; saved in it under ``stgcn_lightning``.
        norm_group: clips that share their batch-norm statistics, at most; None is the whole batch.
        compile_mode: compile training and evaluation, see `Engine`; None does not.

    Examples:
        >>> recognizer = Recognizer.load_from_checkpoint(checkpoint)
        >>> recognizer.card["stream"], len(recognizer.card["classes"])
        ('joint', 12)
    """

    class_weights: Tensor | None

    def __init__(
        self,
        model: Backbone,
        *,
        ids: NDArray[np.str_] | None = None,
        optimisation: Optimisation = DEFAULT,
        card: dict[str, Any] | None = None,
        norm_group: int | None = None,
        compile_mode: str | None = None,
    ):
        super().__init__()
        self.model = model
        self.engine = Engine(model, norm_group, compile_mode)
        self.ids, self.optimisation, self.card = ids, optimisation, card or {}
        weights = optimisation.class_weights
        self.register_buffer(
            "class_weights", None if weights is None else torch.tensor(weights), persistent=False
        )
        self.accumulation = Accumulation()
        if optimisation.freeze:
            freeze(model)
            hold(model)
        classes = model.classify.out_features
        # of the data module's validation loaders, in their order
        self.validated = nn.ModuleList([accuracies(classes, f"{part}/") for part in PARTS])
        self.losses = nn.ModuleList([MeanMetric(nan_strategy="disable") for _ in PARTS])
        self._unchecked: Unchecked | None = None
        self._validation: list[tuple[Tensor, Tensor]] = []  # samples and losses of each batch
        self.tested: list[tuple[Tensor, Tensor]] = []

    @classmethod
    def load_from_checkpoint(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        checkpoint_path: str | Path,
        map_location: torch.device | str | None = None,
        **arguments: Any,
    ) -> Self:
        """The recognizer in a checkpoint of ours, with its weights, in training mode.

        The file is read as an untrusted one, and its model is looked up among those registered.

        Args:
            checkpoint_path: a `.ckpt` file that a training wrote.
            map_location: the device that the recognizer is moved to; None is the CPU.
            **arguments: of the constructor, in place of what the checkpoint says.

        Raises:
            BadInput: there is no such file, or it has no card, as those of MMAction2 and PYSKL.
        """
        path = Path(checkpoint_path)
        content = read_checkpoint(path)
        state, card = weights_in(content, path)
        if not card:
            raise BadInput(
                f"{path} has no card, which says how its model is built: load its state_dict into"
                " a Recognizer that you have made, or train with Recognizer(card=...)"
            )
        numbers = trained_with(content, path)
        model = model_of(card, state, path, dropout=numbers.pop("dropout"))
        load(model, state, path)
        how = {
            "norm_group": card["model"].get("norm_group"),
            "compile_mode": card["model"].get("compile"),
        }
        saved = {"optimisation": Optimisation(**numbers), "card": card}
        recognizer = cls(model, **how | saved | arguments)
        return recognizer.to(map_location or "cpu")

    def forward(self, batch: Batch) -> Tensor:
        """Logits (B, N, classes) of a batch."""
        clips = batch.clips
        assert isinstance(clips, Tensor)
        present = None if batch.present is None else batch.present.flatten(0, 1)
        return self.engine(clips.flatten(0, 1), present).unflatten(0, clips.shape[:2])

    def setup(self, stage: str) -> None:
        """Refuse ranks that work with different data.

        Raises:
            BadInput: the annotations changed while ranks opened their store.
        """
        store = getattr(getattr(self.trainer, "datamodule", None), "store", None)
        if len(set(gathered(getattr(store, "build", "")))) > 1:
            raise BadInput(
                "ranks opened different stores, as the annotations changed meanwhile: start again"
            )

    def on_train_start(self) -> None:
        """Train with the rate and the parameters of this run, not with those of a checkpoint.

        The schedule goes on where the run is: after an epoch by the epochs that are done, since a
        resumed run may have more epochs, or steps of another size.
        """
        if type(self).configure_optimizers is not Recognizer.configure_optimizers:
            return  # a subclass has an optimiser of its own
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LambdaLR)
        epoch = self.trainer.fit_loop.epoch_progress.current
        batches = self.trainer.num_training_batches
        if epoch.ready == epoch.completed and math.isfinite(batches):
            steps = -(-int(batches) // self.trainer.accumulate_grad_batches)
            schedule.last_epoch = epoch.completed * steps
        lr = self.optimisation.lr
        schedule.base_lrs = [lr for _ in schedule.base_lrs]
        rate = lr * schedule.lr_lambdas[0](schedule.last_epoch)
        for group in schedule.optimizer.param_groups:
            group |= {"lr": rate, "initial_lr": lr} | besides_rate(self.optimisation)

    def train(self, mode: bool = True) -> Self:
        """Train or evaluate; what is frozen is evaluated in training, too."""
        super().train(mode)
        if self.optimisation.freeze:
            hold(self.model)
        return self

    def on_fit_start(self) -> None:
        """Refuse batch norms over all devices, which cannot count an absent person several times.

        Raises:
            BadInput: the trainer has converted the model's norms.
        """
        if any(isinstance(module, nn.SyncBatchNorm) for module in self.model.modules()):
            raise BadInput(
                "trainer.sync_batchnorm=true would count an absent person once, however many are"
                " absent: leave it out, the recipe's norms are local to a device"
            )

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of one clip per sample, and their accuracy for the progress bar.

        With class weights it is their weighted mean; a family may add a loss of its own. `loss` is
        what is differentiated, `batch_loss` the mean of the batch; they differ where batches are
        accumulated.
        """
        logits = self(batch)[:, 0]
        smoothing, weights = self.optimisation.label_smoothing, self.class_weights
        loss = F.cross_entropy(logits, batch.labels, weights, label_smoothing=smoothing)
        further = self.engine.further_loss(logits, batch.labels)
        if further is not None:
            loss = loss + further
            size = len(batch.labels)
            self.log("train/further_loss", further.detach(), batch_size=size, sync_dist=True)
        self.check_loss()
        self._unchecked = Unchecked(loss.detach(), self._step(), batch.samples)
        if not loss.is_cuda:
            self.check_loss()
        top1 = (logits.detach().argmax(-1) == batch.labels).float().mean()
        size, mean, batch_loss = len(batch.labels), loss.detach(), loss.detach()
        if self.trainer.accumulate_grad_batches > 1:
            mass = size if weights is None else weights[batch.labels].sum()
            loss, mean = self.accumulation.add(loss, mass), self.accumulation.mean
        self.log("train/loss", mean, prog_bar=True, batch_size=size, sync_dist=True)
        self.log("train/top1", top1, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        return {"loss": loss, "top1": top1, "batch_loss": batch_loss}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Make accumulated gradients those of one large batch, before they are clipped."""
        whole = self.trainer.accumulate_grad_batches
        if whole > 1:
            self.accumulation.end(optimizer, whole)

    def check_loss(self) -> None:
        """Refuse a loss that is no number: on a GPU one step later, so that the CPU does not wait.

        Raises:
            NotFinite: with the samples of its batch.
        """
        unchecked, self._unchecked = self._unchecked, None
        if unchecked is None or math.isfinite(loss := unchecked.value()):
            return
        raise NotFinite(
            f"the loss of {unchecked.step} is {loss}; lower recipe.lr or look at the samples "
            f"of this batch: {self._names(unchecked.samples)}"
        )

    def _step(self) -> str:
        """The step that is taken, its epoch and learning rate."""
        rates = [
            f"learning rate {one.param_groups[0]['lr']:.3g}" for one in self.trainer.optimizers
        ]
        where = ", ".join([f"epoch {self.current_epoch + 1}", *rates])
        return f"step {self.global_step} ({where})"

    def _names(self, samples: Tensor) -> str:
        some = samples[:MOST_NAMES].tolist()
        names = ", ".join(str(i if self.ids is None else self.ids[i]) for i in some)
        more = len(samples) - MOST_NAMES
        return names + (f" and {more} more" if more > 0 else "")

    def on_train_epoch_end(self) -> None:
        """Check the last loss."""
        self.check_loss()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Accuracy with one clip per sample."""
        if not len(batch.labels):  # the other ranks still have some
            return
        logits = self(batch)[:, 0]
        self._validated(dataloader_idx).update(logits, batch.labels)
        loss = self.losses[dataloader_idx]
        assert isinstance(loss, MeanMetric)
        losses = F.cross_entropy(logits, batch.labels, reduction="none")
        loss.update(losses)
        self._validation.append((batch.samples, losses))

    def on_validation_start(self) -> None:
        """Validate with running statistics averaged over the ranks, as the reference does."""
        self._validation.clear()
        average_statistics(self.model)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's accuracies and losses, those of all ranks together.

        Raises:
            NotFinite: a loss is no number; nothing of the epoch is logged, or selects a checkpoint.
        """
        for i in range(len(self.trainer.val_dataloaders or [])):
            loss = self.losses[i]
            assert isinstance(loss, MeanMetric)
            mean = loss.compute()
            if not mean.isfinite():
                raise NotFinite(self._after_validation(PARTS[i], float(mean)))
            self.log_dict(self._validated(i).compute(), prog_bar=True, sync_dist=True)
            self.log(f"{PARTS[i]}/loss", mean, sync_dist=True)
            self._validated(i).reset()
            loss.reset()

    def _after_validation(self, part: str, mean: float) -> str:
        """What is wrong with a validation, and what to do about it."""
        bad = [sample for some, losses in self._validation for sample in some[~losses.isfinite()]]
        remedy = "lower recipe.lr"
        if 0 < len(bad) < sum(len(samples) for samples, _ in self._validation):
            remedy += f" or look at the samples {self._names(torch.stack(bad))}"
        return f"the {part} loss after {self._step()} is {mean}; {remedy}"

    def _validated(self, i: int) -> MetricCollection:
        metrics = self.validated[i]
        assert isinstance(metrics, MetricCollection)
        return metrics

    def on_test_start(self) -> None:
        """Forget what an earlier test gathered."""
        self.tested.clear()

    def test_step(self, batch: Batch) -> None:
        """Scores of each sample: softmax first, then the mean over its clips."""
        if not len(batch.labels):
            return
        scores = self(batch).float().softmax(-1).mean(1)
        self.tested.append((batch.samples.cpu(), scores.cpu()))

    def test_scores(self) -> tuple[Tensor, Tensor]:
        """Sample numbers (B,) and scores (B, classes) of the last test, in the store's order.

        They are those of all ranks, each of which must call this.
        """
        tested = [batch for rank in gathered(self.tested) for batch in rank]
        samples, scores = (torch.cat(parts) for parts in zip(*tested, strict=True))
        order = samples.argsort()
        return samples[order], scores[order]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """SGD or AdamW under one cosine over the whole run, stepped with it, without warm-up."""
        # Lightning clips no gradients under mixed precision for an optimizer that is fused
        fused = self.device.type in ("cpu", "cuda") and not self.trainer.gradient_clip_val
        optimizer = optimizer_of(self.model, self.optimisation, fused=fused)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": "lr"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the card, all that is needed to use the weights, and the training's parameters.

        Raises:
            NotFinite: what would be saved is no number: the checkpoint before stays.
        """
        self.check_loss()  # weights after a loss that is no number are not saved
        for name, average in averaged_statistics(self.model).items():
            checkpoint["state_dict"][f"model.{name}"] = average
        if name := first_not_finite(checkpoint["state_dict"]):
            raise NotFinite(
                f"the weights `{name}` are no numbers after {self._step()}; lower recipe.lr"
            )
        checkpoint[CARD] = self.card
        checkpoint[HYPER_PARAMETERS] = asdict(self.optimisation) | {
            "dropout": float(getattr(self.model.classify, "dropout", 0.0))
        }
