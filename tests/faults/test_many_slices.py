"""Many tiny slices to the manifest, killed again and again: the end is that of a machine that was left alone."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter

import dagster as dg
import pytest

from assets_data.domains.text.clean import REASONS
from assets_data.domains.text.raw_slice import LEFT_OUT
from assets_data.domains.text.triples import WITHOUT_WINDOW
from assets_data.lineage import Store
from assets_data.lineage.queries.explain import explain
from assets_data.lineage.receipts.code import ROOT
from benchmarks.slices import write_files
from pipeline_defs.answers.explain import EVIDENCE
from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.inputs import stage_name
from tests.chain import environment, published_ids
from tests.faults.operated import UNFINISHED, wait_until
from tests.faults.to_manifest import MANIFEST

FEW, MANY = (40, 3), (2_000, 5)  # slices, and how often the process is killed
ODD = 10  # of so many files one has, besides its own four rows, some that are left out
PEAK_MIB = 1024
STAGES = catalogue().above([MANIFEST])
SLICED = [stage.kind for stage in STAGES if stage.sliced]
S = dg.DagsterRunStatus


@pytest.fixture
def start():
    """Starts the chain in a group of its own, so that a kill reaches all of it and nothing else."""
    started = []

    def begin(root, folder):
        command = [sys.executable, "-m", "tests.faults.to_manifest", str(folder)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment(root), **options))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            kill(process)
        process.wait()
        process.stdout.close()


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)


def peak_of(process):
    """Once it went through: the most memory that it had, in MiB."""
    output, _ = process.communicate(timeout=3600)
    assert process.returncode == 0, output
    return int(output.splitlines()[-1])


def kill_at(mark, root, begin):
    """SIGKILL once so much is done, and more than when it began."""
    least = max(mark, progress(root) + 1)
    process = begin()
    wait_until(lambda: process.poll() is not None or progress(root) >= least, 3600, f"{least} steps are done", nap=0.05)
    if process.poll() is None:
        kill(process)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output


@pytest.mark.slow  # half a minute; of the many a quarter of an hour
@pytest.mark.parametrize(("slices", "kills"), [FEW, MANY])
def test_many_slices_go_through_whatever_is_killed_and_the_end_is_the_calm_machines(tmp_path, start, slices, kills):
    folder, root, calm = (tmp_path / name for name in ("files", "root", "calm"))
    odd = write(folder, slices)
    undisturbed = start(calm, folder)
    for mark in sorted(random.Random(17).sample(range(1, (len(SLICED) + 1) * slices), kills)):
        kill_at(mark, root, lambda: start(root, folder))
    assert peak_of(start(root, folder)) <= PEAK_MIB
    peak_of(undisturbed)
    assert published_ids(root) == published_ids(calm)
    nothing_is_published_twice(root, slices, kills)
    every_record_is_kept_or_left_out_for_a_reason(root, slices, odd)
    nothing_half_made_is_left(root, kills)
    dagster_knows_every_slice(calm, most=1, dead=0)
    dagster_knows_every_slice(root, most=1 + kills, dead=kills)
    before = runs(root)
    peak_of(start(root, folder))
    assert runs(root) == before


def write(folder, slices):
    """The files; how many of them have, each of a kind, rows that are to be left out."""
    write_files(folder, range(slices))
    odd = range(ODD, slices, ODD)
    for number in odd:
        twin = (folder / f"{number - 1:06}.jsonl").read_text().splitlines()[0]
        with open(folder / f"{number:06}.jsonl", "a") as file:
            file.write("\n".join([twin, '{"text": "short"}', '{"none": ""}', '{"broken', ""]))
    return len(odd)


def progress(root):
    """Names that stand for something, and notes of what went through."""
    return sum(1 for folder in ("pointers", "passed") for _ in (root / "store" / folder).rglob("*.json"))


def nothing_is_published_twice(root, slices, kills):
    """One snapshot for each stage of each slice; what was killed between its receipt and its place has two receipts."""
    store = Store(root / "store")
    published = [store.opened(snapshot_id) for snapshot_id in store.snapshot_ids()]
    assert Counter(one.kind for one in published) == {s.kind: slices if s.sliced else 1 for s in STAGES}
    assert {one.id for one in published} == set(published_ids(root).values())
    assert sum(len(store.receipts(one.id)) for one in published) <= len(published) + kills
    tree = explain(store, store.pointer(MANIFEST)["snapshot"], evidence=EVIDENCE)
    assert tree.broken is None and set(tree.nodes) == {one.id for one in published}


def every_record_is_kept_or_left_out_for_a_reason(root, slices, odd):
    store, left_out = Store(root / "store"), Counter()
    manifest = store.pointed(MANIFEST).read_json("manifest.json")
    assert manifest["members"]["triples"] == {name: triples_of(store, name).id for name in store.names(SLICED[0])}
    assert len(manifest["members"]["triples"]) == slices
    records = kept = rows = 0
    for name in manifest["members"]["triples"]:
        raw, triples = store.pointed(f"text/raw_slice/{name}"), triples_of(store, name)
        dropped = triples.read_json("dropped.json")
        lost = Counter({reason: dropped[reason] for reason in (*REASONS, WITHOUT_WINDOW)})
        count, own = raw.content["records"]["count"], triples.content["records"]["count"]
        assert count == own + lost.total()
        parts = raw.read_json("parts.json")["parts"]
        left_out += lost + Counter({reason: sum(part[reason] for part in parts) for reason in LEFT_OUT})
        records, kept, rows = records + count, kept + own, rows + sum(triples.content["splits"].values())
    assert left_out == dict.fromkeys(("duplicate_across", "too_short", "missing", "malformed"), odd)
    assert kept == 4 * slices and kept + left_out.total() == 4 * (slices + odd)
    assert sum(manifest["splits"]["triples"].values()) == rows


def triples_of(store, name):
    return store.pointed(f"text/triples/{name}")


def nothing_half_made_is_left(root, kills):
    """Nothing where dead writers leave folders that somebody sweeps, no lock of a run; else a small file per kill."""
    store = root / "store"
    left = [path for path in root.rglob("*") if path.name.startswith((".tmp-", "partial-", "sealed-", "rebuild-"))]
    assert len(left) <= kills and not [path for path in left if path.parent in (store / "snapshots", store / "stages")]
    assert not [path for path in left if path.is_dir() or path.stat().st_size > 4096]
    assert not list((store / "quarantine").glob("*")) + list((root / "alive").glob("*"))


def dagster_knows_every_slice(root, most, dead):
    """Each with what its name stands for; as made once at most, as found again once more for every run that died."""
    store = Store(root / "store")
    with dg.DagsterInstance.from_config(str(root)) as instance:
        assert not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        assert Counter(run.status for run in instance.get_runs())[S.FAILURE] <= dead
        for stage in STAGES:
            records = materializations(instance, asset_key(stage.kind))
            events = [(record.partition_key or "", record.asset_materialization) for record in records]
            told = Counter(name for name, _ in events)
            assert set(told) == set(store.names(stage.kind) if stage.sliced else [""])
            assert max(told.values()) <= most
            made = Counter(name for name, event in events if not event.metadata["reused"].value)
            assert max(made.values(), default=0) <= 1
            for name, event in events:
                version = event.tags["dagster/data_version"]
                assert version == store.pointer(stage_name(stage, name))["snapshot"]


def materializations(instance, key):
    """All of them, the newest first."""
    page = instance.fetch_materializations(key, limit=1000)
    yield from page.records
    while page.has_more:
        page = instance.fetch_materializations(key, limit=1000, cursor=page.cursor)
        yield from page.records


def runs(root):
    with dg.DagsterInstance.from_config(str(root)) as instance:
        return [run.run_id for run in instance.get_runs()]
