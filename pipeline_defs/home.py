"""Where things live: the Stemma root, and Dagster's home below it unless DAGSTER_HOME says otherwise."""

from __future__ import annotations

import json
import os
from pathlib import Path

from assets_data.lineage import ConfigError, lease
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.storage import atomic

SETTINGS = "dagster.yaml"


def stemma_root() -> Path:
    """``STEMMA_ROOT``, or ``.stemma`` under the working directory: the store and Dagster's state live below it.

    Raises ConfigError ROOT_FOLDER where no folder can be, because a file is in the way.
    """
    root = Path(os.environ.get("STEMMA_ROOT") or ".stemma").expanduser().absolute()
    standing = next(path for path in (root, *root.parents) if path.exists())
    if not standing.is_dir():
        action = "set STEMMA_ROOT to a folder, or to where one can be made"
        raise ConfigError("ROOT_FOLDER", "the root is a folder", found=f"a file at {standing}", action=action)
    return root


def prepare_home(root: Path) -> None:
    """Make sure DAGSTER_HOME is set, from the project's ``dagster.yaml`` with ``root`` in the place of ``.stemma``."""
    if os.environ.get("DAGSTER_HOME"):
        return
    state = root / "dagster"
    with lease(root / "dagster.lock"):
        atomic.write_bytes(root / SETTINGS, _settings(state))
        atomic.sweep_temps(state)
        if not state.exists():
            _create_storage(state)
    os.environ["DAGSTER_HOME"] = str(root)


def _create_storage(state: Path) -> None:
    """Let Dagster make its databases elsewhere, then rename: one killed half way through making them never recovers."""
    import dagster as dg

    temp = atomic.temp_beside(state)
    temp.mkdir(parents=True)
    (temp / SETTINGS).write_bytes(_settings(temp))
    with dg.DagsterInstance.from_config(str(temp)):
        pass
    (temp / SETTINGS).unlink()
    atomic.publish_directory(temp, state)


def _settings(state: Path) -> bytes:
    text = (ROOT / SETTINGS).read_text()
    for folder in ("/logs", ""):  # JSON quoting is valid YAML
        text = text.replace(f"base_dir: .stemma/dagster{folder}\n", f"base_dir: {json.dumps(f'{state}{folder}')}\n")
    return text.encode()
