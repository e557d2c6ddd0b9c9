"""A deployment for tests: own files, `operations.toml`, the real daemon, and its sensors switched on."""

import json
import os
import time
from pathlib import Path

import dagster as dg

from tests.dagster_server import graphql

START = """mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message } } }"""
LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "stemma"}
MODULES = sorted(Path(os.__file__).parent.glob("[a-m]*.py"))
UNFINISHED = [s for s in dg.DagsterRunStatus if s.value not in ("SUCCESS", "FAILURE", "CANCELED")]


def write_file(folder: Path, number: int, of: int) -> None:
    """One file of documents: every ``of``-th module of the standard library, from ``number`` on."""
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"body": module.read_text()}) for module in MODULES[number::of]]
    temp = folder / ".writing"
    temp.write_text("\n".join(lines))
    temp.rename(folder / f"part-{number}.jsonl")


def settings(folder: Path) -> dict[str, object]:
    """What says that these files are the source."""
    named = {"source": "files", "files.root": str(folder), "files.patterns": ["*.jsonl"], "extract.fields": ["body"]}
    return {f"text.raw_slice.{name}": value for name, value in (named | {"shards": 2}).items()}


def operate(root: Path, **further: object) -> None:
    """The deployment's file."""
    root.mkdir(exist_ok=True)
    wanted = {"preset": "smoke", "recipes": ["walk_lm"], "tick_seconds": 2, **further}
    lines = [f"{name} = {json.dumps(value)}" for name, value in wanted.items()]
    (root / "operations.toml").write_text("\n".join(lines))


def switch_on(address: str, *sensors: str) -> None:
    """As the toggle of the UI does."""
    for name in sensors:
        answer = graphql(address, START, selector={**LOCATION, "sensorName": name})
        assert answer["startSensor"]["__typename"] == "Sensor", answer


def wait_until(holds, seconds: float, what: str, nap: float = 0.5) -> None:
    """Return once ``holds()``, which is asked after every ``nap``; fail the test when it takes longer than that."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(nap)


def quiet_ticks(instance, sensors, number: int):
    """Whether each sensor ticked this often since the last run had ended, and asked for nothing.

    A tick from before that end says nothing: while a dataset is being made, sensors skip as well.
    """
    if instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1):
        return False
    ended = max((record.end_time or 0 for record in instance.get_run_records()), default=0)
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    for name in sensors:
        state = states[name]
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=number)
        skipped = [tick for tick in ticks if tick.status.value == "SKIPPED" and tick.timestamp > ended]
        if len(skipped) < number:
            return False
    return True
