"""Docstrings for the reference: what Sphinx calls a role is inline code here."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|meth|class|mod|attr):`~?([^`]+)`")


class Roles(griffe.Extension):
    """``:func:`name``` becomes ``name`` in backticks; fields of a dataclass keep what the class says of them."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute that is read."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)
