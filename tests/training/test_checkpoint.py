import hashlib
import logging
import pickle
import shutil
import struct
import tracemalloc

import pytest
import torch

from assets_data.lineage import IntegrityError, StorageError, TrainingError, digest_json
from assets_data.lineage.identity.digests import tensor_entries
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import checkpoint
from training.checkpoint import newest, prune, read_state, save, stored
from training.loop import train
from training.run_directory import CHECKPOINTS


@pytest.fixture
def run_dir(tmp_path):
    """A run of nine of its twelve updates' worth of checkpoints: 3, 6, 9."""
    train(ToyRecipe(), toy_config(**{"train.keep_checkpoints": 9}), toy_data(), tmp_path, code="c")
    shutil.rmtree(tmp_path / CHECKPOINTS / "00000012")
    return tmp_path


def finish(run_dir):
    return train(ToyRecipe(), toy_config(**{"train.keep_checkpoints": 9}), toy_data(), run_dir, code="c")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def empty(path):
    path.write_bytes(b"")


DAMAGES = {"torn": truncate, "flipped": flip, "empty": empty, "gone": lambda path: path.unlink()}
FILES = ["model.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_f25_a_broken_newest_is_skipped_with_one_warning_and_the_one_before_used(run_dir, caplog, damage, name):
    folder = run_dir / CHECKPOINTS
    DAMAGES[damage](folder / "00000009" / name)
    with caplog.at_level(logging.WARNING):
        path, state = newest(folder)
    assert path.name == "00000006" and state["update"] == 6
    assert len(caplog.records) == 1 and "00000009" in caplog.text
    assert [p.name for p in stored(folder)] == ["00000003", "00000006"]
    assert len(list((run_dir / "quarantine").iterdir())) == 1


def test_f25_the_run_continued_from_the_one_before_ends_bit_equal(run_dir):
    expected = finish(run_dir)
    wanted = read_state(expected.final)["files"]
    for name in ("00000012", "00000009"):
        flip(run_dir / CHECKPOINTS / name / "model.safetensors")
    assert read_state(finish(run_dir).final)["files"] == wanted


def test_f25_all_broken_is_refused_every_time_and_nothing_is_moved(run_dir):
    for path in stored(run_dir / CHECKPOINTS):
        flip(path / "state.json")
    for _ in range(2):
        with pytest.raises(TrainingError) as caught:
            finish(run_dir)
        assert caught.value.code == "CHECKPOINTS_ALL_BROKEN"
        assert all(name in str(caught.value) for name in ("00000003", "00000006", "00000009"))
    assert len(stored(run_dir / CHECKPOINTS)) == 3


def test_an_edited_state_is_noticed_although_it_is_valid_json(run_dir):
    state = run_dir / CHECKPOINTS / "00000009" / "state.json"
    state.write_text(state.read_text().replace('"update":9', '"update":8'))
    with pytest.raises(IntegrityError) as caught:
        read_state(state.parent)
    assert caught.value.code == "CHECKPOINT_STATE"


def test_f27_retention_keeps_the_newest(run_dir):
    prune(run_dir / CHECKPOINTS, 2)
    assert [p.name for p in stored(run_dir / CHECKPOINTS)] == ["00000006", "00000009"]


def test_f27_a_broken_newer_one_lets_no_older_one_go(run_dir, caplog):
    flip(run_dir / CHECKPOINTS / "00000009" / "model.safetensors")
    prune(run_dir / CHECKPOINTS, 2)
    assert len(stored(run_dir / CHECKPOINTS)) == 3 and "00000009" in caplog.text


def test_s02_foreign_files_are_reported_and_never_opened(run_dir, caplog):
    target = run_dir / CHECKPOINTS / "00000009"

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    for name in ("model.pt", "optimizer.pkl", "rows.npy"):
        (target / name).write_bytes(pickle.dumps(Bomb()))
    assert finish(run_dir).finished
    assert all(name in caplog.text for name in ("model.pt", "optimizer.pkl", "rows.npy"))


def test_s03_a_header_bomb_is_refused_before_it_is_read(run_dir):
    target = run_dir / CHECKPOINTS / "00000009" / "model.safetensors"
    target.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    with pytest.raises(IntegrityError):
        read_state(target.parent)
    with pytest.raises(IntegrityError) as caught:
        tensor_entries(target)
    assert caught.value.code == "SAFETENSORS_HEADER"


def test_s03_a_header_bomb_costs_no_memory(run_dir):
    """A terabyte declared in a small file, and a 40 MB header in a file whose digest is wrong: both under 50 MB."""
    target = run_dir / CHECKPOINTS / "00000009" / "model.safetensors"
    for data in (struct.pack("<Q", 1 << 40) + b"{}", struct.pack("<Q", 40 << 20) + b" " * (60 << 20)):
        target.write_bytes(data)
        del data
        tracemalloc.start()
        with pytest.raises(IntegrityError):
            read_state(target.parent)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50 << 20


def model_digest(tensors):
    """What the identity of float32 tensors is, computed from memory."""
    digests = {name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in tensors.items()}
    return digest_json([[name, "F32", list(tensors[name].shape), digests[name]] for name in sorted(tensors)])


def test_the_checkpoint_id_is_the_tensors_and_not_their_file(run_dir):
    state = read_state(run_dir / CHECKPOINTS / "00000009")
    tensors = checkpoint.load_tensors(run_dir / CHECKPOINTS / "00000009", state)["model"]
    assert state["checkpoint_id"] == model_digest(dict(reversed(tensors.items())))
    tensors["0.bias"] = tensors["0.bias"].clone()
    tensors["0.bias"][0] += 1e-7
    assert state["checkpoint_id"] != model_digest(tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_of_every_kind_come_back_as_they_were(tmp_path, dtype):
    tensors = {"a": torch.arange(6).reshape(2, 3).to(dtype), "scalar": torch.tensor(1).to(dtype)}
    path = save(tmp_path, 1, {"model": tensors}, {})
    loaded = checkpoint.load_tensors(path, read_state(path))["model"]
    assert all(torch.equal(loaded[k], tensors[k]) and loaded[k].dtype == dtype for k in tensors)


def test_a_disk_that_gives_back_other_bytes_is_noticed_at_the_save(tmp_path, monkeypatch):
    written = checkpoint.save_file

    def faulty(tensors, path):
        written(tensors, path)
        flip(path)

    monkeypatch.setattr(checkpoint, "save_file", faulty)
    with pytest.raises(StorageError) as caught:
        save(tmp_path, 1, {"model": {"a": torch.ones(4)}}, {})
    assert caught.value.code == "CHECKPOINT_READBACK" and list(tmp_path.iterdir()) == []


def test_saving_an_update_twice_is_refused_and_keeps_the_first(tmp_path):
    path = save(tmp_path, 1, {"model": {"a": torch.ones(4)}}, {})
    with pytest.raises(StorageError):
        save(tmp_path, 1, {"model": {"a": torch.zeros(4)}}, {})
    assert read_state(path) and [p.name for p in tmp_path.iterdir()] == ["00000001"]
