"""fp16 with a loss scale: overflown gradients are skipped and counted, and the scaler survives a resume."""

import itertools

import pytest
import torch

from assets_data.lineage import TrainingError
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import beginning
from training.callbacks import Callback
from training.checkpoint import read_state
from training.config import TrainConfig
from training.environment import autocast
from training.finite import DeviceGuard, finite_guard
from training.loop import train
from training.metrics import read_lines
from training.precision import Precision

CPU = torch.device("cpu")


def run(directory, callbacks=(), recipe=None, **overrides):
    config = toy_config(**{"train.precision": "fp16", **overrides})
    return train(recipe or ToyRecipe(), config, toy_data(), directory, code="c", callbacks=callbacks)


def skipped(directory):
    return [int(x["skipped"]) for x in read_lines(directory / "metrics.jsonl") if "skipped" in x]


class Overflowing(ToyRecipe):
    """The gradient overflows fp16 where the scaled loss exceeds ``limit``: a stand-in for large activations."""

    limit = 3e4

    def loss(self, model, config, batch):
        losses = super().loss(model, config, batch)
        if losses["loss"].requires_grad:
            losses["loss"].register_hook(lambda gradient: torch.where(gradient > self.limit, torch.inf, gradient))
        return losses


def test_precision_names_choose_autocast():
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with autocast(TrainConfig(precision=name), CPU):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    for name in ("none", "auto"):
        with autocast(TrainConfig(precision=name), CPU):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_scaled_gradients_are_unscaled_before_they_are_clipped_and_logged(tmp_path):
    """The gradient norm of the first update is that of bf16 and of full precision, to their tolerance."""
    norms = {}
    for name in ("none", "fp16"):
        run(tmp_path / name, dropout=0.0, **{"train.precision": name})
        norms[name] = next(x["grad_norm"] for x in read_lines(tmp_path / name / "metrics.jsonl") if "grad_norm" in x)
    assert norms["fp16"] == pytest.approx(norms["none"], rel=2e-2)
    assert skipped(tmp_path / "none") == [] and skipped(tmp_path / "fp16") == [0] * 12


@pytest.mark.parametrize("guard", [finite_guard, DeviceGuard])
@pytest.mark.parametrize("optimizer", ["AdamW", "Lion"])
def test_an_overflown_update_is_skipped_and_counted(tmp_path, monkeypatch, optimizer, guard):
    """The scale begins at 65536 and is halved: the first two updates overflow 3e4, the third does not."""

    class Keep(Callback):
        def step_end(self, run):
            kept.append(torch.cat([p.detach().flatten() for p in run.model.parameters()]))

    monkeypatch.setattr(beginning, "finite_guard", guard)
    kept: list[torch.Tensor] = []
    change = {"train.optimizer": {"name": optimizer, "lr": 1e-2, "weight_decay": 0.0, "kwargs": {}}}
    change |= {"train.schedule.name": "constant", "train.schedule.warmup": 0}
    run(tmp_path, [Keep()], Overflowing(), **change)
    assert skipped(tmp_path) == [1, 1] + [0] * 10
    moved = [not torch.equal(a, b) for a, b in itertools.pairwise(kept)]
    assert moved == [False] + [True] * 10  # after updates 1 and 2 alike, then on


def test_an_overflow_at_the_smallest_scale_stops_the_run(tmp_path):
    class Hopeless(Overflowing):
        limit = 0.0

    with pytest.raises(TrainingError) as caught:
        run(tmp_path, recipe=Hopeless(), **{"train.updates": 40})
    assert caught.value.code == "NON_FINITE" and "update 17 " in caught.value.what  # 2**16 halved 16 times is 1


def test_a_loss_that_is_not_finite_is_no_overflow(tmp_path):
    class Broken(ToyRecipe):
        def loss(self, model, config, batch):
            return {"loss": super().loss(model, config, batch)["loss"] * torch.nan}

    with pytest.raises(TrainingError, match="update 1 "):
        run(tmp_path, recipe=Broken())


def test_the_scale_survives_a_resume(tmp_path):
    class StopAt(Callback):
        def step_end(self, run):
            if run.update == 4:
                raise KeyboardInterrupt

    run(tmp_path / "calm", recipe=Overflowing())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", [StopAt()], Overflowing())
    resumed = run(tmp_path / "cut", recipe=Overflowing())
    calm, cut = (read_state(tmp_path / d / "checkpoints" / resumed.final.name) for d in ("calm", "cut"))
    assert cut["precision"]["scale"] == 2.0**14 and cut["files"] == calm["files"]
    assert cut["precision"] == calm["precision"] and skipped(tmp_path / "cut") == skipped(tmp_path / "calm")


def test_without_fp16_nothing_is_scaled():
    for name in ("none", "bf16"):
        precision = Precision(TrainConfig(precision=name), CPU)
        assert precision.scaler is None and precision.state() == {}
