"""Losses by name: what they compute, which label they ignore, and which are refused and why."""

import pytest
import torch
import torch.nn.functional as F

from assets_data.lineage import ConfigError, from_dict, from_recorded, to_dict, with_overrides
from training.recipe import discover
from training.tokens.config import LOSSES, UNFIT_LOSSES, TokenLoss, loss_issues
from training.tokens.losses import IGNORED, token_loss

RECIPES = [recipe for recipe in discover().values() if recipe.name in ("walk_lm", "hrm_lm", "cell_mlm", "geno_lewm")]
TOKENS = [recipe for recipe in RECIPES if recipe.name in ("walk_lm", "hrm_lm")]
REFUSED = {
    ("cross_entropy", (("smoothing", 1),)): "LOSS_ARGUMENTS",
    ("multi_margin", (("p", 3),)): "LOSS_ARGUMENTS",
    ("diceloss", ()): "LOSS_UNFIT",
    ("crossentropy", ()): "LOSS_UNKNOWN",
}
torch.manual_seed(0)
LOGITS, LABELS = torch.randn(12, 7), torch.randint(7, (12,))


def value(name, logits=LOGITS, labels=LABELS, **kwargs):
    return token_loss(TokenLoss(name=name, kwargs=kwargs))(logits, labels)["loss"]


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
    parts = token_loss(TokenLoss(name="z_loss", kwargs={"weight": 0.5}))(LOGITS, LABELS)
    z = LOGITS.logsumexp(-1).square().mean()
    assert parts["loss"] == pytest.approx((F.cross_entropy(LOGITS, LABELS) + 0.5 * z).item(), rel=1e-6)
    assert parts["z"] == pytest.approx(z.item()) and not parts["z"].requires_grad


def refusals(name):
    return [(issue.code, issue.path, issue.message) for issue in loss_issues(TokenLoss(name=name))]


@pytest.mark.parametrize(("name", "reason"), UNFIT_LOSSES.items())
def test_an_unfit_loss_is_refused_at_config_time_with_the_reason(name, reason):
    assert refusals(name) == [("LOSS_UNFIT", "loss.name", f"{name} cannot be used: {reason}")]


def test_every_loss_of_the_library_is_offered_or_refused_with_a_reason():
    import pytorch_optimizer

    assert {*UNFIT_LOSSES} == {*pytorch_optimizer.get_supported_loss_functions()}


def test_an_unknown_loss_lists_those_offered():
    ((code, path, message),) = refusals("crossentropy")
    assert (code, path) == ("LOSS_UNKNOWN", "loss.name") and all(name in message for name in LOSSES)


def test_an_argument_a_loss_lacks_is_a_config_error():
    with pytest.raises(ConfigError) as caught:
        value("cross_entropy", smoothing=0.1)
    assert caught.value.code == "LOSS_ARGUMENTS"


@pytest.mark.parametrize("recipe", TOKENS, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(("loss", "code"), REFUSED.items())
def test_every_recipe_on_tokens_refuses_a_loss_before_training(recipe, loss, code):
    name, kwargs = loss
    config = with_overrides(recipe.presets["smoke"](), {"loss.name": name, "loss.kwargs": dict(kwargs)})
    assert [issue.code for issue in recipe.check(config)] == [code]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_config_of_a_version_that_held_the_loss_in_train_is_read_and_no_person_may_write_one(recipe):
    older = to_dict(recipe.presets["smoke"]())
    smoothed = {"name": "cross_entropy", "kwargs": {"label_smoothing": 0.1}}
    if recipe in TOKENS:
        del older["loss"]
    older["train"]["loss"] = smoothed
    read = from_recorded(recipe.config_type, older)
    assert older["train"]["loss"] == smoothed  # the document itself is left alone
    expected = with_overrides(recipe.presets["smoke"](), {"loss": smoothed} if recipe in TOKENS else {})
    assert to_dict(read) == to_dict(expected)
    with pytest.raises(ConfigError, match=r"train\.'loss'"):
        from_dict(recipe.config_type, older)
