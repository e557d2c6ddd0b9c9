"""Where Dagster's own state lives: below the Stemma root, whoever asks, so that ``dagster.yaml`` names no path.

``dagster asset materialize`` in the checkout, ``stemma run`` and the UI then write one history. A ``base_dir`` in
``dagster.yaml`` wins, as with Dagster's own classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import Field, StringSource
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from pipeline_defs.home import stemma_root


def _base(config: Mapping[str, Any], *below: str) -> str:
    return config.get("base_dir") or str(stemma_root().joinpath("dagster", *below))


class _BelowRoot:
    """What all three take from ``dagster.yaml``."""

    @classmethod
    def config_type(cls) -> Any:
        """An optional ``base_dir``."""
        return {"base_dir": Field(StringSource, is_required=False)}


class SqliteBelowRoot(_BelowRoot, DagsterSqliteStorage):
    """Runs, events and schedules in SQLite under ``<root>/dagster``."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> Any:
        """The storage, made where it is not there."""
        return cls.from_local(_base(config_value), inst_data)


class LogsBelowRoot(_BelowRoot, LocalComputeLogManager):
    """What runs print, under ``<root>/dagster/logs``."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """The manager."""
        return cls(_base(config_value, "logs"), inst_data=inst_data)


class ArtifactsBelowRoot(_BelowRoot, LocalArtifactStorage):
    """Dagster's own files, under ``<root>/dagster``."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """The storage."""
        return cls(_base(config_value), inst_data)
