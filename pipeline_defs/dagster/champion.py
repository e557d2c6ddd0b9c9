"""The asset ``<recipe>/promoted_checkpoint``: materialising it is asking for a promotion. What is refused fails its run
with the reason, and leaves the champion where it was.
"""

import dagster as dg

from assets_data.lineage import Snapshot
from pipeline_defs.answers.champion.promote import promote
from pipeline_defs.answers.champion.shelf import CURRENT, shelf
from pipeline_defs.answers.champion.standing import PROMOTED
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster.metadata import describe, published, rows_table
from pipeline_defs.dagster.resources import StoreResource

SAYS = (
    "The checkpoint that ships. It moves only when the gate passed, the whole lineage verifies, and nothing judged is "
    "worse than the champion's beyond its interval, on one registered evaluation of both."
)


def champion_assets(catalogue: Catalogue) -> list[dg.AssetsDefinition]:
    """One per recipe."""
    return [_asset(name) for name in catalogue.recipes]


def _asset(recipe: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey([recipe, PROMOTED]),
        group_name=recipe,
        deps=[dg.AssetKey([recipe, name]) for name in ("checkpoint", "gate_report")],
        kinds={"pytorch"},
        description=SAYS,
    )
    def promoted(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[Snapshot]:
        opened = store.open()
        moved = promote(opened, recipe)
        document = moved.promotion.document
        shown = {
            "moved": moved.moved,
            "number": document["number"],
            "checkpoint": document["checkpoint"],
            "before": document["before"]["checkpoint"] if document["before"] else "none",
            "how": document["how"],
            "folder": dg.MetadataValue.path(str(shelf(opened, recipe) / CURRENT)),
        }
        if document["comparison"]:
            shown["comparison"] = dg.MetadataValue.md(rows_table(document["comparison"]))
        return published(moved.promotion.snapshot, {**shown, **describe(moved.promotion.snapshot)})

    return promoted
