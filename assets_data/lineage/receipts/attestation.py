"""Receipts against the in-toto project's own statement types. Imported only where a receipt is verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets_data.lineage.errors import IntegrityError


def check_statement(document: Mapping[str, Any], where: object) -> None:
    """Parse and validate with the in-toto attestation library. Raises IntegrityError RECEIPT_STATEMENT."""
    from google.protobuf.json_format import ParseDict, ParseError
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    try:
        message = statement_pb2.Statement()  # type: ignore[attr-defined]
        Statement.copy_from_pb(ParseDict(dict(document), message)).validate()
    except (ParseError, ValueError) as error:
        raise IntegrityError("RECEIPT_STATEMENT", f"not a valid in-toto statement: {error}", where=where) from error
