"""Episodes from and to files: equal ids there and back, and of foreign files nothing guessed that they do not say."""

import numpy as np
import pytest

from assets_data.domains.episodes.buffer import Episodes
from assets_data.domains.episodes.config import RAW, SourceConfig
from assets_data.domains.episodes.export import export_episodes, import_episodes
from assets_data.domains.episodes.raw_slice import iter_episodes, make_raw_slice
from assets_data.domains.episodes.record import record_id
from assets_data.domains.episodes.source import slice_names
from assets_data.lineage import DataError, Store
from tests.assets_data.domains.episodes.made import SPACE, episode, publish


def records(snapshot):
    return snapshot.table("episodes.arrow")["record_id"].to_pylist()


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_an_export_comes_back_under_the_same_ids(store, tmp_path, ending):
    made = [episode(n, n, terminated=n % 2 == 0, truncated=n % 3 == 0) for n in range(1, 9)]
    raw = publish(store, made)
    assert export_episodes(raw, tmp_path / f"made{ending}") == 8
    back = import_episodes(Store(tmp_path / "other"), tmp_path / f"made{ending}")
    assert back.id == raw.id and records(back) == records(raw)


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
@pytest.mark.parametrize(("dtype", "shape"), [("uint8", (5, 4, 3)), ("float64", ()), ("int64", (2,))])
def test_images_and_scalars_come_back_as_they_were(store, tmp_path, ending, dtype, shape):
    space = {**SPACE, "obs": {"dtype": dtype, "shape": list(shape)}}
    raw = publish(store, [episode(n, n, dtype=dtype, shape=shape) for n in (1, 4)], space=space)
    export_episodes(raw, tmp_path / f"made{ending}")
    back = import_episodes(Store(tmp_path / "other"), tmp_path / f"made{ending}", "label")
    assert back.id == raw.id and Store(tmp_path / "other").names("episodes/raw_slice") == ["label-made"]


def test_a_collected_slice_comes_back_with_its_environment(store, tmp_path):
    smoke = RAW["smoke"]()
    raw = make_raw_slice(store, slice_names(smoke)[0], smoke)
    export_episodes(raw, tmp_path / "p.npz")
    back = import_episodes(Store(tmp_path / "other"), tmp_path / "p.npz")
    assert back.id == raw.id and back.read_json("space.json")["environment"]["env_id"] == "Pendulum-v1"


def flat(dones, reward_first=1.0):
    """A foreign table of one number per row; the reward of row t is t."""
    rows = len(dones)
    return {
        "obs": np.arange(rows, dtype=np.float32)[:, None],
        "actions": np.arange(rows, dtype=np.float32)[:, None] / 10,
        "rewards": np.arange(rows, dtype=np.float32) * reward_first,
        "dones": np.array(dones, np.float32),
    }


def read(path, **fields):
    config = SourceConfig(source=path.suffix[1:], root=str(path.parent), **fields)
    raw = make_raw_slice(Store(path.parent / "store"), path.stem, config)
    return list(iter_episodes(raw))


def test_the_reference_keys_where_rewards_arrive_with_observations(tmp_path):
    np.savez(tmp_path / "a.npz", **flat([0, 0, 1, 0, 0]))
    first, second = read(tmp_path / "a.npz", reward_at="arrival")
    assert first.obs.ravel().tolist() == [0, 1, 2] and first.reward.tolist() == [1, 2] and first.terminated
    assert second.obs.ravel().tolist() == [3, 4] and second.reward.tolist() == [4]
    assert second.truncated and not second.terminated and not first.truncated


def test_the_reference_keys_where_rewards_stand_beside_their_actions(tmp_path):
    """The last action's outcome is not in the file, so its end is not seen; with ``next_obs`` it is."""
    np.savez(tmp_path / "a.npz", **flat([0, 0, 1, 0, 0]))
    first, second = read(tmp_path / "a.npz", reward_at="action")
    assert first.reward.tolist() == [0, 1] and first.truncated and not first.terminated
    assert second.reward.tolist() == [3]
    table = flat([0, 0, 1, 0, 0])
    np.savez(tmp_path / "b.npz", **table, next_obs=table["obs"] + 100)
    first, second = read(tmp_path / "b.npz", reward_at="action")
    assert first.obs.ravel().tolist() == [0, 1, 2, 102] and first.reward.tolist() == [0, 1, 2] and first.terminated
    assert second.truncated and second.obs.ravel().tolist() == [3, 4, 104]


def test_five_truncated_episodes_stay_five_through_a_file(tmp_path):
    """The reference's file merges them; an export, which says their lengths, does not."""
    buffer = Episodes.from_trajectories(
        {"obs": np.full((4, 2), n, np.float32), "actions": np.zeros((3, 1), np.float32), "rewards": np.zeros(3)}
        | {"terminated": False, "truncated": True}
        for n in range(5)
    )
    buffer.save(tmp_path / "five.npz")
    assert [e.truncated for e in read(tmp_path / "five.npz", reward_at="action")] == [True] * 5
    assert len(Episodes.load(tmp_path / "five.npz")) == 5


