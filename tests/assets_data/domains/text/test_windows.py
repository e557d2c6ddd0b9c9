"""Windows: they cover every document, the layout is the plain one, and pivots depend on the row's key alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets_data.domains.text.config import TriplesConfig
from assets_data.domains.text.windows import Windows, cut_windows, echoes, lay_out, pivots, row_keys

BOS, EOS = 1, 2
lengths = st.lists(st.integers(0, 40), max_size=8).map(lambda values: np.array(values, np.int64))
shapes = st.integers(2, 9).flatmap(lambda window: st.tuples(st.just(window), st.integers(2, window)))


def config(window=8, min_window=2, **settings):
    return TriplesConfig(window=window, min_window=min_window, **settings)


def cut(counts, settings, prompts=None):
    return cut_windows(counts, np.zeros_like(counts) if prompts is None else prompts, settings)


def drawn(keys, lengths, settings):
    """Pivots of plain windows of these lengths."""
    zeros = np.zeros(len(keys), np.int64)
    return pivots(keys, Windows(zeros, zeros, lengths, zeros, zeros), settings)


@given(lengths, shapes, st.integers(0, 8))
def test_windows_cover_each_document_but_a_last_one_that_is_too_short(counts, shape, overlap):
    window, least = shape
    overlap %= window
    flat = np.arange(counts.sum())
    windows, lost = cut(counts, config(window, least, overlap=overlap))
    expected, dropped = [], 0
    for document, ids in enumerate(np.split(flat, np.cumsum(counts)[:-1]) if len(counts) else []):
        start, end = 0, 0
        while end < len(ids):  # the next window begins `overlap` tokens before the end of this one
            end = min(len(ids), start + window)
            piece = ids[start:end].tolist()
            expected += [(document, start, piece, 0)] if len(piece) >= least else []
            dropped += len(piece) < least
            start += window - overlap
    rows = zip(windows.document, windows.start, windows.begin, windows.length, windows.prompt, strict=True)
    assert [(d, s, flat[b : b + n].tolist(), p) for d, s, b, n, p in rows] == expected
    assert lost == {"short_window": dropped, "long_pair": 0}


pairs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8)


@given(pairs, shapes, st.booleans())
def test_a_pair_is_one_window_whose_prefix_is_the_prompt_and_what_does_not_fit_is_counted(sizes, shape, truncate):
    window, least = shape
    prompts, responses = np.array(sizes, np.int64).reshape(-1, 2).T
    flat = np.arange(prompts.sum() + responses.sum())
    windows, lost = cut(prompts + responses, config(window, least, truncate_prompts=truncate), prompts)
    expected, plain, long, short = [], [], 0, 0
    for document, (prompt, response) in enumerate(sizes):
        room = window - response
        if not prompt:
            plain.append(document)
        elif room < 1 or (prompt > room and not truncate):
            long += 1
        elif not response:
            short += 1
        else:
            expected.append((document, max(0, prompt - room), min(prompt, room) + response, min(prompt, room)))
    begins = np.cumsum(prompts + responses) - prompts - responses
    paired = windows.where(np.isin(windows.document, plain, invert=True))
    found = zip(paired.document, paired.start, paired.length, paired.prompt, strict=True)
    assert list(found) == expected and (paired.begin == begins[paired.document] + paired.start).all()
    assert len(flat) >= (windows.begin + windows.length).max(initial=0)
    assert lost["long_pair"] == long and lost["short_window"] >= short
    assert (pivots(row_keys(["r"] * len(paired.start), paired.start), paired, config()) == paired.prompt).all()


def test_a_pair_that_says_the_same_twice_is_an_echo_and_one_that_differs_in_a_token_is_not():
    ids = np.array([5, 6, 7, 5, 6, 7, 5, 6, 7, 5, 6, 8, 5, 6, 7, 5, 6], np.uint16)
    windows, _ = cut(np.array([6, 6, 5]), config(), np.array([3, 3, 3]))
    assert echoes(ids, windows, windows.prompt).tolist() == [True, False, False]


@given(lengths, shapes, st.integers(0, 3))
def test_a_row_is_bos_prefix_bos_suffix_eos(counts, shape, seed):
    settings = config(*shape, seed=seed)
    flat = np.arange(100, 100 + counts.sum()).astype(np.uint16)
    windows, _ = cut(counts, settings)
    pivot = pivots(row_keys(["record"] * len(windows.start), windows.start), windows, settings)
    values, offsets = lay_out(flat, windows, pivot, BOS, EOS)
    rows = [row.tolist() for row in np.split(values, offsets[1:-1])] if len(windows.start) else []
    pieces = [flat[b : b + n].tolist() for b, n in zip(windows.begin, windows.length, strict=True)]
    assert rows == [[BOS, *ids[:p], BOS, *ids[p:], EOS] for ids, p in zip(pieces, pivot, strict=True)]
    assert values.dtype == flat.dtype


def test_pivots_leave_a_token_on_both_sides_and_stay_in_their_shares():
    keys = row_keys(["record"] * 5000, np.arange(5000))
    for length in (2, 3, 50):
        pivot = drawn(keys, np.full(5000, length), config(pivot_low=0.0, pivot_high=1.0))
        assert set(pivot) == set(range(1, length))
    middle = drawn(keys, np.full(5000, 100), config(pivot_low=0.2, pivot_high=0.8))
    assert middle.min() == 20 and middle.max() == 79 and abs(middle.mean() - 49.5) < 1


def test_a_pivot_depends_on_its_own_row_only():
    keys, length = row_keys(["record"] * 100, np.arange(100)), np.arange(100) + 2
    all_of_them = drawn(keys, length, config())
    assert all_of_them.tolist() == [drawn(keys[i : i + 1], length[i : i + 1], config())[0] for i in range(100)]
    assert (drawn(keys, length, config(seed=8)) != all_of_them).any()


def test_row_keys_differ_by_record_and_by_place():
    keys = row_keys(["a", "a", "b", "a1"], np.array([0, 10, 0, 0]))
    assert len(set(keys.tolist())) == 4 and keys.dtype == np.uint64
    assert keys[1] == row_keys(["a"], np.array([10]))[0]
