"""What each door takes: one frozen dataclass a door.

Names are those of the keys: `recipe.epochs` of the command line is `settings.recipe.epochs`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stgcn_lightning.data.names import MODES
from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings import fields
from stgcn_lightning.settings.answering import check_live, check_whole
from stgcn_lightning.settings.groups import (
    Benchmark,
    Data,
    Downloads,
    Model,
    Reading,
    Recipe,
    Stream,
)
from stgcn_lightning.settings.objects import Object, objects
from stgcn_lightning.settings.places import NAMED, check_checkpoint, check_resume, check_video
from stgcn_lightning.settings.trainer import Trainer, working_callbacks
from stgcn_lightning.skeleton import Skeleton

FindBenchmark = Callable[..., Mapping[str, Any] | None]


def _body(_: str, value: Any) -> Skeleton:
    return Skeleton.from_dict(value)


def _loggers() -> Any:
    return fields.checked("loggers, by their names", "csv, wandb, tensorboard", objects, null="")


def _callbacks() -> Any:
    return fields.checked(
        "callbacks of the training, by their names", "objects", working_callbacks, null=""
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every door takes.

    Attributes:
        composed: the whole configuration as the door composed it, plain and read-only: loggers show
            it.
    """

    composed: Mapping[str, Any]
    debug: bool | Literal["fast"] = fields.choice(
        "errors with a traceback (true); two batches of everything (fast)",
        True, False, "fast",
    )  # fmt: skip
    run_dir: Path = fields.path("run directory; set hydra.run.dir to choose it")


@dataclass(frozen=True, kw_only=True)
class Common(Settings):
    """What train, test, prepare and reproduce share: one stream of one benchmark.

    Attributes:
        skeleton: the body whose joints the annotations hold.
    """

    skeleton: Skeleton = fields.checked(
        "the skeleton: tables as in conf/skeleton", "a group of tables", _body
    )
    benchmark: Benchmark = fields.group(Benchmark)
    stream: Stream = fields.group(Stream)
    data: Data = fields.group(Data)
    model: Model = fields.group(Model)
    recipe: Recipe = fields.group(Recipe)
    trainer: Trainer = fields.checked("arguments of lightning.Trainer", "an object", Trainer.read)
    downloads: Downloads = fields.group(Downloads)
    seed: int = fields.whole("seed of everything that is random", 0, 2**32 - 1)
    tf32: bool = fields.choice(
        "TF32 on a GPU: float32 products round their factors to 10 bits; false: all 23 bits",
        True, False,
    )  # fmt: skip
    checkpoint: str | None = fields.checked(
        "weights to start from or to test", NAMED, check_checkpoint, null="none"
    )


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Common):
    """What the train door takes."""

    logger: Mapping[str, Object] | None = _loggers()
    callbacks: Mapping[str, Object] | None = _callbacks()
    resume: str | None = fields.checked(
        "checkpoint to go on from", "auto: the last of the newest run; or a path", check_resume,
        null="a new run",
    )  # fmt: skip
    test_after: bool = fields.choice(
        "test best.ckpt when training ends, or last.ckpt where no epoch was validated", True, False
    )

    def __post_init__(self) -> None:
        """Refuse checkpoints in another folder, which other runs could write in, too."""
        for key in ("best.dirpath", "last.folder"):
            name, _, option = key.partition(".")
            one = (self.callbacks or {}).get(name)
            folder = one.get(option) if one else None
            own = self.run_dir.resolve()
            if folder is not None and not Path(str(folder)).resolve().is_relative_to(own):
                raise BadInput(
                    f"callbacks.{key}={folder} is not in the folder of the run, where test and "
                    "resume look for checkpoints: hydra.run.dir=FOLDER chooses that"
                )


