"""Where a run happens: its settings are put back, its seeds are apart, and what it reports is what it ran under."""

import os

import pytest
import torch

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.checkpoint import read_state
from training.config import TrainConfig
from training.environment import WORKSPACE, reproducible
from training.loop import train
from training.seeds import SEEDS, derived_seed, derived_seeds


@pytest.mark.parametrize("before", [None, ":16:8"])
def test_the_cublas_workspace_is_set_inside_and_put_back_after(monkeypatch, before):
    monkeypatch.delenv(WORKSPACE, raising=False)
    if before:
        monkeypatch.setenv(WORKSPACE, before)
    with reproducible(TrainConfig()):
        assert os.environ[WORKSPACE] == (before or ":4096:8")
        assert torch.are_deterministic_algorithms_enabled()
    assert os.environ.get(WORKSPACE) == before and not torch.are_deterministic_algorithms_enabled()


def test_settings_are_put_back_after_an_error_too(monkeypatch):
    monkeypatch.delenv(WORKSPACE, raising=False)
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt), reproducible(TrainConfig(threads=threads + 1)):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == threads and WORKSPACE not in os.environ


def test_seeds_are_hashed_apart_and_never_neighbours():
    seeds = sorted(seed for root in range(50) for seed in derived_seeds(root).values())
    gaps = [b - a for a, b in zip(seeds, seeds[1:], strict=False)]
    assert len(seeds) == 50 * len(SEEDS) and min(gaps) > 1000
    assert derived_seed(1, "model") != derived_seed(1, "order") != derived_seed(2, "order")


def test_model_order_and_dropout_follow_different_seeds(tmp_path):
    """The generator of dropout is not where the weights were drawn from: it begins at its own seed."""
    states = {}

    class Look(Callback):
        def train_begin(self, run):
            states["train"] = torch.get_rng_state()

    train(ToyRecipe(), toy_config(), toy_data(), tmp_path, code="c", callbacks=[Look()])
    for name in SEEDS:
        torch.manual_seed(derived_seed(0, name))
        assert torch.equal(torch.get_rng_state(), states["train"]) == (name == "train")


def test_the_report_in_a_checkpoint_is_of_the_runs_own_settings(tmp_path):
    threads = torch.get_num_threads() + 1
    finished = train(ToyRecipe(), toy_config(**{"train.threads": threads}), toy_data(), tmp_path, code="c")
    found = read_state(finished.final)["report"]
    assert found["threads"] == threads and found["torch"] == torch.__version__ and found["lock"].startswith("sha256:")
    assert found["gpus"] == [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    assert found["determinism"] == {
        "deterministic_algorithms": True, "cudnn_benchmark": False, "cublas_workspace": ":4096:8",
    }  # fmt: skip
