"""What is measured, against models and rows whose answers are known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from assets_data.domains.text.read import Triple
from assets_data.lineage import GateError, from_dict, to_dict, with_overrides
from tests.training.recipes.hrm_lm.conftest import build, tiny
from training.gate import judge
from training.recipe import discover
from training.recipes.hrm_lm.config import HrmLmConfig
from training.recipes.hrm_lm.evaluate import exact_match
from training.tokens import evaluate as measuring
from training.tokens.baselines import baselines
from training.tokens.evaluate import evaluate, heldout_loss
from training.tokens.inspection import ROWS

RECIPE = discover()["hrm_lm"]


class Listed:
    """Rows out of a list."""

    pad = 0

    def __init__(self, triples):
        self.triples, self.row_keys = triples, np.arange(len(triples), dtype=np.uint64)

    def __len__(self):
        return len(self.triples)

    def __getitem__(self, row):
        return self.triples[row]


def row(encoder, decoder):
    return Triple(np.array(encoder), np.array(decoder[:-1]), np.array(decoder[1:]))


def opened(**overrides):
    model = build(**overrides)
    model.count_rows(800)
    return model.eval()


def test_the_loss_is_over_every_label_with_an_interval_from_the_scatter_between_rows(data):
    model, numbers = opened(), np.arange(len(data.test))
    nats, weights = [], []
    for number in numbers:
        example = data.test[number]
        encoder, decoder, labels = (torch.as_tensor(ids.astype(np.int64))[None] for ids in example)
        logits = model(encoder, torch.ones_like(encoder, dtype=torch.bool), decoder).logits_BTV
        nats.append(F.cross_entropy(logits[0], labels[0], reduction="sum").item())
        weights.append(len(labels[0]))
    found, mean = heldout_loss(RECIPE, model, tiny(), data.test, numbers), sum(nats) / sum(weights)
    assert found.nats == pytest.approx(mean, rel=1e-5) and found.tokens == sum(weights)
    scatter = np.sqrt(sum((n - mean * w) ** 2 for n, w in zip(nats, weights, strict=True))) / sum(weights)
    assert found.interval == pytest.approx((mean - 1.96 * scatter, mean + 1.96 * scatter), rel=1e-3)


def test_batches_do_not_change_the_loss(data, monkeypatch):
    whole = heldout_loss(RECIPE, opened(), tiny(), data.test, np.arange(20))
    monkeypatch.setattr(measuring, "BATCH", 3)
    assert heldout_loss(RECIPE, opened(), tiny(), data.test, np.arange(20)).nats == pytest.approx(whole.nats, rel=1e-5)


def test_baselines_are_those_of_counts_and_the_bigram_knows_the_order():
    cycle = [4, 5, 6, 7] * 6
    train = Listed([row([1, 8], [1, *cycle[i : i + 9], 2]) for i in range(8)])
    judged = Listed([row([1, 9], [1, 4, 5, 6, 7, 4, 2]), row([1, 9], [1, 9, 9, 9, 9, 9, 2])])
    ordered = baselines(train, judged, np.array([0]), 12)
    unseen = baselines(train, judged, np.array([1]), 12)
    counts = np.bincount(np.concatenate([t.labels for t in train.triples]), minlength=12) + 1.0
    expected = -np.log(counts / counts.sum())[[4, 5, 6, 7, 4, 2]].mean()
    assert ordered.unigram <= expected + 1e-9 and ordered.tokens == 6
    assert ordered.bigram < 0.5 * ordered.unigram and ordered.bigram < 0.75
    assert unseen.bigram > 3.0


def test_a_bigram_never_loses_to_the_unigram_by_more_than_its_prior(data):
    found = baselines(data.train, data.test, np.arange(len(data.test)), 12)
    assert found.bigram < found.unigram < np.log(12) + 0.1


class Scribe:
    """Stands where a recipe is asked to write, and writes what it was given."""

    def __init__(self, answers):
        self.answers = answers

    def write(self, model, inputs, prompts, sampling):
        return self.answers


def test_exact_match_counts_whole_greedy_answers(sums):
    numbers = np.arange(40)
    right = [[4 + byte for byte in str(a + b).encode()] for a, b in sums.test.pairs_N2[:40].tolist()]
    written = [answer if i % 4 else answer[:-1] for i, answer in enumerate(right)]
    written[1] = [*written[1], written[1][-1]]
    found = exact_match(Scribe(written), opened(vocab_size=260), sums, sums.test, numbers)
    assert (found.hits, found.checks) == (29, 40)


def test_losses_below_both_baselines_pass_and_above_either_fail(data):
    config, numbers = tiny(), np.arange(20)
    thresholds = {"margin": 0.0, "slot_spread": 0.01}
    loss = heldout_loss(RECIPE, opened(), tiny(), data.test, numbers).nats
    for unigram, bigram, verdict in ((9.0, 9.0, "pass"), (9.0, loss - 0.01, "fail"), (loss - 0.01, 9.0, "fail")):
        found = evaluate(RECIPE, opened(), data, config, numbers, {"unigram": unigram, "bigram": bigram})
        assert judge(found.measurements, thresholds)["verdict"] == verdict
    assert [m.name for m in found.measurements] == ["nats_below_unigram", "nats_below_bigram", "slot_spread"]
    assert found.scalars["heldout_loss"] == pytest.approx(loss) and found.scalars["bigram_loss"] == 9.0


def test_the_report_shows_prompts_references_and_answers(data):
    found = evaluate(RECIPE, opened(), data, tiny(), np.arange(20), {"unigram": 9.0, "bigram": 9.0})
    assert len(found.tables["samples"]) == 3
    for number, sample in enumerate(found.tables["samples"]):
        example = data.test[number]
        assert sample["prompt"] == data.decode(example.encoder_ids)
        assert sample["reference"] == data.decode(example.labels[:8])
        assert set(sample) == {"prompt", "reference", "greedy", "sampled"}


def test_sums_are_judged_by_exact_match_and_no_core_has_no_spread(sums):
    overrides = {"data.source": "arithmetic", "model.memory": "encoder", "gate.samples": 1}
    config = tiny(**overrides)
    model = opened(vocab_size=260, **{"model.memory": "encoder"})
    found = evaluate(RECIPE, model, sums, config, np.arange(20), {"unigram": 9.0, "bigram": 9.0})
    names = [m.name for m in found.measurements]
    assert names == ["nats_below_unigram", "nats_below_bigram", "exact_match"] and found.measurements[-1].checks == 20
    assert set(RECIPE.inspect(sums, config).thresholds) == {"margin", "exact_match"}
    assert set(RECIPE.monitor(model, sums, config)) == {"exact_match"}


def test_the_preflight_fixes_rows_baselines_and_thresholds(data):
    findings = RECIPE.inspect(data, tiny())
    assert list(findings.issues) == [] and findings.thresholds == {"margin": 0.0, "slot_spread": 0.01}
    rows = findings.tables[ROWS]["row"].to_numpy()
    assert len(rows) == 20 == len(set(rows.tolist()))
    assert np.array_equal(findings.tables[ROWS]["row_key"].to_numpy(), data.test.row_keys[rows])
    lines = findings.evaluation["baselines"]
    assert lines["bigram"] == baselines(data.train, data.test, rows.astype(np.int64), 12).bigram
    assert RECIPE.inspect(data, tiny(**{"gate.seed": 1})).evaluation["rows"] != findings.evaluation["rows"]


@pytest.mark.parametrize(
    ("overrides", "spoil", "code"),
    [
        ({"model.max_tokens": 10}, lambda data: None, "HRM_LM_ROWS_LONG"),
        ({}, lambda data: setattr(data, "test", data.validation), None),
        ({}, lambda data: setattr(data, "test", data.train), "HRM_LM_SPLITS_OVERLAP"),
        ({}, lambda data: setattr(data, "validation", Listed([])), "HRM_LM_HELDOUT_EMPTY"),
    ],
)
def test_what_would_spoil_the_training_is_an_error(data, overrides, spoil, code):
    spoil(data)
    codes = {issue.code for issue in RECIPE.inspect(data, tiny(**overrides)).issues if issue.severity == "error"}
    assert codes == ({code} if code else set())


def test_rows_that_are_not_the_registered_ones_are_refused(data, recipe):
    class Preflight:
        path = "preflight"

        def table(self, name):
            table = RECIPE.inspect(data, tiny()).tables[name]
            return table.set_column(1, "row_key", [table["row_key"].to_numpy()[::-1]])

    with pytest.raises(GateError) as caught:
        recipe.evaluate(opened(), data, tiny(), Preflight())
    assert caught.value.code == "GATE_OTHER_ROWS"


def test_monitoring_looks_at_validation_rows_and_changes_nothing(data, recipe):
    model, state = opened(), torch.get_rng_state()
    points = recipe.monitor(model, data, tiny())
    assert set(points) == {"slot_spread", "high_slot_spread", "low_slot_spread", "gate_open"}
    assert torch.equal(state, torch.get_rng_state()) and model.core_memory.rows == 800


def test_presets_say_what_they_are_for():
    presets = {name: make() for name, make in discover()["hrm_lm"].presets.items()}
    guide = presets["stage_a"]
    assert (guide.train.batch_rows, guide.model.max_tokens, guide.train.optimizer.lr) == (22, 512, 2.5e-4)
    assert (guide.train.schedule.warmup, guide.train.schedule.lr_min_ratio, guide.train.grad_clip) == (4000, 0.05, 5.0)
    assert (guide.train.validate_every, guide.train.max_val_samples) == (1500, 20_000)
    assert (guide.train.best.patience, guide.train.best.grace, guide.model.gate_warmup_steps) == (3, 10_000, 8000)
    core = guide.model.core
    sizes = (core.h_len, core.l_len, core.h_layers, core.l_layers, core.h_cycles, core.l_steps)
    assert sizes == (8, 64, 2, 2, 4, 8) and core.gradient == "one_step" and guide.model.d_model == 512
    assert presets["arithmetic"].data.source == "arithmetic" and presets["demo"].data.source == "triples"
    assert presets["arithmetic"].gate.exact_match == 0.95
    assert from_dict(HrmLmConfig, to_dict(with_overrides(guide, {}))) == guide
