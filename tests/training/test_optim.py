import pytest
import torch
from torch import nn

from assets_data.lineage import ConfigError
from training.config import OptimizerConfig, TrainConfig, problems
from training.config.optimizers import MUON, UNFIT_OPTIMIZERS
from training.optim import build_optimizer, hidden_matrices, optimizer_class, parameter_groups
from training.optimizer_calls import OptimizerCalls


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(5, 4), nn.LayerNorm(4)
        self.rms, self.hidden = nn.RMSNorm(4), nn.Linear(4, 4)
        self.tied = nn.Linear(4, 5, bias=False)
        self.tied.weight = self.embedding.weight
        self.positions = nn.Parameter(torch.zeros(3, 4))
        self.frozen = nn.Linear(4, 4, bias=False).requires_grad_(False)


def test_decay_is_decided_by_module_type_and_covers_every_trained_parameter_once():
    model = Model()
    decayed, kept = parameter_groups(model, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in decayed["params"]} == {"hidden.weight", "positions"}
    assert {names[id(p)] for p in kept["params"]} == {
        "embedding.weight", "norm.weight", "norm.bias", "rms.weight", "hidden.bias",
    }  # fmt: skip
    assert decayed["weight_decay"] == 0.1 and kept["weight_decay"] == 0.0


@pytest.mark.parametrize("name", ["AdamW", "adam", "SGD"])
def test_torch_optimizers_are_fused_and_take_their_kwargs(name):
    kwargs = {"momentum": 0.9} if name == "SGD" else {"betas": (0.8, 0.9)}
    optimizer = build_optimizer(Model(), OptimizerConfig(name=name, lr=0.5, kwargs=kwargs))
    assert type(optimizer).__name__.lower() == name.lower()
    for group in optimizer.param_groups:
        assert group["fused"] and group["lr"] == 0.5
        assert all(group[key] == value for key, value in kwargs.items())


def test_a_name_of_the_other_library_builds_that_optimizer():
    assert type(build_optimizer(Model(), OptimizerConfig(name="Lion"))).__name__ == "Lion"


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError) as caught:
        optimizer_class("adamwu")
    assert caught.value.code == "OPTIMIZER_UNKNOWN"
    assert all(f"'{name}'" in str(caught.value) for name in ("adamw", "sgd", "lion", "shampoo"))


def test_an_argument_the_optimizer_lacks_is_a_config_error():
    with pytest.raises(ConfigError) as caught:
        build_optimizer(Model(), OptimizerConfig(kwargs={"momentum": 0.9}))
    assert caught.value.code == "OPTIMIZER_ARGUMENTS"


class Untied(nn.Module):
    """As wide as its vocabulary is large, so that the head's shape alone does not tell it from the rest."""

    def __init__(self):
        super().__init__()
        self.embedding, self.up, self.norm = nn.Embedding(6, 6), nn.Linear(6, 6), nn.LayerNorm(6)
        self.conv, self.positions = nn.Conv1d(6, 6, 3), nn.Parameter(torch.zeros(3, 6))
        self.head = nn.Linear(6, 6, bias=False)


def names_of(model, ids) -> set[str]:
    return {name for name, p in model.named_parameters() if id(p) in ids}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model(), {"hidden.weight", "frozen.weight"}),  # the head is tied to the embedding
        (Untied(), {"up.weight"}),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)), {"0.weight", "1.weight"}),
    ],
    ids=["tied", "untied", "no embedding"],
)
def test_hidden_matrices_are_2d_weights_but_embeddings_and_the_head(model, expected):
    assert names_of(model, hidden_matrices(model)) == expected


@pytest.mark.parametrize("name", ["walk_lm", "hrm_lm"])
def test_the_recipes_heads_and_embeddings_are_no_hidden_matrices(name):
    from training.recipe import discover

    recipe = discover()[name]
    inputs = {"walk_lm": {"vocab_size": 40}, "hrm_lm": {"vocab_size": 40, "batch_rows": 4}}[name]
    model = recipe.build_model(recipe.presets["smoke"](), inputs)
    embeddings = {f"{n}.weight" for n, module in model.named_modules() if isinstance(module, nn.Embedding)}
    matrices = {n for n, p in model.named_parameters() if p.ndim == 2}
    assert matrices - names_of(model, hidden_matrices(model)) == {*embeddings, "head.weight"}


@pytest.mark.parametrize("name", MUON)
def test_muon_and_its_kin_take_hidden_matrices_and_run_adamw_at_its_own_rate_on_the_rest(name):
    model = Untied()
    optimizer = build_optimizer(model, OptimizerConfig(name=name, lr=0.02, weight_decay=0.1))
    by_use = {use: [g for g in optimizer.param_groups if g["use_muon"] is use] for use in (True, False)}
    assert names_of(model, {id(p) for g in by_use[True] for p in g["params"]}) == {"up.weight"}
    assert {g["weight_decay"] for g in by_use[True]} == {0.1} and {g["lr"] for g in by_use[True]} == {0.02}
    decayed = [g for g in by_use[False] if g["weight_decay"]]
    assert names_of(model, {id(p) for g in decayed for p in g["params"]}) == {"conv.weight", "positions", "head.weight"}
    OptimizerCalls(optimizer, name).set_rate(0.01)  # half of the peak
    assert [g["lr"] for g in by_use[True]] == [0.01] and [g["lr"] for g in by_use[False]] == [pytest.approx(1.5e-4)] * 2
    covered = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert sorted(covered) == sorted(id(p) for p in model.parameters())


