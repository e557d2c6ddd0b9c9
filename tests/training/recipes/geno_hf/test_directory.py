"""A local Hugging Face directory as an encoder: what is refused, what its states are, what its id covers."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from assets_data.lineage import DataError
from training.recipes.geno_hf.directory import INDEX, open_directory
from training.recipes.geno_hf.llama import load_llama, require_plain
from training.recipes.geno_hf.tokens import kmer_ids, token_of, tokenize
from training.recipes.geno_hf.untrained import CONFIG, write_untrained

FIRST = "model-00001-of-00002.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_untrained(tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "model")


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def refused(folder, code="ENCODER_UNSAFE"):
    with pytest.raises(DataError) as caught:
        found = open_directory(folder)
        load_llama(found.config, found.tensors())
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "optimizer.ckpt"])
def test_a_pickle_beside_the_weights_is_refused_unopened(folder, name):
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    assert name in refused(folder)


def test_a_name_on_the_hub_is_no_directory(tmp_path):
    assert "nothing is fetched" in refused(tmp_path / "HuggingFaceBio" / "Carbon-500M")


def test_a_model_of_the_directorys_own_code_is_refused_and_a_tokenizers_code_is_never_run(folder):
    (folder / "tokenization_own.py").write_text("raise SystemExit('run')")
    edit(folder / "config.json", lambda c: c.update(auto_map={"AutoTokenizer": ["tokenization_own.Own", None]}))
    open_directory(folder)
    edit(folder / "config.json", lambda c: c.update(auto_map={"AutoModel": "modeling_own.Own"}))
    assert "AutoModel" in refused(folder)


def test_a_missing_shard_a_tensor_that_is_not_listed_and_weights_that_are_not_are_refused(folder):
    whole = load_file(folder / FIRST)
    save_file({**whole, "model.more": torch.ones(2)}, folder / FIRST)
    assert "model.more" in refused(folder)
    save_file(dict(list(whole.items())[1:]), folder / FIRST)
    assert next(iter(whole)) in refused(folder)
    (folder / FIRST).unlink()
    assert FIRST in refused(folder)
    save_file(whole, folder / FIRST)
    save_file(whole, folder / "model.safetensors")
    assert "does not list" in refused(folder)


def test_a_shard_elsewhere_or_cut_short_is_refused(folder):
    edit(folder / INDEX, lambda d: d["weight_map"].update({name: f"../{FIRST}" for name in d["weight_map"]}))
    assert "elsewhere" in refused(shutil.copytree(folder, folder.parent / "other", ignore=lambda *_: [FIRST]))
    fresh = write_untrained(folder.parent / "fresh")
    (fresh / FIRST).write_bytes((fresh / FIRST).read_bytes()[:-8])
    assert "safetensors" in refused(fresh)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "mistral"},
        {"hidden_act": "gelu"},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
        {"quantization_config": {"bits": 4}},
        {"num_hidden_layers": 3},
        {"intermediate_size": 41},
    ],
)
def test_another_computation_than_the_plain_llama_is_refused(folder, change):
    edit(folder / "config.json", lambda config: config.update(change))
    refused(folder, "ENCODER_MODEL")


def test_hidden_states_are_those_of_the_library_that_made_the_format(made):
    """Golden: ``transformers`` 5.24.0, ``LlamaModel.from_pretrained`` of this directory, ``output_hidden_states``."""
    found = open_directory(made)
    begin, ids = kmer_ids(found.tokenizer)
    codes = (np.arange(96) ** 2 % 7 % 4).astype(np.uint8)[None]
    tokens = torch.from_numpy(tokenize(codes, begin, ids))
    model = load_llama(found.config, found.tensors())
    with torch.inference_mode():
        last, middle = model.hidden(tokens, 2)[0, -1, :6], model.hidden(tokens, 1)[0, 8, :6]
    assert np.allclose(last, [0.68498, 1.50747, 1.08263, -1.11475, 0.35244, 1.06877], atol=2e-5)
    assert np.allclose(middle, [-0.01695, -0.03747, 0.08241, -0.16137, -0.07936, 0.13539], atol=2e-5)


def test_an_output_layer_and_the_names_of_newer_configs_change_no_state(folder, made):
    def states(path):
        found = open_directory(path)
        return load_llama(found.config, found.tensors()).hidden(torch.arange(8)[None], 2)

    edit(folder / "config.json", lambda c: c.update(rope_parameters={"rope_type": "default", "rope_theta": 1e4}))
    edit(folder / INDEX, lambda d: d["weight_map"].update({"lm_head.weight": FIRST}))
    save_file({**load_file(folder / FIRST), "lm_head.weight": torch.ones(CONFIG["vocab_size"], 24)}, folder / FIRST)
    assert torch.equal(states(folder), states(made))
    edit(folder / "config.json", lambda c: c.update(rope_parameters={"rope_type": "default", "rope_theta": 1e3}))
    assert not torch.equal(states(folder), states(made))


def test_the_token_of_base_b_holds_base_b_and_no_other_token_moves_with_it(made):
    begin, ids = kmer_ids(open_directory(made).tokenizer)
    codes = np.random.default_rng(0).integers(0, 4, 96).astype(np.uint8)
    whole = tokenize(codes[None], begin, ids)[0]
    assert len(whole) == 17 and whole[0] == 1 and len(set(ids.tolist())) == 4096
    for base in range(96):
        other = codes.copy()
        other[base] = (other[base] + 1) % 4
        assert np.flatnonzero(tokenize(other[None], begin, ids)[0] != whole).tolist() == [token_of(base)]


def test_ids_are_those_of_the_tokenizers_file_and_text_reads_from_left_to_right(made):
    tokenizer = json.loads((made / "tokenizer.json").read_text())
    begin, ids = kmer_ids(tokenizer)
    codes = np.array([[1, 0, 0, 2, 3, 3]], np.uint8)
    assert tokenize(codes, begin, ids).tolist() == [[1, tokenizer["model"]["vocab"]["CAAGTT"]]]
    tokenizer["added_tokens"] = [{"content": "CAAGTT", "id": 9999}]
    assert tokenize(codes, *kmer_ids(tokenizer)).tolist() == [[1, 9999]]


def test_an_n_which_would_shift_the_6_mers_behind_it_is_refused_bend_49(made):
    """So are a width of no whole sixes, and a tokenizer without a 6-mer."""
    tokenizer = json.loads((made / "tokenizer.json").read_text())
    begin, ids = kmer_ids(tokenizer)
    for codes in (np.full((1, 6), 4, np.uint8), np.zeros((1, 95), np.uint8)):
        with pytest.raises(DataError, match="ENCODER_TOKENS"):
            tokenize(codes, begin, ids)
    del tokenizer["model"]["vocab"]["GGGGGG"]
    with pytest.raises(DataError, match="GGGGGG"):
        kmer_ids(tokenizer)


def test_a_config_without_a_word_on_these_is_plain():
    require_plain({"model_type": "llama"})
