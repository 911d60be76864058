"""A checkpoint that answers for recordings, as `test` does, without configuration or Lightning.

Axes: B recordings, N clips, M persons, T frames, V joints, C channels.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.data.batch import ClipGatherer
from stgcn_lightning.data.checks import COORDINATES
from stgcn_lightning.data.sampling import evaluation_indices
from stgcn_lightning.data.store import StoreSpec, store_in_memory
from stgcn_lightning.data.streams import Stream, stream_named
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample

CLIPS_AT_ONCE = 160  # sixteen recordings of ten clips
Recording = NDArray[np.floating[Any]] | Sample


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
        path = Path(checkpoint)
        model, self.card = load_model(path)
        self.model = model.to(device)
        self.device = torch.device(device)
        self.engine = Engine(self.model)
        try:
            self.skeleton = Skeleton.from_dict(self.card["skeleton"])
            self.classes = [str(name) for name in self.card["classes"]]
            self.stream = stream or stream_named(self.card["stream"])
            if self.stream.name != self.card["stream"]:
                raise BadInput(
                    f"{path} was trained with stream {self.card['stream']}, not {self.stream.name}:"
                    " give the stream that it was trained on"
                )
            self.clip_frames, self.test_clips, self.persons = (
                whole(self.card[key], key) for key in ("clip_frames", "test_clips", "persons")
            )
            self.dimension = self.card["dimension"]
            self.coordinates = COORDINATES[self.dimension]
            self.spec = StoreSpec(
                self.skeleton,
                self.dimension,
                self.card["normalise"],
                len(self.classes),
                missing=self.card.get("missing", "error"),  # older cards do not say
            )
        except (KeyError, TypeError) as error:
            raise BadInput(f"{path} has a card without {error}: train it again") from None

    def __call__(
        self,
        recordings: Recording | Sequence[Recording],
        *,
        img_shape: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Scores after softmax, averaged over clips.

        Args:
            recordings: one, or a sequence. A recording is (M, T, V, C): in 2D x and y in pixels,
                and the score of a key point as a third channel if there are scores; in 3D x, y, z
                in metres. An absent person is all zero. A `Sample` brings its own `img_shape`.
                Joints of NaN are filled as in the training, where it filled any.
            img_shape: (height, width) of the pictures in pixels, which 2D key points are scaled to.

        Returns:
            (classes,) for one recording, (B, classes) for several.

        Raises:
            BadInput: a recording has other joints or coordinates than the checkpoint's, is not
                finite, has no frame, or makes the network overflow.
        """
        alone = isinstance(recordings, Sample) or getattr(recordings, "ndim", 0) == 4
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
            BadInput: the clips have other joints or channels than the checkpoint's.
        """
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
        if not isinstance(one, np.ndarray) or one.ndim != 4:
            found = f"shape {one.shape}" if isinstance(one, np.ndarray) else type(one).__name__
            raise BadInput(f"recording {number} has {found}: give an array (M, T, V, C)")
        if not np.issubdtype(one.dtype, np.floating):
            one = one.astype(np.float32)
        score = None
        if self.dimension == "2d" and one.shape[-1] == 3:
            one, score = one[..., :2], one[..., 2]
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


def whole(value: Any, key: str) -> int:
    """A card's count, which is a whole number of at least 1.

    Raises:
        BadInput: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise BadInput(f"the checkpoint's card has {key} {value!r}: train it again")
    return value
