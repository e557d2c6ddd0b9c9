"""Where Dagster's own state lives: below the Stemma root, whoever asks, so that ``dagster.yaml`` names no path.

``dagster asset materialize`` in the checkout, ``stemma run`` and the UI then write one history. A ``base_dir`` in
``dagster.yaml`` wins, as with Dagster's own classes.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import sqlalchemy as db
from dagster import DagsterInstance, EventLogEntry, Field, StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.exc import IntegrityError

from pipeline_defs.home import stemma_root


def _base(config: Mapping[str, Any], *below: str) -> str:
    return config.get("base_dir") or str(stemma_root().joinpath("dagster", *below))


class _BelowRoot:
    """What all three take from ``dagster.yaml``."""

    @classmethod
    def config_type(cls) -> Any:
        """An optional ``base_dir``."""
        return {"base_dir": Field(StringSource, is_required=False)}


class KeptEngines(SqliteEventLogStorage):
    """Dagster's event log, with the engine of a database kept: Dagster's own makes one for every statement, and with it
    compiles the same SQL again, half of what an event costs. Connections are opened and closed as Dagster does, but for
    events that are stored :meth:`together`.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # what is stored together is stored under one hold of it
        self._together: ExitStack | None = None
        self._connections = dict[str, db.Connection]()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that this thread stores inside is one transaction of each database: all of it, or, on an error, none.

        Other processes wait to write meanwhile, so nothing long belongs inside.
        """
        with self._db_lock, ExitStack() as self._together:
            try:
                yield
            finally:
                self._together = None
                self._connections.clear()

    @functools.lru_cache(maxsize=8)  # noqa: B019 - one storage lives as long as its process
    def _engine(self, shard: str) -> db.Engine:
        options: dict[str, Any] = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        return db.create_engine(self.conn_string_for_shard(shard), poolclass=db.NullPool, connect_args=options)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            if self._together is None:
                with engine.begin() as connection:
                    yield connection
                return
            if shard not in self._connections:
                self._connections[shard] = self._together.enter_context(engine.begin())
            yield self._connections[shard]

    def _update_asset_check_evaluation(self, event: EventLogEntry, event_id: int | None) -> None:
        """The row of an evaluation. Dagster looks for the row of a planned one first, which for what is stored together
        is never there; with a row for each slice that search is half of what an evaluation costs.
        """
        with self._db_lock:  # what another thread stores together is none of this one's
            if self._together is not None:
                with suppress(IntegrityError):  # the row of an earlier attempt of the same run is the one to change
                    return self._store_runless_asset_check_evaluation(event, event_id)
            super()._update_asset_check_evaluation(event, event_id)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table; one that is there stays, and is asked for with every check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @functools.cached_property
    def _tables(self) -> set[str]:
        return set()

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        """Likewise of a column of the assets' table; Dagster asks with every materialisation."""
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    @functools.cached_property
    def _columns(self) -> set[str]:
        return set()


def stored_together(instance: DagsterInstance) -> AbstractContextManager[None]:
    """Where the instance's event log can: one transaction for all events that are stored inside."""
    log = instance.event_log_storage
    return log.together() if isinstance(log, KeptEngines) else nullcontext()


class SqliteBelowRoot(_BelowRoot, DagsterSqliteStorage):
    """Runs, events and schedules in SQLite under ``<root>/dagster``."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        super().__init__(base_dir, inst_data)
        self._event_log_storage = KeptEngines(self._event_log_storage._base_dir)

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

    def get_captured_local_path(self, log_key: Sequence[str], extension: str, partial: bool = False) -> str:
        """The file of a key; empty where that would be outside the folder, which the web server answers with 404."""
        try:
            return super().get_captured_local_path(log_key, extension, partial)
        except ValueError:
            return ""


class ArtifactsBelowRoot(_BelowRoot, LocalArtifactStorage):
    """Dagster's own files, under ``<root>/dagster``."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Any:
        """The storage."""
        return cls(_base(config_value), inst_data)
