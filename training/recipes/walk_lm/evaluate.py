"""Measures a model by decoding: trigger prompts (greedy decides, sampled is reported) and start prompts (reported).

Owns what is measured; the verdict is :mod:`training.gate`'s, the thresholds are the preflight's. A trigger prompt is
scored on one deadline, its jumper's, and on the edges of the steps up to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets_data.domains.text.walks.read import Count, Score, WalkGraph
from training.config import derived_seed
from training.findings import Evaluation, Measurement
from training.gate import wilson
from training.recipes.walk_lm.decode import decode
from training.recipes.walk_lm.model import WalkTransformer
from training.recipes.walk_lm.prompts import Prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerScore:
    """Counts per rule from its own prompts, edges over all, and how many prompts and answers were different."""

    score: Score
    prompts: tuple[int, ...]
    answers: tuple[int, ...]

    def macro(self) -> float | None:
        """Mean over the rules that were checked at all."""
        rates = [count.rate for count in self.score.rules if count.rate is not None]
        return sum(rates) / len(rates) if rates else None

    def worst(self) -> float | None:
        """The lowest compliance of any rule that was checked."""
        return min((count.rate for count in self.score.rules if count.rate is not None), default=None)


def score_triggers(
    model: WalkTransformer, prompts: Prompts, graph: WalkGraph, *, sample_seed: int | None = None
) -> TriggerScore:
    """Decode to the longest deadline and score each prompt up to its own."""
    length = prompts.tokens_NP.shape[1]
    decoded = decode(model, prompts.tokens_NP, max(rule.r for rule in graph.rules), sample_seed=sample_seed)
    edges, kept, answers = Count(), [], []
    for index, rule in enumerate(graph.rules):
        answer_NL = decoded[prompts.rule_N == index, length - 1 : length + rule.r]  # from the jumper to its deadline
        edges += graph.edges(answer_NL)
        kept.append(Count(int(graph.in_block(answer_NL[:, -1], rule.target_block).sum()), len(answer_NL)))
        answers.append(len(np.unique(answer_NL, axis=0)))
    asked = tuple(len(np.unique(prompts.tokens_NP[prompts.rule_N == i], axis=0)) for i in range(len(graph.rules)))
    return TriggerScore(score=Score(edges, tuple(kept)), prompts=asked, answers=tuple(answers))


def score_starts(model: WalkTransformer, starts_N: np.ndarray, graph: WalkGraph, walk_length: int) -> tuple[Score, int]:
    """Greedy walks from first vertices, scored whole, as published runs did; and how many of them were different."""
    different, repeats = np.unique(starts_N, return_counts=True)
    walks = decode(model, different[:, None], walk_length - 1)
    return graph.score(np.repeat(walks, repeats, axis=0)), len(different)


def evaluate(
    model: WalkTransformer,
    graph: WalkGraph,
    prompts: Prompts,
    starts_N: np.ndarray,
    ceilings: Sequence[Mapping[str, Any]],
    *,
    walk_length: int,
    seed: int,
) -> Evaluation:
    """The whole registered evaluation of one model."""
    greedy = score_triggers(model, prompts, graph)
    sampled = score_triggers(model, prompts, graph, sample_seed=derived_seed(seed, "gate/sample"))
    start, start_walks = score_starts(model, starts_N, graph, walk_length)
    rules = [_rule_row(i, greedy, sampled, start, ceilings[i]) for i in range(len(graph.rules))]
    edges = greedy.score.edges
    judged = [_measurement("edge_compliance", "edge", edges)]
    judged += [
        _measurement(f"rule_compliance/{c['vertex']}", "rule", greedy.score.rules[i]) for i, c in enumerate(ceilings)
    ]
    scalars = {
        **_scalars("", greedy),
        **_scalars("sampled_", sampled),
        "start_edge_compliance": start.edge_compliance,
        "start_rule_compliance": start.rule_compliance,
        "start_rule_checks": start.rule_checks,
        "start_prompts": len(starts_N),
        "start_sequences": start_walks,
        "trigger_prompts": sum(greedy.prompts),
        "trigger_sequences": sum(greedy.answers),
        "chance": _mean([c["chance"] for c in ceilings]),
        "corpus_oracle": _mean([c["corpus"] for c in ceilings if c["corpus"] is not None]),
    }
    return Evaluation(measurements=judged, scalars=scalars, tables={"rules": rules}, summary=_summary(rules, scalars))


def _rule_row(
    i: int, greedy: TriggerScore, sampled: TriggerScore, start: Score, bound: Mapping[str, Any]
) -> dict[str, Any]:
    count, start_count = greedy.score.rules[i], start.rules[i]
    return {
        **{key: bound[key] for key in ("vertex", "r", "target", "chance")},
        "oracle": bound["corpus"],
        "hits": count.hits,
        "checks": count.checks,
        "compliance": count.rate,
        "interval": wilson(count.hits, count.checks),
        "sampled": sampled.score.rules[i].rate,
        "sampled_interval": wilson(sampled.score.rules[i].hits, sampled.score.rules[i].checks),
        "distinct_prompts": greedy.prompts[i],
        "distinct_sequences": greedy.answers[i],
        "start_hits": start_count.hits,
        "start_checks": start_count.checks,
    }


def _scalars(prefix: str, triggers: TriggerScore) -> dict[str, float | None]:
    return {
        f"{prefix}edge_compliance": triggers.score.edge_compliance,
        f"{prefix}rule_compliance": triggers.score.rule_compliance,
        f"{prefix}rule_compliance_macro": triggers.macro(),
        f"{prefix}rule_compliance_worst": triggers.worst(),
    }


def _measurement(name: str, threshold: str, count: Count) -> Measurement:
    return Measurement(name=name, threshold=threshold, value=count.rate or 0.0, checks=count.checks, hits=count.hits)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _summary(rules: Sequence[Mapping[str, Any]], scalars: Mapping[str, Any]) -> list[str]:
    lines = ["  jumper    r  block  checks  greedy  95% interval    sampled  chance  oracle"]
    for row in rules:
        low, high = row["interval"]
        lines.append(
            f"{row['vertex']:>8} {row['r']:>4} {row['target']:>6} {row['checks']:>7}  {_rate(row['compliance'])}  "
            f"{low:.3f} to {high:.3f}  {_rate(row['sampled'])}    {row['chance']:.3f}   {_rate(row['oracle'])}"
        )
    for prefix, name in (("", "greedy"), ("sampled_", "sampled"), ("start_", "start prompts")):
        edge, rule = _rate(scalars[f"{prefix}edge_compliance"]), _rate(scalars[f"{prefix}rule_compliance"])
        lines.append(f"{name:>15}: edge {edge}, rule {rule}")
    return lines


def _rate(value: float | None) -> str:
    return "  n/a" if value is None else f"{value:.3f}"
