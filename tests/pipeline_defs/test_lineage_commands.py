"""The commands as a person types them: answers, exit statuses, speed of start, untrusted names."""

import gc
import json
import os
import shutil
import subprocess
import sys

import pytest

from assets_data.lineage import Store, canonical_json
from assets_data.lineage.queries.proof import prove_record
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.storage.look import rarely_collected
from pipeline_defs.answers.answer import plain
from pipeline_defs.answers.explain import lineage_markdown
from pipeline_defs.commands.cli import main
from tests.assets_data.lineage.mini_chain import make_chain, make_raw, record_id, texts

NODE_COMMANDS = ("show", "verify", "explain")


@pytest.fixture
def chain(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    return make_chain(Store(tmp_path / "store"))


@pytest.mark.parametrize("command", NODE_COMMANDS)
def test_a_node_is_named_by_name_id_beginning_of_id_and_path(chain, command, capsys):
    snapshot = chain["text/tokenizer"]
    for node in ("text/tokenizer", snapshot.id, snapshot.path.name[:10], str(snapshot.path)):
        assert main([command, node, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert snapshot.id in (document.get("id"), document.get("root"))


@pytest.mark.parametrize("command", NODE_COMMANDS)
@pytest.mark.parametrize("node", ["nothing", "../x", " ", "ff" * 32])
def test_what_is_not_there_is_refused_by_name(chain, command, node, capsys):
    assert main([command, node]) == 1
    assert "[NODE_" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "explain"])
def test_no_is_said_by_the_exit_status(chain, command, capsys):
    (chain["text/tokenizer"].path / "learned.json").write_bytes(b'"other"\n')
    assert main([command, "text/tokenizer"]) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_explain_names_the_broken_node_far_below_with_what_was_expected_and_found(chain, capsys):
    victim = chain["text/raw_slice/b"]
    (victim.path / "records.parquet").write_bytes(b"x" * victim.files["records.parquet"]["bytes"])
    assert main(["explain", "toy/gate_report", "--json"]) == 1
    broken = json.loads(capsys.readouterr().out)["broken"]
    assert (broken["id"], broken["code"]) == (victim.id, "SNAPSHOT_FILE_DIGEST")
    assert broken["expected"] == victim.files["records.parquet"]["sha256"] != broken["found"]


def test_explain_reaches_sources_code_environment_and_config(chain, capsys):
    assert main(["explain", "toy/gate_report"]) == 0
    text = capsys.readouterr().out
    for expected in ("source: 1 files named in receipt", "code  ", "environment  ", "config  ", "intact: 10 nodes"):
        assert expected in text


@pytest.mark.parametrize("command", [*NODE_COMMANDS, "uses", "prove", "status", "withdraw"])
def test_a_question_to_the_store_imports_neither_torch_nor_dagster(chain, command, tmp_path):
    record = record_id(texts("a")[0])
    arguments = {"uses": [record], "prove": [record, "text/raw_slice/a"], "status": ["--offline"], "withdraw": [record]}
    code = (
        "import sys; from pipeline_defs.commands.cli import main; main(sys.argv[1:]);"
        "print('LOADED', *sorted({'torch', 'dagster', 'polars', 'pandera'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, command, *arguments.get(command, ["text/tokenizer"])],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "STEMMA_ROOT": str(tmp_path)},
    )
    assert result.stdout.splitlines()[-1].split() == ["LOADED"], result.stderr


HOSTILE = "a\x1b[31mred\x1b[0m\r\n=cmd|' /C calc'!A0\u202egnp.exe<script>"


def test_a_hostile_name_is_shown_as_escapes_and_stays_on_its_line_s15(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    store = Store(tmp_path / "store")
    store.point("text/raw_slice/a", make_raw(store, HOSTILE, [HOSTILE]))
    for arguments in (
        ["show", "text/raw_slice/a"],
        ["explain", "text/raw_slice/a"],
        ["verify", HOSTILE.replace("\0", "")],
    ):
        main(arguments)
        output = "".join(capsys.readouterr())
        assert all(character.isprintable() or character == "\n" for character in output)
        assert not any(line.startswith("=cmd") for line in output.splitlines())


def test_plain_text_stays_as_it_is_and_everything_else_becomes_an_escape_s15():
    assert plain("naïve – 日本 text") == "naïve – 日本 text"
    assert plain("\x1b[2J\n\u202e\u200b\x00") == "\\x1b[2J\\n\\u202e\\u200b\\x00"


def test_status_judges_no_pin_which_is_a_second_name_of_what_has_one(chain, tmp_path, capsys):
    store = Store(tmp_path / "store")
    store.point("pins/text/tokenizer/0123", chain["text/tokenizer"])
    main(["status", "--offline", "--json"])
    standings = json.loads(capsys.readouterr().out)
    assert "text/tokenizer" in standings and set(standings) == set(store.all_names()) - {"pins/text/tokenizer/0123"}


def test_status_says_no_when_a_published_file_is_gone(chain, capsys):
    assert main(["status", "--offline", "--json"]) == 1  # the toy's stages are no modules of this project
    capsys.readouterr()
    (chain["text/triples/a"].path / "train.arrow").unlink()
    main(["status", "--offline", "--json"])
    standing = json.loads(capsys.readouterr().out)["text/triples/a"]
    assert not standing["fresh"] and "content" in [reason["kind"] for reason in standing["reasons"]]


def test_diff_says_where_two_nodes_differ_and_that_one_is_like_itself(chain, capsys):
    assert main(["diff", "text/triples/a", "text/triples/a"]) == 0
    capsys.readouterr()
    assert main(["diff", "text/triples/a", "text/triples/b", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["data"] and found["identity"] and not found["config"] and not found["code"]


def test_prove_answers_by_its_status_and_its_file_can_be_checked_elsewhere(chain, tmp_path, capsys):
    proof, record = str(tmp_path / "proof.json"), record_id(texts("a")[3])
    assert main(["prove", record, "text/raw_slice/a", "--output", proof]) == 0
    assert main(["prove", record, "text/raw_slice/b"]) == 1
    assert main(["prove", record[:12], "text/raw_slice/a"]) == 0  # as `batch` prints it
    assert main(["prove", record[:12].upper(), "text/raw_slice/b", "--json"]) == 1
    said = capsys.readouterr()
    assert record in said.out and not said.err
    shutil.rmtree(tmp_path / "store")
    assert main(["check-proof", proof, "--snapshot", chain["text/raw_slice/a"].id]) == 0
    assert main(["prove", "no record", "text/raw_slice/a"]) == 1


def test_a_proof_about_another_snapshot_proves_nothing_and_one_compared_with_none_says_so(chain, tmp_path, capsys):
    """Anybody can invent a snapshot that holds any record, and prove that it does."""
    record = record_id(texts("a")[3])
    invented = make_raw(Store(tmp_path / "invented"), "a", [*texts("a"), "a record that was never there"])
    path = tmp_path / "proof.json"
    path.write_bytes(canonical_json(prove_record(invented, bytes.fromhex(record))))
    real = chain["text/raw_slice/a"].id
    for expected in (real, real[:20], real.removeprefix("sha256:"), "text/raw_slice/a"):
        assert main(["check-proof", str(path), "--snapshot", expected]) == 1
        assert "[PROOF_SNAPSHOT]" in capsys.readouterr().err
    assert main(["check-proof", str(path)]) == 3
    assert "NOT COMPARED" in capsys.readouterr().out
    assert main(["check-proof", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["compared"] is False
    for expected in (invented.id, invented.id.removeprefix("sha256:")):
        assert main(["check-proof", str(path), "--snapshot", expected]) == 0
    assert main(["check-proof", str(path), "--snapshot", ""]) == 2
    capsys.readouterr()
    assert main(["check-proof", str(path), "--snapshot", "ffff"]) == 1  # known to no store: compared with nothing
    assert "[NODE_UNKNOWN]" in capsys.readouterr().err


@pytest.mark.parametrize(("expected", "status"), [("text/raw_slice/a", 0), ("text/raw_slice/b", 1)])
def test_a_prefix_known_to_the_store_is_compared_and_absence_is_a_no(chain, tmp_path, expected, status):
    path, record = tmp_path / "proof.json", record_id(texts("a")[3])
    path.write_bytes(canonical_json(prove_record(chain[expected], bytes.fromhex(record))))
    assert main(["check-proof", str(path), "--snapshot", chain[expected].id[7:20]]) == status


LEFTOVERS = (".tmp-0123-dead", "lost+found", "A" * 64, "0" * 63, "0" * 65, "notes.txt", f"{'0' * 64}.bak")


@pytest.mark.parametrize("command", ["uses", "prefix", "withdraw"])
def test_what_dead_writers_left_among_the_snapshots_is_no_snapshot(chain, tmp_path, command, capsys):
    store = Store(tmp_path / "store")
    before = store.snapshot_ids()
    for name in LEFTOVERS:
        (store.root / "snapshots" / name).mkdir()
        (store.root / "receipts" / name).mkdir()
    assert store.snapshot_ids() == store.snapshot_ids("receipts") == before == sorted({s.id for s in chain.values()})
    record = record_id(texts("a")[0])
    if command == "prefix":
        assert main(["show", before[0][7:30]]) == 0
    else:
        assert main([command, record, "--json"]) == 0


def test_an_intact_snapshot_outside_the_store_is_not_called_broken(chain, tmp_path, capsys):
    copy = tmp_path / "usb" / "stick"
    shutil.copytree(chain["text/tokenizer"].path, copy)
    assert main(["verify", str(copy)]) == 0 and main(["show", str(copy)]) == 0
    shutil.rmtree(tmp_path / "store")
    assert main(["verify", str(copy)]) == 0
    assert "how it was made was not checked" in capsys.readouterr().out
    assert main(["explain", str(copy)]) == 1
    assert "[NODE_OUTSIDE]" in capsys.readouterr().err
    (copy / "learned.json").write_bytes(b'"other"\n')
    assert main(["verify", str(copy)]) == 1


@pytest.mark.parametrize("command", NODE_COMMANDS)
def test_a_path_into_another_store_is_answered_from_that_store(chain, tmp_path, monkeypatch, command, capsys):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "empty"))
    path = chain["toy/gate_report"].path
    assert main([command, str(path)]) == 0
    for receipt in (tmp_path / "store" / "receipts" / path.name).iterdir():
        receipt.unlink()
    assert main([command, str(path)]) == (0 if command == "show" else 1)  # nothing says how it was made


def test_the_tree_for_the_ui_is_one_code_block_that_no_name_can_leave_s15(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    chain = make_chain(store)
    text = lineage_markdown(store, chain["toy/gate_report"].id)
    lines = text.splitlines()
    assert lines[0] == "```text" and lines[-1] == "```" and "`" not in "".join(lines[1:-1])
    assert all(snapshot.id[7:19] in text for snapshot in chain.values())


@pytest.mark.parametrize("document", [{"wheels": 4}, {"parts": ["wheel", "axle"]}, ["wheel"]])
def test_a_source_that_keeps_something_else_as_parts_is_explained_and_exported(document, tmp_path, monkeypatch, capsys):
    from assets_data.lineage import Store

    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    made = Store(tmp_path / "store").run_stage(
        name="cart/raw",
        module="assets_data.stage",
        config={},
        parents={},
        build=lambda writer: writer.write_json("parts.json", document),
    )
    assert main(["explain", made.id]) == 0 and main(["explain", made.id, "--json"]) == 0
    assert main(["export", made.id, "--format", "croissant", "--out", str(tmp_path / "out.json")]) == 0
    assert not capsys.readouterr().err


def test_garbage_is_sought_less_often_while_an_answer_is_made_and_as_before_also_after_one_that_failed():
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), rarely_collected():
        assert gc.get_threshold() == (100 * before[0], *before[1:])
        raise ZeroDivisionError
    assert gc.get_threshold() == before
