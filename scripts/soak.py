"""Whether something grows in hours of use: memory, open files, threads, temporary files, disk.

    python scripts/soak.py --folder FOLDER [--hours 2] [--picture FILE.png]

Rounds of real command lines (train, killed, resumed, told to end, resumed, tested, predicted,
fused, inspected, exported; `scripts/soaking/rounds.py`) go on beside two processes that live all
the time: a training with two loader processes and a predictor that answers for recordings
(`scripts/soaking/answers.py`). Every round must have the scores of the first, bit for bit, and
leave no process and nothing unfinished. What is measured, with the growth that counts as flat,
stands in `BOUNDS`; how it is judged in `scripts/soaking/trends.py`.

The status is 1, with one sentence, if something grows or fails; a series that is too short or too
noisy for either is called open. FOLDER keeps the samples
(samples.jsonl, soak.json), the picture, and the folder of a round that failed; the same command
goes on with what it holds. Linux, since /proc is read.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from soaking import processes
from soaking.picture import draw
from soaking.processes import MARK, Held
from soaking.rounds import LIMIT, SMALL, Doors, SoakError, trained, used
from soaking.trends import Trend, trend

from stgcn_lightning.files.writing import write_atomically

INTERVAL = 5  # seconds between two samples of a process that lives
MB = 1e6
HOUR = {"memory": 10 * MB, "files": 1, "threads": 1, "processes": 1, "entries": 1, "disk": 0.1 * MB}
ROUND = {
    "memory": 0.5 * MB, "files": 0.1, "threads": 0.1, "disk": 0.01 * MB, "entries": 0.1,
    "temporary": 0.1, "cache": 1000,
}  # fmt: skip
BOUNDS = {
    "training": HOUR,
    "answers": HOUR,
    "soak": {name: HOUR[name] for name in ("memory", "files", "threads")},
    "round": ROUND,
}
BEGINNING = {"hours": 0.1, "round": 1}  # in which caches and allocators fill, at least
FOREVER = (
    *SMALL, "recipe.epochs=1000000", "callbacks.last.every_n_steps=50", "hydra.run.dir=run",
    "resume=auto",
)  # fmt: skip
ANSWERS = Path(__file__).parent / "soaking" / "answers.py"


@dataclass
class State:
    """How far a soak is; what a later process goes on from.

    Attributes:
        hours: that it took.
        rounds: that ended well.
        sessions: processes that took part in it.
        cuts: signals that came while a training was at work.
        digests: of the first round, which all others must have.
    """

    hours: float = 0
    rounds: int = 0
    sessions: int = 0
    cuts: int = 0
    digests: dict[str, str] = field(default_factory=dict)


class Soak:
    """Rounds, beside processes that live all the time.

    Args:
        folder: of everything that is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, f"{folder}:"
        self.living: dict[str, subprocess.Popen[bytes]] = {}
        self.state = State()
        if (folder / "state.json").exists():
            self.state = State(**json.loads((folder / "state.json").read_text()))
        self.state.sessions += 1
        self.began, self.sampled, self.before = time.monotonic(), 0.0, self.state.hours
        with (folder / "samples.jsonl").open("a+") as file:  # a killed session kept no hours
            file.seek(0)
            for line in file:
                self.before = max(self.before, json.loads(line)["hours"])
        self.since = time.time()

    def hours(self) -> float:
        """How long all sessions took together."""
        return self.before + (time.monotonic() - self.began) / 3600

    def env(self, name: str) -> dict[str, str]:
        """One thread; temporary files and caches in our folder; a mark."""
        temporary = self.folder / "tmp" / name
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            **os.environ,
            MARK: self.mark + name,
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(temporary),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def run(self, hours: float) -> None:
        """Rounds until so many hours are over, one at least.

        Raises:
            SoakError: something ended otherwise than it should.
        """
        if left := processes.left_over(self.mark, 0):
            raise SoakError(
                f"processes of an earlier soak are at work in {self.folder}: {', '.join(left)}; "
                "end them first"
            )
        try:
            self.live("training", "-m", "stgcn_lightning.train", *FOREVER)
            self.answer()
            self.round()
            while self.hours() < hours:
                self.round()
            self.stop()
        finally:
            processes.end(self.mark)
            for process in self.living.values():
                process.wait()
            self.state.hours = self.hours()
            self.keep()

    def answer(self) -> None:
        """Start what answers, once there is a checkpoint of the first round."""
        checkpoint = self.folder / "model.ckpt"
        trained = self.folder / "round" / "whole" / "checkpoints" / "best.ckpt"
        if not checkpoint.exists() and trained.exists():
            shutil.copyfile(trained, checkpoint)
        if checkpoint.exists() and "answers" not in self.living:
            self.live("answers", str(ANSWERS), str(checkpoint), "status.json")

    def live(self, name: str, *command: str) -> None:
        """Start a process that lives from now on, in a folder of its name."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (folder / "printed.txt").open("ab") as text:
            self.living[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=self.env(name),
                stdout=text,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """End what lives, as a user does: the training is told to, and saves its state."""
        for name, status in {"training": 128 + signal.SIGTERM, "answers": -signal.SIGTERM}.items():
            if name in self.living:
                self.look()
                process = self.living.pop(name)
                process.terminate()
                if process.wait(LIMIT) != status:
                    raise SoakError(f"{name} ended with status {process.returncode}, not {status}")
        if left := processes.left_over(self.mark, 20):
            raise SoakError(f"{len(left)} processes outlived their parents: {', '.join(left)}")

    def look(self) -> None:
        """Sample what lives, if it is time to.

        Raises:
            SoakError: one has ended.
        """
        for name, process in self.living.items():
            if process.poll() is not None:
                lines = (self.folder / name / "printed.txt").read_text(errors="replace").split("\n")
                said = " ".join(lines[-3:]).strip()
                raise SoakError(
                    f"{name} ended with status {process.returncode}, and said last: {said}"
                )
        if time.monotonic() < self.sampled + INTERVAL:
            return
        self.sampled = time.monotonic()
        self.sample("soak", processes.held([os.getpid()]))
        for name in self.living:
            folder = self.folder / name
            kept = folder / "run" / "checkpoints" if name == "training" else folder
            entries = processes.contents(folder)[0]
            entries += processes.contents(self.folder / "tmp" / name)[0]
            now = processes.held(processes.marked(self.mark + name))
            self.sample(name, now, entries=entries, disk=processes.contents(kept)[1])

    def sample(self, who: str, held: Held, **more: float) -> None:
        """Write one down: nothing is remembered here, so that this process does not grow."""
        line = {"who": who, "session": self.state.sessions, "hours": self.hours()}
        with (self.folder / "samples.jsonl").open("a") as file:
            file.write(json.dumps(line | asdict(held) | more) + "\n")

    def round(self) -> None:
        """One round, in a folder that is removed if it ends well."""
        began, number = time.monotonic(), self.state.rounds
        folder = self.folder / "round"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        doors = Doors(folder, self.mark + "round", self.env("round"), self.look)
        digests = trained(doors, number)
        self.answer()
        self.compare(digests | used(doors))
        if found := processes.unfinished(folder):
            raise SoakError(f"round {number} left what is unfinished: {', '.join(found)}")
        entries, disk = processes.contents(folder)
        temporary = processes.contents(self.folder / "tmp" / "round")[0]
        most = list(doors.most.values())
        line = {
            "who": "round", "session": self.state.sessions, "hours": self.hours(),
            "round": number, "seconds": time.monotonic() - began, "entries": entries, "disk": disk,
            "temporary": temporary + processes.shared_memory(self.since),
            "cache": processes.contents(self.folder / "cache")[1],
            **{
                name: sum(getattr(one, name) for one in most) / len(most)
                for name in ("memory", "files", "threads")
            },
        }  # fmt: skip
        with (self.folder / "samples.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.state.rounds, self.state.cuts = number + 1, self.state.cuts + doors.cuts
        self.state.hours = self.hours()
        self.keep()
        shutil.rmtree(folder)
        print(f"round {number}: {line['seconds']:.0f} s, {self.hours():.2f} h so far", flush=True)

    def compare(self, digests: dict[str, str]) -> None:
        """With those of the first round."""
        first = self.state.digests = self.state.digests or digests
        other = [name for name in digests if digests[name] != first.get(name)]
        if other:
            raise SoakError(
                f"round {self.state.rounds} has other results than the first: {', '.join(other)}; "
                "a soak goes on with the same version, on the same processor"
            )

    def keep(self) -> None:
        """Write the state down."""
        with write_atomically(self.folder / "state.json") as file:
            file.write(json.dumps(asdict(self.state), indent=1).encode())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=2, help="of all sessions in this folder")
    parser.add_argument("--picture", type=Path, help="FOLDER/soak.png if not given")
    choice = parser.parse_args(arguments)
    folder = choice.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    soak, fault, status = Soak(folder), None, 0
    try:
        soak.run(choice.hours)
    except (SoakError, subprocess.TimeoutExpired) as error:
        fault = str(error)
    except KeyboardInterrupt:
        print(f"interrupted after {soak.hours():.2f} h: the same command goes on", file=sys.stderr)
        status = 128 + signal.SIGINT
    with (folder / "samples.jsonl").open() as file:
        samples = list(map(json.loads, file))
    trends = judged(samples)
    print(table(trends))
    content = {"state": asdict(soak.state), "fault": fault, "bounds": BOUNDS, "samples": samples}
    content["trends"] = {f"{who} {what}": one.plain() for (who, what), one in trends.items()}
    (folder / "soak.json").write_text(json.dumps(content))
    draw(samples, choice.picture or folder / "soak.png")
    growing = [f"{who} {what}" for (who, what), one in trends.items() if one.verdict == "grows"]
    if growing and not fault:
        fault = f"{', '.join(growing)}: this grows by more than the bound"
    if fault:
        print(f"soak: {fault}", file=sys.stderr)
        status = 1
    return status


def judged(samples: list[dict[str, Any]]) -> dict[tuple[str, str], Trend]:
    """The trend of each series; of a process that lives in its longest session."""
    found: dict[tuple[str, str], Trend] = {}
    for who, bounds in BOUNDS.items():
        mine = [one for one in samples if one["who"] == who]
        x = "round" if who == "round" else "hours"
        if who != "round" and mine:
            sessions = [one["session"] for one in mine]
            longest = max(sessions, key=sessions.count)
            mine = [one for one in mine if one["session"] == longest]
        for what, bound in bounds.items():
            series = [one[what] for one in mine]
            found[who, what] = trend([one[x] for one in mine], series, bound, BEGINNING[x])
    return found


def table(trends: dict[tuple[str, str], Trend]) -> str:
    """The trends as Markdown."""
    lines = ["| what | first third | last third | growth | bound | |", "|---|---|---|---|---|---|"]
    for (who, what), one in trends.items():
        unit, name = (MB, f"{what}, MB") if what in ("memory", "disk") else (1, what)
        per = "a round" if who == "round" else "an hour"
        growth = "too few points"
        if one.slope == one.slope:
            low, slope, high = (f"{value / unit:.3g}" for value in (one.low, one.slope, one.high))
            growth = f"{slope} ({low} to {high}) {per}"
        first, last = (f"{value / unit:.4g}" for value in (one.first, one.last))
        bound = f"{BOUNDS[who][what] / unit:g}"
        lines.append(f"| {who}: {name} | {first} | {last} | {growth} | {bound} | {one.verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what lives is ended then, too
    sys.exit(main())
