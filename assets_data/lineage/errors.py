"""The error tree: every failure a user, a disk or a network can cause is one of these, with a stable code.

A message says what failed, what was expected against what was found, where, and the next action.
Codes are part of the interface: they may be added, never renamed.
"""

from __future__ import annotations


class StemmaError(Exception):
    """Root of the tree.

    ``code`` is stable and greppable (``SNAPSHOT_FILE_DIGEST``); ``what`` is one sentence; the keyword parts are shown
    only when given and stay available as attributes for programs.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        expected: object = None,
        found: object = None,
        where: object = None,
        action: str | None = None,
    ) -> None:
        self.code, self.what = code, what
        self.expected, self.found, self.where, self.action = expected, found, where, action
        super().__init__(self._message())

    def _message(self) -> str:
        text = f"[{self.code}] {self.what}"
        pairs = (("expected", self.expected), ("found", self.found))
        if given := ", ".join(f"{name} {value}" for name, value in pairs if value is not None):
            text += f": {given}"
        if self.where is not None:
            text += f" (at {self.where})"
        return text + (f". Next: {self.action}" if self.action else "")


class ConfigError(StemmaError):
    """A configuration that cannot be used: unknown key, wrong type, values that contradict each other."""


class DataError(StemmaError):
    """Input data that is malformed, empty, or breaks a promise the next stage relies on."""


class IntegrityError(StemmaError):
    """Stored bytes that are not what their snapshot or receipt says."""


class StorageError(StemmaError):
    """The disk said no: full, read-only, too large, or an error on fsync or close."""


class TrainingError(StemmaError):
    """Training that must not go on: non-finite numbers, a refused resume, a run directory in use."""


class GateError(StemmaError):
    """A gate that must not be evaluated: thresholds or prompts differ from the registered ones."""