def test_the_rate_of_the_rest_can_be_given():
    optimizer = build_optimizer(Untied(), OptimizerConfig(name="muon", lr=0.02, kwargs={"adamw_lr": 0.002}))
    OptimizerCalls(optimizer, "muon").set_rate(0.01)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.001, 0.001])


def test_one_that_groups_parameters_itself_decays_what_the_others_decay():
    model = Untied()
    optimizer = build_optimizer(model, OptimizerConfig(name="AdamMini", weight_decay=0.1))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in parameter_groups(model, 0.1)[0]["params"]}


def test_the_run_s_length_is_completed_where_an_optimizer_asks_for_it():
    lengths = [
        build_optimizer(Model(), OptimizerConfig(name="ranger21"), updates=updates).start_warm_down
        for updates in (100, 200)
    ]
    assert lengths[1] == 2 * lengths[0] > 0
    given = OptimizerConfig(name="ranger21", kwargs={"num_iterations": 200})
    assert build_optimizer(Model(), given, updates=100).start_warm_down == lengths[1]


def test_the_library_s_own_fused_is_left_alone():
    build_optimizer(Model(), OptimizerConfig(name="FlashAdamW"))
    with pytest.raises(ConfigError, match="fused") as caught:
        build_optimizer(Model(), OptimizerConfig(name="FlashAdamW", kwargs={"fused": True}))
    assert caught.value.code == "OPTIMIZER_ARGUMENTS"


@pytest.mark.parametrize("name", UNFIT_OPTIMIZERS)
def test_an_optimizer_that_a_run_cannot_drive_is_refused_with_what_it_needs(name):
    (found,) = problems(TrainConfig(optimizer=OptimizerConfig(name=name.upper())))
    assert found[:2] == ("OPTIMIZER_UNFIT", "train.optimizer.name") and UNFIT_OPTIMIZERS[name] in found[2]
    with pytest.raises(ConfigError) as caught:
        build_optimizer(Model(), OptimizerConfig(name=name))
    assert caught.value.code == "OPTIMIZER_UNFIT"


@pytest.mark.parametrize(
    "change", [{"compile": True}, {"gradient_checkpointing": True}, {"precision": "fp16"}], ids=str
)
@pytest.mark.parametrize("name", ["adahessian", "SophiaH"])
def test_second_derivatives_are_refused_where_there_are_none(name, change):
    (found,) = problems(TrainConfig(optimizer=OptimizerConfig(name=name), **change))
    assert found[:2] == ("OPTIMIZER_UNFIT", f"train.{next(iter(change))}") and "second derivatives" in found[2]
    assert not [*problems(TrainConfig(optimizer=OptimizerConfig(name=name)))]


@pytest.mark.parametrize("name", ["emozeal", "emoneco", "ranger25"])
def test_a_name_that_the_library_no_longer_has_lists_the_valid_ones_and_none_that_is_refused(name):
    with pytest.raises(ConfigError, match="'emonavi'") as caught:
        optimizer_class(name)
    assert caught.value.code == "OPTIMIZER_UNKNOWN" and "'lbfgs'" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kwargs", "reason"),
    [
        ("lion", {"betaz": [0.9, 0.99]}, "takes no betaz"),
        ("came", {"betas": [0.9, 0.99]}, "takes 3 betas"),
        ("adan", {"betas": 0.9}, "takes 3 betas"),
        ("lamb", {"betas": [0.9, 2.0]}, "beta2"),
        ("muon", {"ns_steps": 0}, "ns_steps"),
        ("rmsprop", {"betas": [0.9, 0.99], "cautious": True}, "takes no betas; takes no cautious"),
    ],
    ids=str,
)
def test_a_wrong_argument_of_a_library_optimizer_is_a_config_error(name, kwargs, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        build_optimizer(Model(), OptimizerConfig(name=name, kwargs=kwargs))
    assert caught.value.code == "OPTIMIZER_ARGUMENTS"


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("lion", {"cautious": True}), ("aggmo", {"betas": [0.0, 0.9]}), ("qhadam", {"nus": [0.7, 1.0]})],
    ids=str,
)
def test_switches_and_lists_of_the_library_are_taken(name, kwargs):
    group = build_optimizer(Model(), OptimizerConfig(name=name, kwargs=kwargs)).param_groups[0]
    assert all(group[key] == (tuple(value) if isinstance(value, list) else value) for key, value in kwargs.items())
