"""Where a run happens: its settings are put back, its seeds are apart, and what it reports is what it ran under."""

import itertools
import os

import pytest
import torch

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.checkpoint import read_state
from training.config import SEEDS, TrainConfig, derived_seed, derived_seeds
from training.environment import WORKSPACE, bit_facts, reproducible
from training.loop import train


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
    gaps = [b - a for a, b in itertools.pairwise(seeds)]
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


BIT_VARIABLES = ["ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "MKL_CBWR", "ATEN_CPU_CAPABILITY", "KMP_BLOCKTIME",
                 "OPENBLAS_CORETYPE", "GLIBC_TUNABLES", "LD_PRELOAD", "TORCH_ALLOW_TF32_OVERRIDE"]  # fmt: skip


@pytest.mark.parametrize("name", BIT_VARIABLES)
def test_a_variable_that_chooses_instructions_is_a_bit_fact_and_a_resume_under_another_is_said(
    tmp_path, monkeypatch, name
):
    class Stop(Callback):
        def step_end(self, run):
            if run.update == 6:
                raise KeyboardInterrupt

    monkeypatch.delenv(name, raising=False)
    before = bit_facts(torch.device("cpu"))
    with pytest.raises(KeyboardInterrupt):
        train(ToyRecipe(), toy_config(), toy_data(), tmp_path, code="c", callbacks=[Stop()])
    monkeypatch.setenv(name, "9")
    assert bit_facts(torch.device("cpu")) != before
    finished = train(ToyRecipe(), toy_config(), toy_data(), tmp_path, code="c")
    assert len(finished.inexact) == 1 and name in finished.inexact[0]


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"])
def test_on_a_cpu_what_asks_for_threads_or_speaks_to_an_accelerator_is_none(monkeypatch, name):
    before = bit_facts(torch.device("cpu"))
    monkeypatch.setenv(name, "3")
    assert bit_facts(torch.device("cpu")) == before


def test_an_accelerators_variables_are_bit_facts_of_a_run_on_one(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "X1")  # there may be none here
    assert bit_facts(torch.device("cuda"))["math_variables"]["NVIDIA_TF32_OVERRIDE"] == "1"
