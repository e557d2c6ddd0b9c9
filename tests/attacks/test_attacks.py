"""Every attack of the corpus on the mini chain, before the four who may find it: what is found by whom is written down.

All four find every attack, but for two kinds. The very bytes behind a link are the same to whoever only reads them. And
whoever rewrites all of the top node, its receipt and all that names it, is found by a signature alone, unless content
speaks against it (:data:`TOP`): of an unsigned store everything can be replaced by another store. :data:`UNFOUND` lists
what else is not found, and is empty.
"""

import random
from collections import defaultdict

import pytest

from assets_data.lineage import Store
from assets_data.lineage.queries.tree import load_tree
from pipeline_defs.commands.cli import main
from tests.assets_data.lineage.mini_chain import make_chain
from tests.attacks.corpus import DIGESTED, LISTED, PLAIN, REWRITTEN, attacks, carried_out
from tests.attacks.judges import EXPLAIN, KEY, STRANGER, VERIFY, judges

ALL = {VERIFY, EXPLAIN, KEY, STRANGER}
SIGNED = {KEY, STRANGER}
"""Who has something that was signed."""
LINKED = ALL - {STRANGER}
"""The very bytes behind a link: whoever only reads them sees no difference."""

UNFOUND: dict[tuple[str, str, str], str] = {}
"""(place, what, level) -> why neither ``verify`` nor ``explain`` finds it. Of whatever anything reads: nothing."""
TOP = "nothing was made from the top node, so once all of it is rewritten only a signature speaks for its receipt"


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


def expected(attack, root):
    """Every set of finders that is right for an attack."""
    if (attack.place, attack.what, attack.level) in UNFOUND:
        return [SIGNED]
    if attack.level == REWRITTEN and attack.node == root:
        return [SIGNED, ALL]
    return [LINKED] if attack.what == "linked" else [ALL]


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
            if finders not in expected(attack, root):
                wrong.append(f"{attack.name}: found by {sorted(finders)}")
    assert not wrong, "\n".join(wrong)
    levels = {group[2] for group in made}
    assert len(made) > 300 and levels == {PLAIN, LISTED, DIGESTED, REWRITTEN} and not UNFOUND


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


def test_the_top_nodes_receipt_is_the_only_thing_that_a_signature_alone_speaks_for(attacked):
    """Rewritten whole, with what its files say left as it is, the top node looks sound; any node below it does not."""
    store, root, who = attacked
    place = "receipt predicate.runDetails.metadata.startedOn"
    rewritten = [a for a in attacks(store, root) if (a.place, a.what, a.level) == (place, "changed", REWRITTEN)]
    assert {attack.node for attack in rewritten} == set(load_tree(store, [root]))
    for attack in rewritten:
        with carried_out(store, attack) as possible:
            finders = {name for name, finds in who.items() if finds(attack)}
        assert possible and finders == (SIGNED if attack.node == root else ALL), TOP


def test_the_corpus_reaches_every_file_every_field_and_every_column(attacked):
    store, root, _ = attacked
    found = list(attacks(store, root))
    reached = {(attack.path, attack.level) for attack in found}
    files = [
        path.relative_to(store.root) for top in ("snapshots", "receipts") for path in (store.root / top).rglob("*.*")
    ]
    assert all((path, PLAIN) in reached for path in files) and len(files) == 42
    columns = {attack.where for attack in found if attack.place == "part column"}
    assert columns == {"carried", "record_id", "text", "split", "row_key"}
    said = {attack.where for attack in found if attack.place.startswith("receipt ")}
    assert {"predicate.buildDefinition.externalParameters.config.salt", "subject.0.digest.sha256"} <= said
