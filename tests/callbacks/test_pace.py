from types import SimpleNamespace

import pytest

from stgcn_lightning.callbacks import pace
from stgcn_lightning.callbacks.pace import WARM_UP, Pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets forward."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now.seconds)
    return now


def test_the_rest_of_a_run_is_computed_from_its_steps_and_validations(clock):
    run = Pace()
    run.start()
    for step in range(10):
        clock.seconds += 100 if step < WARM_UP else 2  # the first steps are slow
        run.step(clips=32)
    trainer = SimpleNamespace(num_training_batches=50, max_epochs=4, global_step=50,
        accumulate_grad_batches=1)  # fmt: skip
    assert run.speed == 16
    assert run.seconds_left(trainer, validations=3) == 150 * 2  # nobody knows their cost yet
    clock.seconds += 7
    run.validated()
    assert run.seconds_left(trainer, validations=3) == 150 * 2 + 3 * 7


def test_nothing_is_said_of_the_rest_before_it_is_measured():
    run = Pace()
    assert run.speed is None
    assert run.seconds_left(SimpleNamespace(), validations=1) is None
