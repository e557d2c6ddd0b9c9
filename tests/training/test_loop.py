import json

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.loop import train
from training.metrics import read_lines


def run(directory, data=None, callbacks=(), **overrides):
    data = toy_data() if data is None else data
    return train(ToyRecipe(), toy_config(**overrides), data, directory, code="c", callbacks=callbacks)


def weights(finished) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in finished.model.parameters()])


class Recorder(Callback):
    def __init__(self):
        self.seen = []

    def __getattribute__(self, name):
        if name.split("_")[0] in ("train", "epoch", "step"):
            return lambda run: self.seen.append((name, run.update))
        return super().__getattribute__(name)


def test_every_hook_fires_in_order_and_epochs_are_bracketed(tmp_path):
    recorder = Recorder()
    run(tmp_path, callbacks=[recorder])  # 12 updates, 5 per epoch
    names = [name for name, _ in recorder.seen]
    step = ["step_begin", "step_end"]
    epoch = ["epoch_begin", *step * 5, "epoch_end"]
    assert names == ["train_begin", *epoch, *epoch, "epoch_begin", *step * 2, "epoch_end", "train_end"]
    assert [update for name, update in recorder.seen if name == "step_end"] == list(range(1, 13))


def test_two_runs_are_bit_equal_and_another_seed_is_not(tmp_path):
    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    assert torch.equal(weights(first), weights(second))
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()
    assert not torch.equal(weights(first), weights(run(tmp_path / "c", **{"train.seed": 1})))


@pytest.mark.parametrize(
    "switch",
    [
        {"train.log_every": 5},
        {"train.monitor_every": 1},
        {"train.monitor_every": 0},
        {"train.checkpoint_every": 1},
        {"train.checkpoint_every": 100},
        {"train.keep_checkpoints": 1},
    ],
    ids=str,
)
def test_logging_monitoring_and_saving_do_not_alter_the_weights(tmp_path, switch):
    assert torch.equal(weights(run(tmp_path / "a")), weights(run(tmp_path / "b", **switch)))


def test_a_run_leaves_threads_generators_and_determinism_as_they_were(tmp_path):
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path, **{"train.threads": 1 if threads > 1 else 2})
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()


