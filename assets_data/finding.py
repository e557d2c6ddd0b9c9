"""The outcome of a check over rows, as a manifest records it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """How many ``rows`` a check looked at, how many of them fail (``count``), and the first few."""

    check: str
    rows: int
    count: int = 0
    examples: tuple[Any, ...] = ()

    @property
    def passed(self) -> bool:
        """True when nothing failed."""
        return self.count == 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form a manifest records."""
        return {"check": self.check, "rows": self.rows, "count": self.count, "passed": self.passed}