@dataclass(frozen=True, kw_only=True)
class TestSettings(Common):
    """What the test door takes.

    Attributes:
        given: what the user states of skeleton, benchmark, stream, data and model, plain groups of
            keys; the others are those of `train` where nothing is chosen.
        benchmark_named: the name of a benchmark -> what its file says, if there is one.
        led_by: the same groups as a checkpoint knows them -> settings that hold these, and of what
            is given the given values.
    """

    given: Mapping[str, Any]
    benchmark_named: FindBenchmark
    led_by: Callable[[Mapping[str, Any]], "TestSettings"]
    logger: Mapping[str, Object] | None = _loggers()
    split: str | None = fields.anything(
        "split to test on; null: benchmark.val_split",
        "a name; holdout: the training samples that were held out",
    )
    classes: Literal["mapped"] | None = fields.choice(
        "mapped: answer for benchmark.classes, found by name among those of the checkpoint; "
        "null: they must be the same",
        None, "mapped",
    )  # fmt: skip
    scores: str | None = fields.anything("file of the scores", "a path to .npz or .pkl")


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(Common):
    """What the prepare door takes."""

    annotations: Any = fields.anything("the same as benchmark.annotations", "a path")
    verify: bool = fields.choice(
        "compare all frames of the store with what was written; build it again if some differ",
        True, False,
    )  # fmt: skip
    raw: Any = fields.anything(
        "folder of NTU RGB+D's .skeleton files to make annotations from", "a path"
    )
    recordings: Any = fields.anything(
        "recordings of your own, given as data=PATH",
        "a folder whose folders are classes, or a table (docs/own_data.md)",
    )
    reading: Reading = fields.group(Reading)
    name: str | None = fields.name(
        "name of the benchmark made of recordings", null="that of the folder or table"
    )
    out: Any = fields.anything(
        "folder of what is made of recordings; null: prepared/NAME", "a path"
    )
    map: str | None = fields.name(
        "skeleton to map the joints of recordings to", null="they stay as they are"
    )
    per_person: bool = fields.choice("make a sample of each person of a recording", True, False)
    normalise: str | None = fields.choice(
        "normalisation of recordings (docs/data.md); null: that of their dimension",
        None, *MODES)  # fmt: skip
    class_order: Any = fields.anything(
        "classes of recordings in the order of their labels; null: sorted",
        "a list of names, or a file with one name a line",
    )
    split_by: Literal["given", "subject", "seed"] | None = fields.choice(
        "how recordings are divided: as a table or folders say, by who performs, or at random; "
        "null: the first that is known",
        None, "given", "subject", "seed",
    )  # fmt: skip
    val_share: float = fields.number("share of the recordings to validate on", 1e-6, 1 - 1e-6)
    subject: str | None = fields.anything(
        "pattern that finds who performs in a recording's path below the folder, without its "
        "ending, by its first group",
        "a regular expression",
    )
    share_subjects: bool = fields.choice(
        "allow that a subject is both trained and validated on", True, False
    )


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings(Common):
    """What the reproduce door takes.

    Attributes:
        part: (door, {key: value}) -> settings of a run that is a part of this one; see
            `compose.settings_of`.
        published: names of a recipe and a stream -> what their files and those of the model and
            benchmark say.
    """

    part: Callable[[str, Mapping[str, Any]], Any]
    published: Callable[[str, str], Mapping[str, Any]]
    logger: Mapping[str, Object] | None = _loggers()
    callbacks: Mapping[str, Object] | None = _callbacks()
    streams: Any = fields.anything("streams; null: the four without k_bone", "a list of streams")
    seeds: Any = fields.anything("seeds to train with; null: seed alone", "a list, [0, 1, 2]")
    checkpoints: Any = fields.anything(
        "checkpoints to test instead of training", "{joint: FILE, bone: FILE, ...}, or zoo"
    )


@dataclass(frozen=True, kw_only=True)
class FuseSettings(Settings):
    """What the fuse door takes."""

    logger: Mapping[str, Object] | None = _loggers()
    streams: Any = fields.anything("score files by their streams", "{joint: a.npz, bone: b.npz}")
    preset: Any = fields.anything("published weights", "two_stream, four_stream, six_stream")
    weights: Any = fields.anything(
        "weights by stream; null: equal ones", "{joint: 2, bone: 1}, or learned"
    )
    tuning: Any = fields.anything(
        "score files of held-out samples to learn the weights on", "{joint: a.npz, bone: b.npz}"
    )
    apply_softmax: Any = fields.anything(
        "whether the files hold logits", "true, false, or a list of streams"
    )
    annotations: Any = fields.anything(
        "annotations that say the true classes where no score file does", "a path"
    )
    split: Any = fields.anything("split of these annotations that was tested", "a name")
    scores: str | None = fields.anything("file of the fused scores", "a path to .npz or .pkl")


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """What the export door takes.

    Attributes:
        reference: what a checkpoint without a card is unless the user states something else.
        given: what the user states about the checkpoint, plain groups of keys.
        benchmark_named: the name of a benchmark -> what its file says, if there is one.
    """

    reference: Mapping[str, Any]
    given: Mapping[str, Any]
    benchmark_named: FindBenchmark
    downloads: Downloads = fields.group(Downloads)
    checkpoint: str | None = fields.checked(
        "weights to export", NAMED, check_checkpoint, null="none"
    )
    format: Any = fields.anything(
        "what to export to", "onnx, onnx_continual, safetensors, mmaction2, pyskl"
    )
    out: Any = fields.anything("file of the model; its sidecar ends in .json", "a path")


