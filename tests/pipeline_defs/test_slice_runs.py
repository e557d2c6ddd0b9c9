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
from pipeline_defs.dagster.chain_jobs import first_stages, job_of
from pipeline_defs.dagster.names import asset_key
from pipeline_defs.dagster.partitions import register_slices
from pipeline_defs.dagster.runs import execute
from pipeline_defs.definitions import defs
from pipeline_defs.home import prepare_home, stemma_root
from tests.assets_data.domains.text.tampered import publish, with_column

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


def backfill(instance, folder, begin, end):
    """One run of a backfill over a range of the registered slices, of all that a slice is by itself: how it ended."""
    keys = [asset_key(stage.kind) for stage in first_stages(catalogue(), "text")]
    source = {"source": "files", "files.root": str(folder), "files.patterns": ["*.jsonl"], "shards": 2**40}
    ops = {"text__raw_slice": {"config": {"preset": "smoke", "overrides": source}}}
    tags = {"dagster/asset_partition_range_start": begin, "dagster/asset_partition_range_end": end}
    return execute(instance, job_of(defs, keys), keys, run_config={"ops": ops}, tags=tags)


def register(instance, folder):
    """The slices, in the order in which Dagster knows them."""
    register_slices(instance, "text", files.FilesSource(config(folder)).slices())
    return list(instance.get_dynamic_partitions("text_slices"))


def evaluations(instance, stage):
    """Every evaluation of a stage's checks, by check: the slices and whether they passed."""
    found = {}
    for check in catalogue().stage(f"text/{stage}").every_check:
        key = dg.AssetCheckKey(dg.AssetKey(["text", stage]), check.name)
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        told = [one.event.dagster_event.asset_check_evaluation_data for one in history]
        found[check.name] = sorted((one.partition, one.passed) for one in told)
    return found


def test_a_run_of_a_backfill_makes_its_range_of_slices_each_with_an_event_like_that_of_a_run_of_its_own(
    instance, folder, store
):
    first, *others = register(instance, folder)
    assert backfill(instance, folder, others[0], others[-1]).success
    for stage in SLICED[:3]:
        events = instance.fetch_materializations(dg.AssetKey(["text", stage]), limit=100).records
        assert sorted(record.partition_key for record in events) == sorted(others) == store.names(f"text/{stage}")
        checked = evaluations(instance, stage)
        assert checked and all(told == [(name, True) for name in sorted(others)] for told in checked.values())
        for name, event in known(instance, stage).items():
            made = store.pointer(f"text/{stage}/{name}")
            assert event.tags["dagster/data_version"] == event.metadata["id"].value == made["snapshot"]
            assert str(store.root / made["receipt"]) == event.metadata["receipt"].value
            for given in catalogue().stage(f"text/{stage}").inputs.values():
                read = store.pointer(f"{given.kind}/{name}")["snapshot"]
                assert event.tags[f"dagster/input_data_version/{given.kind}"] == read
    alone = [asset_key(f"text/{stage}") for stage in SLICED[:3]]
    config = {"ops": instance.get_runs()[0].run_config["ops"]}
    assert execute(instance, job_of(defs, alone), alone, run_config=config, tags={}, partition=first).success
    for stage in SLICED[:3]:
        one, another = (known(instance, stage)[name] for name in (first, others[0]))
        assert one.tags.keys() == another.tags.keys() and one.metadata.keys() == another.metadata.keys()


def test_a_bad_slice_of_a_backfills_run_stops_no_other_and_is_named_and_what_was_made_is_found_again(
    instance, folder, store
):
    names = register(instance, folder)
    (bad,) = files.FilesSource(config(folder)).slices()[names[2]]
    good = (folder / bad).read_text()
    (folder / bad).write_text("{broken\n")
    ended = backfill(instance, folder, names[0], names[-1])
    (failure,) = [event.step_failure_data.error for event in ended.events if event.is_step_failure]
    assert not ended.success and f"1 of 6 slices failed, the others were made:\n{names[2]}: " in failure.cause.message
    assert "ROW_NOT_JSON" in failure.cause.message
    assert store.names("text/raw_slice") == sorted({*names} - {names[2]}) == sorted(known(instance, "raw_slice"))
    assert not store.names("text/documents")
    (folder / bad).write_text(good)
    assert backfill(instance, folder, names[0], names[-1]).success
    again = {name for name, event in known(instance, "raw_slice").items() if not event.metadata["reused"].value}
    assert again == {names[2]} and set(known(instance, "documents")) == set(names)


def test_a_check_judges_every_slice_of_a_range_and_fails_for_the_broken_one_alone(instance, folder, store):
    names = register(instance, folder)
    assert backfill(instance, folder, names[0], names[-1]).success
    before = evaluations(instance, "raw_slice")["schema"]
    raw = store.pointed(f"text/raw_slice/{names[4]}")
    other = with_column(raw.table("records.parquet"), "text", ["not what the record is called by"] * 4)
    parts = {"parts.json": raw.read_json("parts.json")}
    broken = publish(store, "text/raw_slice", {"records.parquet": other}, parts, "broken")
    store.point(f"text/raw_slice/{names[4]}", broken)
    check = dg.AssetCheckKey(dg.AssetKey(["text", "raw_slice"]), "schema")
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={check})
    tags = {"dagster/asset_partition_range_start": names[1], "dagster/asset_partition_range_end": names[5]}
    assert not job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success
    told = evaluations(instance, "raw_slice")["schema"]
    assert told == sorted([*before, *((name, name != names[4]) for name in names[1:])])
