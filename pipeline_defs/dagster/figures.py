"""What the UI shows of a recipe's checkpoint and gate report besides their facts: curves, verdict, tables, lineage."""

import dagster as dg

from assets_data.lineage import Snapshot, Store
from assets_data.stage import Stage
from pipeline_defs.answers.explain import lineage_markdown
from pipeline_defs.dagster.metadata import picture, report_tables


def recipe_metadata(stage: Stage, store: Store, snapshot: Snapshot) -> dict[str, dg.MetadataValue]:
    """Metadata by name; none for other stages."""
    if stage.name not in ("checkpoint", "gate_report"):
        return {}
    from pipeline_defs.dagster.plots import gate_figure, training_figure

    tree = {"lineage": dg.MetadataValue.md(lineage_markdown(store, snapshot.id))}
    if stage.name == "checkpoint":
        return {"curves": picture(training_figure(snapshot), "training curves"), **tree}
    return {"curves": picture(gate_figure(snapshot), "gate"), **tree, **report_tables(snapshot)}
