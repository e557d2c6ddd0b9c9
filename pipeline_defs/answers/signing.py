"""Signatures over bundles by EC keys (P-256, SHA-256) in PEM files, offline; the cryptography is securesystemslib's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
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


def _signer(path: Path):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # pyright: ignore[reportPrivateImportUsage]

    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path, error) from error


def _public(path: Path):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey  # pyright: ignore[reportPrivateImportUsage]

    try:
        return SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> ConfigError:
    action = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout -out key.pub"
    return ConfigError("KEY_UNUSABLE", f"not a usable PEM key: {error}", where=path, action=action)
