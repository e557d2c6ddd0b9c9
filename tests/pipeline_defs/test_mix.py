"""Mixing and exporting as people start them: the command, and Dagster's job."""

import shutil

import dagster as dg
import pytest

from assets_data.lineage import Store
from pipeline_defs.definitions import defs
from tests.chain import published_ids, stemma


@pytest.fixture
def root(finished_chain, tmp_path):
    """A finished chain of one's own."""
    shutil.copytree(finished_chain, tmp_path / "root", symlinks=True)
    return tmp_path / "root"


def test_the_command_mixes_and_recipes_find_the_mix_behind_the_manifest(root):
    sources = ["--source", "a=text/triples/stdlib-0,text/triples/stdlib-1", "--source", "b=text/triples/stdlib-2"]
    result = stemma(root, "mix", *sources, "--set", 'weights={"a":1,"b":3}', "--set", "by=rows", "--dataset")
    assert result.returncode == 0, result.stderr
    ids, store = published_ids(root), Store(root / "store")
    assert ids["text/mix"] in result.stdout and ids["text/dataset_manifest"] in result.stdout
    manifest = store.snapshot(ids["text/dataset_manifest"]).read_json("manifest.json")
    assert manifest["members"]["triples"] == {"mix": ids["text/mix"]}
    shares = {name: s["rows"] for name, s in store.pointed("text/mix").stats["splits"]["train"].items()}
    assert abs(shares["b"] - 3 * shares["a"]) <= 2
    refused = stemma(root, "mix", "--source", "a=text/triples/nowhere-0")
    assert refused.returncode == 1 and "STORE_NOTHING_THERE" in refused.stderr


def test_the_commands_export_and_import_the_same_snapshot(root, tmp_path):
    assert stemma(root, "mix", "--set", "train=5000").returncode == 0
    identity = published_ids(root)["text/mix"]
    for file_format in ("jsonl", "parquet"):
        folder = tmp_path / file_format
        exported = stemma(root, "export-triples", "text/mix", str(folder), "--format", file_format)
        assert exported.returncode == 0, exported.stderr
        back = stemma(tmp_path / f"new-{file_format}", "import-triples", str(folder), "--name", "text/mix")
        assert back.returncode == 0 and published_ids(tmp_path / f"new-{file_format}")["text/mix"] == identity
    again = stemma(root, "export-triples", "text/mix", str(tmp_path / "jsonl"))
    assert again.returncode == 1 and "EXPORT_EXISTS" in again.stderr


def test_the_job_mixes_slices_by_name_and_tells_the_catalogue(root, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(root))
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"ops": {"text_mix_work": {"config": {"overrides": {"by": "rows", "train": 50}, "dataset": True}}}}
        result = defs.resolve_job_def("mix").execute_in_process(instance=instance, run_config=config)
        assert result.success
        materialised = {
            event.asset_key.to_user_string(): event.materialization.tags["dagster/data_version"]
            for event in result.all_events
            if event.is_step_materialization and event.asset_key and event.materialization.tags
        }
    ids = published_ids(root)
    assert materialised == {name: ids[name] for name in ("text/mix", "text/dataset_manifest")}
    mix = Store(root / "store").pointed("text/mix")
    assert mix.content["splits"]["train"] == 50
    assert {source["name"] for source in mix.read_json("layout.json")["sources"]} == {"stdlib"}
