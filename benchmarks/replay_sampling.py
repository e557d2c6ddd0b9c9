"""CPU milliseconds per batch of sequences: the memory-mapped replay beside torchrl and stable-baselines3, in one run.

The same episodes for all: 16 sequences of 50 rows, of 64x64x3 uint8 images and of 17 floats. torchrl: LazyTensorStorage
with a SliceSampler over trajectory ids. stable-baselines3: its ReplayBuffer gives single transitions, so 800 of them.
Median over rounds that take turns.

    python -m benchmarks.replay_sampling
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SliceSampler

from assets_data.domains.episodes.config import EpisodesConfig, SequencesConfig, SplitConfig
from assets_data.domains.episodes.files import infer_space
from assets_data.domains.episodes.raw_slice import write_slice
from assets_data.domains.episodes.read import open_replay
from assets_data.domains.episodes.record import Episode
from assets_data.lineage import Store
from benchmarks.result import save
from benchmarks.world_model_data import make_tables

BATCH, ROWS, STEPS = 16, 50, 200


def make_episodes(count: int, shape: tuple[int, ...], dtype: str) -> list[Episode]:
    """Random episodes of equal length."""
    draw = np.random.default_rng(0)
    made = []
    for seed in range(count):
        obs = draw.integers(0, 256, (STEPS + 1, *shape)) if dtype == "uint8" else draw.normal(size=(STEPS + 1, *shape))
        made.append(
            Episode(
                obs=obs.astype(dtype),
                action=draw.uniform(-1, 1, (STEPS, 6)).astype(np.float32),
                reward=draw.normal(size=STEPS),
                terminated=False,
                truncated=True,
                seed=seed,
            )
        )
    return made


def ours(folder: Path, episodes: list[Episode]) -> Callable[[], object]:
    """One gather on the map."""
    store = Store(folder / "store")
    raw = store.run_stage(
        name="episodes/raw_slice",
        module="assets_data.domains.episodes.raw_slice",
        config={},
        arguments={"slice": "made-0"},
        parents={},
        build=lambda w: write_slice(w, infer_space(episodes), iter(episodes), np.empty((0, 32), np.uint8), {}),
    )
    config = EpisodesConfig(
        split=SplitConfig(validation_share=0.2, test_share=0.2, least=1),
        sequences=SequencesConfig(length=ROWS, stride=25),
    )
    rows = open_replay(store, make_tables(store, {"made-0": raw}, config)).rows("train")
    draw = np.random.default_rng(1)

    def sample() -> object:
        chosen = draw.integers(0, len(rows), BATCH)
        return rows.gather(chosen, rows.starts(chosen, np.zeros(BATCH, np.int64), 0))

    return sample


def torchrl(episodes: list[Episode]) -> Callable[[], object]:
    """A SliceSampler over trajectory ids."""
    joined = {
        "obs": torch.from_numpy(np.concatenate([e.obs[:-1] for e in episodes])),
        "action": torch.from_numpy(np.concatenate([e.action for e in episodes])),
        "reward": torch.from_numpy(np.concatenate([e.reward for e in episodes])),
        "episode": torch.from_numpy(np.repeat(np.arange(len(episodes)), STEPS)),
    }
    total = len(episodes) * STEPS
    sampler = SliceSampler(slice_len=ROWS, traj_key="episode", cache_values=True)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(total), sampler=sampler, batch_size=BATCH * ROWS)
    buffer.extend(TensorDict(joined, batch_size=[total]))
    return buffer.sample


def stable_baselines(episodes: list[Episode]) -> Callable[[], object]:
    """As many single transitions: it has no sequences."""
    shape, dtype = episodes[0].obs.shape[1:], episodes[0].obs.dtype.type
    low, high = (0, 255) if dtype is np.uint8 else (-np.inf, np.inf)
    space = gymnasium.spaces.Box(low, high, shape, dtype)
    buffer = ReplayBuffer(len(episodes) * STEPS, space, gymnasium.spaces.Box(-1, 1, (6,)), device="cpu")
    for e in episodes:
        for t in range(e.length):
            end = np.array([t == e.length - 1])
            buffer.add(e.obs[t], e.obs[t + 1], e.action[t], e.reward[t : t + 1], end, [{"TimeLimit.truncated": True}])
    return lambda: buffer.sample(BATCH * ROWS)


def measure(samplers: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Median CPU milliseconds per batch, rounds taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in samplers}
    for sample in samplers.values():
        sample()
    for _ in range(rounds):
        for name, sample in samplers.items():
            since = time.process_time()
            for _ in range(calls):
                sample()
            taken[name].append((time.process_time() - since) / calls * 1000)
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Both kinds of observations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {}
    for name, count, shape, dtype in (("images", 40, (3, 64, 64), "uint8"), ("floats", 100, (17,), "float32")):
        with tempfile.TemporaryDirectory() as folder:
            episodes = make_episodes(count, shape, dtype)
            samplers = {
                "stemma": ours(Path(folder), episodes),
                "torchrl": torchrl(episodes),
                "stable_baselines3": stable_baselines(episodes),
            }
            found = measure(samplers, options.rounds, 5 if name == "images" else 50)
            others = {f"{peer}_over_stemma": found[peer] / found["stemma"] for peer in found if peer != "stemma"}
            figures[name] = {"cpu_ms_per_batch": found, **others}
    save("replay_sampling", ["torch", "torchrl", "stable-baselines3", "gymnasium", "numpy"], figures)


if __name__ == "__main__":
    main()
