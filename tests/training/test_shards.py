"""Checkpoints in pieces: whole again for any number of processes, one model, and refused where rows are missing."""

import pytest
import torch

from assets_data.lineage import IntegrityError
from assets_data.lineage.identity.digests import tensor_entries
from tests.training.test_optimizer_state import Stop
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.checkpoint import Draft, gather, load_model, load_tensors, model_id, read_state, remove, save, stored
from training.loop import train
from training.run_directory import CHECKPOINTS
from training.shards import joined, piece, place, rows_of


def in_pieces(path, folder, size):
    """The checkpoint at ``path``, as so many processes would write it in ``folder``."""
    state = read_state(path)
    whole, own = load_tensors(path, state), ("schema", "update", "checkpoint_id", "files", "digest")
    draft = Draft.begin(folder / path.name)
    for rank in range(size):
        tensors, places = {}, {}
        for part, kept in whole.items():
            cut = {name: value for name, value in kept.items() if value.dim() and part != "rng"}
            own_rows = {name: piece(value, rank, size) for name, value in cut.items()}
            tensors[part] = {name: value.clone() for name, value in own_rows.items() if value.numel()}
            tensors[part] |= {name: value for name, value in kept.items() if name not in cut and not rank}
            places[part] = {name: place(kept[name].shape, rank, size) for name in tensors[part]}
        draft.write(tensors, rank, places)
    entries = tensor_entries(path / "model.safetensors")
    beside = {name: {} for name in state["files"] if name.endswith(".json")}
    return draft.publish({name: value for name, value in state.items() if name not in own}, beside, entries)


@pytest.fixture
def stopped(tmp_path):
    """A run cut off after the checkpoint of update 3."""
    with pytest.raises(KeyboardInterrupt):
        train(ToyRecipe(), toy_config(), toy_data(), tmp_path / "run", code="c", callbacks=[Stop()])
    return tmp_path / "run"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 16])
def test_a_run_goes_on_bit_equal_from_pieces_of_any_number(stopped, tmp_path, size):
    [whole] = stored(stopped / CHECKPOINTS)
    expected, tensors, identity = read_state(whole), load_tensors(whole, read_state(whole)), model_id(whole)
    cut = in_pieces(whole, tmp_path / "cut", size)
    found = load_tensors(cut, read_state(cut))
    assert {part: sorted(kept) for part, kept in found.items()} == {p: sorted(kept) for p, kept in tensors.items()}
    assert all(torch.equal(found[part][name], v) for part, kept in tensors.items() for name, v in kept.items())
    assert model_id(cut) == identity and sorted(load_model(cut)) == sorted(tensors["model"])
    remove(whole)
    cut.rename(whole)
    resumed = train(ToyRecipe(), toy_config(), toy_data(), stopped, code="c")
    calm = train(ToyRecipe(), toy_config(), toy_data(), tmp_path / "calm", code="c")
    assert read_state(resumed.final)["files"] == read_state(calm.final)["files"]
    again = gather(in_pieces(calm.final, tmp_path / "end", size), tmp_path / "whole")
    kept = read_state(calm.final)
    assert {n: d for n, d in read_state(again)["files"].items() if "safetensors" in n} == {
        n: d for n, d in kept["files"].items() if "safetensors" in n
    }
    assert read_state(again)["fingerprint"] == expected["fingerprint"]


@pytest.mark.parametrize(("rows", "size", "each"), [(6, 4, [2, 2, 2, 0]), (8, 2, [4, 4]), (1, 4, [1, 0, 0, 0])])
def test_rows_are_cut_as_torch_cuts_them(rows, size, each):
    assert [len(rows_of(rows, rank, size)) for rank in range(size)] == each
    chunks = torch.arange(rows).chunk(size)
    cut = [piece(torch.arange(rows), rank, size) for rank in range(size)]
    assert all(map(torch.equal, chunks, cut))


def pieces_of(shape, size):
    whole = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    return [("a", piece(whole, rank, size), place(shape, rank, size)) for rank in range(size)], whole


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cut: cut[1:],
        lambda cut: cut[:-1],
        lambda cut: [*cut, cut[0]],
        lambda cut: [cut[0], cut[2]],
        lambda cut: [*cut[:-1], ("a", cut[-1][1].double(), cut[-1][2])],
        lambda cut: [*cut[:-1], ("a", cut[-1][1][:, :1], cut[-1][2])],
        lambda cut: [*cut[:-1], ("a", cut[-1][1][:1], cut[-1][2])],
        lambda cut: [*cut[:-1], ("a", cut[-1][1], {**cut[-1][2], "shape": [9, 2]})],
        lambda cut: [("a", tensor, {**at, "offset": [0, 0]}) for _, tensor, at in cut],
    ],
)
def test_pieces_that_do_not_fill_a_tensor_are_refused(tmp_path, spoil):
    cut, whole = pieces_of((6, 2), 3)
    assert torch.equal(joined(reversed(cut), tmp_path)["a"], whole)
    with pytest.raises(IntegrityError, match="CHECKPOINT_SHARDS"):
        joined(spoil(cut), tmp_path)


def test_pieces_are_covered_by_the_digest_of_the_state(tmp_path):
    path = in_pieces(save(tmp_path, 1, {"model": {"a": torch.ones(4, 2)}}, {}), tmp_path / "cut", 2)
    file = path / "state.json"
    file.write_text(file.read_text().replace('"offset":[2,0]', '"offset":[0,0]'))
    with pytest.raises(IntegrityError, match="CHECKPOINT_STATE"):
        read_state(path)
