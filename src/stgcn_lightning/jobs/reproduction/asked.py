"""Which seeds, streams and checkpoints a reproduction is asked for."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgcn_lightning.checkpoints.zoo import ZOO, elsewhere, zoo_entry
from stgcn_lightning.data.names import FOUR_STREAMS, STREAMS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.fetching import checkpoint_of
from stgcn_lightning.settings.doors import ReproduceSettings
from stgcn_lightning.settings.frozen import thawed


def seeds_of(settings: ReproduceSettings) -> list[int]:
    """The seeds to train with.

    Raises:
        BadInput: they are no list of different whole numbers, or several for checkpoints.
    """
    seeds = thawed(settings.seeds)
    if seeds is None:
        return [settings.seed]
    if (
        not isinstance(seeds, list)
        or not seeds
        or len(set(seeds)) < len(seeds)
        or not all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    ):
        raise BadInput(f"seeds={seeds} are no list of different whole numbers: seeds=[0,1,2]")
    if settings.checkpoints is not None and len(seeds) > 1:
        raise BadInput("checkpoints are tested once: leave out seeds")
    return seeds


def streams_of(settings: ReproduceSettings) -> list[str]:
    """The streams to train, in the order in which tables show them.

    Raises:
        BadInput: they are no list of different streams of `STREAMS`.
    """
    streams: Any = thawed(settings.streams)
    if streams is None:
        return list(FOUR_STREAMS)
    if not isinstance(streams, list) or not streams or len(set(map(str, streams))) < len(streams):
        raise BadInput(f"streams={streams} is no list of different streams: streams=[joint,bone]")
    for stream in streams:
        if stream not in STREAMS:
            raise BadInput(f"streams: {stream} is none of the streams {', '.join(STREAMS)}")
    return [stream for stream in STREAMS if stream in streams]


def checkpoints_of(settings: ReproduceSettings) -> dict[str, Path | None]:
    """The streams, each with the checkpoint to test, or None where it is to be trained.

    Raises:
        BadInput: they are neither zoo nor a table of streams with a file each, a file cannot be
            had, `checkpoint` is given, or `streams` beside such a table.
    """
    given: Any = thawed(settings.checkpoints)
    if settings.checkpoint:
        raise BadInput("reproduce wants one per stream: checkpoints='{joint: FILE, bone: FILE}'")
    streams = streams_of(settings)
    if given is None:
        return dict.fromkeys(streams)
    if given == "zoo":
        given = of_the_zoo(settings, streams)
    elif settings.streams is not None:
        raise BadInput("checkpoints names its streams: leave out streams")
    if not isinstance(given, dict) or not given:
        raise BadInput(
            f"checkpoints={given} is neither zoo nor a mapping: "
            "checkpoints='{joint: FILE, bone: FILE}'"
        )
    for stream, path in given.items():
        if stream not in STREAMS:
            raise BadInput(f"checkpoints: {stream} is none of the streams {', '.join(STREAMS)}")
        if not isinstance(path, str) or not path:
            raise BadInput(
                f"checkpoints.{stream}={path} is no path: give one file or folder for each stream"
            )
    file, times = Counter(given.values()).most_common(1)[0]
    if times > 1:
        raise BadInput(f"checkpoints={given} has {file} {times} times: give each stream its own")
    found: dict[str, Path | None] = {}
    for stream in STREAMS:
        if stream in given:
            path = checkpoint_of(
                given[stream], settings.downloads, settings.model.name, f"checkpoints.{stream}"
            )
            if not path.exists():
                raise BadInput(f"there is no checkpoint {path}")
            found[stream] = path
    return found


def of_the_zoo(settings: ReproduceSettings, streams: Sequence[str]) -> dict[str, str]:
    """Names of the published checkpoints of a model and benchmark, by stream.

    Raises:
        BadInput: the zoo lacks one of them.
    """
    model, benchmark = settings.model.name, settings.benchmark.name
    names = {stream: f"{model}/{benchmark}_{stream}" for stream in streams}
    if absent := [stream for stream, name in names.items() if zoo_entry(name) is None]:
        by_hand = elsewhere(model)
        raise BadInput(
            f"the zoo has no checkpoints for {benchmark} of {model}, stream {absent[0]}: leave "
            "out checkpoints to train, or give checkpoints='{joint: FILE, bone: FILE}'"
            + (f" ({by_hand})" if by_hand else "")
        )
    return {stream: ZOO + name for stream, name in names.items()}
