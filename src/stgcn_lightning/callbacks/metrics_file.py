"""metrics.csv: what a run logs, in the run directory."""

import csv
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import unwritten, write_atomically


class MetricsFile(CSVLogger):
    """Lightning's logger, with a file that holds whole rows at every moment.

    Lightning's own empties the file when a column is added, and leaves half a row behind where a
    disk is full.
    """

    rows: "Rows | None" = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The rows; the file begins now if it has not yet, and what was there is deleted."""
        if self.rows is None:
            self.rows = Rows(self.log_dir)
        return self.rows

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last rows."""
        if self.rows is not None:
            self.save()


class Rows(ExperimentWriter):
    """Rows that are not yet in the file, and the columns of those that are."""

    def save(self) -> None:
        """Append the rows; where one has a new column, write the file anew.

        Raises:
            BadInput: they cannot be written; the file is as it was.
        """
        if not self.metrics:
            return
        path = Path(self.metrics_file_path)
        columns = sorted({*self.metrics_keys}.union(*self.metrics))
        anew = columns != self.metrics_keys or not path.exists()
        text = io.StringIO()
        table = csv.DictWriter(text, columns)
        if anew:
            table.writeheader()
            table.writerows(_read(path))
        table.writerows(self.metrics)
        content = text.getvalue().encode()
        if anew:
            with write_atomically(path) as file:
                file.write(content)
        else:
            _append(path, content)
        self.metrics_keys, self.metrics = columns, []


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _append(path: Path, content: bytes) -> None:
    size = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(content)
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, size)  # no half of a row
        raise BadInput(unwritten(error, path)) from error
