"""Sensors by themselves: what a tick requests, what a second one does not, and what a run's config may hold."""

import datetime
import email
import http.server
import json
import logging
import shutil
import socketserver
import threading

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from assets_data.lineage import ConfigError, Store, resolve
from assets_data.sources.config import PRESETS
from assets_data.sources.recorded import record_source, recorded_settings
from pipeline_defs.catalogue import catalogue
from pipeline_defs.dagster.alerts import send
from pipeline_defs.dagster.automation import new_slices_sensor, registration_sensors
from pipeline_defs.dagster.executor import refuse_unknown_ops
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.dagster.retraining import training_request, weekly_schedules
from pipeline_defs.definitions import defs
from pipeline_defs.operations import operations

KNOWN = catalogue()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    (tmp_path / "operations.toml").write_text('preset = "smoke"\nslices_per_tick = 2\n')
    (tmp_path / "mine").mkdir()
    return tmp_path


def write(root, name, text="the quick brown fox"):
    (root / "mine" / name).write_text(json.dumps({"text": text}) + "\n")


def source(root):
    wanted = {"source": "files", "files.root": str(root / "mine"), "files.patterns": ["*.jsonl"], "shards": 64}
    return resolve(PRESETS, "smoke", wanted)


def tick(sensor, instance, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"store": StoreResource()})
    return sensor(context)


def test_new_slices_requests_what_is_new_or_changed_at_most_so_many_and_nothing_twice(root):
    sensor, store = new_slices_sensor(KNOWN, defs.resolve_all_job_defs()), Store(root / "store")
    for number in range(3):
        write(root, f"{number}.jsonl")
    record_source(store, source(root))
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(sensor, instance)
        assert len(first.run_requests) == 2  # slices_per_tick
        assert {len(request.partition_keys) for request in first.dynamic_partitions_requests} == {3}
        second = tick(sensor, instance, first.cursor)
        asked = [request.partition_key for result in (first, second) for request in result.run_requests]
        assert sorted(asked) == sorted(source_slices(root)) and len(asked) == 3
        assert len({request.run_key for result in (first, second) for request in result.run_requests}) == 3
        third = tick(sensor, instance, second.cursor)
        assert third.run_requests == [] and third.skip_reason
        again = tick(sensor, instance)  # a tick that died before its cursor was kept: the same keys
        assert [r.run_key for r in again.run_requests] == [r.run_key for r in first.run_requests]
        write(root, "0.jsonl", "something else, and longer")
        (changed,) = tick(sensor, instance, third.cursor).run_requests
        assert changed.partition_key in asked and changed.run_key not in {r.run_key for r in first.run_requests}


def source_slices(root):
    from assets_data.sources.files import FilesSource

    return list(FilesSource(source(root)).slices())


def test_d4_a_recorded_slice_knows_the_settings_of_its_source_and_any_preset_gives_them(root):
    write(root, "a.jsonl")
    store = Store(root / "store")
    record_source(store, source(root))
    (name,) = source_slices(root)
    found = recorded_settings(store, name)
    assert resolve(PRESETS, "demo", found) == resolve(PRESETS, "smoke", found) == source(root)
    assert recorded_settings(store, "files-99999") == {}


def test_d14_a_tick_that_registers_slices_says_how_many(root):
    write(root, "a.jsonl")
    record_source(Store(root / "store"), source(root))
    sensor = next(s for s in registration_sensors(KNOWN) if s.name == "text_recorded_slices")
    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(sensor, instance)
    assert "registered 1 slices of text" in result.skip_reason.skip_message and source_slices(root)[0] in str(result)


def test_a_training_is_requested_by_recipe_inputs_and_config_and_its_job_says_where_it_runs(root, finished_chain):
    store = Store(finished_chain / "store")
    one, two = (training_request(KNOWN, store, "walk_lm") for _ in range(2))
    assert one.run_key == two.run_key and one.job_name == "retrain_walk_lm"
    assert one.tags["stemma/manifest"] == store.pointer("text/dataset_manifest")["snapshot"]
    (root / "operations.toml").write_text('preset = "smoke"\nsettings = {"walk_lm.train.seed" = 3}\n')
    assert training_request(KNOWN, store, "walk_lm").run_key != one.run_key
    assert training_request(KNOWN, Store(root / "empty"), "walk_lm") is None
    assert defs.resolve_job_def("retrain_walk_lm").tags["stemma/gpu"] == "true"  # D16: launchers read a job's tags


def test_operations_that_nobody_knows_are_refused_by_name(root):
    (root / "operations.toml").write_text("prest = 1\n")
    with pytest.raises(ConfigError, match="did you mean preset"):
        operations()


