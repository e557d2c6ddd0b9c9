"""Exports, by the tools that are meant to read them; signatures, by the projects that define them."""

import hashlib
import json
import logging
import subprocess
import sys
import uuid

import pytest

from assets_data.lineage import Store, canonical_json, digest_file
from assets_data.lineage.queries.bundle import BUNDLE, PAYLOAD, envelope, head_statement
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts.reader import check_statement
from pipeline_defs.answers.exports.hf_folder import model_card
from pipeline_defs.answers.exports.model_facts import model_facts
from pipeline_defs.answers.signing import sign_bundle
from pipeline_defs.commands.cli import main
from tests.assets_data.lineage.forged import as_of_schema
from tests.assets_data.lineage.mini_chain import MiniConfig, json_stage, make_chain
from tests.assets_data.lineage.vectors import FOLDER


@pytest.fixture
def chain(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMMA_ROOT", str(tmp_path))
    return make_chain(Store(tmp_path / "store"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pem").write_bytes(private)
        (folder / f"{name}.pub").write_bytes(public)
    return folder


def export(tmp_path, node, form):
    target = tmp_path / "out.json"
    assert main(["export", node, "--format", form, "--output", str(target)]) == 0
    return json.loads(target.read_bytes())


@pytest.mark.parametrize("node", ["text/raw_slice/a", "text/triples/b", "text/dataset_manifest", "toy/checkpoint"])
def test_the_croissant_file_passes_the_validation_of_its_own_library(chain, tmp_path, node, caplog):
    mlcroissant = pytest.importorskip("mlcroissant")
    caplog.set_level(logging.WARNING)
    document = export(tmp_path, node, "croissant")
    dataset = mlcroissant.Dataset(jsonld=document)
    assert not dataset.metadata.ctx.issues.errors
    assert document["conformsTo"].endswith("croissant/1.1") and document["license"] == "CC0"
    files = {entry["sha256"] for entry in document["distribution"]}
    assert files >= {entry["sha256"].removeprefix("sha256:") for entry in chain[node].files.values()}
    parents = {entry["@id"] for entry in document["prov:wasDerivedFrom"]}
    assert node.startswith("text/raw") or (
        all(parent.startswith("urn:stemma:sha256:") for parent in parents) and parents
    )


def test_the_croissant_context_gives_its_terms_the_published_meaning(chain, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    from mlcroissant._src.core.context import Context
    from mlcroissant._src.core.rdf import make_context

    document = export(tmp_path, "text/triples/a", "croissant")
    ours = dict(document["@context"])
    known = make_context(Context(conforms_to=mlcroissant.Dataset(jsonld=document).metadata.conforms_to))
    languages = {"name", "description"}  # may also be given in several languages: ours are in one
    assert ours == {"prov": "http://www.w3.org/ns/prov#", **{t: known[t] for t in set(known) - languages}}


def test_openlineage_events_pass_through_the_clients_own_types(chain, tmp_path):
    pytest.importorskip("openlineage.client")
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    events = export(tmp_path, "toy/gate_report", "openlineage")
    assert len(events) == len({snapshot.id for snapshot in chain.values()})
    for event in events:
        uuid.UUID(event["run"]["runId"])
        typed = RunEvent(
            eventTime=event["eventTime"],
            eventType=RunState(event["eventType"]),
            producer=event["producer"],
            run=Run(runId=event["run"]["runId"]),
            job=Job(namespace=event["job"]["namespace"], name=event["job"]["name"]),
            inputs=[InputDataset(namespace=d["namespace"], name=d["name"]) for d in event["inputs"]],
            outputs=[OutputDataset(namespace=d["namespace"], name=d["name"]) for d in event["outputs"]],
        )
        said = json.loads(Serde.to_json(typed))
        for member in ("eventTime", "eventType", "producer"):
            assert said[member] == event[member]
        assert said["run"]["runId"] == event["run"]["runId"]
        assert [d["name"] for d in said["inputs"]] == [d["name"] for d in event["inputs"]]
    versions = [d["facets"]["version"]["datasetVersion"] for d in events[-1]["outputs"]]
    assert versions == [chain["toy/gate_report"].id]


def test_the_bill_of_materials_has_the_model_card_of_cyclonedx_1_7(chain, tmp_path):
    bom = export(tmp_path, "toy/checkpoint", "cyclonedx")
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.7" and isinstance(bom["version"], int)
    uuid.UUID(bom["serialNumber"].removeprefix("urn:uuid:"))
    model = bom["metadata"]["component"]
    card = model["modelCard"]
    assert model["type"] == "machine-learning-model" and model["bom-ref"] == chain["toy/checkpoint"].id
    assert set(card) <= {"bom-ref", "modelParameters", "quantitativeAnalysis", "considerations", "properties"}
    parameters = {"approach", "task", "architectureFamily", "modelArchitecture", "datasets", "inputs", "outputs"}
    assert set(card["modelParameters"]) <= parameters
    kinds = {"supervised", "unsupervised", "reinforcement-learning", "semi-supervised", "self-supervised"}
    assert card["modelParameters"]["approach"]["type"] in kinds
    assert all(
        set(m) <= {"type", "value", "slice", "confidenceInterval"}
        for m in card["quantitativeAnalysis"]["performanceMetrics"]
    )
    refs = {component["bom-ref"] for component in bom["components"]} | {model["bom-ref"]}
    assert {d["ref"] for d in card["modelParameters"]["datasets"]} <= refs
    assert (
        {entry["ref"] for entry in bom["dependencies"]}
        == refs
        == {snapshot.id for snapshot in chain.values()} - {chain["toy/gate_report"].id}
    )
    assert all(
        len(h["content"]) == 64 and h["alg"] == "SHA-256" for c in [*bom["components"], model] for h in c["hashes"]
    )


def test_the_folder_holds_the_files_the_card_and_a_lineage_that_verifies(chain, tmp_path):
    target = tmp_path / "hf"
    assert main(["export", "toy/checkpoint", "--format", "hf", "--output", str(target)]) == 0
    card = (target / "README.md").read_text()
    front = card.split("---\n")[1]
    assert {line.partition(": ")[0] for line in front.splitlines()} == {
        "library_name",
        "tags",
        "datasets",
        "model-index",
    }
    assert all(json.loads(line.partition(": ")[2]) for line in front.splitlines())
    assert (target / "weights.json").read_bytes() == chain["toy/checkpoint"].file("weights.json").read_bytes()
    assert main(["check-bundle", str(target / "lineage.json")]) == 0
    assert main(["export", "toy/checkpoint", "--format", "hf", "--output", str(target)]) == 1


def judged(store, verdict, chain):
    """A gate report in the shape of the real one, under the name that exports look at."""
    document = {
        "metadata": {"checkpoint": chain["toy/checkpoint"].id},
        "metrics": {"scalars": {"accuracy": 0.5}},
        "gate": {"verdict": verdict},
    }
    parents = {"checkpoint": chain["toy/checkpoint"]}
    report = json_stage(store, "toy/gate_report", parents, MiniConfig(), "result.json", document)
    store.point("toy/gate_report", report)


def test_the_verdict_is_that_of_the_checkpoints_own_store(chain, tmp_path, monkeypatch):
    other = Store(tmp_path / "elsewhere" / "store")
    theirs = make_chain(other)
    assert theirs["toy/checkpoint"].id == chain["toy/checkpoint"].id
    judged(Store(tmp_path / "store"), "pass", chain)
    judged(other, "fail", theirs)
    root = chain["toy/checkpoint"].id
    for store, verdict in ((Store(tmp_path / "store"), "pass"), (other, "fail")):
        assert model_facts(load_tree(store, [root]), root).verdict == verdict


@pytest.mark.parametrize(("said", "task"), [(None, "other"), ("token-classification", "token-classification")])
def test_the_task_on_the_card_is_what_the_training_says_or_none_in_particular(chain, tmp_path, said, task):
    store, snapshot = Store(tmp_path / "store"), chain["toy/checkpoint"]
    judged(store, "pass", chain)
    if said:
        facts = {**snapshot.read_json("training.json"), "task": said}
        (snapshot.path / "training.json").write_bytes(canonical_json(facts))
    tree = load_tree(store, [snapshot.id])
    assert model_facts(tree, snapshot.id).task == task
    front = model_card(tree, snapshot.id).split("---\n")[1]
    (results,) = [json.loads(line.partition(": ")[2]) for line in front.splitlines() if line.startswith("model-index")]
    assert results[0]["results"][0]["task"] == {"type": task}


def test_a_signed_node_verifies_with_stock_tools_and_with_no_other_key(chain, tmp_path, keys, capsys):
    mine, other = str(keys / "mine.pub"), str(keys / "other.pub")
    assert main(["verify", "toy/checkpoint", "--key", mine]) == 1  # not signed yet
    assert main(["sign", "toy/checkpoint", "--key", str(keys / "mine.pem")]) == 0
    assert main(["verify", "toy/checkpoint", "--key", mine]) == 0
    assert main(["verify", "toy/checkpoint", "--key", other]) == 1
    signatures = tmp_path / "store" / "signatures"
    _check_dsse(next(signatures.glob("*.bundle.json")), keys)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(chain["toy/checkpoint"].path)]
    command += ["--signature", str(next(signatures.glob("*.sig"))), "--public_key", mine]
    stock = subprocess.run(command, capture_output=True, text=True)
    assert stock.returncode == 0, stock.stderr


def test_a_receipt_or_a_file_lost_after_signing_is_found(chain, tmp_path, keys, capsys):
    assert main(["sign", "toy/gate_report", "--key", str(keys / "mine.pem")]) == 0
    arguments = ["verify", "toy/gate_report", "--key", str(keys / "mine.pub")]
    raw = chain["text/raw_slice/a"].receipt
    kept = raw.read_bytes()
    raw.unlink()
    assert main(arguments) == 1 and "RECEIPT_MISSING" in capsys.readouterr().out
    raw.write_bytes(kept)
    assert main(arguments) == 0
    (chain["toy/gate_report"].path / "result.json").write_bytes(b"{}")
    assert main(arguments) == 1


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def extra(path):
    (path.parent / "extra.bin").write_bytes(b"x")


BREAKS = {"a flipped byte": flip, "a deleted file": lambda path: path.unlink(), "an added file": extra}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize(
    ("node", "file"),
    [
        ("text/raw_slice/b", "records.parquet"),
        ("text/triples/a", "train.arrow"),
        ("toy/checkpoint", "training.json"),  # a sidecar
        ("toy/gate_report", "result.json"),
    ],
)
def test_a_tree_that_is_not_what_it_says_is_not_signed(chain, tmp_path, keys, node, file, how, capsys):
    BREAKS[how](chain[node].path / file)
    assert main(["sign", "toy/gate_report", "--key", str(keys / "mine.pem")]) == 1
    assert "[SNAPSHOT_" in capsys.readouterr().err and not (tmp_path / "store" / "signatures").exists()


def relist(snapshot, file):
    """The list made to fit the file, as who edits a sidecar would do."""
    path = snapshot.path / "snapshot.json"
    document, edited = json.loads(path.read_bytes()), snapshot.path / file
    document["files"][file] |= {"bytes": edited.stat().st_size, "sha256": digest_file(edited)}
    path.write_bytes(canonical_json(document) + b"\n")


def edit_sidecar(snapshot):
    facts = {**snapshot.read_json("training.json"), "updates": 9}
    (snapshot.path / "training.json").write_bytes(canonical_json(facts))
    relist(snapshot, "training.json")


def edit_container(snapshot):
    """Other bytes that say the same: the identity does not see it."""
    path = snapshot.path / "learned.json"
    path.write_bytes(path.read_bytes() + b"\n")
    relist(snapshot, "learned.json")


def edit_facts(snapshot):
    path = snapshot.path / "snapshot.json"
    document = json.loads(path.read_bytes())
    document["stats"]["seconds"] = 0.5
    path.write_bytes(canonical_json(document))


@pytest.mark.parametrize(
    ("node", "edit"),
    [("toy/checkpoint", edit_sidecar), ("text/tokenizer", edit_container), ("text/raw_slice/a", edit_facts)],
)
def test_an_edit_that_no_identity_sees_is_found_by_the_receipt(chain, node, edit, capsys):
    edit(chain[node])
    assert main(["explain", "toy/gate_report"]) == 1 and main(["verify", node]) == 1
    assert capsys.readouterr().out.count("RECEIPT_FILES") == 2


@pytest.mark.parametrize(
    ("node", "edit"),
    [("toy/checkpoint", edit_sidecar), ("text/tokenizer", edit_container), ("text/raw_slice/a", edit_facts)],
)
def test_where_receipts_name_no_files_it_is_found_by_the_signature_alone(chain, keys, node, edit, capsys):
    as_of_schema(Store(chain[node].path.parents[1]), 2)
    assert main(["sign", "toy/gate_report", "--key", str(keys / "mine.pem")]) == 0
    edit(chain[node])
    assert main(["verify", "toy/gate_report"]) == 0 and main(["explain", "toy/gate_report"]) == 0
    capsys.readouterr()
    assert main(["verify", "toy/gate_report", "--key", str(keys / "mine.pub")]) == 1
    assert "SIGNATURE_FILES" in capsys.readouterr().out


def private_keys():
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    return {
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
        "rsa": rsa.generate_private_key(65537, 2048),
        "dsa": dsa.generate_private_key(2048),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    }


@pytest.mark.parametrize("name", [*private_keys(), "encrypted", "public", "garbage", "missing"])
def test_a_key_that_cannot_be_verified_everywhere_is_refused_before_anything_is_written(
    chain, tmp_path, keys, name, capsys
):
    from cryptography.hazmat.primitives import serialization as form

    path, public = tmp_path / "key.pem", tmp_path / "key.pub"
    if name in (made := private_keys()):
        key = made[name]
        path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    elif name == "encrypted":
        key = form.load_pem_private_key((keys / "mine.pem").read_bytes(), None)
        kind = form.BestAvailableEncryption(b"secret")
        path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, kind))
    elif name != "missing":
        path.write_bytes((keys / "mine.pub").read_bytes() if name == "public" else b"\x00garbage")
    assert main(["sign", "toy/gate_report", "--key", str(path)]) == 1
    assert "[KEY_UNUSABLE]" in capsys.readouterr().err and not (tmp_path / "store" / "signatures").exists()
    assert main(["sign", "toy/gate_report", "--key", str(keys / "mine.pem")]) == 0
    if public.exists():
        assert main(["verify", "toy/gate_report", "--key", str(public)]) == 1
        assert "[KEY_UNUSABLE]" in "".join(capsys.readouterr())


def test_a_bundle_says_what_it_binds_and_an_old_one_binds_less(chain, tmp_path, keys, capsys):
    assert main(["sign", "toy/gate_report", "--key", str(keys / "mine.pem"), "--json"]) == 0
    signed = json.loads(capsys.readouterr().out)
    files = sum(len(snapshot.files) + 1 for snapshot in {s.id: s for s in chain.values()}.values())
    assert signed["files"] == files and signed["version"] == 2
    assert main(["check-bundle", signed["bundle"], "--key", str(keys / "mine.pub"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["binds"] == "identities, receipts and every file of every node"
    old = FOLDER / "base.json"
    assert main(["check-bundle", str(old), "--key", str(FOLDER / "key.pub"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["version"] == 1 and "no file" in facts["binds"] and "files" not in facts


def test_a_node_signed_before_files_were_bound_still_verifies_and_says_so(chain, tmp_path, keys, capsys):
    key, root = keys / "mine.pem", chain["toy/gate_report"].id
    assert main(["sign", "toy/gate_report", "--key", str(key)]) == 0
    path = next((tmp_path / "store" / "signatures").glob("*.bundle.json"))
    bundle = json.loads(path.read_bytes())
    nodes = [{name: entry[name] for name in ("id", "content", "receipts")} for entry in bundle["nodes"]]
    statement = canonical_json(head_statement(root, "toy/gate_report", nodes))
    old = {"_type": BUNDLE[1], "nodes": nodes, "envelope": envelope(statement, [])}
    path.write_text(json.dumps(sign_bundle(old, key)))
    capsys.readouterr()
    assert main(["verify", "toy/gate_report", "--key", str(keys / "mine.pub")]) == 0
    assert "no files" in capsys.readouterr().out
    flip(chain["text/raw_slice/b"].path / "records.parquet")  # what is listed is hashed all the same
    assert main(["verify", "toy/gate_report", "--key", str(keys / "mine.pub")]) == 1


def test_an_exported_bundle_carries_the_signature_while_it_is_of_the_tree_that_was_signed(chain, tmp_path, keys):
    target, mine, other = str(tmp_path / "out.json"), str(keys / "mine.pub"), str(keys / "other.pub")
    assert not export(tmp_path, "toy/checkpoint", "in-toto")["envelope"]["signatures"]
    assert main(["check-bundle", target, "--key", mine]) == 1
    assert main(["sign", "toy/checkpoint", "--key", str(keys / "mine.pem")]) == 0
    assert len(export(tmp_path, "toy/checkpoint", "in-toto")["envelope"]["signatures"]) == 1
    assert main(["check-bundle", target, "--key", mine]) == 0
    assert main(["check-bundle", target, "--key", other]) == 1
    add_receipt(chain["text/raw_slice/a"])
    assert not export(tmp_path, "toy/checkpoint", "in-toto")["envelope"]["signatures"]
    assert main(["check-bundle", target, "--key", mine]) == 1


def add_receipt(snapshot):
    """A second receipt that says the same, of another moment."""
    document = json.loads(snapshot.receipt.read_bytes())
    document["predicate"]["runDetails"]["metadata"]["finishedOn"] = "2099-01-01T00:00:00.000Z"
    data = canonical_json(document)
    snapshot.receipt.with_name(f"{hashlib.sha256(data).hexdigest()}.json").write_bytes(data)


def test_an_export_of_a_broken_tree_and_of_no_model_is_refused(chain, tmp_path, capsys):
    assert main(["export", "text/tokenizer", "--format", "cyclonedx", "--output", str(tmp_path / "x")]) == 1
    assert "EXPORT_NO_MODEL" in capsys.readouterr().err
    chain["text/tokenizer"].receipt.write_bytes(b"{}")
    assert main(["export", "toy/checkpoint", "--format", "in-toto", "--output", str(tmp_path / "x")]) == 1
    assert not (tmp_path / "x").exists()


def _check_dsse(path, keys):
    """securesystemslib's own envelope, not ours."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    document = json.loads(path.read_bytes())["envelope"]
    envelope = Envelope.from_dict(json.loads(json.dumps(document)))
    mine, other = (
        SSlibKey.from_crypto(load_pem_public_key((keys / f"{n}.pub").read_bytes())) for n in ("mine", "other")
    )
    assert envelope.payload_type == PAYLOAD and len(envelope.verify([mine], 1)) == 1
    with pytest.raises(VerificationError):
        envelope.verify([other], 1)
    check_statement(json.loads(envelope.payload), path)
