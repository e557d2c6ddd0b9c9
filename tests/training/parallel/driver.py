"""Trains a run in every process that a launcher starts: ``driver.py RECIPE FOLDER [FIELD=JSON ...]``."""

import json
import sys
from pathlib import Path

from assets_data.lineage import with_overrides
from tests.training.kill_driver import prepare
from training.loop import train
from training.parallel.world import joined


def main(name: str, folder: Path, *settings: str) -> None:
    with joined() as world:
        recipe, config, data = prepare(name, folder.parent / f"data-{world.rank}")
        changed = dict(setting.split("=", 1) for setting in settings)
        config = with_overrides(config, {field: json.loads(value) for field, value in changed.items()})
        train(recipe, config, data, folder, code="c", world=world)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
