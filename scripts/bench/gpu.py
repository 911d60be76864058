"""How fast training and ten-clip tests are on a GPU, part by part, and the limit of the device.

    python scripts/bench/gpu.py [--models stgcn ctrgcn ...] [--against module:function]
        [--modes eager default reduce-overhead] [--kernels]

Prints clips/s of training steps (batches of 16 and 128, both mixes of present persons, float32 with
products in float32 and in TF32, and bf16; eager, compiled, and of the plain model), the time of
each part of a step, of a ten-clip test of NTU60's 16,487 samples, and, computed from these, of the
recipe's 80 epochs. Frames lie on the device, and every step reads its clips there. `--kernels`
adds ST-GCN with the Triton kernels of `kernels/`, and times each beside plain PyTorch.

The floor of a step is the time of its products at the rate of a large product on this device, plus
the time of its memory traffic at the rate of a copy: of every stage three activations, after the
graph, after time and after the sum, each written and read once in the forward pass and twice in
the backward pass. The implementations run in turn in one process; figures are medians.

`--device cpu --quick` runs it all in a small size, to see that it runs.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from common import BODIES, MIXES, contender, load_skeleton, make_model, take_turns
from kernels import fused_kernels
from kernels.stages import with_kernels
from torch import Tensor

from stgcn_lightning.data.datamodule import Batch, Feed, SkeletonData
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build
from stgcn_lightning.engine import compiling
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone, plain_copy
from stgcn_lightning.models.cost import count_macs
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

TRAIN, TEST = 40_091, 16_487  # samples of NTU60's cross-subject protocol
EPOCHS, PASSES, TEST_CLIPS, FRAMES, PERSONS = 16, 5, 10, 100, 2
NARROW = {"base_channels": 12}  # of `--quick`
PRECISIONS = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure a GPU.")
    arguments.add_argument("--models", nargs="+", choices=registry.names(), default=["stgcn"])
    arguments.add_argument("--against", default="plain")
    arguments.add_argument("--device", default="cuda")
    arguments.add_argument("--dimension", choices=list(BODIES), default="2d")
    arguments.add_argument("--modes", nargs="+", default=["eager", "default", "reduce-overhead"])
    arguments.add_argument("--kernels", action="store_true", help="those of Triton as well")
    arguments.add_argument("--mixes", nargs="+", choices=[*MIXES], default=[*MIXES])
    arguments.add_argument("--batches", nargs="+", type=int, default=[16, 128])
    arguments.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=20, help="steps of a round")
    arguments.add_argument("--quick", action="store_true", help="a small size")
    choice = arguments.parse_args()
    device = torch.device(choice.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(
        f"{name}, torch {torch.__version__}, {choice.dimension}, {FRAMES} frames, {PERSONS} persons"
    )
    rates = {kind: product_rate(device, kind, choice.quick) for kind in choice.precisions}
    copied = copy_rate(device, choice.quick)
    reached = ", ".join(f"{kind} {rate / 1e12:.1f} TFLOP/s" for kind, rate in rates.items())
    print(f"a large product: {reached}; a copy: {copied / 1e12:.3f} TB/s")
    if choice.kernels:
        for precision in choice.precisions:
            race_kernels(choice, device, precision)
    with TemporaryDirectory() as folder:
        stores = {mix: make_store(choice, Path(folder), MIXES[mix]) for mix in choice.mixes}
        for family in choice.models:
            measure(choice, family, device, stores, rates, copied)


def measure(
    choice: argparse.Namespace,
    family: str,
    device: torch.device,
    stores: dict[str, Store],
    rates: dict[str, float],
    copied: float,
) -> None:
    """Print all of a family: its steps, its test, and the training computed from both."""
    best: dict[str, float] = {}
    for batch in choice.batches:
        for mix, store in stores.items():
            for precision in choice.precisions:
                fastest = race(choice, family, device, store, batch, mix, precision, rates, copied)
                if mix == choice.mixes[0]:
                    best[precision] = max(best.get(precision, 0), fastest)
    for precision in choice.precisions:
        store = stores[choice.mixes[0]]
        seconds, clips = test_seconds(choice, family, device, store, precision)
        test = seconds / clips * TEST * TEST_CLIPS
        run = EPOCHS * (PASSES * TRAIN / best[precision] + test / TEST_CLIPS)
        print(
            f"{family}, {precision}: ten-clip test of {TEST:,} samples {test:.1f} s ({clips:,} "
            f"clips); {EPOCHS * PASSES} epochs of {TRAIN:,} samples, validated, {run / 60:.2f} min",
            flush=True,
        )


def make_store(choice: argparse.Namespace, folder: Path, alone: float) -> Store:
    """Synthetic samples, of which the share `alone` shows one person."""
    dimension = choice.dimension
    samples = synthetic_annotations(dimension, 200 if choice.quick else 4000, 0, seed=0).samples
    single = [sample for sample in samples if len(sample.keypoint) == 1]
    double = [sample for sample in samples if len(sample.keypoint) == 2]
    count = min(len(single), len(double)) if alone else len(double)
    kept = [*single[: round(count * alone)], *double[: round(count * (1 - alone))]]
    path = folder / f"{alone}.pkl"
    write_annotations(path, Annotations(kept, {"all": [sample.id for sample in kept]}))
    spec = StoreSpec(load_skeleton(BODIES[dimension]), dimension, normalise=dimension, classes=60)
    return open_or_build(path, spec, folder)


def make_data(choice: argparse.Namespace, device: torch.device, store: Store, batch: int):
    """The data pipeline, with its frames on the device."""
    data = SkeletonData(
        store,
        "joint",
        train_split="all",
        val_split="all",
        feed=Feed(
            clip_frames=FRAMES // 10 if choice.quick else FRAMES,
            test_clips=TEST_CLIPS,
            persons=PERSONS,
            batch_size=batch,
            passes=PASSES,
            on_device=True,
        ),
    )
    strategy = SimpleNamespace(root_device=device)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, strategy=strategy)  # pyright: ignore[reportAttributeAccessIssue]
    data.setup("fit")
    return data


def whole_batches(data: SkeletonData, device: torch.device) -> Iterator[Batch]:
    """Endless training batches, without those that are not full."""
    loader, epoch = data.train_dataloader(), 0
    while True:
        loader.sampler.set_epoch(epoch)  # pyright: ignore[reportAttributeAccessIssue]
        for batch in loader:
            if len(batch.labels) == data.feed.batch_size:
                yield data.transfer_batch_to_device(batch, device, 0)
        epoch += 1


def race(
    choice: argparse.Namespace,
    family: str,
    device: torch.device,
    store: Store,
    batch: int,
    mix: str,
    precision: str,
    rates: dict[str, float],
    copied: float,
) -> float:
    """Print clips/s of each way to train; returns our fastest."""
    data = make_data(choice, device, store, batch)
    compute_in(precision)
    parts: dict[str, Steps] = {}
    for mode in choice.modes:
        run = engine(build(choice, family).to(device).train(), mode)
        learned = list(run.model.parameters())
        parts[mode] = Steps(data, device, losses(run), learned, precision, choice.steps)
    if choice.kernels and family == "stgcn":
        model = build(choice, family)
        assert isinstance(model, STGCN)
        run = engine(with_kernels(model).to(device).train(), "eager")
        learned = list(run.model.parameters())
        parts["kernels"] = Steps(data, device, losses(run), learned, precision, choice.steps)
    forward, learned = contender(choice.against, build(choice, family).to(device).train())
    other = lambda batch: F.cross_entropy(forward(clips_of(batch)), batch.labels)  # noqa: E731
    parts[choice.against] = Steps(data, device, other, learned, precision, choice.steps)
    times = take_turns(parts, choice.rounds)
    model = build(choice, family)
    products, moved = least(model, data, statistics.mean(parts[choice.modes[0]].rows))
    half = 2 if precision == "bf16" else 1
    floor = products / rates[precision] + moved / half / copied
    speeds = {}
    print(f"{family}, {precision}, batch {batch}, {mix}: floor {1000 * floor:.2f} ms a step")
    for name in parts:
        took = statistics.median(times[name]) / choice.steps
        speeds[name] = batch / took
        apart = ", ".join(f"{part} {ms:.2f}" for part, ms in parts[name].milliseconds().items())
        print(
            f"  {name:18} {speeds[name]:8,.0f} clips/s  {1000 * took:8.2f} ms  floor "
            f"{100 * floor / took:3.0f} %  (measured apart: {apart} ms)",
            flush=True,
        )
    return max(speed for name, speed in speeds.items() if name != choice.against)


def race_kernels(choice: argparse.Namespace, device: torch.device, precision: str) -> None:
    """Print the time of each kernel and of plain PyTorch, forward and backward, at stage sizes."""
    compute_in(precision)
    width, joints = NARROW["base_channels"] if choice.quick else 64, build(choice, "stgcn").joints
    rows = max(choice.batches) * PERSONS
    found = fused_kernels.races(device, PRECISIONS[precision], rows, joints, width)
    print(f"{precision}, {rows} persons: Triton, PyTorch, forward and backward")
    for name, (kernel, plain) in found.items():
        jobs = {"kernel": kernel, "plain": plain}
        waited = {key: lambda job=job: (job(), wait(device)) for key, job in jobs.items()}
        times = take_turns(waited, choice.rounds)
        fast, slow = (1000 * statistics.median(times[key]) for key in jobs)
        print(f"  {name:42} {fast:8.2f} ms {slow:8.2f} ms  {slow / fast:5.2f} x", flush=True)


def build(choice: argparse.Namespace, family: str) -> Backbone:
    """The plain model, of its full width."""
    return make_model(choice.dimension, family=family, **NARROW if choice.quick else {})


def engine(model: Backbone, mode: str) -> Engine:
    """An engine that runs the model eagerly, or compiled in a mode."""
    return Engine(model, norm_group=16, compile_mode=None if mode == "eager" else mode)


def losses(run: Engine) -> Callable[[Batch], Tensor]:
    """A function from a batch, which knows the present persons, to its loss."""

    def forward(batch: Batch) -> Tensor:
        assert batch.present is not None
        logits = run(clips_of(batch), batch.present[:, 0])
        loss = F.cross_entropy(logits, batch.labels)
        further = run.further_loss(logits, batch.labels)
        return loss if further is None else loss + further

    return forward


def clips_of(batch: Batch) -> Tensor:
    assert isinstance(batch.clips, Tensor)
    return batch.clips[:, 0]


class Steps:
    """A number of training steps as one job; the parts of a step apart.

    Args:
        data: source of the clips.
        device: for the steps.
        forward: loss of a batch.
        parameters: what is trained.
        precision: of `PRECISIONS`.
        count: steps of a job.
    """

    def __init__(
        self,
        data: SkeletonData,
        device: torch.device,
        forward: Callable[[Batch], Tensor],
        parameters: Sequence[Tensor],
        precision: str,
        count: int,
    ):
        self.batches = whole_batches(data, device)
        self.device, self.forward, self.count = device, forward, count
        self.half = precision == "bf16"
        self.optimizer = torch.optim.SGD(
            parameters, 1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4,
            fused=device.type == "cuda",
        )  # fmt: skip
        self.rows: list[int] = []  # present persons

    def __call__(self) -> None:
        """All of them, one after the other."""
        for _ in range(self.count):
            self.finish(self.loss(self.fetch()))
        wait(self.device)

    def fetch(self) -> Batch:
        """The next clips, on the device."""
        batch = next(self.batches)
        if batch.present is not None:
            self.rows.append(int(batch.present.sum()))
        return batch

    def loss(self, batch: Batch) -> Tensor:
        """Forward."""
        with autocast(self.device, self.half):
            return self.forward(batch)

    def finish(self, loss: Tensor) -> None:
        """Backward, and a step of the optimiser."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def milliseconds(self) -> dict[str, float]:
        """Median time of each part of a step, when each waits for the one before."""
        took: dict[str, list[float]] = {}

        def timed(name: str, job: Callable[[], object]) -> object:
            wait(self.device)
            start = time.perf_counter()
            result = job()
            wait(self.device)
            took.setdefault(name, []).append(1000 * (time.perf_counter() - start))
            return result

        for _ in range(self.count):
            batch = timed("data", self.fetch)
            assert isinstance(batch, Batch)
            loss = timed("forward", lambda batch=batch: self.loss(batch))
            assert isinstance(loss, Tensor)
            self.optimizer.zero_grad()
            timed("backward", loss.backward)
            timed("optimizer", self.optimizer.step)
        return {name: statistics.median(values) for name, values in took.items()}


