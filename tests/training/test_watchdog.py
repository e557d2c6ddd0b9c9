"""F32: an update that stalls ends its process with the stacks on disk, and is tried once more."""

import os
import subprocess
import sys
from pathlib import Path

from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.checkpoint import read_state, stored
from training.loop import train

ROOT = Path(__file__).parents[2]
STALLS = """
import sys, threading
from pathlib import Path
from tests.training.toy import ToyRecipe, toy_config, toy_data
from training.callbacks import Callback
from training.loop import train

class StallOnce(Callback):
    def step_end(self, run):
        marker = run.directory / "stalled-before"
        if run.update == 5 and (MODE == "always" or not marker.exists()):
            marker.touch()
            wait_for_ever()

def wait_for_ever():
    threading.Event().wait()

DIRECTORY, MODE = Path(sys.argv[1]), sys.argv[2]
config = toy_config(**{"train.stall_seconds": 3.0})
train(ToyRecipe(), toy_config(), toy_data(), DIRECTORY / "warm", code="c")  # torch imports half of itself on first use
train(ToyRecipe(), config, toy_data(), DIRECTORY, code="c", callbacks=[StallOnce()])
"""
SUPERVISED = """
import os, sys
from training.__main__ import supervise
import subprocess
real = subprocess.Popen
subprocess.Popen = lambda command, env: real([sys.executable, "-c", os.environ["PROGRAM"], *command[3:]], env=env)
sys.exit(supervise(sys.argv[1:]))
"""


def run(program, *arguments):
    environment = {**os.environ, "PROGRAM": STALLS}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_f32_a_stalled_update_dumps_all_stacks_and_the_retry_ends_bit_equal(tmp_path):
    done = run(SUPERVISED, tmp_path / "stalled", "once")
    assert done.returncode == 0, done.stderr
    stacks = (tmp_path / "stalled" / "stalled.txt").read_text()
    assert "wait_for_ever" in stacks and "wait_for_ever" in done.stderr
    assert "update 6 took longer" in done.stderr and done.stderr.count("trying once more") == 1
    calm = train(ToyRecipe(), toy_config(), toy_data(), tmp_path / "calm", code="c")
    ends = [read_state(path) for path in (tmp_path / "stalled" / "checkpoints" / "00000012", calm.final)]
    for part in ("model", "optimizer", "rng"):
        assert ends[0]["files"][f"{part}.safetensors"] == ends[1]["files"][f"{part}.safetensors"]


def test_f32_a_second_stall_exits_75(tmp_path):
    done = run(SUPERVISED, tmp_path, "always")
    assert done.returncode == 75 and done.stderr.count("trying once more") == 1
    assert done.stderr.count("took longer than") == 2
    assert [p.name for p in stored(tmp_path / "checkpoints")] == ["00000003"]
