"""Withdrawals carried out on the real chain: the weights are those of a run that never held the records."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from assets_data.domains.text.config import TokenizerConfig
from assets_data.domains.text.raw_slice import record_id
from assets_data.domains.text.tokenizer import make_tokenizer
from assets_data.lineage import Snapshot, Store
from assets_data.lineage.queries.tree import load_node, newest
from pipeline_defs.answers.trained import TrainedRows
from pipeline_defs.commands.cli import main
from tests.assets_data.domains.text.corpora import TEXT, documents
from tests.pipeline_defs.text_chain import make_data, make_learners
from training.recipe import discover
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

TWINS, OWN = documents(6, seed=2), documents(6, seed=3)
SLICES = {
    "a": [*documents(60), *TWINS, *OWN, *(f"{text}\n" for text in OWN)],
    "b": [*documents(20, seed=1), *(f"{text}\n" for text in TWINS)],
}
RECIPE = discover()["hrm_lm"]


def config():
    full = RECIPE.presets["smoke"]()
    train = dataclasses.replace(full.train, updates=30, checkpoint_every=2, keep_checkpoints=15, monitor_every=30)
    return dataclasses.replace(full, train=dataclasses.replace(train, validate_every=30, batch_rows=4))


def train(store: Store, manifest: Snapshot) -> dict[str, Snapshot]:
    inputs = {"manifest": manifest}
    preflight = make_preflight_report(store, RECIPE, inputs, config())
    checkpoint = make_checkpoint(store, RECIPE, inputs, preflight)
    report = make_gate_report(store, RECIPE, inputs, preflight, checkpoint)
    return {"hrm_lm/preflight_report": preflight, "hrm_lm/checkpoint": checkpoint, "hrm_lm/gate_report": report}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The finished chain, every node under its name. Read-only."""
    folder = tmp_path_factory.mktemp("chain")
    store = Store(folder / "store")
    nodes = make_data(store, folder / "slices", SLICES)
    nodes |= train(store, nodes["text/dataset_manifest"])
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    return store, nodes


@pytest.fixture
def chain(finished, tmp_path, monkeypatch):
    """A copy of it as the default store."""
    shutil.copytree(finished[0].root, tmp_path / "root" / "store")
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    return Store(tmp_path / "root" / "store"), finished[1]


@pytest.fixture
def ask(capsys):
    """The answer to a command, which must be yes."""

    def ask(*arguments: str):
        capsys.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def make_never(folder: Path, without: set[str], *, kept: bool = False) -> dict[str, Snapshot]:
    """The chain made without some texts, in a store of its own; its learners read those too if ``kept``."""
    store = Store(folder / "store")
    learners = make_learners(store, folder / "all", SLICES) if kept else None
    nodes = make_data(store, folder / "left", SLICES, without, learners)
    return nodes | train(store, nodes["text/dataset_manifest"])


def first_uses(nodes: dict[str, Snapshot], store: Store, texts: list[str]) -> dict[str, int]:
    """The first step that took each text, of those that any step took."""
    rows = TrainedRows(store, nodes["hrm_lm/checkpoint"])
    return {text: uses[0] for text in texts if (uses := rows.uses(bytes.fromhex(record_id(text))))}


def reachable(store: Store) -> dict[str, Snapshot]:
    """Every snapshot that the names, or what they were made from, read: by id, the withdrawn ones left out."""
    found: dict[str, Snapshot] = {}
    pending = [store.pointed(name).id for name in store.all_names()]
    while pending:
        if (key := pending.pop()) not in found:
            found[key] = store.snapshot(key)
            pending += newest_parents(store, key)
    return found


def newest_parents(store: Store, key: str) -> list[str]:
    """What the newest receipt of a snapshot says was read: an earlier one may tell of the time before a withdrawal."""
    return [parent.id for parent in newest(load_node(store, key)).parents]


def names_text(snapshot: Snapshot, text: str) -> bool:
    """Whether any file of a snapshot has the text's first line or its record's id in it, as hex or as bytes."""
    tables = [name for name in snapshot.files if Path(name).suffix in (".arrow", ".parquet")]
    rows = repr([snapshot.table(name).to_pylist() for name in tables])
    rest = b"".join(snapshot.file(name).read_bytes() for name in sorted(set(snapshot.files) - set(tables)))
    spellings = (record_id(text), repr(bytes.fromhex(record_id(text)))[2:-1], text.partition("\n")[0])
    return any(spelling in rows or spelling.encode() in rest for spelling in spellings)


def others(nodes: dict[str, Snapshot], store: Store, never: dict[str, Snapshot]) -> set[str]:
    """The names that stand for something else than in the chain that never held the records."""
    return {name for name in nodes if store.pointed(name).id != never[name].id}


BESIDE_THE_RECORDS = {"text/raw_slice/a", "text/raw_slice/b"}  # a slice's notes still list the files that were read


