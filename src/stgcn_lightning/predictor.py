"""A checkpoint that answers for recordings, as `test` does, without configuration or Lightning.

Axes: B recordings, N clips, M persons, T frames, V joints, C channels.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
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
from stgcn_lightning.data.samples import Recorded, sample_of, two_sides
from stgcn_lightning.data.sampling import evaluation_indices
from stgcn_lightning.data.store import StoreSpec, store_in_memory
from stgcn_lightning.data.streams import Stream, stream_named
from stgcn_lightning.engine.continual import Continual
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.recordings import Recording
from stgcn_lightning.streaming.continual import FrameByFrame
from stgcn_lightning.streaming.options import StreamOptions
from stgcn_lightning.streaming.preparing import Preparing
from stgcn_lightning.streaming.stream import FrameStream, Kind
from stgcn_lightning.streaming.windowed import Windowed

CLIPS_AT_ONCE = 160  # sixteen recordings of ten clips


class Predictor:
    """Scores of recordings: normalised, cut into clips and averaged as the checkpoint's card says.

    Several threads may ask one predictor at the same time.

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
        input_stream: what of the joints the network sees.

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
        with torch.inference_mode():
            self.engine.evaluation()  # now, and not by each of several threads
        card = Card.from_dict(self.card, path)
        self.skeleton = card.skeleton
        self.classes = [*card.classes]
        self.input_stream = stream or stream_named(card.stream)
        if self.input_stream.name != card.stream:
            raise BadInput(
                f"{path} was trained with stream {card.stream}, not {self.input_stream.name}:"
                " give the stream that it was trained on"
            )
        self.clip_frames, self.test_clips = card.clip_frames, card.test_clips
        self.test_sampling = card.test_sampling
        self.persons, self.dimension = card.persons, card.dimension
        self.coordinates = COORDINATES[self.dimension]
        self.spec = StoreSpec(
            card.skeleton, card.dimension, card.normalise, len(self.classes), missing=card.missing
        )

    def __call__(
        self,
        recordings: Recorded | Sequence[Recorded],
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
        alone = isinstance(recordings, Sample | Recording) or getattr(recordings, "ndim", 5) < 5
        if not alone and (
            isinstance(recordings, Mapping | str) or not hasattr(recordings, "__iter__")
        ):
            raise BadInput(
                f"recordings are one {type(recordings).__name__}: give an array (M, T, V, C), or a "
                "list of them"
            )
        if img_shape is not None:
            img_shape = two_sides(img_shape)
        several = cast("Sequence[Recorded]", [recordings] if alone else recordings)
        samples = [sample_of(one, i, self.spec, img_shape) for i, one in enumerate(several)]
        scores = self._all_scores(samples)
        return scores[0] if alone else scores

    def windows(
        self,
        recording: Recorded,
        window: int | None = None,
        stride: int | None = None,
        *,
        img_shape: tuple[int, int] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Scores along one recording, those that each window has as a recording of its own.

        Args:
            recording: see `__call__`.
            window: frames of one; None: those of a clip.
            stride: frames from the start of one to that of the next; None: a quarter of a window.
            img_shape: (height, width) of the pictures in pixels.

        Returns:
            First frames (W,) of the windows, and scores (W, classes). The last window ends with the
            recording, less than a stride after the one before; a recording that is shorter than a
            window is one.

        Raises:
            BadInput: as `__call__`; or `window` or `stride` is no number of frames.
        """
        window = self.clip_frames if window is None else window
        for name, frames in (("window", window), ("stride", 1 if stride is None else stride)):
            if isinstance(frames, bool) or not isinstance(frames, Integral) or frames < 1:  # pyright: ignore
                raise BadInput(f"{name}={frames!r} is no number of frames: give 1 or more")
        stride = max(1, window // 4) if stride is None else stride
        img_shape = None if img_shape is None else two_sides(img_shape)
        whole = sample_of(recording, 0, self.spec, img_shape)
        last = max(0, whole.keypoint.shape[1] - window)
        starts = np.append(np.arange(0, last, stride), last)
        samples = [
            replace(
                whole,
                id=f"{whole.id}, frames {start} to {start + window - 1}",
                keypoint=whole.keypoint[:, start : start + window],
                score=None if whole.score is None else whole.score[:, start : start + window],
            )
            for start in starts.tolist()
        ]
        return starts, self._all_scores(samples)

    def stream(self, fps: float | None = None, **options: Any) -> FrameStream:
        """Labels while persons move: ``label = stream.push(keypoints)`` for each frame.

        Args:
            fps: frames per second that will be pushed, where that is known.
            **options: those of `StreamOptions`, such as ``continual=True`` or ``seconds=3``.

        Raises:
            BadInput: there is no such option or value, 2D key points lack the size of the picture,
                or the model or its stream has no continual form.
        """
        given = StreamOptions.of({"fps": fps, "trained_fps": self._trained_fps(fps)} | options)
        if given.img_shape is not None:
            given = replace(given, img_shape=two_sides(given.img_shape))
        if self.spec.normalise == "2d" and given.img_shape is None:
            raise BadInput("key points are scaled to the picture: give img_shape=(height, width)")
        rate = given.trained_fps or given.fps
        window = given.window or self.clip_frames
        if given.seconds is not None:
            window = max(1, round(given.seconds * cast(float, rate)))
        if given.continual:
            way = self._frame_by_frame(given, window)
        else:
            answer = partial(self.__call__, img_shape=given.img_shape)
            way = Windowed(answer, window, given.every, given.together)
        picture = given.img_shape if self.spec.normalise == "2d" else None
        kind = Kind(self.skeleton, self.coordinates, self.spec.missing != "error", picture)
        return FrameStream(way, kind, self.classes, given, window)

    def _trained_fps(self, fps: float | None) -> float | None:
        """What the card says, where the rate of the frames is known as well."""
        return None if fps is None else self.card.get("fps")

    def _frame_by_frame(self, given: StreamOptions, window: int) -> FrameByFrame:
        preparing = Preparing(self.spec, self.input_stream, given.img_shape, given.together)
        empty = torch.zeros(1, 1, self.clip_frames, self.skeleton.num_joints, 3, device=self.device)
        with torch.inference_mode():
            absent, _ = self.engine.evaluation().absent_persons(empty)
        return FrameByFrame(
            Continual(self.model, window, given.every),
            preparing,
            classify=self.model.classify,
            absent=absent[0],
            persons=self.persons,
            together=given.together,
        )

    def _all_scores(self, samples: list[Sample]) -> NDArray[np.float32]:
        """Scores (B, classes)."""
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
        return scores

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
        gather = ClipGatherer(store, self.input_stream, self.persons)
        tables = [
            evaluation_indices(int(T), self.clip_frames, self.test_clips, self.test_sampling)
            for T in store.num_frames
        ]
        indices = np.stack(tables)  # B, N, T
        if (indices == indices[:, :1]).all():  # as of recordings as long as a clip
            indices = indices[:, :1]
        clips = gather(torch.arange(len(samples)), torch.as_tensor(indices))
        logits = self.logits(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        return logits.float().softmax(-1).mean(1).cpu().numpy()


def load(checkpoint: str | Path, **options: Any) -> Predictor:
    """The model in a checkpoint, ready to answer; see `Predictor` for options, `Raises` and card.

    Example:
        >>> import numpy as np
        >>> model = load(checkpoint)
        >>> model.skeleton.name, model.input_stream.name
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
