"""What a domain's own commands may reach: store, nodes, settings, and Dagster's partitions. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from assets_data.lineage import Snapshot, Store


class Tools:
    """Handed to a domain's ``add_parsers`` as ``tools``."""

    def store(self) -> Store:
        """The store under ``STEMMA_ROOT``."""
        from pipeline_defs.answers.nodes import default_store

        return default_store()

    def node(self, named: str) -> Snapshot:
        """A snapshot by id, name or path. Raises DataError NODE_UNKNOWN or NODE_AMBIGUOUS."""
        from pipeline_defs.answers.nodes import find_node

        return find_node(named)

    def settings(self, file: Path | None, settings: Iterable[str], kind: str) -> dict[str, Any]:
        """What a settings file and ``PATH=JSON`` settings change in the config of one stage; what is for others is
        left to them.
        """
        from pipeline_defs.catalogue import catalogue
        from pipeline_defs.commands.settings import chosen_settings, stage_overrides

        return stage_overrides(chosen_settings(file, settings), list(catalogue().stages.values()))[kind]

    def scorer(self, checkpoint: Snapshot) -> Any:
        """``(rows) -> {name: values}`` of a checkpoint's recipe. Raises DataError NO_SCORER where it offers none."""
        from assets_data.lineage import DataError
        from pipeline_defs.catalogue import catalogue

        recipe = catalogue().recipes.get(checkpoint.kind.partition("/")[0])
        if recipe is None or recipe.scorer is None or checkpoint.kind != f"{recipe.name}/checkpoint":
            raise DataError("NO_SCORER", "this is no checkpoint of a recipe that scores", found=checkpoint.kind)
        return recipe.scorer(self.store(), checkpoint)

    def register(self, domain: str, names: Sequence[str]) -> None:
        """Make slices partitions of a domain, in the instance that ``stemma run`` and the UI use."""
        import dagster as dg

        from pipeline_defs.dagster.partitions import set_name
        from pipeline_defs.home import prepare_home, stemma_root

        prepare_home(stemma_root())
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions(set_name(domain), list(names))
