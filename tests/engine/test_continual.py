"""The continual form against the same network run over the whole sequence."""

import pytest
import torch
from engine_models import assert_near, make, toy
from torch import Tensor
from whole_sequences import whole_sequence

from stgcn_lightning.engine.continual import Continual
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.stgcn import STGCN

FAMILIES = ["stgcn", "stgcnpp"]
T = 110


def sequences(rows=2, frames=T) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(rows, frames, 5, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("every", [1, 4])
def test_each_answer_is_that_of_the_whole_sequence_one_delay_ago(family, every):
    model, x, window = make(family=family).eval(), sequences(), 16
    network, features = Continual(model, window, every), whole_sequence(model, x)
    for _ in range(2):
        network.arrive()
    answered = 0
    for t in range(T):
        found = network.step(x[:, t])
        newest = t - network.delay
        assert (found is None) == (t % every != 0)
        assert network.ready == [newest >= 0] * 2
        if found is not None and newest >= 0:
            last = range(newest, max(newest - window, -1), -every)
            assert_near(found, features[:, list(last)].mean(1), 1e-10)
            answered += 1
    assert network.delay == 76
    assert answered == (T - 76 + every - 1) // every
    assert torch.std(features[:, 20:90], 1).mean() > 0.01  # frames do differ


@pytest.mark.parametrize("family", FAMILIES)
def test_the_phases_of_the_spread_network_are_the_strided_one(family):
    model, x = make(family=family).eval(), sequences()
    features = whole_sequence(model, x)
    with torch.no_grad():
        strided = model.features(x)
    assert_near(features[:, ::4].mean(1), strided, 1e-10)


@pytest.mark.parametrize("every", [1, 2])
def test_people_who_come_and_leave_are_answered_as_if_alone(every, shallow):
    model, x = make(family="stgcnpp").eval(), sequences(4, 90)
    network = Continual(model, 10, every)
    comes, leaves = {0: 0, 1: 4, 2: 17, 3: 60}, {0: 50, 1: 90, 2: 41, 3: 90}
    rows: list[int] = []
    found = {person: {} for person in comes}
    for t in range(90):
        for person in [one for one in rows if leaves[one] == t]:
            row = rows.index(person)
            network.leave(row)
            rows[row] = rows[-1]
            rows.pop()
        for person, start in comes.items():
            if start == t:
                assert network.arrive() == len(rows)
                rows.append(person)
        means = network.step(x[rows, t])
        for row, person in enumerate(rows):
            if means is not None and network.ready[row]:
                found[person][t] = means[row]
    for person, start in comes.items():
        features = whole_sequence(model, x[person : person + 1, start:])
        assert len(found[person]) >= 10 // every
        for t, mean in found[person].items():
            newest = t - start - network.delay
            last = range(newest, max(newest - 10, -1), -every)
            assert_near(mean, features[0, list(last)].mean(0), 1e-10, f"{person} at {t}")


def test_a_thousand_frames_leave_no_trace(shallow):
    model, x = make().float().eval(), sequences(1, 1200).float()
    long, short = Continual(model, 16), Continual(model, 16)
    long.arrive()
    short.arrive()
    for t in range(1200):
        late = long.step(x[:, t] * (100 if t < 1000 else 1))
        if t >= 1100:
            fresh = short.step(x[:, t])
    torch.testing.assert_close(late, fresh, rtol=0, atol=1e-5)


def test_what_has_no_continual_form_is_refused_by_name():
    class Mine(STGCN):
        pass

    mine = Mine(torch.ones(1, 5, 5), 4, base_channels=4).eval()
    for model, name in ((toy().eval(), "Toy"), (mine, "Mine")):
        with pytest.raises(BadInput, match=f"{name} has no continual form, ST-GCN and ST-GCN"):
            Continual(model, 10)
    with pytest.raises(BadInput, match="every=3 is none of 1, 2, 4"):
        Continual(make().eval(), 10, every=3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_window_differs_at_its_edges_alone_and_by_no_more_than_their_share(family):
    """The bound of docs/streaming.md, for windows of which the edges are 100, 76 and 38 %."""
    model, before, far = make(family=family).eval(), 100, []
    x = sequences(1, 660)
    around = whole_sequence(model, x)[0]  # T, F
    for window in (100, 200, 400):
        rows = slice(before, before + window)
        alone = whole_sequence(model, x[:, rows])[0]
        edge = min(76, window // 2)
        if window > 152:
            assert_near(alone[76 : window - 76], around[rows][76 : window - 76], 1e-10)
        assert (alone[:edge] - around[rows][:edge]).abs().max() > 1e-3  # edges are seen
        continual, windowed = (
            model.classify(one.mean(0).expand(1, 1, -1))[0] for one in (around[rows], alone)
        )
        most = torch.maximum(alone, around[rows]).amax(0)  # F, features are not negative
        share = min(1, 152 / window)
        bound = share * (model.classify.weight.abs() @ most)
        difference = (continual - windowed).abs()
        assert (difference <= bound).all()
        far.append(difference.max().item())
    assert far[2] < far[0] / 2
