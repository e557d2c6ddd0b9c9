"""JSON files for other tools and for people: sorted, indented, one spelling per document."""

from __future__ import annotations

import json
from typing import Any


def pretty(document: Any) -> bytes:
    """Indented JSON with sorted members and a newline at the end."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
