"""What the gate can reach at best, known before training: the corpus's own compliance and what the context lets see.

A model that cannot see the jumper when the deadline comes can only guess, so a rule longer than the context is capped
at chance. Per rule: ceiling = corpus compliance where r <= context, else chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assets_data.domains.text.walks.read import Rule, WalkGraph
from training.recipe import Issue
from training.recipes.walk_lm.config import WalkLmConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """Bounds for one rule. ``chance`` is the share of held-out positions in its target block."""

    vertex: int
    r: int
    target: int
    corpus: float | None
    chance: float
    visible: bool
    checks: int

    @property
    def reachable(self) -> float:
        """The best compliance a model with this context can be expected to reach."""
        return (self.corpus or 0.0) if self.visible else self.chance

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "reachable": self.reachable}


def ceilings(graph: WalkGraph, heldout_NL: np.ndarray, context: int) -> list[Ceiling]:
    """One per rule. The input to a deadline's prediction is the r vertices before it, so r <= context is in sight."""
    return [_ceiling(graph, rule, heldout_NL, context) for rule in graph.rules]


def attainability(found: list[Ceiling], config: WalkLmConfig) -> list[Issue]:
    """What makes the registered threshold unreachable, with the context that would do. Severity is the config's."""
    severity, threshold = config.gate.unattainable, config.gate.rule_threshold
    short = [c for c in found if not c.visible and c.reachable <= threshold]
    broken = [c for c in found if c.visible and c.reachable <= threshold]
    issues = []
    if short:
        rules = ", ".join(f"{c.vertex} (r={c.r}, at most {c.reachable:.2f})" for c in short)
        message = (
            f"with context {config.model.context} the trigger is out of sight at the deadline of rules {rules}; "
            f"the gate asks for more than {threshold:.2f}; context {max(c.r for c in short) + 1} would do"
        )
        issues.append(Issue("WALK_LM_CONTEXT_CEILING", severity, "model.context", message))
    if broken:
        rules = ", ".join(f"{c.vertex} (r={c.r}, {c.reachable:.3f} of {c.checks})" for c in broken)
        message = f"the held-out walks themselves do not keep rules {rules} above {threshold:.2f}"
        issues.append(Issue("WALK_LM_CORPUS_CEILING", severity, "gate.rule_threshold", message))
    return issues


def _ceiling(graph: WalkGraph, rule: Rule, heldout_NL: np.ndarray, context: int) -> Ceiling:
    count = graph.kept(heldout_NL, rule)
    return Ceiling(
        vertex=rule.vertex,
        r=rule.r,
        target=rule.target_block,
        corpus=count.rate,
        chance=float(graph.in_block(heldout_NL, rule.target_block).mean()),
        visible=rule.r <= context,
        checks=count.checks,
    )
