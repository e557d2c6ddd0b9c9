"""Documents of snapshots: their shape is checked as they are read, and what is not there where it is asked for."""

import json

import pytest

from assets_data.documents import (
    FACTS,
    LAYOUT,
    MANIFEST,
    REGISTRATION,
    RESULT,
    VERSIONS,
    read_facts,
    read_layout,
    read_manifest,
    read_registration,
    read_result,
    read_source_notes,
)
from assets_data.domains.cells.read import Layout
from assets_data.lineage import IntegrityError, Store

READERS = {
    LAYOUT: lambda snapshot: read_layout(snapshot, Layout),
    MANIFEST: read_manifest,
    REGISTRATION: read_registration,
    FACTS: read_facts,
    RESULT: read_result,
}


def snapshot_of(store, name, document):
    return store.run_stage(
        name="toy/thing",
        module=__name__,
        config={"document": json.dumps(document)},
        parents={},
        build=lambda writer: writer.write_json(name, document),
    )


def refusal(store, name, document):
    with pytest.raises(IntegrityError) as refused:
        READERS[name](snapshot_of(store, name, document))
    return refused.value


@pytest.mark.parametrize("name", READERS)
def test_every_version_up_to_todays_is_read_and_a_later_one_refused(name, tmp_path):
    store = Store(tmp_path)
    for version in range(1, VERSIONS[name] + 1):
        assert READERS[name](snapshot_of(store, name, {"schema_version": version, "more": 1}))["more"] == 1
    assert READERS[name](snapshot_of(store, name, {"more": 2}))["more"] == 2
    for wrong in (VERSIONS[name] + 1, 0, "1", None):
        error = refusal(store, name, {"schema_version": wrong})
        assert error.code == "DOCUMENT_VERSION" and str(VERSIONS[name]) in error.expected


@pytest.mark.parametrize(
    ("name", "document", "field"),
    [
        (LAYOUT, {"vocabulary": 7, "truth": None}, "vocabulary"),
        (MANIFEST, {"members": []}, "members"),
        (REGISTRATION, {"ok": "yes"}, "ok"),
        (REGISTRATION, {"inputs": None}, "inputs"),
        (FACTS, {"model_inputs": 3}, "model_inputs"),
        (FACTS, {"run_id": {}}, "run_id"),
        (RESULT, {"summary": "pass"}, "summary"),
    ],
)
def test_a_field_of_another_kind_is_refused_by_name(name, document, field, tmp_path):
    error = refusal(Store(tmp_path), name, document)
    assert error.code == "DOCUMENT_SHAPE" and field in error.what


@pytest.mark.parametrize("document", [[], "text", 3, None])
def test_what_is_no_object_is_refused(document, tmp_path):
    assert refusal(Store(tmp_path), RESULT, document).code == "DOCUMENT_SHAPE"


def test_a_field_that_is_not_there_is_refused_where_it_is_asked_for(tmp_path):
    facts = read_facts(snapshot_of(Store(tmp_path), FACTS, {"order": {"seed": 1}}))
    assert facts.get("run_id") is None and facts["order"] == {"seed": 1} and json.dumps(facts)
    with pytest.raises(IntegrityError) as refused:
        facts["run_id"]
    assert refused.value.code == "DOCUMENT_FIELD" and refused.value.expected == "run_id"
    assert str(refused.value.where).endswith(FACTS)


NOTED = {"origin": "a test", "licence": "CC0", "parts": [{"bytes": 3}]}


@pytest.mark.parametrize(
    ("document", "noted"),
    [
        (NOTED, True),
        ({**NOTED, "parts": []}, True),
        ({"parts": ["wheel", "axle"]}, False),
        ({**NOTED, "parts": [{"size": 3}]}, False),
        ({**NOTED, "licence": None}, False),
        (["wheel"], False),
    ],
)
def test_what_a_source_notes_is_read_and_another_document_of_that_name_is_none(document, noted, tmp_path):
    snapshot = snapshot_of(Store(tmp_path), "parts.json", document)
    assert read_source_notes(snapshot) == (document if noted else None)
