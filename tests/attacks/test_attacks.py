"""Every attack of the corpus on the mini chain, before the four who may find it: what is found by whom is written down.

All four find an attack unless it is listed here. What neither ``verify`` nor ``explain`` finds lies outside the
identity today, and only what was signed speaks for it: :data:`UNFOUND` names all of that, with the reason, and is to
become empty.
"""

import random
from collections import defaultdict

import pytest

from assets_data.lineage import Store
from pipeline_defs.commands.cli import main
from tests.assets_data.lineage.mini_chain import make_chain
from tests.attacks.corpus import DIGESTED, LISTED, PLAIN, attacks, carried_out
from tests.attacks.judges import EXPLAIN, KEY, STRANGER, VERIFY, judges

ALL = {VERIFY, EXPLAIN, KEY, STRANGER}
SIGNED = {KEY, STRANGER}
"""Who has something that was signed."""
LINKED = ALL - {STRANGER}
"""The very bytes behind a link: whoever only reads them sees no difference."""

SIDECAR = "sidecars lie outside the id: bound by receipt later"
CONTAINER = "the id is of values, and the container's bytes lie outside: bound by receipt later"
FACTS = "snapshot.json's facts and spelling lie outside the id: bound by receipt later"
RECEIPT = "a receipt is bound by its own name alone, and that was made to fit: bound by receipt later"
_BUILD, _RUN = "receipt predicate.buildDefinition.", "receipt predicate.runDetails."
UNFOUND = {
    **{(f"sidecar {place}", what, LISTED): SIDECAR for place, what in [
        ("bytes", "a byte flipped"), ("bytes", "a byte more"), ("bytes", "cut short"), ("field", "changed"),
        ("field", "dropped"), ("field", "one more"), ("file", "gone"), ("folder", "one more file"),
    ]},
    ("part folder", "one more file", LISTED): SIDECAR,
    **{("part rows", "written anew", level): CONTAINER for level in (LISTED, DIGESTED)},
    **{("part bytes", what, level): CONTAINER
       for what in ("a byte flipped", "a byte more", "cut short") for level in (LISTED, DIGESTED)},
    **{("snapshot.json stats.*", what, PLAIN): FACTS for what in ("changed", "dropped")},
    ("snapshot.json stats", "one more", PLAIN): FACTS,
    ("snapshot.json", "a space", PLAIN): FACTS,
    **{(f"{_BUILD}externalParameters.{member}.*", what, LISTED): RECEIPT
       for member in ("arguments", "config") for what in ("changed", "dropped")},
    **{(f"{_BUILD}{member}", "one more", LISTED): RECEIPT
       for member in ("externalParameters.arguments", "externalParameters.config", "externalParameters.requested",
                      "internalParameters.seeds")},
    **{(f"{_BUILD}internalParameters.{member}", "changed", LISTED): RECEIPT for member in ("code_version", "schema")},
    (f"{_BUILD}resolvedDependencies.[]", "dropped", LISTED): RECEIPT,
    **{(f"{_BUILD}resolvedDependencies.[].{member}", "changed", LISTED): RECEIPT
       for member in ("digest.*", "name", "uri")},
    **{(f"{_RUN}byproducts.[].annotations.*", what, LISTED): RECEIPT for what in ("changed", "dropped", "one more")},
    (f"{_RUN}byproducts.[].annotations", "one more", LISTED): RECEIPT,
    **{(f"{_RUN}{member}", "changed", LISTED): RECEIPT
       for member in ("builder.id", "metadata.startedOn", "metadata.finishedOn")},
}  # fmt: skip
"""(place, what, level) -> why neither ``verify`` nor ``explain`` finds it, though whoever holds a signature does."""
SOMETIMES = {group for group in UNFOUND if group[0] == "part bytes"} | {
    (f"{_BUILD}resolvedDependencies.[]", "dropped", LISTED),
    (f"{_BUILD}resolvedDependencies.[].digest.*", "changed", LISTED),
    (f"{_BUILD}resolvedDependencies.[].name", "changed", LISTED),
}
"""Of these the data decides: bytes that no value is read from, a dependency that is no parent. All four find others."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """``(store, root, judges)`` of a signed mini chain."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("attacked")
    key, private, public = ec.generate_private_key(ec.SECP256R1()), folder / "key.pem", folder / "key.pub"
    private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEMMA_ROOT", str(folder))
        store = Store(folder / "store")
        root = make_chain(store)["toy/gate_report"].id
        assert main(["sign", "toy/gate_report", "--key", str(private)]) == 0
        yield store, root, judges(store, root, public)


def grouped(store, root):
    groups = defaultdict(list)
    for attack in attacks(store, root):
        groups[attack.place, attack.what, attack.level].append(attack)
    return groups


def expected(group):
    """Every set of finders that is right for an attack of this group."""
    if group in UNFOUND:
        return [SIGNED, ALL] if group in SOMETIMES else [SIGNED]
    return [LINKED] if group[1] == "linked" else [ALL]


@pytest.mark.parametrize("most", [1, pytest.param(10**9, marks=pytest.mark.slow)], ids=["one of a kind", "all"])
def test_each_attack_is_found_by_whom_it_is_listed_for(attacked, most):
    store, root, who = attacked
    wrong, made = [], defaultdict(int)
    for group, found in grouped(store, root).items():
        for attack in random.Random(repr(group)).sample(found, min(most, len(found))):
            with carried_out(store, attack) as possible:
                if not possible:
                    continue
                made[group] += 1
                finders = {name for name, finds in who.items() if finds(attack)}
            if finders not in expected(group):
                wrong.append(f"{attack.name}: found by {sorted(finders)}")
    assert not wrong, "\n".join(wrong)
    assert len(made) > 200 and all(level in {group[2] for group in made} for level in (PLAIN, LISTED, DIGESTED))


def test_an_intact_tree_is_found_fault_with_by_nobody_before_and_after(attacked):
    store, root, who = attacked
    first = next(attacks(store, root))
    assert not any(finds(first) for finds in who.values())
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    for found in list(grouped(store, root).values())[::5]:
        with carried_out(store, found[-1]):
            pass
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before
    assert not any(finds(first) for finds in who.values())


def test_the_corpus_reaches_every_file_every_field_and_every_column(attacked):
    store, root, _ = attacked
    found = list(attacks(store, root))
    reached = {(attack.path, attack.level) for attack in found}
    files = [
        path.relative_to(store.root) for top in ("snapshots", "receipts") for path in (store.root / top).rglob("*.*")
    ]
    assert all((path, PLAIN) in reached for path in files) and len(files) == 42
    columns = {attack.where for attack in found if attack.place == "part column"}
    assert columns == {"record_id", "text", "split", "row_key"}
    said = {attack.where for attack in found if attack.place.startswith("receipt ")}
    assert {"predicate.buildDefinition.externalParameters.config.salt", "subject.0.digest.sha256"} <= said
    assert set(UNFOUND) <= {(attack.place, attack.what, attack.level) for attack in found}, "a reason without an attack"
    assert set(UNFOUND) >= SOMETIMES
