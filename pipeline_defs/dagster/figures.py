"""What the UI shows of a recipe's checkpoint and gate report besides their facts: verdict, numbers, curves, lineage.

The verdict and its ancestors come first; every number is a number, so that Dagster plots it over the runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets_data.documents import read_facts, read_result
from assets_data.lineage import Snapshot, Store
from assets_data.stage import Stage
from pipeline_defs.answers.explain import lineage_markdown
from pipeline_defs.dagster.metadata import numbers, picture, report_tables

COLLAPSE = "collapse_alerts"


def recipe_metadata(stage: Stage, store: Store, snapshot: Snapshot) -> dict[str, Any]:
    """Metadata by name; none for other stages."""
    if stage.name not in ("checkpoint", "gate_report"):
        return {}
    from pipeline_defs.dagster.plots import gate_figure, training_figure

    tree = {"lineage": dg.MetadataValue.md(lineage_markdown(store, snapshot.id))}
    if stage.name == "checkpoint":
        training = read_facts(snapshot)
        return {**training_numbers(training), "curves": picture(training_figure(snapshot), "training curves"), **tree}
    result = read_result(snapshot)
    from pipeline_defs.answers.report.command import write_page
    from pipeline_defs.answers.report.facts import gather

    path = write_page(store, gather(store, snapshot, hashed=False))
    link = {"report": dg.MetadataValue.url(path.as_uri()), "report_file": dg.MetadataValue.path(str(path))}
    measured = gate_numbers(result)
    first = {name: measured[name] for name in ("verdict", "criteria_passed", "criteria")}
    shown = {**first, **link, "curves": picture(gate_figure(snapshot), "gate"), **measured}
    return {**shown, **report_tables(snapshot), **tree}


def training_numbers(training: Mapping[str, Any]) -> dict[str, Any]:
    """The last value of every curve, then what the training took; how many collapse criteria are met at its end."""
    met = [value for name, value in training["result"].items() if name.rpartition("/")[2] == COLLAPSE]
    alarms = {COLLAPSE: int(sum(met))} if met else {}
    last = {name: value for name, value in training["result"].items() if name.rpartition("/")[2] != COLLAPSE}
    took = {name: value for name, value in training.items() if name not in ("schema_version",)}
    return {**numbers(last), **alarms, **numbers(took), "bit_exact": training["bit_exact"]}


def gate_numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, then each criterion with its threshold and its margin (positive: passed), then every scalar."""
    criteria = result["gate"]["criteria"]
    passed = sum(criterion["verdict"] == "pass" for criterion in criteria)
    shown: dict[str, Any] = {"verdict": result["gate"]["verdict"], "criteria_passed": passed, "criteria": len(criteria)}
    for criterion in criteria:
        if criterion["value"] is not None:
            name, value = criterion["name"], criterion["value"]
            shown |= numbers(
                {name: value, f"{name} threshold": criterion["threshold"], f"{name} margin": margin(criterion)}
            )
    return shown | numbers(result["metrics"]["scalars"])


def margin(criterion: Mapping[str, Any]) -> float:
    """How far a measurement is from its threshold, on the good side."""
    distance = float(criterion["value"] - criterion["threshold"])
    return distance if criterion["direction"] == "above" else -distance