@pytest.mark.slow
def test_the_weights_after_a_withdrawal_are_those_of_a_run_that_never_held_the_record(chain, tmp_path, ask):
    store, nodes = chain
    first = first_uses(nodes, store, SLICES["a"][:60])
    withdrawn = max(first, key=lambda text: first[text])
    assert first[withdrawn] > 4  # late enough for a clean state to be kept

    answer = ask("withdraw", record_id(withdrawn), "--apply")
    restart, moved = answer["restarts"]["hrm_lm/checkpoint"], answer["applied"]["hrm_lm/checkpoint"]
    assert 0 < restart["clean_step"] == moved["from_step"] < first[withdrawn]
    now = ask("uses", record_id(withdrawn))["uses"]
    assert not [entry for entry in now if entry["how"] in ("holds", "saw") and entry["names"]]
    ask("explain", "hrm_lm/gate_report")
    assert ask("withdraw", record_id(withdrawn))["remake"] == {}

    assert others(nodes, store, make_never(tmp_path, {withdrawn}, kept=True)) <= BESIDE_THE_RECORDS
    assert store.pointed("hrm_lm/checkpoint").id != nodes["hrm_lm/checkpoint"].id
    assert nodes["hrm_lm/checkpoint"].path.is_dir()  # marked, not deleted


@pytest.mark.slow
def test_a_record_that_no_step_took_leaves_the_weights_as_they_are_and_is_withdrawn_for_good(chain, tmp_path, ask):
    store, nodes = chain
    table = nodes["text/triples/a"].table("train.arrow")["record_id"].to_pylist()
    first = first_uses(nodes, store, SLICES["a"])
    withdrawn = next(text for text in SLICES["a"][:60] if record_id(text) in set(table) and text not in first)
    before = store.pointed("hrm_lm/checkpoint")
    answer = ask("withdraw", record_id(withdrawn), "--apply")
    assert answer["applied"]["hrm_lm/checkpoint"]["from_step"] == 30  # the last state: nothing was trained again
    after = store.pointed("hrm_lm/checkpoint")
    assert after.id == before.id and after.receipt != before.receipt
    assert ask("withdraw", record_id(withdrawn))["remake"] == {}
    store.point("hrm_lm/checkpoint", before)  # as if killed before this name was moved; it names no record itself
    assert set(ask("withdraw", record_id(withdrawn))["remake"]) == {"hrm_lm/checkpoint"}


@pytest.mark.slow
@pytest.mark.parametrize("texts", [TWINS, OWN], ids=["in another slice", "in its own slice"])
def test_a_text_that_comes_back_is_trained_on_from_before_its_first_step(chain, tmp_path, ask, texts):
    store, nodes = chain
    first = first_uses(nodes, store, texts)
    withdrawn = max(first, key=lambda text: first[text])
    answer = ask("withdraw", record_id(withdrawn), "--only-these", "--apply")
    planned, began = answer["restarts"]["hrm_lm/checkpoint"], answer["applied"]["hrm_lm/checkpoint"]
    assert began["from_step"] <= planned["clean_step"]
    assert {"text/triples/a", "text/triples/b"} & set(answer["applied"]) == (
        {"text/triples/a", "text/triples/b"} if texts is TWINS else {"text/triples/a"}
    )
    never = make_never(tmp_path, {withdrawn}, kept=True)
    assert others(nodes, store, never) <= BESIDE_THE_RECORDS


@pytest.mark.slow
def test_a_withdrawal_that_rebuilds_the_learners_leaves_nothing_that_read_the_record(chain, tmp_path, ask):
    store, nodes = chain
    table = nodes["text/triples/a"].table("train.arrow")["record_id"].to_pylist()
    withdrawn = next(text for text in SLICES["a"] if record_id(text) in set(table))
    assert names_text(nodes["text/raw_slice/a"], withdrawn)
    other = dataclasses.replace(TEXT, tokenizer=TokenizerConfig(vocab_size=300))
    pinned = make_tokenizer(store, {"a": store.pointed("text/documents/a")}, other)  # it has no name but its pin

    answer = ask("withdraw", record_id(withdrawn), "--learned", "rebuild", "--apply")
    assert answer["restarts"]["hrm_lm/checkpoint"]["from"] is None
    pins = {name for name in store.all_names() if name.startswith("pins/")}
    kept = {f"text/{kind}/b" for kind in ("raw_slice", "documents", "document_index")}
    assert set(answer["applied"]) == (set(nodes) | pins) - kept - {"text/drops/b"} and len(pins) == 2
    assert pinned.id not in {store.pointed(name).id for name in pins}
    assert not [key for key, snapshot in reachable(store).items() if names_text(snapshot, withdrawn)]
    assert not [entry for entry in ask("uses", record_id(withdrawn))["uses"] if entry["names"]]
    ask("explain", "hrm_lm/gate_report")
    assert ask("withdraw", record_id(withdrawn), "--learned", "rebuild")["remake"] == {}

    assert others(nodes, store, make_never(tmp_path, {withdrawn})) <= BESIDE_THE_RECORDS
