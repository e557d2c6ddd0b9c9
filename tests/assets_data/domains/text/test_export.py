"""Exports: the published shape, the same snapshot id on the way back, whole directories or none."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from assets_data.domains.text.export import FORMATS, export_triples, import_triples
from assets_data.domains.text.mix import MixConfig, make_mix
from assets_data.domains.text.read import SPLITS, TripleTable
from assets_data.domains.text.tokenizer import load_tokenizer
from assets_data.lineage import DataError, IntegrityError, StorageError, Store
from assets_data.lineage.receipts.code import ROOT
from pipeline_defs.commands.cli import main
from tests.assets_data.domains.text.corpora import documents, raw_of, trained, triples_of


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A tokenizer, triples, and a mix that repeats rows of them. Read-only."""
    root = tmp_path_factory.mktemp("export")
    store = Store(root / "store")
    raw = raw_of(store, root / "in", documents(40))
    tokenizer = trained(store, raw)
    triples = triples_of(store, raw, tokenizer)
    return store, tokenizer, {"triples": triples, "mix": make_mix(store, {"a": [triples]}, MixConfig(train=60_000))}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("kind", ["triples", "mix"])
def test_an_export_comes_back_as_the_snapshot_it_was(chain, tmp_path, kind, file_format):
    store, _, snapshots = chain
    export_triples(store, snapshots[kind], tmp_path / "out", file_format)
    elsewhere = Store(tmp_path / "store")
    back = import_triples(elsewhere, tmp_path / "out")
    assert back.id == snapshots[kind].id and back.kind == snapshots[kind].kind
    back.verify(deep=True)
    assert import_triples(elsewhere, tmp_path / "out").reused


@pytest.mark.parametrize(
    ("name", "code"),
    [("pins/text/triples/0", "STORE_NAME"), ("../x", "STORE_NAME"), ("walk_lm/checkpoint", "STORE_NAME_KIND")],
)
def test_an_import_takes_no_name_that_is_not_its_to_take(chain, tmp_path, monkeypatch, capsys, name, code):
    export_triples(chain[0], chain[2]["triples"], tmp_path / "out")
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    assert main(["import-triples", str(tmp_path / "out"), "--name", name]) == 1
    assert capsys.readouterr().err.startswith(f"[{code}]")
    assert Store(tmp_path / "root" / "store").all_names() == []


