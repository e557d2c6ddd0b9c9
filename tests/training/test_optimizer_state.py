"""Each kind of optimizer state, through real checkpoints: a run that was stopped ends as the one that was not."""

import json

import pytest
import torch

from assets_data.lineage import TrainingError, digest_json
from assets_data.lineage.storage import atomic
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training import state
from training.callbacks import Callback
from training.checkpoint import load_tensors, read_state
from training.loop import train


class Stop(Callback):
    """Ends the process, as it were, once the checkpoint of update 3 is there."""

    def step_begin(self, run):
        if run.update == 3:
            raise KeyboardInterrupt


def run(directory, name, callbacks=(), recipe=None, **overrides):
    plan = {"updates": 6, "checkpoint_every": 3, "schedule.name": "constant", "schedule.warmup": 0}
    optimizer = {"name": name, "lr": 1e-2, "weight_decay": 0.01, "kwargs": overrides.pop("kwargs", {})}
    changes = {**plan, "optimizer": optimizer, **overrides}
    config = toy_config(**{f"train.{key}": value for key, value in changes.items()})
    return train(recipe or ToyRecipe(), config, toy_data(), directory, code="c", callbacks=callbacks)


def cut(directory, name, **overrides):
    with pytest.raises(KeyboardInterrupt):
        run(directory, name, [Stop()], **overrides)
    return run(directory, name, **overrides)


KINDS = {
    "objects and enums": ("scalableshampoo", {"start_preconditioning_step": 2, "preconditioning_compute_steps": 1}),
    "a projector made of transposed matrices": ("conda", {"update_proj_gap": 2}),
    "lists of tensors and empty lists": ("soap", {"precondition_frequency": 2}),
    "lists of dicts of lists": ("dash", {}),
    "a dict by floats": ("aggmo", {}),
    "a deque": ("adashift", {"keep_num": 2}),
    "infinity and tensors in groups": ("prodigy", {}),
    "numpy's generator": ("kron", {"balance_prob": 0.5}),
    "strings that change": ("swats", {}),
    "state of all parameters": ("emonavi", {}),
    "an attribute that counts": ("ranger21", {}),
    "an attribute by parameter": ("sara", {"threshold": 0.2}),
    "an attribute with a state_dict": ("spam", {"update_proj_gap": 2, "warmup_epoch": 4}),
    "one group per parameter": ("adammini", {}),
    "second derivatives": ("adahessian", {}),
    "matrices and the rest": ("muon", {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_ends_bit_equal(tmp_path, kind):
    name, kwargs = KINDS[kind]
    whole, resumed = run(tmp_path / "a", name, kwargs=kwargs), cut(tmp_path / "b", name, kwargs=kwargs)
    expected, found = read_state(whole.final), read_state(resumed.final)
    assert found["files"] == expected["files"] and found["optimizer"] == expected["optimizer"]
    first = read_state(whole.final.with_name("00000003"))
    assert first["checkpoint_id"] != expected["checkpoint_id"]  # it trains at all


def test_a_checkpoint_from_before_nested_state_resumes_bit_equal(tmp_path):
    """It had numbers as they are, in groups too, and torch's generator alone."""
    expected = read_state(run(tmp_path / "a", "Adam").final)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", "Adam", [Stop()])
    path = tmp_path / "b/checkpoints/00000003/state.json"
    document = json.loads(path.read_bytes())
    groups = [{k: _plain(v) for k, v in group.items()} for group in document["optimizer"]["groups"]]
    numbers = [{k: v for k, v in group.items() if isinstance(v, int | float)} for group in groups]
    assert numbers[0]["lr"] == 0.01 and "betas" not in numbers[0]
    document["optimizer"] = {"state": {}, "groups": numbers}
    body = {key: value for key, value in document.items() if key != "digest"}
    atomic.write_json(path, {**body, "digest": digest_json(body)})
    found = read_state(run(tmp_path / "b", "Adam").final)
    assert found["files"] == expected["files"]


def test_state_that_cannot_be_kept_names_the_optimizer_and_the_key(tmp_path):
    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            super().step()
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter]["source"] = torch.Generator()

    model = torch.nn.Linear(2, 2)
    optimizer = Odd(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    with pytest.raises(TrainingError, match="Odd keeps source as Generator") as caught:
        state.capture(model, optimizer)
    assert caught.value.code == "CHECKPOINT_OPTIMIZER_STATE"


def test_state_of_another_optimizer_is_refused_with_a_code():
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tensors, numbers = state.capture(model, optimizer)
    for broken in ({"groups": [*numbers["groups"]] * 2}, {"shared": {"ema": {"object": "os:stat_result"}}}):
        with pytest.raises(TrainingError) as caught:
            state.restore(model, optimizer, tensors, {**numbers, **broken})
        assert caught.value.code == "CHECKPOINT_OPTIMIZER_STATE"


def test_a_schedule_free_run_is_measured_and_published_in_its_evaluation_mode(tmp_path):
    finished = run(tmp_path, "schedulefreeadamw", validate_every=2)
    tensors = load_tensors(finished.final, read_state(finished.final))
    losses = {part: held_out_loss(finished, tensors[part]) for part in ("model", "training")}
    assert finished.journal.latest["val_loss"] == pytest.approx(losses["model"], rel=1e-6)
    assert abs(losses["training"] - losses["model"]) > 1e-4
    assert all(torch.equal(p, tensors["training"][name]) for name, p in finished.model.named_parameters())


@pytest.mark.parametrize("name", ["schedulefreeadamw", "schedulefreesgd", "schedulefreeradam", "splus"])
def test_measuring_in_evaluation_mode_changes_no_bit_and_resumes(tmp_path, name):
    expected = read_state(run(tmp_path / "a", name).final)
    measured = cut(tmp_path / "b", name, validate_every=1, monitor_every=1)
    found = read_state(measured.final)
    for part in ("model", "training", "optimizer", "rng"):
        assert found["files"][f"{part}.safetensors"] == expected["files"][f"{part}.safetensors"], part
    assert found["optimizer"] == expected["optimizer"]


def test_an_optimizer_without_such_a_mode_keeps_one_set_of_weights(tmp_path):
    assert "training.safetensors" not in read_state(run(tmp_path, "AdamW").final)["files"]


def held_out_loss(finished, tensors):
    model = finished.recipe.build_model(finished.config, {"width": 6})
    model.load_state_dict({**model.state_dict(), **tensors})
    rows = torch.from_numpy(finished.data.validation.rows)
    with torch.no_grad():
        return float(finished.recipe.loss(model.eval(), finished.config, {"x": rows})["loss"])


def _plain(value):
    return float(value["float"]) if isinstance(value, dict) and "float" in value else value
