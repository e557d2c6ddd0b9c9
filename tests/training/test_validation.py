"""Validation measures the training loss on held-out rows, and leaves no trace in the training."""

import numpy as np
import pytest
import torch

from tests.training.odd import Sparse
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks.measure import chosen_rows
from training.loop import train
from training.metrics import read_lines

EVERY = {"train.validate_every": 4}


def run(directory, recipe=None, data=None, callbacks=(), **overrides):
    data = data or toy_data()
    return train(recipe or ToyRecipe(), toy_config(**overrides), data, directory, code="c", callbacks=callbacks)


def weights(finished):
    return torch.cat([p.detach().flatten() for p in finished.model.parameters()])


def measured(directory, name="val_loss"):
    lines = [x for x in read_lines(directory / "metrics.jsonl") if name in x.get("monitor", ())]
    return {x["update"]: x["monitor"][name] for x in lines}


def test_the_held_out_loss_is_the_mean_over_all_rows_whatever_the_batch(tmp_path):
    finished = run(tmp_path, dropout=0.0, **{"train.val_batch_rows": 4})  # 9 rows: batches of 4, 4 and 1
    x = torch.from_numpy(finished.data.validation.rows)
    with torch.no_grad():
        expected = (finished.model.eval()(x) - x).square().mean().item()
    assert measured(tmp_path) == {12: pytest.approx(expected, rel=1e-6)}
    assert set(measured(tmp_path, "val_distance")) == {12}  # an auxiliary, apart


class Labelled(ToyRecipe):
    """Rows of unequal length: the loss is a mean over the numbers above zero, as over labels that are not padding."""

    def loss(self, model, config, batch):
        kept = batch["x"] > 0
        difference = (model(batch["x"]) - batch["x"]).square() * kept
        return {"loss": difference.sum() / kept.sum()}

    def items(self, batch):
        return int((batch["x"] > 0).sum())


def test_rows_with_more_items_weigh_more(tmp_path):
    values = []
    for size in (1, 4, 9):
        run(tmp_path / str(size), Labelled(), dropout=0.0, **{"train.val_batch_rows": size})
        values.append(measured(tmp_path / str(size))[12])
    assert values == pytest.approx([values[2]] * 3, rel=1e-6)


def test_accumulation_weighs_micro_batches_by_their_items(tmp_path):
    sgd = {"train.optimizer": {"name": "SGD", "lr": 0.1, "weight_decay": 0.0, "kwargs": {}}, "train.grad_clip": 0.0}
    whole = run(tmp_path / "a", Labelled(), dropout=0.0, **sgd)
    parts = run(tmp_path / "b", Labelled(), dropout=0.0, **sgd, **{"train.accumulation": 4})
    assert torch.allclose(weights(whole), weights(parts), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("switch", [{"train.validate_every": 1}, {"train.max_val_samples": 2}, {"heldout": 0}], ids=str)
def test_validating_or_not_changes_no_bit_of_the_weights(tmp_path, switch):
    class Careless(ToyRecipe):
        def batch(self, data, config, rows, epochs):
            if len(data.rows) == 9:
                torch.rand(3)  # draws from the global generator, as a careless adapter might
            return super().batch(data, config, rows, epochs)

    switch = dict(switch)
    data = toy_data(heldout=switch.pop("heldout", 9))
    changed = run(tmp_path / "b", Careless(), data, **switch)
    assert torch.equal(weights(run(tmp_path / "a", Careless())), weights(changed))


def test_the_mode_is_put_back_and_dropout_is_off_while_measuring(tmp_path):
    class Watched(ToyRecipe):
        def loss(self, model, config, batch):
            modes.append((model.training, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
            return super().loss(model, config, batch)

    modes: list[tuple] = []
    finished = run(tmp_path, Watched(), **{"train.validate_every": 6, "train.precision": "bf16"})
    training, validating = (True, True, True), (False, False, True)
    assert modes == ([training] * 6 + [validating] * 3) * 2 and finished.model.training


def test_at_most_max_val_samples_are_measured_and_always_the_same_ones(tmp_path):
    class Watched(ToyRecipe):
        def batch(self, data, config, rows, epochs):
            if len(data.rows) == 9:
                seen.append(rows.tolist())
            return super().batch(data, config, rows, epochs)

    seen: list[list[int]] = []
    run(tmp_path, Watched(), **EVERY, **{"train.max_val_samples": 3})
    assert len(seen) == 3 and seen[0] == seen[1] == seen[2] and len(seen[0]) == 3


def test_the_chosen_rows_follow_their_keys_and_not_their_place(tmp_path):
    finished = run(tmp_path, **{"train.max_val_samples": 4})
    keys = finished.data.validation.row_keys
    chosen = set(keys[chosen_rows(finished, keys)].tolist())
    assert chosen == set(keys[::-1][chosen_rows(finished, keys[::-1])].tolist()) and len(chosen) == 4
    withdrawn = np.delete(keys, chosen_rows(finished, keys)[0])
    assert len(chosen & set(withdrawn[chosen_rows(finished, withdrawn)].tolist())) == 3


def test_validation_falls_on_its_interval_and_on_the_end(tmp_path):
    run(tmp_path, **{"train.validate_every": 5})
    assert set(measured(tmp_path)) == {5, 10, 12}


def test_data_without_held_out_rows_is_never_validated(tmp_path):
    data = toy_data()
    data.validation = None
    run(tmp_path, data=data, **EVERY)
    assert measured(tmp_path) == {}


def test_a_micro_batch_without_an_item_adds_nothing(tmp_path):
    sgd = {"train.optimizer": {"name": "SGD", "lr": 0.1, "weight_decay": 0.0, "kwargs": {}}, "train.grad_clip": 0.0}
    whole = run(tmp_path / "a", Sparse(), dropout=0.0, **sgd)
    parts = run(tmp_path / "b", Sparse(), dropout=0.0, **sgd, **{"train.accumulation": 4})
    assert torch.allclose(weights(whole), weights(parts), rtol=1e-5, atol=1e-7)
