import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.report.charts import Curve, curves, round_numbers


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.07, 2.34), (3, 3), (0, 0), (-1e-7, 4e-5)])
def test_ticks_are_few_even_and_enclose_the_values(low, high):
    ticks = round_numbers(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0])


@given(st.lists(st.floats(width=32), min_size=1, max_size=30))
def test_a_curve_has_a_gap_where_its_values_are_not_finite(values):
    epochs = np.arange(1.0, len(values) + 1)
    chart = curves(
        [Curve("loss", "warm", epochs, np.array(values), "dots")], unit="loss", last=len(values)
    )
    finite = [math.isfinite(value) for value in values]
    begun = sum(now and not before for before, now in zip([False, *finite], finite, strict=False))
    assert len(chart.lines) == begun
    drawn = [dot for line in chart.lines for dot in line.dots]
    assert [dot.value for dot in drawn] == [value for value in values if math.isfinite(value)]
    for dot in drawn:
        assert chart.left <= dot.x <= chart.right
        assert chart.top - 1e-6 <= dot.y <= chart.bottom + 1e-6
