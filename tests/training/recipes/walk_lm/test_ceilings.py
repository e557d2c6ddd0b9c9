import numpy as np
import pytest

from assets_data.domains.text.walks.read import Rule, WalkGraph
from assets_data.lineage import with_overrides
from tests.training.recipes.walk_lm.conftest import tiny
from tests.training.walks import exact_walks
from training.recipes.walk_lm.ceilings import attainability, ceilings
from training.recipes.walk_lm.presets import anchor, strict

ANCHOR_R = (32, 45, 58, 64, 70, 83, 96, 128)


def test_a_rule_is_in_sight_up_to_r_equal_to_the_context(data):
    bounds = ceilings(data.graph, data.heldout_NL, 6)
    assert [bound.visible for bound in bounds] == [True, True, False]
    assert [bound.reachable for bound in bounds[:2]] == [1.0, 1.0]
    share = (data.heldout_NL // 8 == 0).mean()
    assert bounds[2].reachable == bounds[2].chance == pytest.approx(share)


def test_a_corpus_that_breaks_its_rules_lowers_the_ceiling_and_is_refused(data):
    walks = np.random.default_rng(0).permuted(exact_walks(80, 0), axis=1)
    bounds = ceilings(data.graph, walks, 15)
    assert all(bound.corpus < 0.6 for bound in bounds)
    issues = attainability(bounds, tiny())
    assert [issue.code for issue in issues] == ["WALK_LM_CORPUS_CEILING"] and issues[0].severity == "error"


def anchor_bounds(context):
    """The anchor's r set on walks over four blocks that keep nothing in particular."""
    rng = np.random.default_rng(0)
    rules = [Rule(vertex=vertex, r=r, target_block=vertex % 4) for vertex, r in enumerate(ANCHOR_R)]
    graph = WalkGraph(np.array([0]), np.array([1]), np.arange(500) // 125, rules)
    bounds = ceilings(graph, rng.integers(0, 500, (200, 256)), context)
    kept = [type(b)(**{**{k: getattr(b, k) for k in b.__slots__}, "corpus": 1.0}) for b in bounds]
    return kept


def test_the_anchor_with_context_64_is_refused_naming_the_rules_beyond_it_and_129():
    issues = attainability(anchor_bounds(64), with_overrides(anchor(), {"model.context": 64}))
    assert [(issue.code, issue.severity) for issue in issues] == [("WALK_LM_CONTEXT_CEILING", "error")]
    message = issues[0].message
    assert all(f"r={r}," in message for r in (70, 83, 96, 128)) and "context 129 would do" in message
    assert not any(f"r={r}," in message for r in (32, 45, 58, 64))


def test_the_presets_anchor_is_attainable_and_strict_is_only_warned_about():
    assert attainability(anchor_bounds(anchor().model.context), anchor()) == []
    issues = attainability(anchor_bounds(strict().model.context), strict())
    assert [(issue.code, issue.severity) for issue in issues] == [("WALK_LM_CONTEXT_CEILING", "warning")]
