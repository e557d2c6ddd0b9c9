"""Signatures over bundles by EC keys (P-256, SHA-256) in PEM files, offline; the cryptography is securesystemslib's.

Other keys are refused, when signing and when verifying: what one of our verifiers accepts the other one must, too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assets_data.lineage.errors import ConfigError, DataError
from assets_data.lineage.queries.bundle import envelope, pre_authentication


def sign_bundle(document: Mapping[str, Any], private_key: Path) -> dict[str, Any]:
    """The bundle with one signature more. Raises ConfigError KEY_UNUSABLE, DataError SIGN_NOTHING for no bundle."""
    try:
        payload = base64.b64decode(document["envelope"]["payload"], validate=True)
        signatures = list(document["envelope"]["signatures"])
    except (KeyError, TypeError, binascii.Error) as error:
        raise DataError("SIGN_NOTHING", "not a bundle: nothing to sign", found=type(document).__name__) from error
    signature = _signer(private_key).sign(pre_authentication(payload))
    entry = {"keyid": signature.keyid, "sig": base64.b64encode(bytes.fromhex(signature.signature)).decode()}
    others = [other for other in signatures if other.get("keyid") != entry["keyid"]]
    return {**document, "envelope": envelope(payload, [*others, entry])}


def verifier(public_key: Path):
    """``verify(signed bytes, signatures)``: whether one of them is by this key. Raises ConfigError KEY_UNUSABLE."""
    from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
    from securesystemslib.signer import Signature  # pyright: ignore[reportPrivateImportUsage]

    key = _public(public_key)

    def verify(data: bytes, signatures: list[dict[str, str]]) -> bool:
        for entry in signatures:
            try:
                raw = base64.b64decode(entry["sig"], validate=True)
                key.verify_signature(Signature(key.keyid, raw.hex()), data)
                return True
            except (UnverifiedSignatureError, VerificationError, KeyError, TypeError, binascii.Error):
                continue
        return False

    return verify


def require_private_key(path: Path) -> None:
    """Raise ConfigError KEY_UNUSABLE for anything but a P-256 private key."""
    _signer(path)


def _signer(path: Path):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # pyright: ignore[reportPrivateImportUsage]

    return CryptoSigner(_p256(path, lambda raw: load_pem_private_key(raw, password=None)))


def _public(path: Path):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey  # pyright: ignore[reportPrivateImportUsage]

    return SSlibKey.from_crypto(_p256(path, load_pem_public_key))


def _p256(path: Path, load: Callable[[bytes], Any]) -> Any:
    """The key in a PEM file, if it is on the curve P-256."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load(path.read_bytes())
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, getattr(error, "strerror", None) or error) from error
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve != "secp256r1":
        raise _unusable(path, f"expected P-256, found {curve or type(key).__name__}")
    return key


def _unusable(path: Path, error: object) -> ConfigError:
    action = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout -out key.pub"
    return ConfigError("KEY_UNUSABLE", f"not a usable PEM key: {error}", where=path, action=action)
