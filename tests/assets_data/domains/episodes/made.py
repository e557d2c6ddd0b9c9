"""Episodes made up for tests: small, random, of any lengths, and a store that holds them."""

import numpy as np

from assets_data.domains.episodes.config import EpisodesConfig, SequencesConfig, SplitConfig
from assets_data.domains.episodes.manifest import make_dataset_manifest
from assets_data.domains.episodes.raw_slice import write_slice
from assets_data.domains.episodes.record import Episode
from assets_data.domains.episodes.sequences import make_sequences
from assets_data.domains.episodes.statistics import make_statistics

SPACE = {
    "environment": None,
    "sensor": None,
    "policy": None,
    "obs": {"dtype": "float32", "shape": [2]},
    "action": {"kind": "box", "dtype": "float32", "shape": [1], "low": [-1.0], "high": [1.0]},
}
NOBODY = np.empty((0, 32), np.uint8)


def episode(length, seed=0, *, dtype="float32", shape=(2,), terminated=False, truncated=True):
    draw = np.random.default_rng([seed, length])
    values = draw.normal(size=(length + 1, *shape)) if dtype != "uint8" else draw.integers(0, 256, (length + 1, *shape))
    return Episode(
        obs=values.astype(dtype),
        action=draw.uniform(-1, 1, (length, 1)).astype(np.float32),
        reward=draw.normal(size=length),
        terminated=terminated,
        truncated=truncated,
        seed=seed,
    )


def publish(store, episodes, name="made-0", space=SPACE, gone=NOBODY):
    return store.run_stage(
        name="episodes/raw_slice",
        module="assets_data.domains.episodes.raw_slice",
        config={},
        arguments={"slice": name, "seeds": [e.seed for e in episodes], "lengths": [e.length for e in episodes]},
        parents={},
        build=lambda writer: write_slice(writer, space, iter(episodes), gone, {}),
    )


def dataset(store, episodes, length=8, stride=4, least=1, space=SPACE):
    """``(raw, statistics, sequences, manifest)`` of one slice."""
    config = EpisodesConfig(
        split=SplitConfig(validation_share=0.2, test_share=0.2, least=least),
        sequences=SequencesConfig(length=length, stride=stride),
    )
    raw = publish(store, episodes, space=space)
    statistics = make_statistics(store, {"made-0": raw}, config)
    sequences = make_sequences(store, {"made-0": raw}, statistics, config)
    return raw, statistics, sequences, make_dataset_manifest(store, sequences, statistics)
