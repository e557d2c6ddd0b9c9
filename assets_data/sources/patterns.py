"""Glob patterns that are matched step by step while folders are walked. Knows names, no file system.

A place ``(pattern, step)`` says that so many steps of a pattern are behind; a name leads from places to places.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

Places = frozenset[tuple[int, int]]
_WILD = set("*?[")


class Globs:
    """Some patterns, and which of them matched anything so far."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.texts = list(dict.fromkeys(patterns))
        self._steps = [_steps(text) for text in self.texts]
        self._matched: set[int] = set()

    def start(self) -> Places:
        """Where every pattern begins."""
        return self._reached({(number, 0) for number in range(len(self._steps))})

    def step(self, places: Places, name: str, hidden: bool) -> Places:
        """The places that ``name`` leads to; ``hidden`` names are special unless that is True."""
        special = name.startswith(".") and not hidden
        reached = set()
        for number, at in places:
            step = self._steps[number][at] if at < len(self._steps[number]) else None
            if step == "**":
                if not special:
                    reached.add((number, at))
            elif step is not None and fnmatchcase(name, step) and not (special and not step.startswith(".")):
                reached.add((number, at + 1))
        return self._reached(reached)

    def whole(self, places: Places) -> list[int]:
        """The patterns that are matched to their end; they count as matched from now on."""
        whole = sorted(number for number, at in places if at == len(self._steps[number]))
        self._matched.update(whole)
        return whole

    def unfinished(self, places: Places) -> bool:
        """Whether something below could match."""
        return any(at < len(self._steps[number]) for number, at in places)

    def unmatched(self) -> list[str]:
        """The patterns that nothing matched."""
        return [text for number, text in enumerate(self.texts) if number not in self._matched]

    def _reached(self, places: set[tuple[int, int]]) -> Places:
        """``places``, and those behind a ``**`` that stands for no folder."""
        for number, at in list(places):
            steps = self._steps[number]
            while at < len(steps) and steps[at] == "**":
                at += 1
                places.add((number, at))
        return frozenset(places)


def names_a_suffix(pattern: str) -> bool:
    """Whether the last step says which files it means: ``*.jsonl`` and ``notes`` do, ``*``, ``*.*`` and ``a-*`` not."""
    last = _steps(pattern)[-1]
    return not _WILD & set(last) or ("." in last.lstrip(".") and not _WILD & set(last.rpartition(".")[2]))


def _steps(pattern: str) -> tuple[str, ...]:
    steps = PurePosixPath(pattern).parts
    return (*steps, "*") if steps[-1] == "**" else steps
