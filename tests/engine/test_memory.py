from copy import deepcopy

import torch
from engine_models import make, pairs

from stgcn_lightning.engine import compiling, engine, memory
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models.stgcn import STGCN


def test_the_widest_tensor_of_an_evaluation_is_what_neighbours_send():
    """(K T V + V, O) numbers of 4 bytes in stage 5, where frames are not halved yet."""
    model, clips = STGCN(torch.ones(3, 5, 5), 4).eval(), pairs(2, 1, frames=100).float()
    with torch.no_grad():
        run = Engine(model)
        run(clips)
        least = (3 * 100 * 5 + 5) * 128 * 4
        assert least <= run.evaluation().absent_persons(clips)[1] < 1.1 * least


def test_persons_are_computed_in_parts_that_fit(monkeypatch):
    rows = []
    run, clips = Engine(make().eval()), pairs(5, 0)
    with torch.no_grad():
        expected = run(clips)
        form = run.evaluation().form
        form.stages[0].register_forward_hook(
            lambda _, given, made: rows.append(made.shape[2])
        )  # T, V, R, C
        widest = run.evaluation().absent_persons(clips)[1]
        monkeypatch.setitem(memory.ROWS_BYTES, False, 4 * widest)
        torch.testing.assert_close(run(clips), expected)
    assert rows == [4, 4, 2]


def test_compiled_parts_do_not_follow_the_memory_that_is_free(monkeypatch):
    """Each number of rows would be compiled for."""
    rows = []

    def features(form, x):
        rows.append(len(x))
        return form.features(x)

    monkeypatch.setattr(compiling, "compiled", lambda mode: features)
    run, clips = Engine(make().eval(), compile_mode="default"), pairs(5, 0)
    with torch.no_grad():
        for most in (4, 7, 2):
            monkeypatch.setattr(engine, "rows_at_once", lambda row, clips, most=most: most)
            run(clips)
    assert rows == [4, 4, 2] * 3


def test_windows_of_one_row_at_a_time_do_not_count_as_if_of_all_rows():
    """MS-G3D's nodes of a window, (100 + 2, V K E) numbers, are of one row."""
    model, clips = make(family="msg3d").eval(), pairs(2, 1)
    with torch.no_grad():
        quick, plain = Engine(model), Engine(deepcopy(model))
        quick(clips)
        plain.evaluation().form.narrower = 1
        plain(clips)
        rows = [run.evaluation().absent_persons(clips)[1] for run in (quick, plain)]
    assert 4 * rows[0] <= rows[1] < 4 * rows[0] + 4


def test_one_person_is_computed_however_little_memory_there_is(monkeypatch):
    monkeypatch.setitem(memory.ROWS_BYTES, False, 1)
    assert memory.rows_at_once(1000, torch.zeros(1)) == 1
