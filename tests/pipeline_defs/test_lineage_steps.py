"""From a step to its records and from a record to its steps, against replaying every step."""

import collections
import json
import random

import pytest

from pipeline_defs.commands.cli import main
from tests.assets_data.lineage.mini_chain import UPDATES, make_chain, record_id, texts


@pytest.fixture
def chain(tmp_path, monkeypatch):
    from assets_data.lineage import Store

    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    return make_chain(Store(tmp_path / "store"))


def ask(capsys, *arguments):
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_uses_agrees_with_replaying_every_step_for_every_record(chain, capsys):
    replayed: dict[str, set[int]] = {}
    for step in range(1, UPDATES + 1):
        status, batch = ask(capsys, "batch", "toy/checkpoint", "--step", str(step))
        assert status == 0 and len(batch["rows"]) == 4
        for row in batch["rows"]:
            replayed.setdefault(row["record"], set()).add(step)
    assert len(replayed) > 6
    for text in texts("a") + texts("b"):
        _, found = ask(capsys, "uses", record_id(text))
        steps = next((entry["steps"] for entry in found["uses"] if entry["kind"] == "toy/checkpoint"), [])
        assert set(steps) == replayed.get(record_id(text), set())


def test_a_step_and_a_report_say_what_sources_keep_beside_the_records(chain, capsys):
    from pipeline_defs.answers.carried import tally

    lengths = {record_id(text): str(len(text)) for text in texts("a") + texts("b")}
    _, batch = ask(capsys, "batch", "toy/checkpoint", "--step", "2")
    assert [row["carried"] for row in batch["rows"]] == [
        {row["record"]: {"length": [lengths[row["record"]]]}} for row in batch["rows"]
    ]
    assert main(["batch", "toy/checkpoint", "--step", "2"]) == 0
    assert f"length: {lengths[batch['rows'][0]['record']]}" in capsys.readouterr().out
    counts = collections.Counter(lengths.values())
    ((name, shown),) = tally(chain.values())
    assert name == "rows by length" and all(f"{value} {count}" in shown for value, count in counts.most_common(1))


def test_uses_names_holders_learners_and_what_stands_on_them(chain, capsys):
    train = chain["text/triples/a"].table("train.arrow")["record_id"][0].as_py()
    status, found = ask(capsys, "uses", train)
    how = {entry["kind"]: entry["how"] for entry in found["uses"]}
    other = next(entry for entry in found["uses"] if entry["id"] == chain["text/triples/b"].id)
    assert status == 0 and found["splits"] == ["train"]
    assert other["how"] == "descends" and other["through"] == ["text/tokenizer"]
    assert how["text/tokenizer"] == how["text/walk_corpus"] == "learned"
    assert how["toy/checkpoint"] == "saw" and how["text/dataset_manifest"] == "descends"
    assert {entry["id"] for entry in found["uses"] if entry["how"] == "holds"} == {
        chain["text/raw_slice/a"].id,
        chain["text/triples/a"].id,
    }


def test_a_held_out_record_taught_nobody(chain, capsys):
    held_out = chain["text/triples/a"].table("validation.arrow")["record_id"][0].as_py()
    _, found = ask(capsys, "uses", held_out)
    how = {entry["kind"]: entry["how"] for entry in found["uses"]}
    assert found["splits"] == ["validation"] and "learned" not in how.values()
    assert "text/tokenizer" not in how and "text/walk_corpus" not in how
    assert [entry["steps"] for entry in found["uses"] if entry["kind"] == "toy/checkpoint"] == [[]]


def test_a_record_nobody_holds_is_answered_no(chain, capsys):
    status, found = ask(capsys, "uses", "ab" * 32)
    assert status == 1 and found["uses"] == []


@pytest.mark.parametrize("step", [0, UPDATES + 1])
def test_a_step_outside_the_run_is_refused(chain, capsys, step):
    assert main(["batch", "toy/checkpoint", "--step", str(step)]) == 1
    assert "STEP_UNKNOWN" in capsys.readouterr().err


def test_a_node_without_an_order_is_refused_by_name(chain, capsys):
    assert main(["batch", "text/tokenizer", "--step", "1"]) == 1
    assert "ORDER_NOT_RECORDED" in capsys.readouterr().err


def test_what_is_remembered_on_disk_gives_the_same_answers_and_a_flipped_byte_is_made_again(
    chain, tmp_path, monkeypatch
):
    from assets_data.lineage import Store
    from pipeline_defs.answers import trained
    from pipeline_defs.answers.trained import TrainedRows

    store = Store(tmp_path / "store")
    fresh = TrainedRows(store, chain["toy/checkpoint"])
    records = [bytes.fromhex(record_id(text)) for text in texts("a")]
    expected = [fresh.uses(record) for record in records]
    memory = trained.Memory
    monkeypatch.setattr(trained, "Memory", lambda folder: memory(folder, keep_from=0))
    assert [TrainedRows(store, chain["toy/checkpoint"]).uses(record) for record in records] == expected
    kept = sorted((tmp_path / "store" / "cache").glob("*.npy"))
    assert len(kept) > 2
    for path in kept:
        data = bytearray(path.read_bytes())
        data[random.Random(0).randrange(128, len(data))] ^= 1
        path.write_bytes(data)
    assert [TrainedRows(store, chain["toy/checkpoint"]).uses(record) for record in records] == expected


def test_a_slice_without_the_columns_that_are_searched_is_named(chain, capsys):
    assert main(["find", "x"]) == 1
    said = capsys.readouterr().err
    assert "[RECORDS_COLUMNS]" in said and said.count("'prompt'") == 2


def test_find_and_uses_say_what_the_source_says_of_a_record(tmp_path, monkeypatch, capsys):
    from assets_data.domains.text.raw_slice import make_raw_slice
    from assets_data.lineage import Store
    from assets_data.sources.config import FilesConfig, SourceConfig
    from assets_data.sources.extract_config import ExtractConfig

    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    (tmp_path / "in").mkdir()
    rows = [{"text": "a river runs", "meta": {"source": name}} for name in ("wiki", "books")] + [{"text": "a hill"}]
    (tmp_path / "in" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = FilesConfig(root=str(tmp_path / "in"), patterns=("*.jsonl",))
    for carry in (("meta.source",), ()):  # a later slice that carries nothing takes nothing away
        extract = ExtractConfig(carry=carry)
        make_raw_slice(
            Store(tmp_path / "store"), "files-0", SourceConfig(source="files", shards=1, files=files, extract=extract)
        )
    status, found = ask(capsys, "find", "a")
    carried = {row["excerpt"]: row["carried"] for row in found["records"]}
    assert status == 0 and carried == {"a river runs": {"meta.source": ["books", "wiki"]}, "a hill": {}}
    record = next(row["record"] for row in found["records"] if "river" in row["excerpt"])
    assert ask(capsys, "uses", record)[1]["carried"] == {"meta.source": ["books", "wiki"]}
    assert main(["uses", record]) == 0 and "meta.source: books | wiki" in capsys.readouterr().out
