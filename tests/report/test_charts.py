import numpy as np
import pytest

from stgcn_lightning.report.charts import round_numbers


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.07, 2.34), (3, 3), (0, 0), (-1e-7, 4e-5)])
def test_ticks_are_few_even_and_enclose_the_values(low, high):
    ticks = round_numbers(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0])
