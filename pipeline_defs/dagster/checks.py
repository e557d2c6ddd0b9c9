"""Asset checks. Blocking ones stop what lies downstream; each can also be run alone from the UI at any later time."""

import warnings
from typing import Any

import dagster as dg

from assets_data.lineage import IntegrityError, Snapshot
from pipeline_defs.dagster.metadata import escape
from pipeline_defs.dagster.partitions import slices
from pipeline_defs.dagster.recipes import RECIPES
from pipeline_defs.dagster.resources import StoreResource

SHOWN = 20

# Checks per slice are a preview feature of the pinned Dagster; the pin is what keeps it still.
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message="Specifying a partitions_def")


def _schema_check(asset: str, partitions: dg.PartitionsDefinition | None = None) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(["text", asset]),
        name="schema",
        blocking=True,
        partitions_def=partitions,
        description="pandera schemas on whole columns of every table",
    )
    def check(snapshot: Snapshot) -> dg.AssetCheckResult:
        from assets_data.domains.text.schemas import schema_failures

        failures = schema_failures(snapshot)
        return dg.AssetCheckResult(passed=not failures, metadata=_failures(failures))

    return check


@dg.asset_check(asset=dg.AssetKey(["text", "triples"]), blocking=True, partitions_def=slices)
def no_label_leak(triples: Snapshot) -> dg.AssetCheckResult:
    """No label position is visible to the encoder, in any row."""
    from assets_data.domains.text.checks import label_leaks

    leaks = label_leaks(triples)
    return dg.AssetCheckResult(passed=leaks.count == 0, metadata={"rows": leaks.rows, "leaking_rows": leaks.count})


@dg.asset_check(asset=dg.AssetKey(["text", "walk_corpus"]), blocking=True)
def rule_compliance(walk_corpus: Snapshot) -> dg.AssetCheckResult:
    """Every rule encounter in every walk is honoured and every step is an edge, by the gate's own scorer."""
    from training.recipes.walk_lm.scoring import score_corpus

    score = score_corpus(walk_corpus)
    return dg.AssetCheckResult(
        passed=score.rule_compliance == 1.0 and score.edge_compliance == 1.0,
        metadata={
            "rule_compliance": score.rule_compliance,
            "edge_compliance": score.edge_compliance,
            "rule_checks": score.rule_checks,
        },
    )


@dg.asset_check(asset=dg.AssetKey(["text", "dataset_manifest"]), blocking=True)
def splits_disjoint(store: StoreResource, dataset_manifest: Snapshot) -> dg.AssetCheckResult:
    """No cleaned text is in two splits, within or across the slices that this manifest names."""
    from assets_data.domains.text.checks import split_overlaps

    members = dataset_manifest.read_json("manifest.json")["members"]["triples"]
    overlaps = split_overlaps([store.open().snapshot(member) for member in members.values()])
    return dg.AssetCheckResult(
        passed=overlaps.count == 0, metadata={"documents": overlaps.rows, "in_two_splits": overlaps.count}
    )


def recipe_checks(recipe: str) -> list[dg.AssetChecksDefinition]:
    """What every recipe promises: a clean preflight, a checkpoint that is what its id says, a passed gate."""

    @dg.asset_check(asset=dg.AssetKey([recipe, "preflight_report"]), blocking=True)
    def no_errors(preflight_report: Snapshot) -> dg.AssetCheckResult:
        """The preflight found nothing that would spoil the training."""
        issues = preflight_report.read_json("preflight.json")["issues"]
        errors = [issue for issue in issues if issue["severity"] == "error"]
        return dg.AssetCheckResult(passed=not errors, metadata=_failures(issues))

    @dg.asset_check(asset=dg.AssetKey([recipe, "checkpoint"]), blocking=True)
    def loads_and_rehashes(checkpoint: Snapshot) -> dg.AssetCheckResult:
        """Every tensor hashes to the id, and the weights load into the model."""
        from training.stages import load_model

        try:
            checkpoint.verify(deep=True)
        except IntegrityError as error:
            return dg.AssetCheckResult(passed=False, metadata={"error": str(error)})
        parameters = sum(p.numel() for p in load_model(RECIPES[recipe], checkpoint).parameters())
        return dg.AssetCheckResult(passed=parameters > 0, metadata={"parameters": parameters})

    @dg.asset_check(asset=dg.AssetKey([recipe, "checkpoint"]), blocking=True)
    def lineage_intact(store: StoreResource, checkpoint: Snapshot) -> dg.AssetCheckResult:
        """Every node the checkpoint stands on, down to the raw slices, is still what its receipt says."""
        from assets_data.lineage.queries.explain import explain
        from pipeline_defs.answers.explain import broken_document

        story = explain(store.open(), checkpoint.id)
        facts: dict[str, Any] = {"nodes": len(story.nodes), "hashed_bytes": story.hashed_bytes}
        if broken := broken_document(story):
            facts["broken"] = dg.MetadataValue.json({key: escape(str(value)) for key, value in broken.items()})
        return dg.AssetCheckResult(passed=story.broken is None, metadata=facts)

    @dg.asset_check(asset=dg.AssetKey([recipe, "gate_report"]), blocking=True)
    def gate(gate_report: Snapshot) -> dg.AssetCheckResult:
        """The registered thresholds are met. "Undetermined" does not pass."""
        result = gate_report.read_json("result.json")
        return dg.AssetCheckResult(
            passed=result["gate"]["verdict"] == "pass",
            metadata={
                "verdict": result["gate"]["verdict"],
                "reasons": dg.MetadataValue.json(result["gate"]["reasons"]),
            },
        )

    return [no_errors, loads_and_rehashes, lineage_intact, gate]


def _failures(failures: list[dict[str, Any]]) -> dict[str, Any]:
    shown = [{key: escape(str(value)) for key, value in failure.items()} for failure in failures[:SHOWN]]
    return {"failures": len(failures), "first": dg.MetadataValue.json(shown)}


CHECKS = [
    _schema_check("raw_slice", slices),
    _schema_check("duplicates"),
    _schema_check("triples", slices),
    _schema_check("walk_corpus"),
    _schema_check("quality_summary"),
    no_label_leak,
    rule_compliance,
    splits_disjoint,
    *(check for recipe in RECIPES for check in recipe_checks(recipe)),
]
