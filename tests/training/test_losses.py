"""Losses by name: what they compute, which label they ignore, and which are refused and why."""

import pytest
import torch
import torch.nn.functional as F

from assets_data.lineage import ConfigError
from training.config import LossConfig, TrainConfig, problems
from training.config.problems import LOSSES, UNFIT_LOSSES
from training.losses import IGNORED, token_loss

torch.manual_seed(0)
LOGITS, LABELS = torch.randn(12, 7), torch.randint(7, (12,))


def value(name, logits=LOGITS, labels=LABELS, **kwargs):
    return token_loss(LossConfig(name=name, kwargs=kwargs))(logits, labels)["loss"]


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_labels_count_for_nothing(name):
    labels = LABELS.clone()
    labels[[1, 5, 6]] = IGNORED
    logits = LOGITS.clone()
    logits[[1, 5, 6]] = 50.0  # whatever the model says there
    kept = labels != IGNORED
    assert value(name, logits, labels) == pytest.approx(value(name, LOGITS[kept], LABELS[kept]).item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_every_offered_loss_prefers_the_right_label_and_has_gradients(name):
    right = 8.0 * F.one_hot(LABELS, 7).float()
    assert value(name, right) < value(name, right.roll(1, 1))
    logits = LOGITS.clone().requires_grad_()
    value(name, logits).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0


def test_cross_entropy_takes_label_smoothing():
    assert value("cross_entropy", label_smoothing=0.3) == F.cross_entropy(LOGITS, LABELS, label_smoothing=0.3)


def test_z_loss_adds_the_squared_log_of_the_normaliser_and_logs_its_parts():
    parts = token_loss(LossConfig(name="z_loss", kwargs={"weight": 0.5}))(LOGITS, LABELS)
    z = LOGITS.logsumexp(-1).square().mean()
    assert parts["loss"] == pytest.approx((F.cross_entropy(LOGITS, LABELS) + 0.5 * z).item(), rel=1e-6)
    assert parts["z"] == pytest.approx(z.item()) and not parts["z"].requires_grad


def refusals(name):
    return [(code, path, text) for code, path, text in problems(TrainConfig(loss=LossConfig(name=name)))]


@pytest.mark.parametrize(("name", "reason"), UNFIT_LOSSES.items())
def test_an_unfit_loss_is_refused_at_config_time_with_the_reason(name, reason):
    assert refusals(name) == [("LOSS_UNFIT", "train.loss.name", f"{name} cannot be used: {reason}")]


def test_every_loss_of_the_library_is_offered_or_refused_with_a_reason():
    import pytorch_optimizer

    assert {*UNFIT_LOSSES} == {*pytorch_optimizer.get_supported_loss_functions()}


def test_an_unknown_loss_lists_those_offered():
    ((code, path, message),) = refusals("crossentropy")
    assert (code, path) == ("LOSS_UNKNOWN", "train.loss.name") and all(name in message for name in LOSSES)


def test_an_argument_a_loss_lacks_is_a_config_error():
    with pytest.raises(ConfigError) as caught:
        value("cross_entropy", smoothing=0.1)
    assert caught.value.code == "LOSS_ARGUMENTS"
