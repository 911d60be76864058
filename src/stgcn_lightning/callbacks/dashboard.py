"""What Weights & Biases shows of a job. No other file imports wandb."""

import atexit
import json
import logging
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from wandb.errors import AuthenticationError, CommError
from wandb.errors import Error as WandbError

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.reproduction import Row
from stgcn_lightning.evaluation.statistics import class_rows, confused_rows
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.report.pages import AfterTest, render_matrix, render_movie
from stgcn_lightning.terminal import say

WATCHED = (None, "gradients", "parameters", "all")
MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")  # what WANDB_MODE may say
FINISHING = 600.0  # seconds at the end of a job for what is still to be uploaded; it stays on disk
MOST_ROWS = 10_000  # of a table: W&B cuts longer ones
CLASSES = ("class", "samples", "right", "accuracy", "most often taken for", "times")
CONFUSIONS = ("class", "taken for", "samples", "share of the class")
FUSION = ("stream", "top-1", "low", "high", "published", "difference")


def costing_nothing(show: Callable[..., Any]) -> Callable[..., Any]:
    """A method of `RunLogger` whose failure ends what W&B is shown, and not the job."""

    @wraps(show)
    def tried(self: "RunLogger", *arguments: Any, **options: Any) -> Any:
        if self.failed:
            return None
        try:
            return show(self, *arguments, **options)
        except BadInput:
            raise  # of the settings, before anything is done
        except Exception as error:  # of W&B's process, of its server, or of its network
            self.failed = True
            reason = " ".join(str(error).split("\n", 1)[0].split())
            say(
                f"W&B fails ({type(error).__name__}: {reason}): it is shown nothing more, and all "
                f"else goes on; what it had is in {self.file.parent / 'wandb'}"
            )
            # it tries once more when Python ends, of which a traceback would be printed
            atexit.register(setattr, sys, "unraisablehook", lambda _: None)
            return None

    return tried


