"""Every attack of the corpus (tests/attacks) on a signed mini chain: how many, and by how many verifiers each is found.

An attack is found when `verify` of its node, `explain` of the tree, `verify --key` or the stand-alone verifier with the
signed bundle says no. ``by_signature_alone``: rewrites of all of the top node, which nothing unsigned speaks against;
``by_fewer``: files behind a link, whose bytes are the same to who only reads them.

    python -m benchmarks.lineage_attacks
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

from assets_data.lineage import Store
from benchmarks.result import save
from pipeline_defs.commands.cli import main as stemma
from tests.assets_data.lineage.mini_chain import make_chain
from tests.attacks.corpus import attacks, carried_out
from tests.attacks.judges import KEY, STRANGER, judges


def attack_all(folder: Path) -> dict[str, Any]:
    """Carry out every attack and count who finds it."""
    key, private, public = ec.generate_private_key(ec.SECP256R1()), folder / "key.pem", folder / "key.pub"
    private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    os.environ["STEMMA_ROOT"] = str(folder)
    store = Store(folder / "store")
    root = make_chain(store)["toy/gate_report"].id
    if stemma(["sign", "toy/gate_report", "--key", str(private)]):
        raise SystemExit("the chain could not be signed")
    who, counts, levels, kinds = judges(store, root, public), Counter[str](), Counter[str](), set[object]()
    for attack in attacks(store, root):
        with carried_out(store, attack) as possible:
            if not possible:
                continue
            finders = {name for name, finds in who.items() if finds(attack)}
        levels[attack.level] += 1
        kinds.add((attack.place, attack.what, attack.level))
        counts[_found_by(finders, set(who))] += 1
    return {"attacks": levels.total(), "kinds_of_attack": len(kinds), "by_level": dict(levels), **_all(counts)}


def _found_by(finders: set[str], everybody: set[str]) -> str:
    if finders == everybody:
        return "by_all_four"
    return "unfound" if not finders else "by_signature_alone" if finders == {KEY, STRANGER} else "by_fewer"


def _all(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in ("by_all_four", "by_fewer", "by_signature_alone", "unfound")}


def main() -> None:
    """Attack and save."""
    with tempfile.TemporaryDirectory() as folder:
        figures = attack_all(Path(folder))
    save("lineage_attacks", ["cryptography", "rfc8785", "pyarrow"], figures)


if __name__ == "__main__":
    main()
