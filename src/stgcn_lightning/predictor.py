"""A checkpoint that answers for recordings, as `test` does, without configuration or Lightning.

Axes: B recordings, N clips, M persons, T frames, V joints, C channels.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.checkpoints.card import Card
from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.data.batch import ClipGatherer
from stgcn_lightning.data.checks import COORDINATES
from stgcn_lightning.data.sampling import evaluation_indices
from stgcn_lightning.data.store import StoreSpec, store_in_memory
from stgcn_lightning.data.streams import Stream, stream_named
from stgcn_lightning.data.thresholds import SCALED, SMALLEST_PICTURE
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample

CLIPS_AT_ONCE = 160  # sixteen recordings of ten clips
Recording = NDArray[np.floating[Any]] | Tensor | Sample


class Predictor:
    """Scores of recordings: normalised, cut into clips and averaged as the checkpoint's card says.

    Args:
        checkpoint: a file that `train` or `export` (safetensors) wrote.
        stream: the stream of your own that the model was trained on; None looks the card's name up
            among the four of this package.
        device: where the network is.

    Attributes:
        model: the plain network, in evaluation mode; for clips (N, M, T, V, C) it gives logits.
        card: what the checkpoint says about itself, plain values.
        skeleton: the joints of a recording.
        classes: their names, in the order of the scores.
        stream: what of the joints the network sees.

    Raises:
        BadInput: there is no such file, it has no card, its card and weights do not fit, or it was
            trained on a stream of another name.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        stream: Stream | None = None,
        device: torch.device | str = "cpu",
    ):
        path = local_file(checkpoint)
        if stream is not None and not isinstance(stream, Stream):  # pyright: ignore
            raise BadInput(
                f"stream={stream!r} is no Stream of your own: leave it out, the checkpoint knows "
                "the name of its stream"
            )
        model, self.card = load_model(path)
        try:
            self.device = torch.device(device)
            self.model = model.to(self.device)
        except (AssertionError, RuntimeError) as error:
            reason = str(error).split("\n", 1)[0]
            raise BadInput(f"device={device} cannot be used: {reason}; try device='cpu'") from None
        self.engine = Engine(self.model)
        card = Card.from_dict(self.card, path)
        self.skeleton = card.skeleton
        self.classes = [*card.classes]
        self.stream = stream or stream_named(card.stream)
        if self.stream.name != card.stream:
            raise BadInput(
                f"{path} was trained with stream {card.stream}, not {self.stream.name}:"
                " give the stream that it was trained on"
            )
        self.clip_frames, self.test_clips = card.clip_frames, card.test_clips
        self.persons, self.dimension = card.persons, card.dimension
        self.coordinates = COORDINATES[self.dimension]
        self.spec = StoreSpec(
            card.skeleton, card.dimension, card.normalise, len(self.classes), missing=card.missing
        )

    def __call__(
        self,
        recordings: Recording | Sequence[Recording],
        *,
        img_shape: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Scores after softmax, averaged over clips.

        Args:
            recordings: one, or a sequence. A recording is an array or tensor (M, T, V, C):
                in 2D x and y in pixels, and the score of a key point as a third channel if there
                are scores; in 3D x, y, z in metres. An absent person is all zero. A `Sample` brings
                its own `img_shape`. Joints of NaN are filled as in the training, where it filled
                any.
            img_shape: (height, width) of the pictures in pixels, which 2D key points are scaled to.

        Returns:
            (classes,) for one recording, (B, classes) for several.

        Raises:
            BadInput: a recording has other joints or coordinates than the checkpoint's, is not
                finite, has no frame, or makes the network overflow.
        """
        alone = isinstance(recordings, Sample) or getattr(recordings, "ndim", 5) < 5
        if not alone and (
            isinstance(recordings, Mapping | str) or not hasattr(recordings, "__iter__")
        ):
            raise BadInput(
                f"recordings are one {type(recordings).__name__}: give an array (M, T, V, C), or a "
                "list of them"
            )
        if img_shape is not None:
            img_shape = two_sides(img_shape)
        several = cast("Sequence[Recording]", [recordings] if alone else recordings)
        samples = [self._sample(one, i, img_shape) for i, one in enumerate(several)]
        at_once = max(1, CLIPS_AT_ONCE // self.test_clips)
        parts = [
            self._scores(samples[start : start + at_once])
            for start in range(0, len(samples), at_once)
        ]
        scores = np.concatenate([np.empty((0, len(self.classes)), np.float32), *parts])
        if len(bad := np.flatnonzero(~np.isfinite(scores).all(1))):
            raise BadInput(
                f"recording {bad[0]} is scored with NaN or infinity: its coordinates are far from "
                "those that the checkpoint was trained on"
            )
        return scores[0] if alone else scores

    @torch.inference_mode()
    def logits(self, clips: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C) float32, normalised, of the stream.

        Raises:
            BadInput: they are no tensor, or have other joints or channels than the checkpoint's.
        """
        if not isinstance(clips, Tensor) or clips.ndim != 5:  # pyright: ignore
            shape = getattr(clips, "shape", None)
            found = type(clips).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
            raise BadInput(f"clips are one {found}: give a float tensor (N, M, T, V, C)")
        if 0 in clips.shape:
            raise BadInput(
                f"clips of shape {tuple(clips.shape)} are empty: give at least one of each"
            )
        return self.engine(clips.to(self.device))

    def _scores(self, samples: list[Sample]) -> NDArray[np.float32]:
        store = store_in_memory(samples, self.spec)
        gather = ClipGatherer(store, self.stream, self.persons)
        tables = [
            evaluation_indices(int(T), self.clip_frames, self.test_clips) for T in store.num_frames
        ]
        clips = gather(torch.arange(len(samples)), torch.as_tensor(np.stack(tables)))
        logits = self.logits(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        return logits.float().softmax(-1).mean(1).cpu().numpy()

    def _sample(self, one: Recording, number: int, img_shape: tuple[int, int] | None) -> Sample:
        if isinstance(one, Sample):  # the same one may come twice
            return replace(one, id=f"{one.id} (recording {number})", label=0)
        if isinstance(one, Tensor):
            one = one.detach().cpu().numpy()
        if not isinstance(one, np.ndarray) or one.ndim != 4:
            found = f"has shape {one.shape}" if isinstance(one, np.ndarray) else type(one).__name__
            found = found if isinstance(one, np.ndarray) else f"is a {found}"
            alone = ""
            if isinstance(one, np.ndarray) and one.ndim == 3:
                alone = ", of one person keypoints[None]"
            raise BadInput(f"recording {number} {found}: give an array (M, T, V, C){alone}")
        if one.dtype.kind not in "fiu":
            raise BadInput(
                f"recording {number} holds {one.dtype}, no coordinates: give an array of float32"
            )
        if not np.issubdtype(one.dtype, np.floating):
            one = one.astype(np.float32)
        score = None
        if self.dimension == "2d" and one.shape[-1] == 3:
            one, score = one[..., :2], one[..., 2]
        if (
            img_shape
            and self.spec.normalise == "2d"
            and one.size
            and max(img_shape) > SMALLEST_PICTURE
        ):
            reach = float(np.nan_to_num(np.abs(one), posinf=np.inf).max())
            if 0 < reach <= SCALED:
                raise BadInput(
                    f"recording {number} has key points within {reach:.3g} of 0, where pixels of a "
                    f"picture of {img_shape[0]} x {img_shape[1]} are expected: multiply what is "
                    "scaled already by the picture's width and height"
                )
        return Sample(f"recording {number}", 0, one, score, img_shape)


def load(checkpoint: str | Path, **options: Any) -> Predictor:
    """The model in a checkpoint, ready to answer; see `Predictor` for options, `Raises` and card.

    Example:
        >>> import numpy as np
        >>> model = load(checkpoint)
        >>> model.skeleton.name, model.stream.name
        ('coco17', 'joint')
        >>> person = np.random.default_rng(0).uniform(0, 500, (1, 60, 17, 2))
        >>> model(person, img_shape=(480, 640)).shape  # one score for each class
        (12,)
    """
    return Predictor(checkpoint, **options)


def local_file(checkpoint: Any) -> Path:
    """The path of a file that is here.

    Raises:
        BadInput: it is an address, a name of the zoo, or no path at all.
    """
    if not isinstance(checkpoint, str | Path):
        kind = type(checkpoint).__name__
        raise BadInput(
            f"the checkpoint is one {kind}: give the path of a file or of a run's folder"
        )
    if isinstance(checkpoint, str) and re.match(r"zoo:|\w+://", checkpoint):
        raise BadInput(
            f"{checkpoint} is no file: export it first, with the export door, checkpoint="
            f"{checkpoint} experiment=NAME format=safetensors, and give the file"
        )
    return Path(checkpoint)


def two_sides(img_shape: Any) -> tuple[int, int]:
    """(height, width), both numbers.

    Raises:
        BadInput: it is something else.
    """
    try:
        height, width = (float(side) for side in img_shape if not isinstance(side, str))
        if not (0 < height < np.inf and 0 < width < np.inf) or isinstance(img_shape, str):
            raise ValueError
    except (TypeError, ValueError):
        raise BadInput(
            f"img_shape={img_shape!r} is no size of a picture: give (height, width) in pixels"
        ) from None
    return img_shape[0], img_shape[1]
