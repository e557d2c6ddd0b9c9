"""The recipe factory: preflight report, checkpoint and gate report for every folder under ``training/recipes``."""

import dagster as dg

from assets_data.lineage import Snapshot
from assets_data.lineage.receipts.code import code_version
from pipeline_defs.answers.explain import lineage_markdown
from pipeline_defs.dagster.metadata import picture, published, report_tables
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.stage_config import StageConfig, describe_fields
from training.recipe import Recipe, discover

MANIFEST = dg.AssetKey(["text", "dataset_manifest"])
GPU = {"stemma/device": "gpu"}  # for run launchers that route by tag; the pool is what limits


def recipe_assets(recipe: Recipe) -> list[dg.AssetsDefinition]:
    """The three assets of a recipe. The config is chosen once, at the preflight; the others read it from there."""
    name = recipe.name
    version = code_version("training.stages", "training.preflight", f"training.recipes.{name}")

    def gpu_asset(description: str):
        return dg.asset(
            key_prefix=name,
            group_name=name,
            code_version=version,
            ins={"manifest": dg.AssetIn(MANIFEST)},
            kinds={"pytorch"},
            pool="gpu",
            op_tags=GPU,
            description=description,
        )

    @dg.asset(
        key_prefix=name,
        group_name=name,
        code_version=version,
        ins={"manifest": dg.AssetIn(MANIFEST)},
        kinds={"json"},
        description=(
            "Everything that can be known before the first update: the resolved config, all issues at once, the gate's "
            f"thresholds, prompts and seeds, fixed and hashed.\n\n{describe_fields(recipe.presets)}"
        ),
    )
    def preflight_report(
        store: StoreResource, manifest: Snapshot, config: StageConfig
    ) -> dg.MaterializeResult[Snapshot]:
        from training.stages import make_preflight_report

        return published(make_preflight_report(store.open(config), recipe, manifest, config.resolve(recipe.presets)))

    @gpu_asset("The trained weights. Killed at any moment, it resumes bit for bit when it runs again.")
    def checkpoint(
        store: StoreResource, manifest: Snapshot, preflight_report: Snapshot
    ) -> dg.MaterializeResult[Snapshot]:
        from pipeline_defs.dagster.plots import training_figure
        from training.stages import make_checkpoint

        snapshot = make_checkpoint(store.open(), recipe, manifest, preflight_report)
        tree = dg.MetadataValue.md(lineage_markdown(store.open(), snapshot.id))
        return published(snapshot, curves=picture(training_figure(snapshot), "training curves"), lineage=tree)

    @gpu_asset("The verdict on the checkpoint under the thresholds and prompts registered before training.")
    def gate_report(
        store: StoreResource, manifest: Snapshot, preflight_report: Snapshot, checkpoint: Snapshot
    ) -> dg.MaterializeResult[Snapshot]:
        from pipeline_defs.dagster.plots import gate_figure
        from training.stages import make_gate_report

        snapshot = make_gate_report(store.open(), recipe, manifest, preflight_report, checkpoint)
        tree = dg.MetadataValue.md(lineage_markdown(store.open(), snapshot.id))
        curves = picture(gate_figure(snapshot), "gate")
        return published(snapshot, curves=curves, lineage=tree, **report_tables(snapshot))

    return [preflight_report, checkpoint, gate_report]


RECIPES = discover()
ASSETS = [asset for recipe in RECIPES.values() for asset in recipe_assets(recipe)]
