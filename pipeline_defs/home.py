"""Where things live: the Stemma root, and Dagster's home below it unless DAGSTER_HOME says otherwise."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from assets_data.lineage import ConfigError, lease
from assets_data.lineage.storage import atomic

SETTINGS = Path(__file__).parent / "settings"
DAGSTER, WORKSPACE = SETTINGS / "dagster.yaml", SETTINGS / "workspace.yaml"


def stemma_root() -> Path:
    """``STEMMA_ROOT``, or ``.stemma`` under the working directory: the store and Dagster's state live below it.

    Raises ConfigError ROOT_FOLDER where no folder can be, because a file is in the way.
    """
    named = os.environ.get("STEMMA_ROOT") or ".stemma"
    try:
        root = Path(named).expanduser().absolute()
    except RuntimeError as error:  # no such user, or none whose home is known
        action = "set HOME, or STEMMA_ROOT to a folder without ~"
        raise ConfigError("ROOT_FOLDER", f"~ leads nowhere: {error}", found=named, action=action) from error
    try:
        standing = next(path for path in (root, *root.parents) if path.exists())
    except OSError as error:  # a name too long, a loop of links
        raise ConfigError("ROOT_FOLDER", f"no folder can be here: {error.strerror}", found=named) from error
    if not standing.is_dir():
        action = "set STEMMA_ROOT to a folder, or to where one can be made"
        raise ConfigError("ROOT_FOLDER", "the root is a folder", found=f"a file at {standing}", action=action)
    return root


def prepare_home(root: Path) -> None:
    """Make sure DAGSTER_HOME is set, from the package's ``dagster.yaml``, with its state below ``root``."""
    if os.environ.get("DAGSTER_HOME"):
        return
    state = root / "dagster"
    with lease(root / "dagster.lock"):
        atomic.write_bytes(root / DAGSTER.name, _settings(state))
        atomic.sweep_temps(state)
        if not state.exists():
            _create_storage(state)
    os.environ["DAGSTER_HOME"] = str(root)


def _create_storage(state: Path) -> None:
    """Let Dagster make its databases elsewhere, then rename: one killed half way through making them never recovers."""
    import dagster as dg

    temp = atomic.temp_beside(state)
    temp.mkdir(parents=True)
    (temp / DAGSTER.name).write_bytes(_settings(temp))
    with dg.DagsterInstance.from_config(str(temp)):
        pass
    (temp / DAGSTER.name).unlink()
    atomic.publish_directory(temp, state)


def _settings(state: Path) -> bytes:
    """The package's settings with every path spelt out, so that each process with this DAGSTER_HOME finds the same."""
    text = DAGSTER.read_text()
    for name, folder in (("SqliteBelowRoot", ""), ("LogsBelowRoot", "/logs"), ("ArtifactsBelowRoot", "")):
        line = re.compile(rf"(class: {name}\n +)config: {{}}")
        base = json.dumps(f"{state}{folder}")  # JSON quoting is valid YAML
        text, found = line.subn(lambda match, base=base: f"{match[1]}config: {{base_dir: {base}}}", text)
        if found != 1:
            raise ConfigError("HOME_SETTINGS", f"dagster.yaml names {name} {found} times", where=DAGSTER)
    return text.encode()
