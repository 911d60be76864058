"""What the predict door says beside its answers: on standard error, where no answer goes."""

import re
import sys

from stgcn_lightning.jobs.prediction.pieces import Asked
from stgcn_lightning.settings.doors import PredictSettings
from stgcn_lightning.terminal import complain, fitting

OWN = re.compile(r"\d|/|\.\w")  # in words of a remark that are of one recording: numbers, files


class Telling:
    """Remarks, and on a terminal the number of answers so far.

    Args:
        settings: of the door; answers that go to the same terminal are progress enough.
    """

    def __init__(self, settings: PredictSettings):
        elsewhere = settings.out is not None or not sys.stdout.isatty()
        self.counting = elsewhere and sys.stderr.isatty()
        self.counted = ""  # the line that stands there
        self.kinds: set[str] = set()

    def remark(self, text: str) -> None:
        """Say something."""
        self.end()
        complain(fitting(text, sys.stderr))

    def about(self, asked: Asked) -> None:
        """Say what was decided about a recording, if it was not said of another one already.

        Decisions that differ in names and numbers alone are one: a folder of ten thousand files
        has the same few.
        """
        for text in asked.remarks:
            words = re.sub(rf"(?<!\w){re.escape(asked.id)}(?!\w)", "", text).split()
            kind = " ".join(word for word in words if not OWN.search(word))
            if kind not in self.kinds:
                self.kinds.add(kind)
                self.remark(text)

    def progress(self, recordings: int) -> None:
        """Say how many recordings are answered, in the line in which that was said before."""
        if self.counting:
            self.counted = f"{recordings:,} recordings answered"
            print(f"\r{self.counted}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line of the progress empty for others."""
        if self.counted:
            print(f"\r{' ' * len(self.counted)}\r", end="", file=sys.stderr, flush=True)
            self.counted = ""