def test_accumulation_gives_the_same_update(tmp_path):
    """Under plain SGD without clipping, as Adam would forgive a gradient of another size."""
    sgd = {"train.optimizer": {"name": "SGD", "lr": 0.1, "weight_decay": 0.0, "kwargs": {}}, "train.grad_clip": 0.0}
    whole = run(tmp_path / "a", dropout=0.0, **sgd)
    parts = run(tmp_path / "b", dropout=0.0, **sgd, **{"train.accumulation": 4})
    assert torch.allclose(weights(whole), weights(parts), rtol=1e-5, atol=1e-7)
    losses = [[x["loss"] for x in read_lines(tmp_path / d / "metrics.jsonl") if "loss" in x] for d in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_gradients_are_clipped_to_the_given_norm(tmp_path):
    """With plain SGD the length of an update is the rate times the clipped norm."""
    sgd = {"train.optimizer": {"name": "SGD", "lr": 1.0, "weight_decay": 0.0, "kwargs": {}}, "train.updates": 3}
    before = {}

    class Watch(Callback):
        def step_begin(self, run):
            before[run.update] = weights(run).clone()

        def step_end(self, run):
            moved = (weights(run) - before[run.update - 1]).norm()
            assert moved == pytest.approx(run.step.lr * 1e-3, rel=1e-3)

    run(tmp_path, callbacks=[Watch()], **sgd, **{"train.grad_clip": 1e-3})
    assert len(before) == 3


def test_the_history_has_one_line_per_update_and_one_per_measurement(tmp_path):
    run(tmp_path)
    lines = list(read_lines(tmp_path / "metrics.jsonl"))
    steps = [x for x in lines if "loss" in x]
    measured = [x for x in lines if "heldout" in x.get("monitor", ())]
    assert [x["update"] for x in steps] == list(range(1, 13)) and [x["update"] for x in measured] == [4, 8, 12]
    assert set(steps[0]) == {"update", "epoch", "loss", "distance", "grad_norm", "lr"}
    assert [x["epoch"] for x in steps] == [0] * 5 + [1] * 5 + [2] * 2
    assert steps[0]["lr"] == 0.0 and steps[2]["lr"] == 1e-2
    assert all("seconds" not in x for x in lines)


def test_timings_are_kept_apart_and_count_items(tmp_path):
    run(tmp_path)
    lines = list(read_lines(tmp_path / "timings.jsonl"))
    timings, epochs = [x for x in lines if "step_ms" in x], [x for x in lines if "epoch_s" in x]
    assert [x["update"] for x in timings] == [2, 4, 6, 8, 10, 12]
    assert all(x["numbers_per_s"] == pytest.approx(4 * 6 / x["step_ms"] * 1e3) for x in timings)
    assert all(0 < x["data_wait_ms"] < x["step_ms"] for x in timings)
    assert [(x["epoch"], x["update"]) for x in epochs] == [(0, 5), (1, 10), (2, 12)]


def test_the_schedule_follows_updates_and_not_micro_batches(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b", **{"train.accumulation": 2})
    rates = [[x["lr"] for x in read_lines(tmp_path / d / "metrics.jsonl") if "lr" in x] for d in "ab"]
    assert rates[0] == rates[1] and len(rates[0]) == 12


def test_the_horizon_does_not_depend_on_the_number_of_rows(tmp_path):
    few = run(tmp_path, data=toy_data(7))
    assert few.update == 12 and few.step.epoch == 6


def test_one_summary_line_per_epoch(tmp_path, capsys):
    run(tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["0", "1", "2"] and "loss" in lines[0]


def test_a_finished_run_returns_at_once_with_its_weights(tmp_path):
    first = run(tmp_path)
    recorder = Recorder()
    again = run(tmp_path, callbacks=[recorder])
    assert recorder.seen == [] and again.finished and torch.equal(weights(first), weights(again))
    assert sum(1 for _ in read_lines(tmp_path / "timings.jsonl")) == 6 + 3  # intervals and epochs of the first process


def test_rows_reach_the_model_in_keyed_order(tmp_path):
    """Storing the same rows in another order changes nothing."""
    data = toy_data()
    data_shuffled = toy_data()
    data_shuffled.rows = data.rows[np.random.default_rng(3).permutation(len(data.rows))]
    assert torch.equal(weights(run(tmp_path / "a", data)), weights(run(tmp_path / "b", data_shuffled)))


def test_every_line_of_the_history_is_strict_json(tmp_path):
    run(tmp_path)
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(name))


class Kernels(TorchDispatchMode):
    """Counts every call of a kernel, forward and backward."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, kinds, arguments=(), options=None):
        self.count += 1
        return function(*arguments, **(options or {}))


def kernels_an_update(work):
    """How many more kernels ``work(updates)`` calls for each more update."""
    counts = []
    for updates in (4, 12):
        with Kernels() as kernels:
            work(updates)
        counts.append(kernels.count)
    return (counts[1] - counts[0]) / 8


def test_an_update_calls_few_kernels_beside_those_of_the_bare_loop(tmp_path):
    off = {"train.monitor_every": 0, "train.validate_every": 0, "train.checkpoint_every": 0, "train.log_every": 0}

    def bare(updates):
        recipe, config, data = ToyRecipe(), toy_config(), toy_data()
        model = recipe.build_model(config, recipe.model_inputs(data, config))
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2, fused=True)
        for _ in range(updates):
            recipe.loss(model, config, recipe.batch(data, config, np.arange(4), None))["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    ours = kernels_an_update(lambda updates: run(tmp_path / str(updates), **{**off, "train.updates": updates}))
    assert ours - kernels_an_update(bare) < 12  # a second parameter group, the detached losses for the log
