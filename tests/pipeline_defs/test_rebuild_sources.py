"""A rebuild after a file from outside was edited or removed: the store has what it needs; what is gone is named."""

import shutil

import pytest

from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.lineage import IntegrityError, Store
from pipeline_defs.answers.rebuild import rebuild_nodes
from tests.assets_data.domains.text.corpora import TEXT, chain_of
from tests.pipeline_defs.text_chain import make_raw

TEXTS = {"a": [f"the first slice says sentence number {n} about apples and pears" for n in range(12)],
         "b": [f"another slice tells story {n} of rivers, bridges and mills" for n in range(12)]}  # fmt: skip


@pytest.fixture
def made(tmp_path):
    store = Store(tmp_path / "store")
    raw = {name: make_raw(store, tmp_path / name, texts, ()) for name, texts in TEXTS.items()}
    chain = chain_of(store, raw, TEXT)
    manifest = make_dataset_manifest(store, chain.triples, chain.tokenizer)
    return store, tmp_path, {f"text/raw_slice/{name}": one for name, one in raw.items()} | {manifest.kind: manifest}


def edit(folder):
    (folder / "000.jsonl").write_text('{"text": "somebody wrote something else over it"}\n')


def remove(folder):
    (folder / "000.jsonl").unlink()


def add(folder):
    (folder / "zzz.jsonl").write_text('{"text": "a file that was not there"}\n')


@pytest.mark.parametrize("change", [edit, remove, add, shutil.rmtree])
def test_what_is_gone_is_named_and_the_rest_is_rebuilt_on_the_stores_own_bytes(made, change):
    store, folder, nodes = made
    change(folder / "b")
    steps = {
        step["expected"]: step
        for step in rebuild_nodes(store, Store(folder / "again"), nodes["text/dataset_manifest"].id)
    }
    assert nodes["text/dataset_manifest"].id in steps and all(step["same"] for step in steps.values())
    raw = {name: steps[nodes[f"text/raw_slice/{name}"].id]["source_gone"] for name in TEXTS}
    assert raw["a"] == [] and len(raw["b"]) == 1
    assert sum(bool(step["source_gone"]) for step in steps.values()) == 1
    again = Store(folder / "again").snapshot(nodes["text/raw_slice/b"].id)
    again.verify(deep=True)


def test_a_store_whose_own_bytes_are_broken_is_no_way_out(made):
    store, folder, nodes = made
    edit(folder / "b")
    broken = nodes["text/raw_slice/b"].path / "records.parquet"
    broken.chmod(0o644)
    broken.write_bytes(broken.read_bytes()[:-8] + b"12345678")
    with pytest.raises(IntegrityError):
        list(rebuild_nodes(store, Store(folder / "again"), nodes["text/dataset_manifest"].id))


def test_nothing_is_taken_while_the_source_is_what_it_was(made):
    store, folder, nodes = made
    steps = list(rebuild_nodes(store, Store(folder / "again"), nodes["text/dataset_manifest"].id))
    assert all(step["same"] and not step["source_gone"] for step in steps)


def test_what_killed_runs_left_in_either_store_stops_no_rebuild(made):
    store, folder, nodes = made
    again = Store(folder / "again")
    for place in (store.root, again.root):
        for kind in ("snapshots", "receipts", "stages"):
            (place / kind / ".tmp-0123456789" / "half").mkdir(parents=True)
            (place / kind / ".tmp-9876543210").write_bytes(b"half a")
    steps = list(rebuild_nodes(store, again, nodes["text/dataset_manifest"].id))
    assert steps[-1]["kind"] == "text/dataset_manifest" and all(step["same"] for step in steps)
