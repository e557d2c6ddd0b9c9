"""What only a GPU can show. Skipped, with the reason, where there is none."""

import pytest
import torch

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.checkpoint import read_state, stored
from training.loop import train
from training.run_directory import CHECKPOINTS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def go(directory, recipe=None, callbacks=(), **overrides):
    config = toy_config(**{"train.device": "cuda", **overrides})
    return train(recipe or ToyRecipe(), config, toy_data(), directory, code="c", callbacks=callbacks)


def test_f33_out_of_memory_mid_step_saves_nothing_more_and_a_rerun_ends_bit_equal(tmp_path):
    class Greedy(ToyRecipe):
        def loss(self, model, config, batch):
            if len(calls) == 4:
                torch.empty(1 << 50, device="cuda")
            calls.append(1)
            return super().loss(model, config, batch)

    calls: list[int] = []
    go(tmp_path / "calm")
    with pytest.raises(torch.OutOfMemoryError):
        go(tmp_path / "cut", Greedy())
    assert [path.name for path in stored(tmp_path / "cut" / CHECKPOINTS)] == ["00000003"]
    resumed, calm = go(tmp_path / "cut"), read_state(tmp_path / "calm" / CHECKPOINTS / "00000012")
    assert read_state(resumed.final)["files"] == calm["files"]


@pytest.mark.parametrize("precision", ["none", "bf16", "fp16"])
def test_a_resume_on_the_gpu_is_bit_equal_in_every_precision(tmp_path, precision):
    class StopAt(Callback):
        def step_begin(self, run):
            if run.update == 7:
                raise KeyboardInterrupt

    change = {"train.precision": precision}
    calm = go(tmp_path / "calm", **change)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", callbacks=[StopAt()], **change)
    assert read_state(go(tmp_path / "cut", **change).final)["files"] == read_state(calm.final)["files"]


def test_between_log_lines_the_host_never_waits_for_the_device(tmp_path):
    """torch raises at every synchronisation inside the updates that have no log line."""

    class Strict(Callback):
        def step_begin(self, run):
            torch.cuda.set_sync_debug_mode("default" if run.asks_device(run.update + 1) else "error")

        def close(self):
            torch.cuda.set_sync_debug_mode("default")

    sparse = {"train.log_every": 5, "train.monitor_every": 0, "train.checkpoint_every": 12, "train.collapse_every": 0}
    assert go(tmp_path, callbacks=[Strict()], **sparse).finished
