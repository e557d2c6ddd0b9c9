"""The run config of what sensors and schedules request: the deployment's preset and settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assets_data.stage import Stage
from pipeline_defs.catalogue import Catalogue
from pipeline_defs.commands.settings import stage_overrides
from pipeline_defs.dagster.names import op_name
from pipeline_defs.operations import operations


def ops_config(known: Catalogue, stages: Iterable[Stage]) -> dict[str, Any]:
    """``ops`` of a run of these stages. Raises ConfigError for a setting that leads nowhere."""
    asked = operations()
    meant = stage_overrides(asked.settings, list(known.stages.values()))
    return {
        op_name(stage.kind): {"config": {"preset": stage.default_preset(asked.preset), "overrides": meant[stage.kind]}}
        for stage in stages
        if stage.presets is not None
    }
