"""Dagster's home for the ``stemma`` command: DAGSTER_HOME where it is set, else one under the Stemma root."""

from __future__ import annotations

import os
from pathlib import Path

from assets_data.lineage import atomic
from assets_data.lineage.code import ROOT


def prepare_home(root: Path) -> None:
    """Make sure DAGSTER_HOME is set, from the project's ``dagster.yaml`` with ``root`` in the place of ``.stemma``."""
    if os.environ.get("DAGSTER_HOME"):
        return
    settings = (ROOT / "dagster.yaml").read_text().replace(".stemma", str(root))
    atomic.write_bytes(root / "dagster.yaml", settings.encode())
    os.environ["DAGSTER_HOME"] = str(root)
