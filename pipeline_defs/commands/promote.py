"""``stemma promote``, which Dagster is told of: its asset shows the champion of a promotion by hand or in CI, too."""

from __future__ import annotations

from argparse import Namespace

from pipeline_defs.answers.answer import Answer
from pipeline_defs.answers.champion.command import promote_command
from pipeline_defs.answers.champion.standing import promoted_name
from pipeline_defs.answers.nodes import default_store
from pipeline_defs.home import prepare_home, stemma_root


def promote(options: Namespace) -> Answer:
    """Raises as the promotion does: then nothing moved, and Dagster is told nothing."""
    answer = promote_command(options)
    if answer.document.get("moved"):
        _tell_dagster(options.recipe)
    return answer


def _tell_dagster(recipe: str) -> None:
    import dagster as dg

    from pipeline_defs.dagster.history import report_again
    from pipeline_defs.dagster.names import asset_key

    prepare_home(stemma_root())
    with dg.DagsterInstance.get() as instance:
        report_again(instance, default_store(), asset_key(promoted_name(recipe)))
