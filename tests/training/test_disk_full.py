"""F26: a disk that refuses in the middle of a save, by a real limit on the size of files."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.checkpoint import read_state, stored
from training.loop import train

ROOT = Path(__file__).parents[2]
PROGRAM = """
import resource, sys
from pathlib import Path
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.loop import train

class Fill(Callback):
    def step_begin(self, run):
        if run.update == int(sys.argv[2]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))

train(ToyRecipe(), toy_config(), toy_data(), Path(sys.argv[1]), code="c", callbacks=[Fill()])
"""


def go(directory):
    return train(ToyRecipe(), toy_config(), toy_data(), directory, code="c")


@pytest.mark.parametrize(
    ("update", "limit", "kept"),
    [(7, 900, "00000006"), (11, 3000, "00000009")],
    ids=["at the first file of a save", "at a later file of the final save"],
)
def test_f26_the_old_checkpoint_stays_and_the_run_fails_and_heals(tmp_path, update, limit, kept):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "cut"), str(update), str(limit)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and "[STORAGE_EFBIG] cannot write" in done.stderr, done.stderr
    newest = stored(tmp_path / "cut" / "checkpoints")[-1]
    assert newest.name == kept and read_state(newest) and not list((tmp_path / "cut").rglob(".tmp-*"))
    healed, calm = (read_state(go(tmp_path / name).final) for name in ("cut", "calm"))
    assert healed["files"] == calm["files"] and healed["history"] == calm["history"]
