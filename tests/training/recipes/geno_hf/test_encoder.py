"""The encoder's snapshot: its id covers every tensor of every shard, config, tokenizer, and how states are made."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from assets_data.lineage import DataError, Store
from assets_data.lineage.queries.explain import explain
from pipeline_defs.contract.trial import Trial
from training.recipe import discover
from training.recipes.geno_hf.config import DirectoryConfig
from training.recipes.geno_hf.directory import INDEX
from training.recipes.geno_hf.encoder import make_encoder, open_encoder
from training.recipes.geno_hf.untrained import write_untrained
from training.recipes.geno_lewm.config import StatesConfig, smoke
from training.recipes.geno_lewm.encoder import states

SHARDS = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    with Trial(tmp_path_factory.mktemp("data")) as trial:
        trial.run(["genome/dataset_manifest"], {})
        yield trial.store, trial.store.pointed("genome/dataset_manifest")


@pytest.fixture
def publish(manifest):
    store, made = manifest
    return lambda folder: make_encoder(store, made, DirectoryConfig(directory=str(folder)))


@pytest.fixture
def folder(tmp_path):
    return write_untrained(tmp_path / "model")


@pytest.mark.parametrize("shard", SHARDS)
def test_one_number_in_any_shard_makes_another_encoder_and_not_only_in_the_index(publish, folder, shard):
    before = publish(folder)
    tensors = load_file(folder / shard)
    name = sorted(tensors)[-1]
    tensors[name].view(-1)[-1] += 1e-3
    save_file(tensors, folder / shard)
    assert publish(folder).id != before.id


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_config_and_tokenizer_are_part_of_the_encoder(publish, folder, name):
    before = publish(folder)
    document = json.loads((folder / name).read_text())
    document["more"] = 1
    (folder / name).write_text(json.dumps(document))
    assert publish(folder).id != before.id


def test_one_file_or_two_hold_the_same_encoder(publish, folder, tmp_path):
    whole = shutil.copytree(folder, tmp_path / "whole", ignore=shutil.ignore_patterns(*SHARDS, INDEX))
    save_file(load_file(folder / SHARDS[0]) | load_file(folder / SHARDS[1]), whole / "model.safetensors")
    assert publish(whole).id == publish(folder).id


def test_how_states_are_made_is_part_of_the_encoders_id(publish, folder):
    published = publish(folder)
    plain = open_encoder(published, StatesConfig(), CPU).id
    others = [{"layer": 1}, {"near": 2}, {"far": 8}, {"norm": "l2"}]
    changed = {open_encoder(published, StatesConfig(**other), CPU).id for other in others}
    assert len(changed | {plain}) == 5
    assert open_encoder(published, StatesConfig(layer=2, batch=1, shard=9), CPU).id == plain
    with pytest.raises(DataError, match="ENCODER_LAYER"):
        open_encoder(published, StatesConfig(layer=3), CPU)


def test_a_state_does_not_depend_on_the_windows_it_is_encoded_with_evo2_196(publish, folder):
    encoder = open_encoder(publish(folder), StatesConfig(), CPU)
    windows = np.random.default_rng(0).integers(0, 4, (64, 96)).astype(np.uint8)
    together, alone = (states(encoder, windows, StatesConfig(batch=batch)) for batch in (64, 1))
    assert together.shape == (64, 72) and np.allclose(together, alone, atol=1e-5)


def test_a_directory_that_changes_afterwards_changes_nothing_that_was_made(publish, folder):
    published = publish(folder)
    windows = np.zeros((2, 96), np.uint8)
    before = states(open_encoder(published, StatesConfig(), CPU), windows, StatesConfig())
    shutil.rmtree(folder)
    assert np.array_equal(states(open_encoder(published, StatesConfig(), CPU), windows, StatesConfig()), before)


@pytest.mark.slow
def test_the_chain_has_two_models_in_its_lineage_and_refuses_an_encoder_swapped_after_the_table(tmp_path):
    recipe = discover()["geno_hf"]
    with Trial(tmp_path) as trial:
        trial.run(["geno_hf/gate_report"], {})
    store = Store(tmp_path / "store")
    kinds = {node.kind for node in explain(store, store.pointed("geno_hf/checkpoint").id).nodes.values()}
    assert {
        "geno_hf/encoder",
        "geno_hf/state_table",
        "geno_hf/checkpoint",
    } <= kinds and "dna_lm/checkpoint" not in kinds
    given = {name: store.pointed(one.kind) for name, one in recipe.inputs.items()}
    other = dataclasses.replace(given["encoder"], id="sha256:" + "0" * 64)
    with pytest.raises(DataError, match="ENCODER_CHANGED"):
        recipe.open_data(store, {**given, "encoder": other}, smoke())
