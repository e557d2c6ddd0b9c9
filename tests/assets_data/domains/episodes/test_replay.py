"""The replay store and its sequences: nothing crosses an episode, nothing is lost, dtypes and ends stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets_data.domains.episodes.config import SequencesConfig
from assets_data.domains.episodes.raw_slice import iter_episodes
from assets_data.domains.episodes.read import SPLITS, open_replay
from assets_data.domains.episodes.record import record_id
from assets_data.domains.episodes.schemas import check_schema
from assets_data.domains.episodes.sequences import bins
from assets_data.lineage import DataError, Store
from assets_data.lineage.queries.evidence import check_evidence
from assets_data.lineage.queries.tree import load_tree
from tests.assets_data.domains.episodes.made import SPACE, dataset, episode, publish


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=12, max_size=30), st.integers(2, 12), st.integers(1, 9))
def test_every_sample_is_of_one_record_and_every_row_can_be_seen(tmp_path_factory, lengths, length, stride):
    """Random episode tables: each sequence equals the rows of one episode, and over its starts every row is covered."""
    store = Store(tmp_path_factory.mktemp("replay"))
    episodes = [episode(n, seed) for seed, n in enumerate(lengths)]
    try:
        _, _, _, manifest = dataset(store, episodes, length, stride)
    except DataError as error:
        assert error.code == "EPISODES_TOO_FEW"
        return
    replay = open_replay(store, manifest)
    by_id = {record_id(e): e for e in episodes}
    seen = {name: np.zeros(e.length + 1, bool) for name, e in by_id.items()}
    for split in SPLITS:
        rows, records = replay.rows(split), replay.sequences.table(f"{split}.arrow")["record_id"].to_pylist()
        for row, name in enumerate(records):
            for start in range(rows.low_N[row], rows.high_N[row]):
                got = rows.gather(np.array([row]), np.array([start]))
                kept = int(got.mask.sum())
                whole = by_id[name].obs[start : start + length]
                assert kept == len(whole) and np.array_equal(got.obs[0, :kept], whole)
                seen[name][start : start + kept] = True
                if got.last[0].any():
                    assert start + int(np.argmax(got.last[0])) == by_id[name].length
    assert all(rows.all() for rows in seen.values()) and len(seen) == len(lengths)


@given(st.integers(2, 300), st.integers(2, 60), st.integers(1, 40))
def test_the_bins_cover_every_valid_start_once(rows, length, stride):
    cut = bins(rows, SequencesConfig(length=length, stride=stride))
    starts = [start for low, high in cut.tolist() for start in range(low, high)]
    assert starts == list(range(max(1, rows + 1 - length)))
    assert all(high - low <= stride for low, high in cut.tolist())


def test_starts_are_uniform_over_epochs(store):
    episodes = [episode(60, seed) for seed in range(20)]
    *_, manifest = dataset(store, episodes, 8, 16)
    rows = open_replay(store, manifest).rows("train")
    row = np.zeros(4000, np.int64)
    starts = rows.starts(row, np.arange(4000), 0)
    width = int(rows.high_N[0] - rows.low_N[0])
    counts = np.bincount(starts - rows.low_N[0], minlength=width)
    expected = 4000 / width
    assert len(counts) == width and (np.square(counts - expected) / expected).sum() < 3 * width


def test_five_truncated_episodes_stay_five(store):
    raw = publish(store, [episode(7, seed, terminated=False, truncated=True) for seed in range(5)])
    table = raw.table("episodes.arrow")
    assert table.num_rows == 5 and table["truncated"].to_pylist() == [True] * 5
    assert table["terminated"].to_pylist() == [False] * 5 and table["length"].to_pylist() == [7] * 5


def test_both_flags_may_be_true_and_neither_becomes_the_other(store):
    flags = [(a, b) for a in (False, True) for b in (False, True)]
    raw = publish(store, [episode(3, n, terminated=a, truncated=b) for n, (a, b) in enumerate(flags)])
    table = raw.table("episodes.arrow")
    found = list(zip(table["terminated"].to_pylist(), table["truncated"].to_pylist(), strict=True))
    assert found == flags and len(set(table["record_id"].to_pylist())) == 4


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64"])
def test_observations_keep_their_dtype(store, dtype):
    space = {**SPACE, "obs": {"dtype": dtype, "shape": [4, 4, 3]}}
    made = [episode(5, seed, dtype=dtype, shape=(4, 4, 3)) for seed in range(20)]
    raw, *_, manifest = dataset(store, made, space=space)
    assert next(iter_episodes(raw)).obs.dtype == dtype
    rows = open_replay(store, manifest).rows("train")
    assert rows.gather(np.array([0]), np.array([0])).obs.dtype == dtype
    assert check_schema(store, raw).passed


def test_the_reward_stands_beside_the_action_that_earned_it(store):
    raw = publish(store, [episode(4, 1)])
    steps = raw.table("steps.arrow")
    made = episode(4, 1)
    assert steps["reward"].to_pylist() == [*made.reward.tolist(), 0.0]
    assert np.array_equal(np.array(steps["action"].to_pylist())[:4], made.action) and steps["action"][4].as_py() == [0]


@pytest.mark.parametrize("row", [0, 3, 7])
@pytest.mark.parametrize("name", ["obs", "action", "reward"])
def test_a_number_that_is_not_finite_is_seen_wherever_it_is(store, name, row):
    """The last row of the observations too."""
    import dataclasses

    made = episode(7, 0)
    array = getattr(made, name).copy()
    at = min(row, len(array) - 1)
    array[at] = np.nan
    with pytest.raises(DataError) as caught:
        publish(store, [episode(3, 5), dataclasses.replace(made, **{name: array})])
    assert caught.value.code == "EPISODE_NOT_FINITE" and f"row {at} of" in str(caught.value)
    assert "episode 1" in str(caught.value)


def test_a_duplicate_counts_once_and_nothing_is_lost_without_a_count(store):
    raw = publish(store, [episode(4, 0), episode(5, 1), episode(4, 0)])
    counts = {name: raw.stats[name] for name in ("read", "duplicate", "withdrawn", "rows")}
    assert counts == {"read": 3, "duplicate": 1, "withdrawn": 0, "rows": 2}


def test_the_record_id_is_of_the_content_not_of_where_it_came_from():
    import dataclasses

    made = episode(6, 0)
    assert record_id(made) == record_id(dataclasses.replace(made, seed=9, source="elsewhere"))
    others = [
        dataclasses.replace(made, terminated=True),
        dataclasses.replace(made, truncated=False),
        dataclasses.replace(made, obs=made.obs.astype(np.float64)),
        dataclasses.replace(made, reward=made.reward + 1e-9),
    ]
    assert len({record_id(other) for other in [made, *others]}) == 5


def test_a_manifest_names_nothing_but_what_its_receipt_says_it_read(store):
    *_, manifest = dataset(store, [episode(20, seed) for seed in range(20)], 8, 4)
    nodes = load_tree(store, [manifest.id])
    check_evidence(store, nodes[manifest.id], nodes)
    assert manifest.read_json("manifest.json")["slices"] == ["made-0"]
