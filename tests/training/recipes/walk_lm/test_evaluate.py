"""The honest gate: what it counts is checked against models whose behaviour is known."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import RULES, neighbours
from training.gate import judge, wilson
from training.recipes.walk_lm.ceilings import ceilings
from training.recipes.walk_lm.evaluate import evaluate, score_starts, score_triggers
from training.recipes.walk_lm.prompts import Prompts


class Scripted(nn.Module):
    """Obeys rule 0, walks into block 0 at every other deadline, and steps along edges unless told not to."""

    def __init__(self, obeyed: set[int], stray: bool = False):
        super().__init__()
        self.config, self.head = tiny(**{"model.context": 40}).model, nn.Linear(1, 1)
        self.obeyed, self.stray, self.seen = obeyed, stray, None
        self.edges = neighbours()

    def forward(self, tokens, cache=None):
        if cache is not None:
            fresh = cache.length == 0
            self.seen = tokens if fresh else torch.cat([self.seen, tokens], 1)
            cache.length = self.seen.shape[1]
        else:
            self.seen = tokens
        logits = torch.zeros(len(tokens), 1, 24)
        for row, sequence in enumerate(self.seen.tolist()):
            logits[row, 0, self.step(sequence)] = 4.0
        return logits

    def step(self, sequence):
        block = 0
        for vertex, r, target in RULES:
            if len(sequence) >= r and sequence[-r] == vertex and vertex in self.obeyed:
                block = target
        if self.stray:
            return sequence[-1]  # no vertex is its own neighbour
        options = [v for v in self.edges[sequence[-1], 2 * block : 2 * block + 2] if v not in (0, 9, 17)]
        return int((options or self.edges[sequence[-1], 2 * block : 2 * block + 2])[0])


def gate_prompts(data) -> Prompts:
    return data.prompts[0]


def test_each_rule_is_scored_on_its_own_prompts_and_deadline(data):
    score = score_triggers(Scripted({0, 17}), gate_prompts(data), data.graph)
    rates = [count.rate for count in score.score.rules]
    assert rates[0] == 1.0 and rates[2] == 1.0 and rates[1] < 0.5
    assert [count.checks for count in score.score.rules] == [12, 12, 12] and score.prompts == (12, 12, 12)
    assert score.worst() == rates[1] and score.macro() == pytest.approx(sum(rates) / 3)


def test_edges_are_counted_from_the_jumper_to_its_deadline_only(data):
    score = score_triggers(Scripted(set(), stray=True), gate_prompts(data), data.graph).score
    assert score.edges.hits == 0 and score.edges.checks == 12 * (4 + 6 + 9)
    assert score_triggers(Scripted(set()), gate_prompts(data), data.graph).score.edges.rate == 1.0


def test_equal_answers_are_counted_once(data):
    prompts = gate_prompts(data)
    doubled = Prompts(np.repeat(prompts.tokens_NP, 2, axis=0), np.repeat(prompts.rule_N, 2))
    score = score_triggers(Scripted({0}), doubled, data.graph)
    assert score.prompts == (12, 12, 12) and max(score.answers) <= 12


def test_start_walks_are_scored_whole_and_weighted_by_their_repeats(data):
    starts = np.array([0, 0, 0, 5])
    score, different = score_starts(Scripted({0, 9, 17}), starts, data.graph, 30)
    assert different == 2 and score.edges.checks == 4 * 29 and score.rules[0].checks >= 3


def full(data, obeyed):
    bounds = [bound.facts() for bound in ceilings(data.graph, data.heldout_NL, 40)]
    starts = data.heldout_NL[:40, 0].astype(np.int64)
    return evaluate(Scripted(obeyed), data.graph, gate_prompts(data), starts, bounds, walk_length=30, seed=0)


def test_greedy_trigger_prompts_decide(data):
    thresholds = {"edge": 0.95, "rule": 0.8}
    assert judge(full(data, {0, 9, 17}).measurements, thresholds)["verdict"] == "pass"
    verdict = judge(full(data, {0, 17}).measurements, thresholds)
    assert verdict["verdict"] == "fail"
    assert [reason.split()[0] for reason in verdict["reasons"]] == ["rule_compliance/9"]


def test_the_report_holds_counts_intervals_and_the_lines_to_compare_with(data):
    found = full(data, {0, 9, 17})
    row = found.tables["rules"][0]
    assert (row["vertex"], row["r"], row["target"]) == RULES[0]
    assert (row["hits"], row["checks"], row["interval"]) == (12, 12, wilson(12, 12))
    assert row["oracle"] == 1.0 and 0.2 < row["chance"] < 0.5 and row["start_checks"] > 0
    scalars = found.scalars
    assert scalars["rule_compliance"] == scalars["rule_compliance_macro"] == scalars["rule_compliance_worst"] == 1.0
    assert scalars["corpus_oracle"] == 1.0 and scalars["trigger_prompts"] == 36 and scalars["start_prompts"] == 40
    assert scalars["sampled_rule_compliance"] < 1.0  # sampling takes the unlikely step now and then
    assert len(found.summary) == 3 + 4


def test_a_rule_without_prompts_is_undetermined(data):
    prompts = gate_prompts(data)
    kept = Prompts(prompts.tokens_NP[prompts.rule_N != 1], prompts.rule_N[prompts.rule_N != 1])
    bounds = [bound.facts() for bound in ceilings(data.graph, data.heldout_NL, 40)]
    starts = np.array([0])
    found = evaluate(Scripted({0, 17}), data.graph, kept, starts, bounds, walk_length=30, seed=0)
    verdict = judge(found.measurements, {"edge": 0.95, "rule": 0.8})
    assert verdict["verdict"] == "undetermined" and verdict["reasons"] == ["rule_compliance/9 was never checked"]


def test_monitoring_uses_the_monitors_prompts_and_changes_nothing(data, recipe):
    torch.manual_seed(0)
    model = recipe.build_model(tiny(), {"vocab_size": 24})
    points = recipe.monitor(model, data, tiny())
    assert set(points) == {"edge_compliance", "rule_compliance", "rule_compliance_worst"}
    expected = score_triggers(model, data.prompts[1], data.graph)
    assert points["rule_compliance"] == expected.score.rule_compliance
    assert [count.checks for count in expected.score.rules] == [4, 4, 4]
