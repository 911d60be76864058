"""Our launcher, where Hydra looks for plugins: it takes them from this namespace package alone.

Every program with Hydra in this environment imports this file, so that the file imports little.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


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
            BadInput: a job cannot be started; none runs any more.
        """
        from stgcn_lightning.launching.processes import Failure

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