def test_json_lines_have_the_published_shape_and_say_what_the_views_say(chain, tmp_path):
    store, tokenizer, snapshots = chain
    triples = snapshots["triples"]
    export_triples(store, triples, tmp_path / "out")
    meta = json.loads((tmp_path / "out" / "meta.json").read_text())
    del meta["stemma"]
    assert meta == {
        "max_seq_len": 32,
        "vocab_size": 320,
        "tokenizer_file": "tokenizer.json",
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "train_samples": triples.content["splits"]["train"],
        "val_samples": triples.content["splits"]["validation"],
        "test_samples": triples.content["splits"]["test"],
    }
    for split, name in zip(SPLITS, ("train", "val", "test"), strict=True):
        table = TripleTable(triples.file(f"{split}.arrow"))
        lines = (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()
        assert len(lines) == len(table) > 0
        for line, views, row in zip(map(json.loads, lines), table, table.table.to_pylist(), strict=True):
            spelled = [line["encoder_ids"], line["decoder_input_ids"], line["labels"]]
            assert spelled == [view.tolist() for view in views] and max(map(len, spelled)) <= meta["max_seq_len"]
            assert (int(line["row_key"], 16), line["record_id"]) == (row["row_key"], row["record_id"])
    exported = (tmp_path / "out" / "tokenizer.json").read_bytes()
    assert exported == tokenizer.file("tokenizer.json").read_bytes() and load_tokenizer(tokenizer)


def test_parquet_holds_the_stored_columns(chain, tmp_path):
    store, _, snapshots = chain
    export_triples(store, snapshots["mix"], tmp_path / "out", "parquet")
    assert pq.read_table(tmp_path / "out" / "train.parquet").equals(snapshots["mix"].table("train.arrow"))


def test_a_changed_file_or_a_false_id_is_refused(chain, tmp_path):
    store, _, snapshots = chain
    export_triples(store, snapshots["triples"], tmp_path / "out")
    target, elsewhere = tmp_path / "out" / "train.jsonl", Store(tmp_path / "store")
    whole = target.read_bytes()
    target.write_bytes(whole.replace(b"[1,", b"[2,", 1))
    with pytest.raises(IntegrityError, match=r"train\.jsonl") as error:
        import_triples(elsewhere, tmp_path / "out")
    assert error.value.code == "EXPORT_CHANGED" and not (tmp_path / "store").exists()
    target.write_bytes(whole)
    meta = tmp_path / "out" / "meta.json"
    meta.write_text(meta.read_text().replace(snapshots["triples"].id, "sha256:" + "0" * 64))
    with pytest.raises(IntegrityError, match=r"meta\.json"):
        import_triples(elsewhere, tmp_path / "out")


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: {},
        lambda meta: [meta],
        lambda meta: {"stemma": {}},
        lambda meta: {"stemma": meta["stemma"] | {"kind": "walk_lm/checkpoint"}},
        lambda meta: {"stemma": meta["stemma"] | {"format": "csv"}},
        lambda meta: {"stemma": meta["stemma"] | {"files": {}}},
        lambda meta: {"stemma": meta["stemma"] | {"files": meta["stemma"]["files"] | {"../evil": "sha256:00"}}},
    ],
)
def test_what_is_no_export_is_said_and_nothing_is_published(chain, tmp_path, change):
    store, _, snapshots = chain
    export_triples(store, snapshots["triples"], tmp_path / "out")
    path = tmp_path / "out" / "meta.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    elsewhere = Store(tmp_path / "store")
    with pytest.raises(DataError, match="EXPORT_META"):
        import_triples(elsewhere, tmp_path / "out")
    assert elsewhere.snapshot_ids() == []


def test_a_missing_folder_and_a_file_gone_are_named(chain, tmp_path):
    store, _, snapshots = chain
    with pytest.raises(DataError, match=r"EXPORT_META.*missing"):
        import_triples(store, tmp_path / "missing")
    export_triples(store, snapshots["triples"], tmp_path / "out")
    for name in ("val.jsonl", "records.parquet"):
        (tmp_path / "out" / name).rename(tmp_path / name)
        with pytest.raises(IntegrityError, match=rf"EXPORT_CHANGED.*{name}"):
            import_triples(Store(tmp_path / "store"), tmp_path / "out")
        (tmp_path / name).rename(tmp_path / "out" / name)


def test_what_is_there_is_never_overwritten_and_a_failed_export_leaves_nothing(chain, tmp_path):
    store, tokenizer, snapshots = chain
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(DataError) as error:
        export_triples(store, snapshots["triples"], tmp_path / "out")
    assert error.value.code == "EXPORT_EXISTS" and [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
    for wrong, code in (((tokenizer, "jsonl"), "EXPORT_KIND"), ((snapshots["mix"], "csv"), "EXPORT_FORMAT")):
        with pytest.raises(DataError) as error:
            export_triples(store, wrong[0], tmp_path / "new", wrong[1])
        assert error.value.code == code
    orphan = Store(tmp_path / "store")  # has no tokenizer: the export fails halfway
    with pytest.raises(IntegrityError):
        export_triples(orphan, snapshots["triples"], tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_f19_a_disk_that_refuses_leaves_no_half_export(chain, tmp_path):
    store, _, snapshots = chain
    script = (
        "import resource, sys; from pathlib import Path; from assets_data.lineage import Store; "
        "from assets_data.domains.text.export import export_triples; store = Store(Path(sys.argv[1])); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); "
        "export_triples(store, store.opened(sys.argv[2]), Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", script, str(store.root), snapshots["triples"].id, str(tmp_path / "out")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1 and StorageError.__name__ in result.stderr and "STORAGE_EFBIG" in result.stderr
    assert list(tmp_path.iterdir()) == []
