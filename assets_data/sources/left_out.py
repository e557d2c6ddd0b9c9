"""What a source leaves out, as it is counted, named and told. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_SHOWN = 10


@dataclass(slots=True)
class LeftOut:
    """What was left out, by reason: how many, and the first ten names."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Count one more file, or folder (with a slash) whose files are not known."""
        entry = self.found.setdefault(reason, {"count": 0, "first": []})
        entry["count"] += 1
        if len(entry["first"]) < _SHOWN:
            entry["first"].append(name if name.isprintable() else ascii(name))

    def __str__(self) -> str:
        """``hidden: 2 (.a, .b)`` and so on."""
        return "; ".join(f"{why}: {e['count']:,} ({', '.join(e['first'])})" for why, e in self.found.items())