def test_parquet_rows_with_episode_numbers(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = flat([0] * 5)
    columns = {"obs": table["obs"].tolist(), "actions": table["actions"].tolist(), "rewards": table["rewards"]}
    pq.write_table(pa.table({**columns, "dones": table["dones"]}), tmp_path / "p.parquet")
    (one,) = read(tmp_path / "p.parquet", reward_at="arrival")
    assert one.length == 4 and one.truncated


def test_minari_of_a_local_folder(tmp_path):
    import h5py

    folder = tmp_path / "root" / "pendulum" / "expert-v0" / "data"
    folder.mkdir(parents=True)
    made = [episode(n, n, terminated=n == 3) for n in (2, 3)]
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for number, one in enumerate(made):
            group = file.create_group(f"episode_{number}")
            group.attrs["seed"] = one.seed
            group["observations"], group["actions"], group["rewards"] = one.obs, one.action, one.reward
            for name in ("terminated", "truncated"):
                flags = np.zeros(one.length, bool)
                flags[-1] = getattr(one, name)
                group["terminations" if name == "terminated" else "truncations"] = flags
    config = SourceConfig(source="minari", root=str(tmp_path / "root"))
    assert slice_names(config) == ["expert-v0"]
    raw = make_raw_slice(Store(tmp_path / "store"), "expert-v0", config)
    assert records(raw) == [record_id(one) for one in made]
    assert raw.table("episodes.arrow")["seed"].to_pylist() == [2, 3]


@pytest.mark.parametrize("missing", ["obs", "actions", "rewards", "dones"])
def test_a_file_without_a_column_says_which_it_has(tmp_path, missing):
    np.savez(tmp_path / "a.npz", **{name: array for name, array in flat([0, 1]).items() if name != missing})
    with pytest.raises(DataError, match="EPISODES_FILE"):
        read(tmp_path / "a.npz", reward_at="arrival")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no", b"\x80\x04."])
def test_what_is_no_plain_npz_is_refused_and_nothing_pickled_is_read(tmp_path, data):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(DataError, match="EPISODES_FILE"):
        read(tmp_path / "a.npz", reward_at="arrival")


def test_a_changed_file_is_another_slice(tmp_path):
    np.savez(tmp_path / "a.npz", **flat([0, 0, 1]))
    store, config = Store(tmp_path / "s"), SourceConfig(source="npz", root=str(tmp_path), reward_at="arrival")
    first = make_raw_slice(store, "a", config)
    assert make_raw_slice(store, "a", config).reused
    np.savez(tmp_path / "a.npz", **flat([0, 0, 1], 2.0))
    assert make_raw_slice(store, "a", config).id != first.id


def test_the_buffer_samples_by_seed_and_step_and_never_across_an_end():
    lengths = [1, 5, 30, 2]
    buffer = Episodes.from_trajectories(
        {"obs": np.full((n + 1, 1), i, np.uint8), "actions": np.ones((n, 1), np.float32), "rewards": np.ones(n)}
        | {"terminated": True, "truncated": False}
        for i, n in enumerate(lengths)
    )
    batch, again = (buffer.sample(64, 8, seed=1, step=3) for _ in range(2))
    assert all(np.array_equal(batch[name], again[name]) for name in batch) and batch["obs"].dtype == np.uint8
    assert not np.array_equal(batch["obs"], buffer.sample(64, 8, seed=1, step=4)["obs"])
    assert all(len(set(row.ravel().tolist())) == 1 for row in batch["obs"])
    many = buffer.sample(6000, 8, seed=0, step=0)
    counts = np.bincount(many["obs"][:, 0, 0], minlength=4) / 6000
    assert np.allclose(counts, np.array([1, 1, 24, 1]) / 27, atol=0.02)
    ends = many["terminated"].any(axis=1)
    assert all(many["rewards"][i][many["mask"][i]][-1] == 0 for i in np.flatnonzero(ends))


def test_the_buffer_refuses_what_does_not_fit_and_names_the_episode():
    buffer = Episodes()
    buffer.add_episode(np.zeros((3, 2), np.float32), np.zeros((2, 1)), [0, 0], terminated=True, truncated=False)
    with pytest.raises(DataError, match="EPISODE_SPACE"):
        buffer.add_episode(np.zeros((3, 2)), np.zeros((2, 1)), [0, 0], terminated=True, truncated=False)
    with pytest.raises(DataError, match="EPISODE_LENGTH"):
        buffer.add_episode(np.zeros((2, 2), np.float32), np.zeros((2, 1)), [0, 0], terminated=True, truncated=False)
    assert len(buffer) == 1 and buffer.transitions == 2
