"""Whether a reproduction is set as what it is compared with was published."""

from collections.abc import Mapping, Sequence
from typing import Any

from stgcn_lightning.checkpoints.agreement import HOW
from stgcn_lightning.evaluation.published import published_rows, recipe_of
from stgcn_lightning.jobs.leading import law_of_checkpoint
from stgcn_lightning.settings.doors import ReproduceSettings
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.terminal import console

COUNTING: dict[str, tuple[str, ...]] = {  # groups whose keys make a setting; empty: all of them
    "model": (),
    "data": (
        "clip_frames", "test_clips", "test_sampling", "persons", "missing", "max_frames",
        "frame_order",
    ),
    "benchmark": ("normalise",),
    "recipe": (),
}  # fmt: skip


def composed_for(settings: ReproduceSettings, streams: Sequence[str]) -> dict[str, Any]:
    """The settings of each stream: some recipes and models are not the same for all."""
    return {
        stream: settings.part("reproduce", {"stream.name": stream}).composed for stream in streams
    }


def models_of(composed: Mapping[str, Any]) -> dict[str, Any]:
    """The model of all streams, and what it is of one of them alone, as by ProtoGCN's recipe.

    Args:
        composed: the settings of each stream.
    """
    models = {stream: thawed(one["model"]) for stream, one in composed.items()}
    first = next(iter(models.values()))
    own = [key for key in first if any(one[key] != first[key] for one in models.values())]
    found: dict[str, Any] = {"model": {key: first[key] for key in first if key not in own}}
    if own:
        found["model_of_stream"] = {
            stream: {key: one[key] for key in own} for stream, one in models.items()
        }
    return found


def differing_from_published(settings: ReproduceSettings, composed: Mapping[str, Any]) -> str:
    """Settings other than those that the figures to compare with were made with; empty if none is.

    Of a published checkpoint nothing but what tests it counts. What differs for some of the streams
    alone is followed by these.

    Args:
        settings: of the door.
        composed: the settings of each stream.
    """
    model, benchmark = settings.model.name, settings.benchmark.name
    if benchmark not in published_rows().get(model, {}):
        return ""
    differing: dict[str, list[str]] = {}
    for stream, chosen in composed.items():
        known = settings.published(recipe_of(model, benchmark), stream)
        law = law_of_checkpoint(thawed(settings.checkpoints), model, benchmark, stream)
        known["data"]["test_sampling"] = law or known["data"]["test_sampling"]
        for group, keys in COUNTING.items():
            ours, theirs = thawed(chosen[group]), known[group]
            if group == "recipe" and settings.checkpoints:
                continue
            for key in keys or [one for one in theirs if one not in HOW and one[0] != "_"]:
                if ours.get(key) != theirs.get(key):
                    differing.setdefault(f"{group}.{key}={ours.get(key)}", []).append(stream)
    return ", ".join(
        text if len(some) == len(composed) else f"{text} of {' and '.join(some)}"
        for text, some in differing.items()
    )


def say_setting(settings: ReproduceSettings, differing: str) -> None:
    """Say before anything is trained whether it is as it was published."""
    model, benchmark = settings.model.name, settings.benchmark.name
    if benchmark not in published_rows().get(model, {}):
        return
    recipe = recipe_of(model, benchmark)
    known = f"the one with which {model} was published on {benchmark} (recipe={recipe})"
    console.print(f"setting: not {known}: {differing}" if differing else f"setting: {known}")