@pytest.mark.parametrize(("op", "near"), [("text__raw_slise", "text__raw_slice"), ("walk_lm__checkpoint", "take its")])
def test_d3_config_for_an_op_that_the_run_does_not_have_is_refused(op, near):
    job = defs.resolve_job_def("text_slices_alone")
    with dg.DagsterInstance.ephemeral() as instance:
        run = create_run_for_test(instance, run_config={"ops": {op: {"config": {"preset": "smoke"}}}})
        with pytest.raises(ConfigError, match="RUN_CONFIG_OPS") as refused:
            refuse_unknown_ops(instance, run, job)
        assert near in str(refused.value)
        fine = create_run_for_test(instance, run_config={"ops": {"text__raw_slice": {"config": {}}}})
        refuse_unknown_ops(instance, fine, job)


def test_d3_a_preset_that_a_stage_lacks_is_refused_before_anything_runs():
    job = defs.resolve_job_def("text_slices_alone")
    for preset, valid in (("smoke", True), ("smokey", False)):
        config = {"ops": {"text__raw_slice": {"config": {"preset": preset}}}}
        assert dg.validate_run_config(job, config) if valid else _refused(job, config)


def _refused(job, config):
    with pytest.raises(dg.DagsterInvalidConfigError, match="smokey"):
        dg.validate_run_config(job, config)
    return True


def test_an_alert_goes_to_the_log_and_the_webhook_and_a_dead_webhook_stops_nothing(root, caplog):
    got = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    log = logging.getLogger("alerts")
    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        (root / "operations.toml").write_text(f'[alerts]\nwebhook = "{address}"\n')
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        send("gate_failed", "rule_compliance is 0.1", None, log)
        thread.join(10)
    assert got[0]["alert"] == "gate_failed" and "0.1" in got[0]["text"]
    send("run_failed", "again", None, log)  # nobody listens any more
    assert "could not be sent" in caplog.text and "gate_failed: rule_compliance" in caplog.text


class Letterbox(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to hand over one message."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.letter = b"".join(iter(self.rfile.readline, b".\r\n"))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


def test_an_alert_goes_to_every_mail_address(root, caplog):
    with socketserver.TCPServer(("127.0.0.1", 0), Letterbox) as server:
        text = f'[alerts]\nemail_to = ["a@b.example", "c@d.example"]\nsmtp = "127.0.0.1:{server.server_address[1]}"\n'
        (root / "operations.toml").write_text(text)
        server.timeout = 30
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        send("collapse", "slots are alike", None, logging.getLogger("alerts"))
        thread.join(30)
    letter = email.message_from_bytes(server.letter)
    assert letter["To"] == "a@b.example, c@d.example" and letter["Subject"] == "Stemma: collapse"
    assert json.loads(letter.get_payload())["text"] == "slots are alike" and "could not be sent" not in caplog.text


def test_the_weekly_schedule_asks_once_a_week_for_a_training_on_what_the_data_is(root, finished_chain):
    (root / "operations.toml").write_text('preset = "smoke"\nretrain_at = "30 2 * * 1"\n')
    [schedule] = [
        one for one in weekly_schedules(KNOWN, defs.resolve_all_job_defs()) if one.name == "weekly_retrain_walk_lm"
    ]
    assert schedule.cron_schedule == "30 2 * * 1" and schedule.default_status == dg.DefaultScheduleStatus.STOPPED

    def asked(day):
        moment = datetime.datetime(2026, 1, day, 2, 30, tzinfo=datetime.UTC)
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)
            return schedule.evaluate_tick(context)

    assert asked(5).skip_message == "no dataset yet"
    shutil.copytree(finished_chain / "store", root / "store")
    first, again, later = ([request] for day in (5, 5, 12) for request in asked(day).run_requests)
    assert first[0].run_key == again[0].run_key != later[0].run_key and first[0].job_name == "retrain_walk_lm"
    assert first[0].tags["stemma/manifest"] == Store(root / "store").pointer("text/dataset_manifest")["snapshot"]
    assert first[0].run_config["ops"]["walk_lm__preflight_report"]["config"]["preset"] == "smoke"


@pytest.mark.parametrize("name", ["text/raw_slice/stdlib-0", "walk_lm/gate_report", "walk_lm/preflight_report"])
def test_verify_everything_passes_a_whole_store_and_names_what_is_broken(name, root, finished_chain):
    shutil.copytree(finished_chain / "store", root / "store")
    job, store = defs.resolve_job_def("verify_everything"), Store(root / "store")
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance).success
        broken = store.pointed(name)
        path = broken.file(max(broken.files, key=lambda file: broken.files[file]["bytes"]))
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(dg.Failure) as failed:
            job.execute_in_process(instance=instance)
    assert broken.id in str(failed.value)
