"""Running a plain model fast and exactly: training, and evaluation.

Axes: N clips, M persons, T frames, V joints, C channels, R rows (distinct persons), F features.
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# a family's own folded form is known once its file is imported
from stgcn_lightning.engine import (  # noqa: F401
    compiling,
    folded_aagcn,
    folded_ctrgcn,
    folded_dgstgcn,
    folded_msg3d,
    folded_stgcn,
    folded_stgcnpp,
)
from stgcn_lightning.engine.convert import convert
from stgcn_lightning.engine.folded import Folded, folded_form
from stgcn_lightning.engine.folded_on_cpu import STGCNOnCPU
from stgcn_lightning.engine.halving import Halving
from stgcn_lightning.engine.memory import Widest, rows_at_once
from stgcn_lightning.engine.norms import RowNorm
from stgcn_lightning.engine.persons import distinct, every, find_present, sent
from stgcn_lightning.models.backbone import Backbone, check_backbone
from stgcn_lightning.models.stgcn import STGCN


class Form(Protocol):
    """What evaluates: a folded form, or a backbone itself."""

    classify: nn.Linear

    def normalise_clips(self, clips: Tensor) -> Tensor:
        """See `Backbone.normalise_clips`; asked for where the model has `persons`."""
        ...

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, F)."""
        ...


