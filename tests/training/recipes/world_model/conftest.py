"""A small dataset of real episodes, made once, and configs that train in a second."""

import pytest

from assets_data.domains.episodes.config import RAW, TABLES
from assets_data.domains.episodes.manifest import make_dataset_manifest
from assets_data.domains.episodes.raw_slice import make_raw_slice
from assets_data.domains.episodes.sequences import make_sequences
from assets_data.domains.episodes.source import slice_names
from assets_data.domains.episodes.statistics import make_statistics
from assets_data.lineage import Store, with_overrides
from training.recipe import find_recipe

FEW = {
    "train.updates": 6,
    "train.batch_rows": 4,
    "train.schedule.warmup": 0,
    "train.checkpoint_every": 2,
    "train.validate_every": 2,
    "train.log_every": 1,
    "train.max_val_samples": 8,
}
RECIPE = find_recipe("world_model")


def make_dataset(store, raw=None, tables=None):
    raw, tables = raw or RAW["smoke"](), tables or TABLES["smoke"]()
    slices = {name: make_raw_slice(store, name, raw) for name in slice_names(raw)}
    statistics = make_statistics(store, slices, tables)
    sequences = make_sequences(store, slices, statistics, tables)
    manifest = make_dataset_manifest(store, sequences, statistics)
    made = [statistics, sequences, manifest]
    for name, snapshot in slices.items():
        store.point(f"episodes/raw_slice/{name}", snapshot)
    for snapshot in made:
        store.point(snapshot.kind, snapshot)
    return manifest


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """``(store, manifest)``. Read-only."""
    store = Store(tmp_path_factory.mktemp("world") / "store")
    return store, make_dataset(store)


@pytest.fixture(params=["rssm", "tdmpc"])
def config(request):
    return with_overrides(RECIPE.presets["smoke"](), {**FEW, "model": request.param})


@pytest.fixture
def data(world, config):
    return RECIPE.open_data(world[0], {"manifest": world[1]}, config)
