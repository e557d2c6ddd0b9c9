"""Receipts are read strictly, and for ever: every mutation is refused, every released schema version stays readable."""

import hashlib
import json
import random
from pathlib import Path

import pytest

from assets_data.lineage import IntegrityError, canonical_json
from assets_data.lineage.receipts.reader import parse_bytes, read_document, read_receipt
from assets_data.lineage.receipts.receipt import RECEIPT_SCHEMAS, SourcePart
from tests.assets_data.lineage.mini_chain import MODULE, MiniConfig, make_chain

GOLDEN = Path(__file__).parent / "golden"
RECEIPTS = sorted(GOLDEN.glob("schema-*/*.json"))


@pytest.mark.parametrize("path", RECEIPTS, ids=lambda path: path.stem[:12])
def test_every_receipt_of_every_released_schema_is_read(path):
    receipt, document = read_receipt(path), read_document(path)
    assert receipt.subject.endswith(document["subject"][0]["digest"]["sha256"])
    assert receipt.stage == document["subject"][0]["name"] and len(receipt.lock) == 64


def test_every_schema_version_has_golden_receipts():
    assert {f"schema-{version}" for version in RECEIPT_SCHEMAS} == {path.parent.name for path in RECEIPTS}
    assert len(RECEIPTS) >= 16 and any(read_receipt(path).ended for path in RECEIPTS)


def test_outside_files_are_named_beside_the_parents(store):
    chain = make_chain(store)
    raw = read_receipt(chain["text/raw_slice/a"].receipt)
    assert [(part.name, part.uri) for part in raw.sources] == [
        ("a.txt", "https://corpus.example/a.txt")
    ] and raw.parents == ()
    triples = read_receipt(chain["text/triples/a"].receipt)
    assert [parent.input for parent in triples.parents] == ["raw_slice", "tokenizer"] and triples.sources == ()


CANARY = "canary-6f1d"


