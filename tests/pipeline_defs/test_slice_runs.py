"""Many slices in one Dagster run: what Dagster knows of each, what a second run starts, and what grows with slices."""

import json

import dagster as dg
import pytest

from assets_data.domains.text.duplicates import natural_order
from assets_data.lineage import Store
from assets_data.sources import files
from assets_data.sources.config import FilesConfig, SourceConfig
from pipeline_defs.answers import status
from pipeline_defs.catalogue import catalogue
from pipeline_defs.commands.chain import plan_stages, run_chain
from pipeline_defs.commands.run import open_instance
from pipeline_defs.commands.runs import ChainFailure
from pipeline_defs.home import prepare_home, stemma_root

MANIFEST, SLICES = "text/dataset_manifest", 6
SLICED = ("raw_slice", "documents", "document_index", "drops", "triples")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    (tmp_path / "in").mkdir()
    for number in range(SLICES):
        write(tmp_path / "in" / f"{number}.jsonl", f"file {number}")
    return tmp_path / "in"


@pytest.fixture
def instance(folder, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    prepare_home(stemma_root())
    with open_instance() as instance:
        yield instance


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "root" / "store")


def write(path, word):
    rows = [{"text": f"{word}, row {row}: the quick brown fox jumps over the lazy dog. " * 3} for row in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(instance, folder):
    """Run to the manifest; the Dagster runs that it took, oldest first."""
    source = {"source": "files", "files.root": str(folder), "files.patterns": ["*.jsonl"], "shards": 2**40}
    before = {record.run_id for record in instance.get_runs()}
    try:
        run_chain(
            instance, plan_stages("t", [MANIFEST], "smoke", {f"text.raw_slice.{k}": v for k, v in source.items()})
        )
    finally:
        runs = [found for found in instance.get_runs() if found.run_id not in before]
    return runs[::-1]


def known(instance, stage):
    """Slice -> the newest materialisation that Dagster has of a stage."""
    key = dg.AssetKey(["text", stage])
    records = instance.fetch_materializations(key, limit=1000).records
    return {record.partition_key: record.asset_materialization for record in reversed(records)}


def test_all_slices_go_through_in_two_runs_and_dagster_knows_each_with_its_versions_and_checks(instance, folder, store):
    runs = run(instance, folder)
    assert [one.job_name for one in runs].count("make_slices") == 2 and len(runs) == 4
    for stage in SLICED:
        found = known(instance, stage)
        names = store.names(f"text/{stage}")
        assert len(names) == SLICES and set(found) == set(names)
        for name, event in found.items():
            assert event.tags["dagster/data_version"] == store.pointer(f"text/{stage}/{name}")["snapshot"]
            assert event.metadata["id"].value == event.tags["dagster/data_version"]
            for given in catalogue().stage(f"text/{stage}").inputs.values():
                read = store.pointer(f"{given.kind}/{name}") or store.pointer(given.kind)
                assert event.tags[f"dagster/input_data_version/{given.kind}"] == read["snapshot"]
        for check in catalogue().stage(f"text/{stage}").every_check:
            key = dg.AssetCheckKey(dg.AssetKey(["text", stage]), check.name)
            executions = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
            evaluated = {one.event.dagster_event.asset_check_evaluation_data.partition for one in executions}
            assert evaluated == set(names)
    manifest = store.pointed(MANIFEST).read_json("manifest.json")
    assert set(manifest["members"]["triples"]) == set(store.names("text/triples"))


def test_a_second_run_starts_none_and_one_more_file_makes_one_more_slice(instance, folder, store):
    run(instance, folder)
    assert run(instance, folder) == []
    before = {stage: known(instance, stage) for stage in SLICED}
    write(folder / "late.jsonl", "one more")
    assert len(run(instance, folder)) == 4
    for stage in ("raw_slice", "documents", "document_index"):
        after = known(instance, stage)
        assert len(after) == SLICES + 1
        again = [name for name in before[stage] if after[name].metadata["id"] != before[stage][name].metadata["id"]]
        assert again == []
    assert len(known(instance, "triples")) == SLICES + 1
    assert run(instance, folder) == []


def test_a_list_of_drops_that_stays_is_fresh_and_not_made_again(instance, folder, store):
    run(instance, folder)
    names, before = store.names("text/drops"), pointers(store)
    duplicates = store.pointer("text/duplicates")
    write(folder / "late.jsonl", "one more")
    run(instance, folder)
    assert store.pointer("text/duplicates") != duplicates
    assert len(store.names("text/drops")) == SLICES + 1 and {name: pointers(store)[name] for name in names} == before
    assert all(standing.fresh for standing in status.stand(store).values())


def test_a_list_of_drops_that_changes_is_made_again_alone(instance, folder, store):
    run(instance, folder)
    names, before = store.names("text/drops"), pointers(store)
    texts = "".join(path.read_text() for path in folder.iterdir())
    twins = place_between(folder, texts, sorted(names, key=natural_order))
    later = {name for name in names if natural_order(name) > natural_order(twins)}  # they lose their texts to it
    run(instance, folder)
    after = pointers(store)
    assert {name for name in names if after[name] != before[name]} == later
    rows = {name: store.pointed(f"text/drops/{name}").stats["rows"] for name in after}
    assert {name for name in rows if rows[name]} == {*later, twins}
    assert all(standing.fresh for standing in status.stand(store).values()) and run(instance, folder) == []


def pointers(store):
    return {name: store.pointer(f"text/drops/{name}") for name in store.names("text/drops")}


def place_between(folder, text, names):
    """Add a file whose slice is neither the first nor the last; the slice's name."""
    for number in range(100):
        (folder / f"twins-{number}.jsonl").write_text(text)
        (name,) = set(files.FilesSource(config(folder)).slices()) - {*names}
        if natural_order(names[0]) < natural_order(name) < natural_order(names[-1]):
            return name
        (folder / f"twins-{number}.jsonl").unlink()
    raise AssertionError("no such name")


def test_a_bad_slice_fails_in_its_own_words_and_what_was_made_before_it_is_not_made_again(instance, folder, store):
    names = sorted(files.FilesSource(config(folder)).slices())
    (bad,) = files.FilesSource(config(folder)).slices()[names[3]]
    good = (folder / bad).read_text()
    (folder / bad).write_text("{broken\n")
    with pytest.raises(ChainFailure, match="ROW_NOT_JSON"):
        run(instance, folder)
    made = store.names("text/raw_slice")
    assert made and set(known(instance, "raw_slice")) == set(made) and not store.names("text/triples")
    receipts = {name: store.pointer(f"text/raw_slice/{name}") for name in made}
    (folder / bad).write_text(good)
    run(instance, folder)
    assert receipts == {name: store.pointer(f"text/raw_slice/{name}") for name in made}
    assert len(store.names("text/triples")) == SLICES and run(instance, folder) == []


def config(folder):
    return SourceConfig(source="files", shards=2**40, files=FilesConfig(root=str(folder), patterns=("*.jsonl",)))


def test_a_source_is_listed_once_per_command_whatever_the_number_of_slices(instance, folder, store, monkeypatch):
    looked, original = [], files.discover
    monkeypatch.setattr(files, "discover", lambda *a: looked.append(a) or original(*a))
    run(instance, folder)
    assert len(looked) == 1
    run(instance, folder)
    assert len(looked) == 2
    assert all(standing.fresh for standing in status.stand(store).values()) and len(looked) == 3
