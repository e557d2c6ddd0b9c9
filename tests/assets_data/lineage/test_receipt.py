"""Receipts: in-toto statements that say what was read, and that show an edit."""

import json

import pytest

from assets_data.lineage import IntegrityError
from assets_data.lineage.identity.merkle import merkle_root
from assets_data.lineage.receipts.code import ROOT, code_version, environment
from assets_data.lineage.receipts.reader import check_statement, read_document
from tests.assets_data.lineage.stages import CountConfig, make_counts


def test_a_receipt_is_a_valid_in_toto_statement_about_its_snapshot(store):
    parent = make_counts(store, CountConfig(rows=3))
    snapshot = make_counts(store, CountConfig(), parents=[parent])
    document = read_document(snapshot.receipt)
    check_statement(document, snapshot.receipt)
    build = document["predicate"]["buildDefinition"]
    assert document["subject"][0]["digest"]["sha256"] == snapshot.id.removeprefix("sha256:")
    assert build["resolvedDependencies"][0]["digest"]["sha256"] == parent.id.removeprefix("sha256:")
    assert build["externalParameters"]["config"] == {"rows": 100, "start": 0}
    assert build["internalParameters"]["code_version"] == code_version("assets_data.lineage.storage.store")


def test_an_edited_receipt_is_refused(store):
    path = make_counts(store, CountConfig()).receipt
    path.write_bytes(path.read_bytes().replace(b'"rows":100', b'"rows":200'))
    with pytest.raises(IntegrityError) as error:
        read_document(path)
    assert error.value.code == "RECEIPT_DIGEST"


def test_a_statement_without_a_subject_is_refused(store):
    document = read_document(make_counts(store, CountConfig()).receipt)
    with pytest.raises(IntegrityError) as error:
        check_statement({**document, "subject": []}, "here")
    assert error.value.code == "RECEIPT_STATEMENT"


def test_a_receipt_holds_no_host_user_or_directory(store, tmp_path):
    text = make_counts(store, CountConfig()).receipt.read_text()
    assert str(tmp_path) not in text and str(ROOT) not in text
    assert json.loads(text)["predicate"]["runDetails"]["byproducts"][0]["annotations"]["lock"] == environment()["lock"]


def test_the_code_version_follows_imports_and_nothing_else(tmp_path, monkeypatch):
    from assets_data.lineage.receipts import code

    package = tmp_path / "training"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "loop.py").write_text("def run():\n    from training import order\n")
    (package / "order.py").write_text("A = 1\n")
    (package / "other.py").write_text("B = 1\n")
    monkeypatch.setattr(code, "ROOT", tmp_path)

    def version():
        code.code_version.cache_clear()
        code._imports.cache_clear()
        return code.code_version("training.loop")

    before = version()
    (package / "other.py").write_text("B = 2\n")
    assert version() == before
    (package / "order.py").write_text("A = 2\n")
    assert version() != before
    code.code_version.cache_clear()
    code._imports.cache_clear()


def test_the_record_root_is_a_set_and_tells_leaves_from_nodes():
    records = [bytes([i]) * 32 for i in range(5)]
    assert merkle_root(records) == merkle_root([*reversed(records), records[0]])
    assert merkle_root(records) != merkle_root(records[:4])
    assert merkle_root([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