def test_seconds(
    choice: argparse.Namespace, family: str, device: torch.device, store: Store, precision: str
) -> tuple[float, int]:
    """Seconds of a ten-clip test of the store in its fastest mode, and the number of clips."""
    data = make_data(choice, device, store, 16)
    compute_in(precision)
    found: list[float] = []
    clips = 0
    for mode in choice.modes:
        run = engine(build(choice, family).to(device).eval(), mode)
        for counted in range(3):
            wait(device)
            start, clips = time.perf_counter(), 0
            for planned in data.test_dataloader():
                batch = data.transfer_batch_to_device(planned, device, 0)
                assert isinstance(batch.clips, Tensor)
                assert batch.present is not None
                with torch.inference_mode(), autocast(device, precision == "bf16"):
                    logits = run(batch.clips.flatten(0, 1), batch.present.flatten(0, 1))
                logits.float().softmax(-1).unflatten(0, batch.clips.shape[:2]).mean(1).cpu()
                clips += len(logits)
            if counted:
                found.append(time.perf_counter() - start)
    return min(found), clips


def least(model: Backbone, data: SkeletonData, rows: float) -> tuple[float, float]:
    """Floating-point operations of a training step on so many persons, and bytes it must move."""
    frames, numbers = data.feed.clip_frames, 0
    operations = 3 * 2 * rows * count_macs(model, frames, PERSONS) / PERSONS  # two products back

    def count(_stage: object, _given: object, made: Tensor) -> None:
        nonlocal numbers
        numbers += made.numel()

    model = plain_copy(model).to("meta").eval()
    stages = model.get_submodule("stages")
    for stage in stages.children():
        stage.register_forward_hook(count)
    model(torch.zeros(1, PERSONS, frames, model.joints, model.channels, device="meta"))
    moved = 3 * numbers / PERSONS * rows  # after the graph, after time, after the sum
    return operations, moved * 4 * (2 + 4)  # bytes of float32


def compute_in(precision: str) -> None:
    """Let products and convolutions of float32 have factors of 10 bits, or all 23.

    What was compiled for another precision is forgotten: PyTorch keeps a limited number of graphs.
    """
    torch.compiler.reset()
    compiling.compiled.cache_clear()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "float32"


def product_rate(device: torch.device, precision: str, quick: bool) -> float:
    """Floating-point operations a second of a large product."""
    compute_in(precision)
    size = 256 if quick else 8192
    x = torch.randn(size, size, device=device, dtype=PRECISIONS[precision])
    return 2 * size**3 / best_time(device, lambda: x @ x)


def copy_rate(device: torch.device, quick: bool) -> float:
    """Bytes a second that a copy reads and writes."""
    x = torch.zeros((1 if quick else 1024) << 20, dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    return 2 * x.nbytes / best_time(device, lambda: y.copy_(x))


def best_time(device: torch.device, job: Callable[[], object]) -> float:
    return min(take_turns({"job": lambda: (job(), wait(device))}, 10)["job"])


def autocast(device: torch.device, half: bool) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