class RunLogger(WandbLogger):
    """Lightning's logger, with one W&B run per job and run directory.

    The run begins when something is logged for the first time, and ends with `close`. Its id is
    kept in the run directory, ``wandb_<job>.json``, so that a job that is resumed goes on with the
    same run.

    Args:
        project: of the run.
        entity: user or team of the project; None is the account's default.
        group: of the run; None is that of `describe`.
        name: of the run; None is that of `describe`.
        tags: of the run, besides those of `describe`.
        save_dir: the run directory.
        offline: keep the run in the run directory; ``wandb sync`` uploads it. False: as WANDB_MODE
            of the environment says, online where it says nothing.
        watched: gradients, parameters or all: their histograms are logged; None: no histograms.
        watch_every: steps between two histograms.

    Raises:
        BadInput: a value is of another kind; it is called ``logger.wandb.<name>``.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        group: str | None,
        name: str | None,
        tags: Sequence[str],
        save_dir: str,
        offline: bool,
        watched: str | None,
        watch_every: int,
    ):
        if watched not in WATCHED:
            raise BadInput(
                f"logger.wandb.watched={watched} is none of null, {', '.join(WATCHED[1:])}"
            )
        if isinstance(watch_every, bool) or not isinstance(watch_every, int) or watch_every < 1:
            raise BadInput(
                f"logger.wandb.watch_every={watch_every} must be a whole number of at least 1"
            )
        if not isinstance(offline, bool):
            raise BadInput(f"logger.wandb.offline={offline} is neither true nor false")
        if not os.environ.get("WANDB_MODE", "none"):
            del os.environ["WANDB_MODE"]  # W&B itself takes an empty one for a mode
        mode = os.environ.get("WANDB_MODE", "online")
        if mode not in MODES:
            raise BadInput(
                f"WANDB_MODE={mode} of the environment is none of {', '.join(MODES[:3])}"
            )
        if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
            raise BadInput(f"logger.wandb.tags={tags} must be a list of names: [first,second]")
        try:
            if mode != "disabled":
                Path.home()  # where W&B looks for its settings
        except RuntimeError as error:
            raise BadInput(
                "W&B needs a home directory, and there is none: set HOME to a folder, or leave out "
                "logger=wandb"
            ) from error
        if offline:  # W&B would report on itself to its server all the same
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        named = {"project": project, "entity": entity, "group": group, "name": name}
        for key, value in named.items():
            if value is not None and not isinstance(value, str):
                raise BadInput(f"logger.wandb.{key}={value} must be text: \"'{value}'\"")
        super().__init__(project=project, name=name, save_dir=save_dir)
        self.settings: dict[str, Any] = {  # of `wandb.init`
            "project": self.name,  # WANDB_PROJECT if none was given
            "name": name,
            "dir": save_dir,
            "entity": entity,
            "group": group,
            "tags": list(tags),
            "resume": "allow",
            "mode": "offline" if offline else None,  # None: as WANDB_MODE says
            "allow_val_change": True,  # a resumed run may have more epochs
            "settings": wandb.Settings(
                silent=True,  # this class prints what is worth printing
                finish_timeout=FINISHING,
            ),
        }
        self.disabled = mode == "disabled"  # then `jobs.watching` leaves this logger out
        self.run: Any = None  # between its begin and `close`
        self.failed = False  # from then on nothing is shown
        self.watched, self.watch_every = watched, watch_every
        self.file = Path(save_dir) / "wandb.json"
        self.ids: dict[str, Any] = {}  # id, entity, project, url

    def describe(
        self, job: str, *, group: str | None, name: str, tags: Sequence[str], config: Any
    ) -> None:
        """Set what is shown of the run; a group and a name of the constructor stay.

        Args:
            job: train, test or fuse.
            group: used if the constructor got none.
            name: used if the constructor got none.
            tags: besides those of the constructor.
            config: plain values, shown beside the curves.
        """
        run = self.settings
        run |= {"job_type": job, "group": run["group"] or group, "name": run["name"] or name}
        run |= {"tags": [*dict.fromkeys([*run["tags"], *tags])], "config": config}
        self.file = self.file.with_name(f"wandb_{job}.json")

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; it begins now if it has not yet."""
        if self.run is None:
            self._begin()
        return self.run

    def _begin(self) -> None:
        init = self.settings
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # W&B's: `socket.send() raised`
        if self.file.exists():
            init["id"] = json.loads(self.file.read_text())["id"]
        else:
            init["id"] = secrets.token_hex(4)  # a seed must not repeat it
        self.file.parent.mkdir(parents=True, exist_ok=True)
        run = self.run = self._init(init)
        # the horizontal axis, also of a resumed run
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        url = None if run.offline else run.url
        self.ids = {"id": run.id, "entity": run.entity, "project": run.project, "url": url}
        with write_atomically(self.file) as file:
            file.write((json.dumps(self.ids) + "\n").encode())
        where = "offline, kept in the run directory until `wandb sync`"
        say(f"W&B: {url or where}")

    def _init(self, init: dict[str, Any]) -> Any:
        """A new run of W&B; where the server cannot be reached, one that is kept offline."""
        try:
            try:
                return wandb.init(**init)
            except AuthenticationError:
                raise
            except CommError as error:
                reason = " ".join(str(error).split("\n", 1)[0].split())
                say(f"W&B cannot be reached ({reason}): the run is kept offline")
                wandb.teardown()  # its process would not begin a second run of this id
                offline: dict[str, Any] = init | {"mode": "offline"}
                return wandb.init(**offline)
        except WandbError as error:
            raise BadInput(
                f"W&B cannot be used: {error}; correct logger.wandb, or leave it out: logger=csv"
            ) from error

    @costing_nothing
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures of a step."""
        super().log_metrics(metrics, step)

    @costing_nothing
    def begin(self) -> dict[str, Any] | None:
        """Begin the run if it has not yet; returns its id, entity, project and address, if any."""
        _ = self.experiment
        return self.ids

    @rank_zero_only
    @costing_nothing
    def log_graph(self, model: nn.Module, input_array: Any = None) -> None:
        """Lightning calls this before the first step: from now on log the histograms, if any."""
        if self.watched:
            run = self.experiment
            run.watch(model, log=self.watched, log_freq=self.watch_every)
            # W&B's hooks log within the step, and must not end it
            keep = run._torch.log_tensor_stats
            run._torch.log_tensor_stats = partial(
                costing_nothing(lambda _, *values: keep(*values)), self
            )

    @rank_zero_only
    @costing_nothing
    def show_test(
        self, tested: AfterTest, figures: Mapping[str, float], published: float | None, page: Path
    ) -> None:
        """Log tables, matrix, report page and moving skeletons of a test.

        Args:
            tested: what the report shows.
            figures: the accuracies, in [0, 1].
            published: top-1 in %; None if there is none.
            page: file of the report.
        """
        confused = [row[: len(CONFUSIONS)] for row in confused_rows(tested.scores)]
        self.experiment.log(
            {
                "test/classes": _table(CLASSES, class_rows(tested.scores)),
                "test/confusions": _table(CONFUSIONS, confused),
                "test/confusion_matrix": _html(render_matrix(tested)),
                "test/worst_errors": [_html(render_movie(tested, row)) for row in tested.movies],
                "test/report": _html(page.read_text("utf-8")),
            }
        )
        summary = {f"test/{name}": value for name, value in figures.items()}
        if published is not None:
            summary["test/published"] = published / 100
            summary["test/difference"] = figures["top1"] - published / 100
        self.experiment.summary.update(summary)

    @rank_zero_only
    @costing_nothing
    def show_page(self, name: str, page: Path) -> None:
        """Log the page in a file under `name`."""
        self.experiment.log({name: _html(page.read_text("utf-8"))})

    @rank_zero_only
    @costing_nothing
    def show_fusion(self, rows: Sequence[Row], runs: Mapping[str, Any]) -> None:
        """Log streams and fusions beside the published figures.

        Args:
            rows: a stream or fusion each.
            runs: stream -> id and url of the W&B run that tested it; None if it is unknown.
        """
        table: list[Sequence[Any]] = []
        summary = {f"{name}/run": run and (run["url"] or run["id"]) for name, run in runs.items()}
        for row in rows:
            top1, low, high = row.interval
            published = row.published and row.published.top1 / 100
            difference = None if published is None else top1 - published
            table.append((row.name, top1, low, high, published, difference))
            summary[f"{row.name}/top1"] = top1
            if published is not None and difference is not None:
                summary |= {
                    f"{row.name}/published": published,
                    f"{row.name}/difference": difference,
                }
        self.experiment.log({"fusion": _table(FUSION, table)})
        self.experiment.summary.update(summary)

    @rank_zero_only
    @costing_nothing
    def close(self, status: int) -> None:
        """End the run with an exit status, and print where it is.

        The next job of this process then begins a run of its own.
        """
        if self.run is None:
            return
        run, self.run = self.run, None
        if self.watched:
            run.unwatch()
        run.finish(exit_code=status)
        if run.offline:  # one folder for the run and one for each time that it was resumed
            here, folders = Path.cwd(), self.file.parent.glob(f"wandb/offline-run-*-{run.id}")
            shown = [str(f.relative_to(here) if f.is_relative_to(here) else f) for f in folders]
            say(f"W&B: wandb sync {shlex.join(sorted(shown))}")
        else:
            say(f"W&B: {self.ids['url']}")


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> wandb.Table:
    return wandb.Table(columns=[*columns], data=[[*row] for row in rows[:MOST_ROWS]])


def _html(page: str) -> wandb.Html:
    # no style sheet of W&B: our pages load nothing
    return wandb.Html(page, inject=False, data_is_not_path=True)
