import os
import signal
from types import SimpleNamespace

import pytest

from stgcn_lightning.callbacks import stopping
from stgcn_lightning.callbacks.stopping import STOPPING, StopSignals


@pytest.fixture
def earlier():
    """Handlers that were there before, which note what they get."""
    received = []
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        signal.signal(number, lambda number, frame: received.append(number))
    yield received
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def alone():
    """A trainer of one process, which has received nothing."""
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    return SimpleNamespace(
        world_size=1,
        received_sigterm=False,
        is_global_zero=True,
        _signal_connector=SimpleNamespace(_original_handlers=handlers),
    )


def test_a_signal_waits_for_the_step_and_ends_the_process_with_its_status(earlier, alone, capsys):
    signals = StopSignals()
    signals.listen(alone, None)
    assert signals.received_by_any(alone) is None
    os.kill(os.getpid(), signal.SIGUSR1)
    assert not earlier
    stop = signals.received_by_any(alone)
    assert stop is signal.SIGUSR1
    with pytest.raises(SystemExit) as end:
        signals.leave(alone, stop, saved_step=7)
    assert end.value.code == 128 + signal.SIGUSR1
    assert earlier == [signal.SIGUSR1]  # submitit's handler queues the job again
    assert capsys.readouterr().out == (
        "SIGUSR1: the run is saved up to step 7; resume=auto goes on from there\n"
    )


def test_earlier_handlers_come_back(earlier, alone):
    signals = StopSignals()
    signals.listen(alone, None)
    signals.stop_listening()
    os.kill(os.getpid(), signal.SIGTERM)
    assert earlier == [signal.SIGTERM]
    assert signals.received is None


def test_a_sigterm_that_lightning_received_first_counts(earlier, alone):
    alone.received_sigterm = True
    signals = StopSignals()
    signals.listen(alone, None)
    assert signals.received_by_any(alone) is signal.SIGTERM


def test_ctrl_c_is_an_interrupt_and_only_a_second_press_ends_at_once(earlier, alone, monkeypatch):
    statuses, now = [], SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now.seconds)
    monkeypatch.setattr(stopping.os, "_exit", statuses.append)
    signals = StopSignals()
    signals.listen(alone, None)
    os.kill(os.getpid(), signal.SIGINT)
    now.seconds += 0.5  # the same press, passed on by a launcher
    os.kill(os.getpid(), signal.SIGINT)
    assert statuses == []
    with pytest.raises(KeyboardInterrupt):
        signals.leave(alone, signal.SIGINT, saved_step=0)
    assert earlier == []
    now.seconds += 1
    os.kill(os.getpid(), signal.SIGINT)
    assert statuses == [130]
