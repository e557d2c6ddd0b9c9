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
    from pipeline_defs.answers.report.command import write_page
    from pipeline_defs.answers.report.facts import gather

    path = write_page(store, gather(store, snapshot, hashed=False))
    link = {"report": dg.MetadataValue.url(path.as_uri()), "report_file": dg.MetadataValue.path(str(path))}
    return {**link, "curves": picture(gate_figure(snapshot), "gate"), **tree, **report_tables(snapshot)}