@pytest.mark.parametrize(
    "uri",
    [
        f"https://user:{CANARY}@data.example/part.gz",
        f"https://{CANARY}@data.example/part.gz?token={CANARY}",
        f"s3://bucket/part.gz?X-Amz-Signature={CANARY}#{CANARY}",
    ],
)
def test_a_secret_in_an_address_or_the_environment_reaches_no_receipt_s10(store, uri, monkeypatch):
    monkeypatch.setenv("STEMMA_TOKEN", CANARY)
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@127.0.0.1:9")
    source = SourcePart("part.gz", "0" * 64, uri)
    snapshot = store.run_stage(
        name="text/raw_slice",
        module=MODULE,
        config=MiniConfig(),
        parents={},
        sources=[source],
        build=lambda writer: writer.write_json("data.json", 1),
    )
    (named,) = read_receipt(snapshot.receipt).sources
    assert named.uri.endswith("/part.gz") and named.uri.startswith(uri.partition(":")[0])
    assert not [path for path in store.root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize("path", RECEIPTS[:3], ids=lambda path: path.stem[:12])
def test_a_mutated_receipt_is_refused_under_its_name_s14(path, tmp_path):
    raw, rng = path.read_bytes(), random.Random(path.stem)
    for _ in range(300):
        mutated = _mutate(raw, rng)
        if mutated != raw:
            (tmp_path / path.name).write_bytes(mutated)
            with pytest.raises(IntegrityError):
                read_receipt(tmp_path / path.name)


@pytest.mark.parametrize("path", RECEIPTS, ids=lambda path: path.stem[:12])
def test_a_receipt_renamed_to_fit_its_mutation_is_refused_or_says_something_else_s14(path, tmp_path):
    """Nothing but a coded refusal ever comes out, and what is accepted is not what it was."""
    raw, rng, before = path.read_bytes(), random.Random(path.stem), read_document(path)
    for _ in range(200):
        mutated = _mutate(raw, rng)
        renamed = tmp_path / f"{hashlib.sha256(mutated).hexdigest()}.json"
        renamed.write_bytes(mutated)
        try:
            assert (read_document(renamed) == before) == (mutated == raw)
        except IntegrityError as error:
            assert error.code.startswith(("RECEIPT_", "JSON_"))


DEEP = b"[" * 5000 + b"]" * 5000
DEFECTS = {
    "duplicate key": (lambda raw: raw.replace(b'"_type":', b'"_type":"x","_type":', 1), "JSON_MALFORMED"),
    "not a number": (lambda raw: raw.replace(b'"schema":1', b'"schema":NaN'), "JSON_MALFORMED"),
    "infinity": (lambda raw: raw.replace(b'"schema":1', b'"schema":-Infinity'), "JSON_MALFORMED"),
    "deep nesting": (lambda raw: raw.replace(b'"schema":1', b'"schema":' + DEEP), "JSON_MALFORMED"),
    "not UTF-8": (lambda raw: raw.replace(b"CPython", b"\xff\xfe"), "JSON_MALFORMED"),
    "a space": (lambda raw: raw.replace(b'"schema":1', b'"schema": 1'), "RECEIPT_SPELLING"),
    "an escape for a letter": (lambda raw: raw.replace(b"CPython", b"\\u0043Python"), "RECEIPT_SPELLING"),
    "no canonical form": (lambda raw: raw.replace(b'"schema":1', b'"schema":9007199254740993'), "RECEIPT_SPELLING"),
    "a later schema": (lambda raw: raw.replace(b'"schema":1', b'"schema":4'), "RECEIPT_VERSION"),
    "schema 0": (lambda raw: raw.replace(b'"schema":1', b'"schema":0'), "RECEIPT_VERSION"),
    "an end that schema 1 cannot have": (lambda raw: _edited(raw, lambda d: _ended(d)), "RECEIPT_SHAPE"),
    "another build type": (lambda raw: raw.replace(b"urn:stemma:stage:v1", b"urn:stemma:stage:v9"), "RECEIPT_SHAPE"),
    "another subject": (lambda raw: _edited(raw, lambda d: d["subject"][0].update(name="x")), "RECEIPT_SHAPE"),
    "more of a builder": (lambda raw: _edited(raw, lambda d: _details(d)["builder"].update(x=1)), "RECEIPT_SHAPE"),
    "a moment more": (lambda raw: _edited(raw, lambda d: _details(d)["metadata"].update(x=1)), "RECEIPT_SHAPE"),
    "an environment's member more": (
        lambda raw: _edited(raw, lambda d: _details(d)["byproducts"][0].update(x=1)), "RECEIPT_SHAPE",
    ),
    "a dependency more": (lambda raw: _edited(raw, lambda d: _dependencies(d)[0].update(x=1)), "RECEIPT_SHAPE"),
    "a lock's member more": (lambda raw: _edited(raw, lambda d: _dependencies(d)[-1].update(x=1)), "RECEIPT_SHAPE"),
    "a tree that is dirty as text": (
        lambda raw: _edited(raw, lambda d: _dependencies(d)[-2].update(annotations={"dirty": "no"})), "RECEIPT_SHAPE",
    ),
    "a tree that is dirty as a number": (
        lambda raw: _edited(raw, lambda d: _dependencies(d)[-2].update(annotations={"dirty": 0})), "RECEIPT_SHAPE",
    ),
    "a third byproduct": (lambda raw: _edited(raw, lambda d: (_second(d), _ended(d), _ended(d))), "RECEIPT_SHAPE"),
    "another byproduct": (lambda raw: _edited(raw, lambda d: (_second(d), _ended(d, "sbom"))), "RECEIPT_SHAPE"),
    "an end that is a list": (lambda raw: _edited(raw, lambda d: (_second(d), _ended(d, says=[]))), "RECEIPT_SHAPE"),
    "true for one": (lambda raw: raw.replace(b'"schema":1', b'"schema":true'), "RECEIPT_VERSION"),
    "a weaker algorithm": (lambda raw: raw.replace(b'{"sha256":"', b'{"md5":"', 1), "RECEIPT_ALGORITHM"),
    "a digest cut short": (lambda raw: _shorter_digest(raw), "RECEIPT_ALGORITHM"),
    "a digest in capitals": (lambda raw: _capital_digest(raw), "RECEIPT_ALGORITHM"),
    "another type": (lambda raw: raw.replace(b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v0"), "RECEIPT_TYPE"),
    "another predicate": (lambda raw: raw.replace(b"provenance/v1", b"provenance/v0"), "RECEIPT_TYPE"),
    "a list": (lambda raw: b"[]", "RECEIPT_TYPE"),
    "null": (lambda raw: b"null", "RECEIPT_TYPE"),
    "empty": (lambda raw: b"", "JSON_MALFORMED"),
    "a member more": (lambda raw: raw.replace(b'"subject":', b'"sbom":0,"subject":', 1), "RECEIPT_SHAPE"),
    "no environment": (lambda raw: _edited(raw, lambda d: _details(d).pop("byproducts")), "RECEIPT_SHAPE"),
    "two subjects": (lambda raw: _edited(raw, lambda d: d["subject"].append(d["subject"][0])), "RECEIPT_SHAPE"),
    "no source tree": (lambda raw: _edited(raw, lambda d: _dependencies(d).pop(-2)), "RECEIPT_SHAPE"),
    "a stage that is a number": (lambda raw: _edited(raw, lambda d: _parameters(d).update(stage=1)), "RECEIPT_SHAPE"),
    "a config that is a list": (lambda raw: _edited(raw, lambda d: _parameters(d).update(config=[])), "RECEIPT_SHAPE"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_refused_by_its_code_s14(defect, tmp_path):
    damage, code = DEFECTS[defect]
    raw = RECEIPTS[0].read_bytes()
    damaged = damage(raw)
    assert damaged != raw
    path = tmp_path / f"{hashlib.sha256(damaged).hexdigest()}.json"
    path.write_bytes(damaged)
    with pytest.raises(IntegrityError) as error:
        read_receipt(path)
    assert error.value.code == code


def test_the_one_accepted_spelling_is_the_one_that_is_written():
    raw = RECEIPTS[0].read_bytes()
    document, _ = parse_bytes(raw, RECEIPTS[0])
    assert canonical_json(document) == raw


def _mutate(raw, rng):
    data, at = bytearray(raw), rng.randrange(len(raw))
    kind = rng.randrange(4)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at : at + rng.randrange(1, 40)]
    elif kind == 2:
        data[at:at] = bytes(rng.choices(b'{}[]",:0123456789abcdef\\ntrue', k=rng.randrange(1, 6)))
    else:
        other = rng.randrange(len(raw))
        data[at : at + 20], data[other : other + 20] = data[other : other + 20], data[at : at + 20]
    return bytes(data)


def _edited(raw, change):
    document = json.loads(raw)
    change(document)
    return canonical_json(document)


def _dependencies(document):
    return document["predicate"]["buildDefinition"]["resolvedDependencies"]


def _details(document):
    return document["predicate"]["runDetails"]


def _second(document):
    document["predicate"]["buildDefinition"]["internalParameters"]["schema"] = 2


def _ended(document, name="at-the-end", says=None):
    _details(document)["byproducts"].append({"name": name, "annotations": {} if says is None else says})


def _parameters(document):
    return document["predicate"]["buildDefinition"]["externalParameters"]


def _shorter_digest(raw):
    return _edited(raw, lambda d: d["subject"][0]["digest"].update(sha256=d["subject"][0]["digest"]["sha256"][:40]))


def _capital_digest(raw):
    return _edited(raw, lambda d: d["subject"][0]["digest"].update(sha256="AB" * 32))
