"""A tiny config and its data, shared read-only by the tests of this recipe."""

import pytest

from assets_data.lineage import Store, with_overrides
from tests.training.triples import make_manifest
from training.recipe import discover
from training.recipes.hrm_lm.config import HrmLmConfig

TINY = {
    "model.d_model": 16,
    "model.heads": 2,
    "model.encoder_layers": 1,
    "model.decoder_layers": 2,
    "model.ff_multiplier": 2,
    "model.max_tokens": 32,
    "model.prefix_len": 3,
    "model.gate_warmup_steps": 4,
    "model.core.h_len": 2,
    "model.core.l_len": 3,
    "model.core.h_layers": 1,
    "model.core.l_layers": 1,
    "model.core.h_cycles": 2,
    "model.core.l_steps": 2,
    "train.updates": 8,
    "train.batch_rows": 8,
    "train.schedule.warmup": 2,
    "train.threads": 1,
    "train.device": "cpu",
    "train.checkpoint_every": 4,
    "train.log_every": 2,
    "gate.rows": 20,
    "gate.monitor_rows": 6,
    "gate.samples": 3,
    "gate.sample_tokens": 8,
}


def tiny(**overrides) -> HrmLmConfig:
    return with_overrides(HrmLmConfig(), {**TINY, **overrides})


def build(seed=0, vocab_size=12, **overrides):
    import torch

    torch.manual_seed(seed)
    return discover()["hrm_lm"].build_model(tiny(**overrides), {"vocab_size": vocab_size})


@pytest.fixture(autouse=True)
def one_thread():
    """Models this small lose far more to a second thread than they gain."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def triples_store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("triples"))


@pytest.fixture(scope="session")
def manifest(triples_store):
    return make_manifest(triples_store)


@pytest.fixture
def recipe():
    return discover()["hrm_lm"]


@pytest.fixture
def data(triples_store, manifest, recipe):
    return recipe.open_data(triples_store, {"manifest": manifest}, tiny())


@pytest.fixture
def sums(triples_store, manifest, recipe):
    return recipe.open_data(triples_store, {"manifest": manifest}, tiny(**{"data.source": "arithmetic"}))
