"""A recipe that brings no more than a model: what it inherits, from the data to the verdict."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from assets_data.lineage import GateError, Store
from tests.training.tokens.tables import RECIPE, TableLm, config, ladder
from tests.training.triples import SIZES, make_manifest
from training.gate import judge
from training.generation import Sampling
from training.recipe import check_recipe
from training.stages import make_checkpoint, make_gate_report, make_preflight_report
from training.tokens import TokenRecipe
from training.tokens.baselines import baselines
from training.tokens.evaluate import evaluate, heldout_loss
from training.tokens.inspection import ROWS
from training.tokens.rows import join

INPUTS = {"bos": 1, "eos": 2, "pad": 0, "context": 4}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def inputs(stored):
    return {"manifest": make_manifest(stored)}


@pytest.fixture
def data(stored, inputs):
    return RECIPE.open_data(stored, inputs, config())


def test_a_model_and_a_config_make_a_sound_recipe_and_what_is_missing_is_named():
    class Unfinished(TokenRecipe):
        name, presets, config_type = "unfinished", {"only": config}, type(config())

    assert list(check_recipe(RECIPE)) == []
    assert list(check_recipe(Unfinished())) == [
        f"it does not define {name}" for name in ("build_model", "logits", "write")
    ]


def test_the_three_stages_train_and_judge_it(stored, inputs):
    preflight = make_preflight_report(stored, RECIPE, inputs, config())
    registered = preflight.read_json("registration.json")
    assert registered["ok"], preflight.read_json("preflight.json")["issues"]
    assert registered["model_inputs"]["context"] == 32 and registered["model_inputs"]["vocab_size"] == 12
    checkpoint = make_checkpoint(stored, RECIPE, inputs, preflight)
    assert checkpoint.read_json("training.json")["model_inputs"] == registered["model_inputs"]
    result = make_gate_report(stored, RECIPE, inputs, preflight, checkpoint).read_json("result.json")
    assert result["gate"]["verdict"] == "fail"  # four updates
    assert result["metrics"]["scalars"]["heldout_rows"] == 20 and len(result["metrics"]["samples"]) == 3


def test_loss_and_items_are_those_of_the_suffix_alone(data):
    model, rows = ladder(certainty=1.0), np.arange(8)
    batch = RECIPE.batch(data, config(), rows, np.zeros(8, np.int64))
    nats = []
    for row in rows:
        ids, labels = (torch.from_numpy(array.astype(np.int64)) for array in join(data[row]))
        nats += F.cross_entropy(model(ids), labels, reduction="none", ignore_index=-100)[labels != -100].tolist()
    assert RECIPE.items(batch) == len(nats) == sum(len(data[row].labels) for row in rows)
    assert RECIPE.loss(model, config(), batch)["loss"].item() == pytest.approx(np.mean(nats), rel=1e-5)
    assert heldout_loss(RECIPE, model, config(), data.train, rows).nats == pytest.approx(np.mean(nats), rel=1e-5)


def pairs(triple, whole):
    """Each token and the one after it: where the model is judged, or in the whole joined row."""
    ids, labels = join(triple)
    following = np.concatenate((ids[1:], labels[-1:]))
    return (ids, following) if whole else (ids[labels != -100], labels[labels != -100])


def test_a_model_that_is_the_bigram_baseline_measures_the_baselines_loss(data):
    """The two numbers the gate compares come by different ways and are of the same labels in the same context."""
    rows, model, found = np.arange(len(data.test)), ladder(), []
    for whole in (False, True):
        counts = np.zeros((12, 12))
        for row in range(len(data.train)):
            np.add.at(counts, pairs(data[row], whole), 1)
        p = (counts.sum(0) + 1) / (counts.sum() + 12)
        for weight in 10.0 ** np.arange(-1.0, 5.0, 0.5):
            table = (counts + weight * p) / (counts.sum(1, keepdims=True) + weight)
            with torch.no_grad():
                model.next.weight.copy_(torch.from_numpy(np.log(table)))
            found.append(heldout_loss(RECIPE, model, config(), data.test, rows).nats)
    joined, apart = (baselines(data.train, data.test, rows, 12, joined=joined) for joined in (True, False))
    assert joined.bigram == pytest.approx(min(found), rel=1e-5)
    assert joined.bigram < apart.bigram and joined.tokens == apart.tokens


def test_the_evaluation_is_the_loss_below_each_baseline(data):
    rows = np.arange(20)
    found = evaluate(RECIPE, ladder(certainty=1.0), data, config(), rows, {"unigram": 9.0, "bigram": 0.5})
    loss = found.scalars["heldout_loss"]
    assert [(m.name, m.value) for m in found.measurements] == [
        ("nats_below_unigram", pytest.approx(9.0 - loss)),
        ("nats_below_bigram", pytest.approx(0.5 - loss)),
    ]
    low, high = found.scalars["heldout_loss_interval"]
    assert low < loss < high and judge(found.measurements, {"margin": 0.0})["verdict"] == "fail"
    sample = found.tables["samples"][1]
    assert sample["prompt"] == data.decode(data.test[1].encoder_ids)
    assert sample["reference"] == data.decode(data.test[1].labels[:6])


@pytest.mark.parametrize(
    ("changes", "spoil", "code"),
    [
        ({"context": 9}, lambda data: None, "TABLE_LM_ROWS_LONG"),
        ({}, lambda data: setattr(data, "test", data.train), "TABLE_LM_SPLITS_OVERLAP"),
        ({}, lambda data: None, None),
    ],
)
def test_what_would_spoil_the_training_is_an_error_under_the_recipes_name(data, changes, spoil, code):
    spoil(data)
    assert [issue.code for issue in RECIPE.inspect(data, config(**changes)).issues] == ([code] if code else [])


def test_the_room_is_that_of_the_joined_row(data):
    longest = max(
        len(join(rows[row])[0]) for rows in (data.train, data.validation, data.test) for row in range(len(rows))
    )
    assert [issue.code for issue in RECIPE.inspect(data, config(context=longest)).issues] == []
    assert len(RECIPE.inspect(data, config(context=longest - 1)).issues) == 1


@pytest.mark.parametrize(
    ("field", "value"), [("gate.margin", -0.1), ("gate.rows", 0), ("gate.sample_top_p", 0.0), ("train.batch_rows", 0)]
)
def test_contradictions_are_named(field, value):
    assert list(RECIPE.check(config())) == []
    assert [issue.severity for issue in RECIPE.check(config(**{field: value}))] == ["error"]


@pytest.mark.parametrize("move", ["other rows", "fewer rows"])
def test_rows_that_are_not_the_registered_ones_are_refused(stored, inputs, data, move):
    preflight = make_preflight_report(stored, RECIPE, inputs, config())
    assert len(preflight.table(ROWS)) == 20
    data.test = data.train if move == "other rows" else data.validation
    assert (len(data.test) > 2 * SIZES["test"]) == (move == "other rows")
    with pytest.raises(GateError) as caught:
        RECIPE.evaluate(ladder(), data, config(), preflight)
    assert caught.value.code == "GATE_OTHER_ROWS"


def test_it_writes_what_follows_each_prompt_up_to_the_end():
    greedy = Sampling(max_new_tokens=20)
    answers = RECIPE.write(ladder(), INPUTS, [[3, 5], [9], []], greedy)
    assert answers == [[6, 7, 8, 9, 10, 11], [10, 11], []]  # bos is 1, and after 1 comes 2, the end
    assert RECIPE.generate(ladder(), INPUTS, [3, 5], greedy) == answers[0]
    assert RECIPE.write(ladder(), INPUTS, [[3]], Sampling(max_new_tokens=2)) == [[4, 5]]


def test_writing_together_or_alone_is_the_same_and_puts_the_mode_back():
    torch.manual_seed(0)
    model, prompts = Recent(12), [[3, 5, 7, 4, 9, 3], [9], [4, 4, 4]]
    model.train()
    together = RECIPE.write(model, INPUTS, prompts, Sampling(max_new_tokens=9))
    assert model.training and together == [
        RECIPE.generate(model, INPUTS, p, Sampling(max_new_tokens=9)) for p in prompts
    ]
    assert all(length <= INPUTS["context"] for length in model.seen) and max(model.seen) == INPUTS["context"]


def test_sampling_depends_on_the_seed_and_a_small_nucleus_is_greedy():
    def write(**how):
        return RECIPE.write(ladder(certainty=2.0), INPUTS, [[3]], Sampling(max_new_tokens=12, **how))

    hot = {"temperature": 1.5}
    assert write(**hot, seed=1) == write(**hot, seed=1) != write(**hot, seed=2)
    assert write(**hot, seed=1, top_p=1e-6) == write()


class Recent(torch.nn.Module):
    """Logits that depend on all tokens so far; notes how many it is shown."""

    def __init__(self, vocab_size):
        super().__init__()
        self.table, self.seen = torch.nn.Embedding(vocab_size, vocab_size), []

    def forward(self, ids_BT):
        self.seen.append(ids_BT.shape[1])
        return self.table(ids_BT).cumsum(dim=1)


def test_the_least_recipe_brings_nothing_but_names_and_a_model():
    own = {name for name in vars(TableLm) if not name.startswith("__")}
    assert own == {"name", "presets", "config_type", "room", "build_model"}
