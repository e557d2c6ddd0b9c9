"""Slices of an HTTP index at the command line, in the sensor and through the asset, from a real loopback server."""

import json
import subprocess
import sys

import dagster as dg
import pytest

from assets_data.lineage import Store, to_dict
from assets_data.lineage.receipts.code import ROOT
from assets_data.sources.http.source import HttpSource
from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.automation import registration_sensors
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.definitions import defs
from tests.assets_data.sources.http.corpus import INDEX, config_of, part_bytes, put_corpus, put_index, rows, texts_of
from tests.chain import environment
from tests.loopback import serving, status

SENSOR = next(sensor for sensor in registration_sensors(catalogue()) if sensor.name == "text_recorded_slices")


@pytest.fixture
def server():
    with serving() as running:
        yield running


def stemma(root, *arguments):
    """Exit status and output of ``stemma slices ...``."""
    command = [sys.executable, "-m", "pipeline_defs.commands.cli", "slices", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=environment(root), capture_output=True, text=True, timeout=120)
    return result.returncode, result.stdout or result.stderr


def settings(server, *more):
    fields = {"http.index_url": server.url(INDEX), "http.private_hosts": ["127.0.0.1"], "parts_per_slice": 2}
    return [f"--set=raw_slice.{name}={json.dumps(value)}" for name, value in fields.items()] + list(more)


def test_plan_add_list_and_ledger_tell_the_same_story(tmp_path, server):
    names = put_corpus(server, 5)
    status_, planned = stemma(tmp_path, "plan", "--number=2", "--json", *settings(server))
    assert status_ == 0 and [row["parts"] for row in json.loads(planned)] == [names[:2], names[2:4]]
    assert stemma(tmp_path, "list") == (0, "none\n")
    status_, added = stemma(tmp_path, "add", "--number=2", "--json", *settings(server))
    assert status_ == 0 and json.loads(added) == json.loads(planned) and part_bytes(server) == {}
    status_, cut = stemma(tmp_path, "add", "--json", *settings(server, "--set=raw_slice.http.count=30"))
    assert json.loads(cut) == [{"slice": "http-2", "parts": [f"{names[4]}:1-30"], "lines": 30, "snapshot": None}]
    _, listed = stemma(tmp_path, "list")
    assert [line.split()[0] for line in listed.splitlines()] == ["slice", "http-0", "http-1", "http-2"]
    _, ledger = stemma(tmp_path, "ledger", "--json")
    (entry,) = json.loads(ledger)
    assert entry["part"] == names[4] and entry["lines"] == 40 and entry["slices"] == ["http-2:1-30"]
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert set(instance.get_dynamic_partitions("text_slices")) == {"http-0", "http-1", "http-2"}


def test_an_exhausted_index_and_a_refusal_exit_with_1(tmp_path, server):
    put_corpus(server, 1)
    assert stemma(tmp_path, "add", *settings(server))[0] == 0
    assert stemma(tmp_path, "add", *settings(server)) == (1, "none\n")
    put_index(server, ["../escape.jsonl"])
    code, output = stemma(tmp_path, "add", *settings(server))
    assert code == 1 and output.startswith("[INDEX_NAME]") and "Traceback" not in output


def test_the_sensor_registers_a_slice_when_the_index_has_grown_by_a_whole_one(tmp_path, server):
    names = put_corpus(server, 3)
    store = Store(tmp_path)
    HttpSource(config_of(server, parts_per_slice=2), store).add(1)
    with dg.DagsterInstance.ephemeral() as instance:

        def tick():
            context = dg.build_sensor_context(instance=instance, resources={"store": StoreResource(root=str(tmp_path))})
            result = SENSOR(context)
            if isinstance(result, dg.SkipReason):
                return []
            (request,) = result.dynamic_partitions_requests
            instance.add_dynamic_partitions("text_slices", request.partition_keys)
            return sorted(request.partition_keys)

        assert tick() == ["http-0"] and tick() == []
        put_index(server, [*names, "train/part-03.jsonl.zst"])
        assert tick() == ["http-1"] and tick() == [] and part_bytes(server) == {}
        server.faults[INDEX] = [status(404)]
        assert tick() == []


def test_the_sensor_rests_without_an_http_source(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"store": StoreResource(root=str(tmp_path))})
        assert isinstance(SENSOR(context), dg.SkipReason)


def test_the_asset_makes_a_slice_over_http(tmp_path, server, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    put_corpus(server, 2)
    overrides = {"source": "http_index", "http": to_dict(config_of(server).http)}
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        instance.add_dynamic_partitions("text_slices", ["http-1"])
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(["text", "raw_slice"])],
            partition_key="http-1",
            run_config={"ops": {"text__raw_slice": {"config": {"overrides": overrides}}}},
        )
    assert result.success
    assert texts_of(Store(tmp_path / "store").pointed("text/raw_slice/http-1")) == rows(1)
