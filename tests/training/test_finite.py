"""F29: a number that is not finite stops the run before it reaches the weights."""

import numpy as np
import pytest
import torch

from assets_data.lineage import TrainingError
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import beginning
from training.callbacks import Callback
from training.config import derived_seed
from training.finite import DeviceGuard, HostGuard, finite_guard
from training.loop import train
from training.metrics import read_lines
from training.order import Order
from training.run_directory import CHECKPOINTS, METRICS

BAD_UPDATE = 6  # counted from 0
SPARSE = {"train.log_every": 10, "train.monitor_every": 0, "train.checkpoint_every": 6}  # the next look is at 10


def poisoned(value: float, rows: int = 200):
    """Toy data whose update 6 is the first to take a row with ``value`` in it, and that row's number."""
    data = toy_data(rows)
    order = Order(derived_seed(0, "order"), data.row_keys, 4)
    row = int(order.batch(BAD_UPDATE)[0][1])
    pinned = Pinned(data.rows, data.row_keys)  # a changed row would move in the order
    pinned.rows[row, 0] = value
    return pinned, row


class Pinned:
    members, items_per_row, tables, validation = {"toy": "sha256:toy"}, 6.0, (), None

    def __init__(self, rows, row_keys):
        self.rows, self.row_keys = rows, row_keys


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f29_stops_before_the_update_naming_step_rows_and_parameter(tmp_path, value):
    data, row = poisoned(value)
    with pytest.raises(TrainingError) as caught:
        train(ToyRecipe(), toy_config(**{"train.log_every": 5}), data, tmp_path, code="c")
    assert caught.value.code == "NON_FINITE"
    assert "update 7 " in caught.value.what and f"rows [{row}]" in str(caught.value.found)
    assert "0.weight" in str(caught.value.found)
    assert sorted(p.name for p in (tmp_path / CHECKPOINTS).iterdir()) == ["00000003", "00000006"]


def test_f29_a_non_finite_gradient_behind_a_finite_loss_is_caught(tmp_path):
    class Sharp(ToyRecipe):
        def loss(self, model, config, batch):
            losses = super().loss(model, config, batch)
            spread = batch["x"].std() * 0  # 0, and sqrt has no derivative there
            return {"loss": losses["loss"] + (spread * model[0].weight.sum()).abs().sqrt()}

    with pytest.raises(TrainingError) as caught:
        train(Sharp(), toy_config(), toy_data(), tmp_path, code="c")
    assert caught.value.code == "NON_FINITE" and "0.weight" in str(caught.value.found)
    assert "update 1 " in caught.value.what


@pytest.mark.parametrize("optimizer", ["AdamW", "Lion"])
def test_f29_without_a_look_at_every_update_the_weights_still_stay_untouched(tmp_path, monkeypatch, optimizer):
    """As on CUDA: the host looks at log edges only. A fused optimizer skips on the device, another one is asked."""
    monkeypatch.setattr(beginning, "finite_guard", DeviceGuard)
    data, row = poisoned(np.nan)
    kept = {}

    class Opened(ToyRecipe):
        def build_model(self, config, inputs):
            kept["model"] = super().build_model(config, inputs)
            return kept["model"]

    optimizer_config = {"name": optimizer, "lr": 1e-3, "weight_decay": 0.0, "kwargs": {}}
    config = toy_config(**SPARSE, **{"train.optimizer": optimizer_config})
    with pytest.raises(TrainingError) as caught:
        train(Opened(), config, data, tmp_path / "bad", code="c")
    assert "update 7 " in caught.value.what and f"rows [{row}]" in str(caught.value.found)

    class Keep(Callback):
        def step_end(self, run):
            if run.update == BAD_UPDATE:
                kept["good"] = [p.detach().clone() for p in run.model.parameters()]

    with pytest.raises(TrainingError):
        train(ToyRecipe(), config, data, tmp_path / "good", code="c", callbacks=[Keep()])
    assert all(torch.equal(a, b) for a, b in zip(kept["model"].parameters(), kept["good"], strict=True))


def test_f29_the_last_update_is_looked_at_before_it_is_logged_or_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(beginning, "finite_guard", DeviceGuard)
    data, row = poisoned(np.nan)
    with pytest.raises(TrainingError) as caught:
        train(ToyRecipe(), toy_config(**SPARSE, **{"train.updates": BAD_UPDATE + 1}), data, tmp_path, code="c")
    assert caught.value.code == "NON_FINITE" and f"rows [{row}]" in str(caught.value.found)
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir()] == [f"{BAD_UPDATE:08d}"]
    assert max(line["update"] for line in read_lines(tmp_path / METRICS)) == BAD_UPDATE


def test_only_on_the_cpu_the_host_looks_by_itself():
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], fused=True)
    assert isinstance(finite_guard(optimizer, torch.device("cpu")), HostGuard) and not hasattr(optimizer, "found_inf")
    assert isinstance(finite_guard(optimizer, torch.device("meta")), DeviceGuard) and optimizer.found_inf.is_meta


def test_f29_between_looks_an_epochs_edge_still_names_the_fault(tmp_path, monkeypatch):
    """The epoch's summary fetches numbers too: the fault is named there, not lost in writing the log."""
    monkeypatch.setattr(beginning, "finite_guard", DeviceGuard)
    data, row = poisoned(np.nan, rows=4 * (BAD_UPDATE + 1))  # the bad update is the last of its epoch
    with pytest.raises(TrainingError) as caught:
        train(ToyRecipe(), toy_config(**SPARSE), data, tmp_path, code="c")
    assert caught.value.code == "NON_FINITE" and f"rows [{row}]" in str(caught.value.found)
