"""Our launcher and the published experiments, where Hydra looks for plugins.

Hydra takes them from this namespace package alone.

Every program with Hydra in this environment imports this file, so that the file imports little.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


class ProcessLauncher(Launcher):
    """Runs each job of a sweep in processes of its own on this machine (`launching.sweep`).

    ``sweep.devices_per_job`` lets several of them run side by side. A job is composed, given its
    output directory and its `.hydra` folder as by Hydra's own launcher.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Store what Hydra passes about the sweep; the task function is that of a front door."""
        from stgcn_lightning.launching.sweep import Sweep

        self.context, self.config = hydra_context, config
        door: str = task_function.door  # pyright: ignore[reportFunctionMemberAccess]
        self.sweep = Sweep(door, Path(config.hydra.sweep.dir))

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs until all have ended, those that fail as well.

        Raises:
            Failure: a job has failed, or a signal has ended the sweep; `on_multirun_end` of the
                callbacks is called before, because Hydra does not then.
            BadInput: there is no job, or one cannot be started; none runs any more.
        """
        from stgcn_lightning.launching.processes import Failure

        self.sweep.refuse_none(job_overrides)
        setup_globals()
        returns: list[JobReturn] = []
        try:
            with self.sweep.passing_on_signals():
                for number, overrides in enumerate(job_overrides, initial_job_idx):
                    returns.append(self._start(number, overrides))
                self.sweep.wait(0)
            self.sweep.check()
        except Failure:
            self.context.callbacks.on_multirun_end(config=self.config)
            raise
        for one, started in zip(returns, self.sweep.started[initial_job_idx:], strict=True):
            one.return_value = started.figures
        return returns

    def _start(self, number: int, overrides: Sequence[str]) -> JobReturn:
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        errors: list[Exception] = []

        def start(cfg: DictConfig) -> None:
            os.chdir(config.hydra.runtime.cwd)  # relative paths belong there, with chdir, too
            try:
                self.sweep.start(cfg)
            except Exception as error:  # Hydra would keep it, with a line of its own
                errors.append(error)

        returned = run_job(
            hydra_context=self.context,
            task_function=start,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        if errors:
            raise errors[0]
        assert returned.status == JobStatus.COMPLETED
        return returned


class PublishedExperiments(ConfigSource):
    """Composes ``experiment=FAMILY/BENCHMARK_STREAM`` for everything that somebody published.

    There is no file of these experiments: each chooses the groups that its name says, and the
    recipe that its figure was reached with. The names follow from `evaluation/published.yaml`.
    """

    @staticmethod
    def scheme() -> str:
        """How the search path names this source."""
        return "published"

    def available(self) -> bool:
        """It ships with the package."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path is that of the experiments."""
        return config_path in ("", "experiment")

    def is_config(self, config_path: str) -> bool:
        """Whether a path is that of an experiment."""
        return self._cell(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The experiments, for `--help` and ``glob(...)``."""
        if config_path == "experiment" and results_filter in (None, ObjectType.CONFIG):
            from stgcn_lightning.evaluation.published import experiments

            return sorted(experiments())
        return ["experiment"] if not config_path and results_filter != ObjectType.CONFIG else []

    def load_config(self, config_path: str) -> ConfigResult:
        """The experiment of a path.

        Raises:
            ConfigLoadError: no experiment has that path.
        """
        cell = self._cell(config_path)
        if cell is None:
            raise ConfigLoadError(f"Config not found : {config_path}")
        defaults = [{f"override /{group}": name} for group, name in cell.items()]
        return ConfigResult(
            config=OmegaConf.create({"defaults": defaults}),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header={"package": "_global_"},
        )

    def _cell(self, config_path: str) -> dict[str, str] | None:
        group, _, name = config_path.removesuffix(".yaml").partition("/")
        if group != "experiment" or "/" not in name:
            return None
        from stgcn_lightning.evaluation.published import experiments

        return experiments().get(name)


class PublishedExperimentsOfOurDoors(SearchPathPlugin):
    """Lets our own configuration, and no other program's, find the published experiments."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add them where conf/ of this package is the main folder."""
        from stgcn_lightning.shipped import CONF

        main = [one.path for one in search_path.get_path() if one.provider == "main"]
        if str(CONF) in [str(path).removeprefix("file://") for path in main]:
            search_path.append("stgcn_lightning", f"{PublishedExperiments.scheme()}://")