class Evaluation:
    """A form of some weights, and its answers for absent persons.

    Args:
        form: what evaluates.
        state: the weights that it was made of.
        places: places of a clip that are told apart.
    """

    def __init__(self, form: Form, state: object, places: int | None = None):
        self.form, self.state, self.places = form, state, places
        self.absent: dict[int, tuple[Tensor, int]] = {}
        self.at_once: dict[int, int] = {}  # rows that are compiled for, by frames

    def absent_persons(self, clips: Tensor) -> tuple[Tensor, int]:
        """Features of an absent person, and bytes of a row in the widest tensor on the way there.

        The features are (1, F), or (M, F) where places are told apart.
        """
        T, V, C = clips.shape[2:]
        if T not in self.absent:
            dtype, places = self.form.classify.weight.dtype, self.places or 1
            zeros = torch.zeros(places, T, V, C, dtype=dtype, device=clips.device)
            with torch.autocast(clips.device.type, enabled=False):
                if isinstance(self.form, STGCNOnCPU):
                    self.form.prepare(T)
                if self.places:
                    zeros = self.form.normalise_clips(zeros[None])[0]
                features = self.form.features(zeros)  # makes what is kept for so many frames
                with Widest() as widest:
                    self.form.features(zeros)
            rows = places * (self.form.narrower if isinstance(self.form, Folded) else 1)
            self.absent[T] = features, max(1, widest.bytes // rows)
        return self.absent[T]


class Engine:
    """Computes a model's logits: absent persons once, in norm groups, compiled, folded.

    It gives the model's modules faster classes, in place; parameters, their names and what the
    model itself answers stay as they are, so checkpoints are those of the plain model. Weights
    belong to the model; the engine holds none, and follows when they change.

    In evaluation without gradients the family's folded form answers (`folded.folded_form`), or the
    model itself if the family has none. A model that draws random numbers before its head computes
    every person in training, since absent persons then differ. Norms without running statistics are
    those of the batch in evaluation, too: every row counts as often as it stands for a person.

    An evaluation for which memory does not suffice goes on with fewer clips at a time (`halving`).

    Args:
        model: a plain model, in training or evaluation mode, on any device.
        norm_group: clips that share their batch-norm statistics, at most; None is the whole batch.
        compile_mode: compile training and evaluation in this mode of `torch.compile` (of
            `modes.COMPILE_MODES`); None does not.

    Raises:
        UnfitModel: the model lacks a part of the protocol, or has a batch norm that cannot be
            converted.

    Examples:
        >>> from stgcn_lightning.models.stgcn import STGCN
        >>> model = STGCN(torch.ones(3, 17, 17), classes=60, base_channels=4)
        >>> engine, clips = Engine(model), torch.randn(1, 2, 20, 17, 3)
        >>> torch.allclose(engine(clips), model(clips), atol=1e-5)
        True
    """

    def __init__(
        self, model: Backbone, norm_group: int | None = None, compile_mode: str | None = None
    ):
        check_backbone(model)
        self.model, self.norm_group, self.compile_mode = model, norm_group, compile_mode
        self.current = convert(model)
        self._most_clips = 0  # of a training batch so far
        self._evaluation: Evaluation | None = None
        self.halving = Halving(self._evaluate)
        self._more: Tensor | None = None  # of the last training batch, see `further_loss`

    def __call__(self, clips: Tensor, present: Tensor | None = None) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C); an absent person is all zero.

        Args:
            clips: (N, M, T, V, C).
            present: (N, M) bool on the CPU, which persons may be other than zero; it may be left
                out, but for clips on a GPU the CPU then waits.

        Raises:
            BadInput: the clips have other joints or channels than the model was built for.
        """
        self.model.check(clips)
        self._more = None
        moving = self.model.training or torch.is_grad_enabled() or normalises_by_batch(self.model)
        return self._train(clips, present) if moving else self.halving(clips, present)

    def evaluation(self) -> Evaluation:
        """The evaluation form of the present weights; built again when they have changed."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        model = self.model
        own = type(model) is STGCN and self._exact_on_cpu()
        state = [own, *((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)]
        if self._evaluation is None or self._evaluation.state != state:
            if isinstance(model, STGCN) and own:
                form = STGCNOnCPU(model)
            else:
                form = folded_form(model, quick=True) or model
            self._evaluation = Evaluation(form, state, model.persons)
        return self._evaluation

    def _exact_on_cpu(self) -> bool:
        """Whether a CPU evaluates in float32 or float64, without compiling."""
        weight = self.model.classify.weight
        exact = weight.dtype in (torch.float32, torch.float64)
        plain = not (torch.is_autocast_enabled("cpu") or self.compile_mode)
        return weight.device.type == "cpu" and exact and plain

    def _train(self, clips: Tensor, present: Tensor | None) -> Tensor:
        N, M = clips.shape[:2]
        self._most_clips = max(self._most_clips, N)
        if self.model.training and self.model.draws_random_numbers():
            present = torch.ones(N, M, dtype=torch.bool)
        # not for the last batch of an epoch
        mode = self.compile_mode if self._most_clips == N else None
        step = compiling.bucket(N * M) if mode else 1
        placed = None
        if self.model.persons is not None:
            with self.current.described_by(every(clips, self.norm_group)):
                placed = self.model.normalise_clips(clips)
        x, rows = distinct(clips, self.norm_group, step, present, placed=placed)
        if mode:
            learning = compiling.compiled(mode, compiling.training_features_of)
            described = rows.group, rows.share, rows.persons
            pooled, more = learning(self.model, self.current, x, *described)
        else:
            with self.current.described_by(rows):
                pooled, more = self.model.training_features(x)
        if more is not None:
            self._more = more[rows.of_person]
        return self.model.classify(pooled[rows.of_person])

    def further_loss(self, logits: Tensor, labels: Tensor) -> Tensor | None:
        """What the family adds to the cross entropy of the last training batch; None: nothing.

        Args:
            logits: (N, classes) of that batch.
            labels: (N,) int64.
        """
        more, self._more = self._more, None
        if more is None:
            return None
        with self.current.described_by(every(logits, self.norm_group)):
            return self.model.further_loss(more, logits.detach(), labels)

    def _evaluate(self, clips: Tensor, present: Tensor | None) -> Tensor:
        evaluation = self.evaluation()
        form = evaluation.form
        absent, row = evaluation.absent_persons(clips)
        at_once, step = rows_at_once(row, clips), 1
        features: Callable[..., Tensor] = type(form).features
        if self.compile_mode:
            # free memory changes, and every other number of rows would be compiled for
            at_once = evaluation.at_once.setdefault(clips.shape[2], at_once)
            features = compiling.compiled(self.compile_mode)
            step = compiling.bucket(at_once)
        N, M = clips.shape[:2]
        present = find_present(clips) if present is None else present
        flat = (clips if evaluation.places is None else form.normalise_clips(clips)).flatten(0, 1)
        here = sent(present.flatten().nonzero()[:, 0], clips.device)
        parts: list[Tensor] = []
        for some in here.split(at_once) if len(here) else ():
            x = F.pad(flat[some], (0, 0) * 3 + (0, -len(some) % step))
            # a replayed CUDA graph writes to the same place again
            parts.append(features(form, x)[: len(some)].clone())
        if len(here) == N * M:
            pooled = torch.cat(parts)
        else:
            pooled = absent.repeat(N * M // len(absent), 1)
            if parts:
                pooled[here] = torch.cat(parts).to(pooled.dtype)
        return form.classify(pooled.unflatten(0, (N, M)))


def normalises_by_batch(model: Backbone) -> bool:
    """Whether a norm before the head has no running statistics, so that rows depend on others."""
    return any(one.running_mean is None for one in model.modules() if isinstance(one, RowNorm))
