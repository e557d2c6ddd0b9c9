"""How this deployment is operated: what retrains by itself, where alerts go, which machines train. Off by default.

``operations.toml`` in the Stemma root, or the file that ``STEMMA_OPERATIONS`` names. It decides when runs begin and who
hears of it; what a run makes is decided by the run's own config, so nothing here is part of any identity.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets_data.lineage import ConfigError, from_dict, option
from pipeline_defs.home import stemma_root

FILE = "operations.toml"


def _table(doc: str) -> Any:
    return field(default_factory=dict, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Where alerts go besides the log. Credentials come from the environment, never from the file."""

    webhook: str = option("", "address that gets a JSON document by POST for every alert")
    email_to: tuple[str, ...] = option((), "addresses that get a mail for every alert")
    email_from: str = option("", "the sender of those mails")
    smtp: str = option("localhost:25", "host:port of the mail server; STEMMA_SMTP_USER and STEMMA_SMTP_PASSWORD log in")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Everything a deployment may say. An empty file changes nothing."""

    preset: str = option("demo", "preset of runs that sensors and schedules request")
    settings: Mapping[str, Any] = _table("PATH to value, as stemma run --set, for those runs")
    recipes: tuple[str, ...] = option((), "recipes that retrain by themselves; none: every one")
    slices_per_tick: int = option(4, "most slices for which one tick of new_slices requests runs")
    slices_per_run: int = option(100, "most slices of one run of a backfill")
    tick_seconds: int = option(60, "how often sensors that start runs look, at most")
    retrain_at: str = option("0 3 * * 0", "cron line of weekly_retrain, in UTC")
    alerts: Alerts = option(Alerts(), "where alerts go")
    owners: Mapping[str, Any] = _table("domain or recipe to its owners, as team:NAME or a mail address")
    repository: str = option("", "address of the code's repository: code references then lead to the commit")
    gpu_tags: Mapping[str, str] = _table("tags of jobs that train, for the run launcher: dagster-k8s/config, ...")


def operations() -> Operations:
    """What the file says; the defaults without one. Raises ConfigError OPERATIONS_FILE."""
    path = Path(os.environ.get("STEMMA_OPERATIONS") or stemma_root() / FILE)
    if not path.is_file():
        return Operations()
    try:
        return from_dict(Operations, tomllib.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise ConfigError("OPERATIONS_FILE", f"cannot read it: {error}", where=path) from error
