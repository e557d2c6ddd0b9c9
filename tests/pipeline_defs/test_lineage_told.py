"""Which receipt is followed: what was signed decides what is made again, whatever somebody put beside it later."""

import hashlib
import json
import shutil

import pytest

from assets_data.domains.text.manifest import make_dataset_manifest
from assets_data.lineage import Store, canonical_json
from assets_data.lineage.queries.told import Told
from assets_data.lineage.queries.tree import load_node
from assets_data.lineage.receipts.reader import read_receipt
from pipeline_defs.answers.rebuild import rebuild_nodes
from pipeline_defs.answers.withdrawal.apply import apply_plan
from pipeline_defs.answers.withdrawal.plan import REBUILD, make_plan
from pipeline_defs.commands.cli import main
from tests.assets_data.domains.text.corpora import TEXT, chain_of
from tests.pipeline_defs.text_chain import make_raw

SLICES = {name: [f"slice {name} tells story {n} of rivers, bridges and mills" for n in range(12)] for name in "ab"}
ROOT = "text/dataset_manifest"
FORGED = "text/tokenizer"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    store = Store(folder / "root" / "store")
    raw = {name: make_raw(store, folder / name, texts, ()) for name, texts in SLICES.items()}
    chain = chain_of(store, raw, TEXT)
    nodes = {f"text/raw_slice/{name}": one for name, one in raw.items()}
    nodes |= {FORGED: chain.tokenizer, ROOT: make_dataset_manifest(store, chain.triples, chain.tokenizer)}
    for name, snapshot in nodes.items():
        store.point(name, snapshot)
    return store, nodes


@pytest.fixture
def forged(made, tmp_path, monkeypatch, request):
    """``(store, nodes, receipt, forged receipt)``: a copy, signed or not, in which names and stage records point to a
    later receipt of the tokenizer that tells other settings.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    shutil.copytree(made[0].root.parent, tmp_path / "root")
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path / "root"))
    store, nodes = Store(tmp_path / "root" / "store"), made[1]
    if request.param == "signed":
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        (tmp_path / "key.pem").write_bytes(pem)
        assert main(["sign", ROOT, "--key", str(tmp_path / "key.pem")]) == 0
    (path,) = store.receipts(nodes[FORGED].id)
    return store, nodes, read_receipt(path), read_receipt(forge_beside(store, path))


def forge_beside(store, path):
    document = json.loads(path.read_bytes())
    document["predicate"]["runDetails"]["metadata"]["finishedOn"] = "2099-01-01T00:00:00.000Z"
    config = document["predicate"]["buildDefinition"]["externalParameters"]["config"]
    config["tokenizer"]["vocab_size"] = 265
    data = canonical_json(document)
    beside = path.with_name(f"{hashlib.sha256(data).hexdigest()}.json")
    beside.write_bytes(data)
    for memory in (*(store.root / "pointers").rglob("*.json"), *(store.root / "stages").glob("*.json")):
        memory.write_bytes(memory.read_bytes().replace(path.stem.encode(), beside.stem.encode()))
    return beside


both = pytest.mark.parametrize("forged", ["signed", "unsigned"], indirect=True)


@both
def test_the_signed_receipt_counts_and_without_a_signature_the_one_that_names_point_to(forged, request):
    store, nodes, receipt, beside = forged
    signed = "signed]" in request.node.name and "unsigned" not in request.node.name
    assert Told(store)(load_node(store, nodes[FORGED].id)).id == (receipt.id if signed else beside.id)


@pytest.mark.parametrize("forged", ["signed"], indirect=True)
def test_a_signed_node_is_rebuilt_by_its_signed_receipt(forged, tmp_path):
    store, nodes, _, _ = forged
    steps = list(rebuild_nodes(store, Store(tmp_path / "again"), nodes[ROOT].id))
    assert steps[-1]["expected"] == nodes[ROOT].id and all(step["same"] for step in steps)


@pytest.mark.parametrize("forged", ["unsigned"], indirect=True)
def test_unsigned_the_forged_receipt_leads_to_another_id(forged, tmp_path):
    """So that the test above shows the signature, not a forgery without effect."""
    store, nodes, _, _ = forged
    steps = list(rebuild_nodes(store, Store(tmp_path / "again"), nodes[ROOT].id))
    assert (steps[-1]["kind"], steps[-1]["same"]) == (FORGED, False)


@both
def test_a_withdrawal_replays_a_signed_node_by_its_signed_receipt(forged, request):
    store, nodes, receipt, beside = forged
    record = bytes.fromhex(nodes["text/raw_slice/a"].table("records.parquet")["record_id"][0].as_py())
    apply_plan(store, make_plan(store, {record}, REBUILD))
    again = read_receipt(store.pointed(FORGED).receipt)
    expected = beside if "unsigned" in request.node.name else receipt
    assert again.config["tokenizer"] == expected.config["tokenizer"] and again.subject != nodes[FORGED].id
