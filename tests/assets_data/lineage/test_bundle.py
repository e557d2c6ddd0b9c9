"""Bundles: Stemma's check and the standard-library verifier agree on every vector, and on what a store exports."""

import importlib.util
import json
import subprocess
import sys

import pytest

from assets_data.lineage import IntegrityError
from assets_data.lineage.identity.digests import load_json
from assets_data.lineage.queries.bundle import make_bundle
from assets_data.lineage.queries.bundle_check import check_bundle
from assets_data.lineage.queries.tree import load_tree
from assets_data.lineage.receipts.code import ROOT
from tests.assets_data.lineage.mini_chain import make_chain
from tests.assets_data.lineage.test_provenance import DEFECTS, RECEIPTS
from tests.assets_data.lineage.vectors import FOLDER, VECTORS, key_path, vector_bytes

VERIFIER = ROOT / "docs" / "verifier" / "verify_bundle.py"


def load_verifier():
    spec = importlib.util.spec_from_file_location("verify_bundle", VERIFIER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stemma_accepts(vector) -> bool:
    from pipeline_defs.answers.signing import verifier

    key = key_path(vector)
    try:
        check_bundle(load_json(vector_bytes(vector), vector["name"]), verifier(key) if key else None)
        return True
    except IntegrityError as error:
        assert error.code.startswith(("BUNDLE_", "RECEIPT_", "JSON_"))
        return False


def stranger_accepts(vector) -> bool:
    stranger, key = load_verifier(), key_path(vector)
    try:
        stranger.check_bundle(vector_bytes(vector), key.read_text() if key else None)
        return True
    except stranger.Refused:
        return False


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_both_verifiers_judge_every_vector_as_it_is_listed(vector):
    expected = vector["expect"] == "accept"
    assert (stemma_accepts(vector), stranger_accepts(vector)) == (expected, expected)


class Known(dict):
    """Every parent that a receipt names, as if it were listed before."""

    def __init__(self, document):
        read = document["predicate"]["buildDefinition"]["resolvedDependencies"][:-2]
        super().__init__(
            {f"sha256:{e['digest']['sha256']}": (e["name"].partition("=")[2], set(_receipts(e))) for e in read}
        )


def _receipts(entry):
    return entry.get("annotations", {}).get("receipts", [])


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_stranger_refuses_every_receipt_that_stemma_refuses(defect):
    stranger, raw = load_verifier(), RECEIPTS[0].read_bytes()
    document = json.loads(raw)
    subject = document["subject"][0]
    named = f"sha256:{subject['digest']['sha256']}", subject["name"], Known(document)
    stranger.check_receipt(raw, *named)
    with pytest.raises(stranger.Refused):
        stranger.check_receipt(DEFECTS[defect][0](raw), *named)


@pytest.mark.parametrize("path", RECEIPTS, ids=lambda path: path.stem[:12])
def test_the_stranger_reads_every_receipt_ever_released(path):
    document = json.loads(path.read_bytes())
    subject = document["subject"][0]
    named = f"sha256:{subject['digest']['sha256']}", subject["name"], Known(document)
    load_verifier().check_receipt(path.read_bytes(), *named)


def test_the_corpus_is_large_and_has_both_sides():
    assert len(VECTORS) >= 100 and len({vector["name"] for vector in VECTORS}) == len(VECTORS)
    assert 10 <= sum(vector["expect"] == "accept" for vector in VECTORS) <= len(VECTORS) / 2


def test_the_stranger_needs_nothing_but_python_and_is_short():
    assert len(VERIFIER.read_text().splitlines()) <= 400
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(FOLDER / "base.json"), "--key", str(FOLDER / "key.pub")]
    held = subprocess.run(command, capture_output=True, text=True)
    refused = subprocess.run([*command[:-1], str(FOLDER / "other.pub")], capture_output=True, text=True)
    assert (held.returncode, refused.returncode) == (0, 1), held.stdout + held.stderr
    assert "signed by this key" in held.stdout and "REFUSED" in refused.stdout


def test_what_a_store_exports_holds_and_a_broken_tree_is_not_exported(store):
    chain = make_chain(store)
    root = chain["toy/gate_report"].id
    bundle = make_bundle(load_tree(store, [root]), root)
    facts = check_bundle(json.loads(json.dumps(bundle)))
    assert facts["root"] == root and facts["nodes"] == len(bundle["nodes"]) == len(set(s.id for s in chain.values()))
    chain["text/tokenizer"].receipt.unlink()
    with pytest.raises(IntegrityError, match="RECEIPT_MISSING"):
        make_bundle(load_tree(store, [root]), root)
