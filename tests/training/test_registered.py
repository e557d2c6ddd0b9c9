"""Registered rows are found by key, in the order of registration, and a missing one is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_data.lineage import GateError
from training.registered import registered_rows

PREFLIGHT = SimpleNamespace(path="preflight")
KEYS = st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=30)


@given(KEYS, st.randoms())
def test_each_registered_key_stands_where_the_row_says(keys, draw):
    now = np.array(keys, np.uint64)
    registered = np.array(draw.sample(keys, draw.randint(0, len(keys))), np.uint64)
    rows = registered_rows(now, registered, PREFLIGHT)
    assert rows.dtype == np.int64 and now[rows].tolist() == registered.tolist()


@pytest.mark.parametrize(("now", "registered"), [([5, 3, 9], [3, 4, 10]), ([5, 3, 9], [9, 2**64 - 1, 1]), ([], [1, 2])])
def test_rows_that_are_gone_are_refused_and_counted(now, registered):
    with pytest.raises(GateError, match="2 registered rows") as caught:
        registered_rows(np.array(now, np.uint64), np.array(registered, np.uint64), PREFLIGHT)
    assert caught.value.code == "GATE_OTHER_ROWS"