@dataclass(frozen=True, kw_only=True)
class InspectSettings(Settings):
    """What the inspect door takes."""

    source: str | None = fields.anything(
        "what to look at: annotations, key-point files, a store, checkpoint, scores, run or sweep",
        "a file or a folder",
    )
    skeleton: Skeleton | None = fields.checked(
        "skeleton of the joints; without a source: the skeleton to draw",
        "a name, or tables as in conf/skeleton",
        _body,
        null="found out by the number of joints",
    )
    reading: Reading = fields.group(Reading)
    subject: str | None = fields.anything(
        "pattern that finds the subject in a sample's id, by its first group; null: usual ones "
        "are tried",
        "a regular expression",
    )
    format: Literal["text", "json"] = fields.choice("how to say what was found", "text", "json")
    out: str | None = fields.anything(
        "file of a page that shows what was found", "a path to .html; of a skeleton also .svg"
    )


@dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """What the predict door takes."""

    reading: Reading = fields.group(Reading)
    downloads: Downloads = fields.group(Downloads)
    checkpoint: Any = fields.anything(
        "weights that answer; of several, the scores are fused",
        f"{NAMED}; or {{joint: FILE, bone: FILE}}",
    )
    source: Any = fields.anything(
        "key points to answer for", "a file, a folder, annotations (.pkl), or - (standard input)"
    )
    video: str | int | None = fields.checked(
        "video or camera to answer for, in which rtmlib finds people",
        "a file, or the number of a camera", check_video, null="source",
    )  # fmt: skip
    estimator: Any = fields.choice(
        "what finds people in videos, from fast to accurate",
        "lightweight", "balanced", "performance",
    )  # fmt: skip
    split: str | None = fields.name("split of annotations to answer for", null="all samples")
    map: str | None = fields.name(
        "skeleton to map joints to", null="only joints that are all known by their names"
    )
    top: int = fields.whole("classes of an answer, those with the highest scores", 1, 100_000)
    window: int | None = fields.whole(
        "frames of an answer", 1, 10_000_000, unit="frames", null="the whole recording"
    )
    stride: int | None = fields.whole(
        "distance from one window to the next", 1, 10_000_000, unit="frames",
        null="a quarter of the window",
    )  # fmt: skip
    per_person: bool = fields.choice("an answer for each person", True, False)
    live: bool = fields.choice(
        "answer while frames come: lines of standard input, or pictures of a video or a camera, "
        "which is always answered so", True, False,
    )  # fmt: skip
    continual: bool = fields.choice(
        "of what is answered live: frame by frame instead of window by window", True, False
    )
    preset: Any = fields.anything(
        "published weights of several checkpoints", "two_stream, four_stream, six_stream"
    )
    weights: Any = fields.anything("weights of several checkpoints", "{joint: 2, bone: 1}")
    device: str = fields.name("device of the networks: auto, cpu, cuda, cuda:1")
    format: Any = fields.choice("form of the answers", "table", "json", "jsonl", "csv")
    out: Path | None = fields.path("file of the answers", null="standard output")
    animate: Any = fields.anything(
        "write the moving skeleton of each recording with its answers",
        "true (in the run directory), false, or FILE.gif, FILE.mp4",
    )
    chart: Any = fields.anything(
        "write a chart of the answers over time, of each recording",
        "true (in the run directory), false, or FILE.svg, FILE.png",
    )
    width: int | None = fields.whole(
        "width of animations and charts", 200, 4000, unit="pixels", null="480 and 960"
    )
    theme: Any = fields.choice("colours of GIF, MP4 and PNG", "light", "dark")
    font: Path | None = fields.path(
        "font of GIF, MP4 and PNG, a TrueType file", null="one that has the letters"
    )

    def __post_init__(self) -> None:
        """Refuse keys that do not go together."""
        if self.live or isinstance(self.video, int):
            pictures = {"animate": self.animate, "chart": self.chart}
            check_live(self.video is not None, self.source, pictures)
        else:
            check_whole(self.window, self.stride, self.chart, self.continual)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a checkpoint was trained on, by its card and its user; what neither states is None."""

    skeleton: Skeleton = fields.checked("the skeleton", "a group of tables", _body)
    benchmark: Benchmark = fields.group(Benchmark)
    stream: Stream = fields.group(Stream)
    data: Data = fields.group(Data)
    model: Model = fields.group(Model)


@dataclass(frozen=True, kw_only=True)
class ZooSettings(Settings):
    """What the zoo door takes.

    Attributes:
        chosen: the names in the groups model, benchmark and stream that are chosen.
    """

    chosen: Mapping[str, str]
    downloads: Downloads = fields.group(Downloads)
    text: str | None = fields.name("part of a name or source of those that are listed", null="all")
    format: Literal["table", "json"] = fields.choice("form of the list", "table", "json")


DOORS: dict[str, type[Settings]] = {
    "train": TrainSettings,
    "test": TestSettings,
    "fuse": FuseSettings,
    "reproduce": ReproduceSettings,
    "prepare": PrepareSettings,
    "export": ExportSettings,
    "inspect": InspectSettings,
    "predict": PredictSettings,
    "zoo": ZooSettings,
}
