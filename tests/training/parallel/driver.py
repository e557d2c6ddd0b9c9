"""Trains the toy in every process that a launcher starts: ``driver.py FOLDER FAULT [FIELD=JSON ...]``.

``FAULT`` is a phase of :mod:`tests.training.parallel.forked`, such as ``2`` or ``2k1u5``.
"""

import json
import sys
from pathlib import Path

from tests.training.parallel.forked import PHASE, Fault
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.loop import train
from training.parallel.world import joined


def main(folder: Path, fault: str, *settings: str) -> None:
    phase = PHASE.fullmatch(fault)
    assert phase
    config = toy_config(**{field: json.loads(value) for field, value in (s.split("=", 1) for s in settings)})
    with joined() as world:
        faults = [Fault(phase["kind"], int(phase["update"]))] if phase["rank"] == str(world.rank) else []
        train(ToyRecipe(), config, toy_data(), folder, code="c", callbacks=faults, world=world)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
