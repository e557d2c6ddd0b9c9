"""The checks that every recipe's stages promise to pass. Each looks at one published snapshot."""

from __future__ import annotations

from typing import Any

from assets_data.documents import read_facts, read_result
from assets_data.lineage import IntegrityError, Snapshot, Store
from assets_data.stage import Outcome
from training.recipe import find_recipe


def no_errors(_store: Store, preflight: Snapshot) -> Outcome:
    """The preflight found nothing that would spoil the training. Warnings alone are shown and block nothing."""
    issues = preflight.read_json("preflight.json")["issues"]
    errors = sum(issue["severity"] == "error" for issue in issues)
    first = sorted(issues, key=lambda issue: issue["severity"] != "error")
    facts = {"errors": errors, "warnings": len(issues) - errors}
    return Outcome(passed=not issues, facts=facts, failures=first, warning=not errors)


def loads_and_rehashes(_store: Store, checkpoint: Snapshot) -> Outcome:
    """Every tensor hashes to the id, and the weights load into the model."""
    from training.stages import load_model

    try:
        checkpoint.verify(deep=True)
    except IntegrityError as error:
        return Outcome(passed=False, failures=[{"error": str(error)}])
    model = load_model(find_recipe(checkpoint.kind.partition("/")[0]), checkpoint)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Outcome(passed=parameters > 0, facts={"parameters": parameters})


def no_collapse(_store: Store, checkpoint: Snapshot) -> Outcome:
    """No criterion of the collapse monitor was met at the end of the training. A warning: the gate decides."""
    result = read_facts(checkpoint)["result"]
    met = {name: int(value) for name, value in result.items() if name.rpartition("/")[2] == "collapse_alerts" and value}
    failures = [{"state": name.rpartition("/")[0], "criteria met": value} for name, value in met.items()]
    facts = {"collapse_alerts": sum(met.values())}
    return Outcome(passed=not met, facts=facts, failures=failures, warning=True)


def lineage_intact(store: Store, checkpoint: Snapshot) -> Outcome:
    """Every ancestor of the checkpoint, down to the sources, is still what its receipt says."""
    from assets_data.lineage.queries.explain import explain
    from training.evidence import contradictions

    tree = explain(store, checkpoint.id, evidence=[contradictions])
    facts: dict[str, Any] = {"nodes": len(tree.nodes), "hashed_bytes": tree.hashed_bytes}
    if (broken := tree.broken) is None or broken.fault is None:
        return Outcome(passed=True, facts=facts)
    fault = {"id": broken.id, "kind": broken.kind, "error": str(broken.fault)}
    return Outcome(passed=False, facts=facts, failures=[fault])


def gate(_store: Store, report: Snapshot) -> Outcome:
    """The registered thresholds are met. "Undetermined" does not pass."""
    verdict = read_result(report)["gate"]
    facts: dict[str, Any] = {"verdict": verdict["verdict"], "criteria": len(verdict["criteria"])}
    for criterion in verdict["criteria"]:
        if criterion["value"] is not None:
            distance = criterion["value"] - criterion["threshold"]
            facts[f"{criterion['name']} margin"] = float(distance if criterion["direction"] == "above" else -distance)
    reasons = [{"reason": reason} for reason in verdict["reasons"]]
    return Outcome(passed=verdict["verdict"] == "pass", facts=facts, failures=reasons)
