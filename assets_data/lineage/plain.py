"""Untrusted text for a terminal: what is not printable is shown as its escape, so that a name cannot move the cursor,
colour a line, hide itself or pose as a line of its own.
"""

from __future__ import annotations


def plain(value: object) -> str:
    """One line of printable characters. Spaces stay; newlines, control and direction characters become escapes."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
