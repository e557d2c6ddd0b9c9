"""Windows: they cover every document, the layout is the plain one, and pivots depend on the row's key alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets_data.text.config import TriplesConfig
from assets_data.text.windows import cut_windows, lay_out, pivots, row_keys

BOS, EOS = 1, 2
lengths = st.lists(st.integers(0, 40), max_size=8).map(lambda values: np.array(values, np.int64))
shapes = st.integers(2, 9).flatmap(lambda window: st.tuples(st.just(window), st.integers(2, window)))


def config(window=8, min_window=2, **settings):
    return TriplesConfig(window=window, min_window=min_window, **settings)


@given(lengths, shapes)
def test_windows_cover_each_document_but_a_last_one_that_is_too_short(counts, shape):
    window, least = shape
    flat = np.arange(counts.sum())
    windows, short = cut_windows(counts, config(window, least))
    expected, dropped = [], 0
    for document, ids in enumerate(np.split(flat, np.cumsum(counts)[:-1]) if len(counts) else []):
        for start in range(0, len(ids), window):
            piece = ids[start : start + window]
            if len(piece) >= least:
                expected.append((document, start, piece.tolist()))
            else:
                dropped += 1
    rows = zip(windows.document, windows.start, windows.begin, windows.length, strict=True)
    assert [(d, s, flat[b : b + n].tolist()) for d, s, b, n in rows] == expected
    assert short == dropped


@given(lengths, shapes, st.integers(0, 3))
def test_a_row_is_bos_prefix_bos_suffix_eos(counts, shape, seed):
    settings = config(*shape, seed=seed)
    flat = np.arange(100, 100 + counts.sum()).astype(np.uint16)
    windows, _ = cut_windows(counts, settings)
    pivot = pivots(row_keys(["record"] * len(windows.start), windows.start), windows.length, settings)
    values, offsets = lay_out(flat, windows, pivot, BOS, EOS)
    rows = [row.tolist() for row in np.split(values, offsets[1:-1])] if len(windows.start) else []
    pieces = [flat[b : b + n].tolist() for b, n in zip(windows.begin, windows.length, strict=True)]
    assert rows == [[BOS, *ids[:p], BOS, *ids[p:], EOS] for ids, p in zip(pieces, pivot, strict=True)]
    assert values.dtype == flat.dtype


def test_pivots_leave_a_token_on_both_sides_and_stay_in_their_shares():
    keys = row_keys(["record"] * 5000, np.arange(5000))
    for length in (2, 3, 50):
        pivot = pivots(keys, np.full(5000, length), config(pivot_low=0.0, pivot_high=1.0))
        assert set(pivot) == set(range(1, length))
    middle = pivots(keys, np.full(5000, 100), config(pivot_low=0.2, pivot_high=0.8))
    assert middle.min() == 20 and middle.max() == 79 and abs(middle.mean() - 49.5) < 1


def test_a_pivot_depends_on_its_own_row_only():
    keys, length = row_keys(["record"] * 100, np.arange(100)), np.arange(100) + 2
    all_of_them = pivots(keys, length, config())
    assert all_of_them.tolist() == [pivots(keys[i : i + 1], length[i : i + 1], config())[0] for i in range(100)]
    assert (pivots(keys, length, config(seed=8)) != all_of_them).any()


def test_row_keys_differ_by_record_and_by_place():
    keys = row_keys(["a", "a", "b", "a1"], np.array([0, 10, 0, 0]))
    assert len(set(keys.tolist())) == 4 and keys.dtype == np.uint64
    assert keys[1] == row_keys(["a"], np.array([10]))[0]
