"""Rows to records: named fields, question and answer pairs, the source's own splits, and what becomes of a bad row.

A row without a value is refused or skipped, a malformed one refused or counted up to a ceiling; either way with the
file and the line. Opens no file.
"""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import Any

from assets_data.lineage import DataError
from assets_data.sources.extract_config import SPLIT_NAMES, ExtractConfig
from assets_data.sources.fields import Steps, as_text, parse_field, value_at
from assets_data.sources.parts import Record

_SHOWN = 10


class Extractor:
    """Makes records of rows under one config."""

    def __init__(self, config: ExtractConfig) -> None:
        self.config, self.qa = config, bool(config.qa.question)
        self._fields = [(path, parse_field(path)) for path in config.fields]
        self._asked = {
            name: (path, parse_field(path))
            for name in ("question", "answer", "context")
            if (path := getattr(config.qa, name))
        }
        self._split = (config.split_field, parse_field(config.split_field)) if config.split_field else None

    def columns(self) -> list[str]:
        """The top-level names that records are made of: what to read of a table."""
        used = [*(self._asked.values() if self.qa else self._fields), *([self._split] if self._split else [])]
        return sorted({str(steps[0]) for _, steps in used})

    def record(self, row: Any, origin: str, where: str, part_split: str) -> Record | None:
        """The record of one row, or None where a value is missing and such rows are skipped.

        Raises DataError ROW_NO_TEXT or ROW_SPLIT with ``where`` (``file:line``).
        """
        if not isinstance(row, dict):
            raise _no_text(row, self.columns(), where)
        if self.qa:
            texts = {name: self._text(row, field, where) for name, field in self._asked.items()}
            question, answer = (texts[name] for name in ("question", "answer"))
            complete = bool(question and question.strip() and answer and answer.strip())
        else:
            texts = {path: self._text(row, (path, steps), where) for path, steps in self._fields}
            complete = None not in texts.values()
        split = self._split_of(row, self._split, where) if self._split else part_split
        if not complete or split is None:
            if self.config.skip_missing:
                return None
            raise _no_text(row, [path for path, _ in (self._asked.values() if self.qa else self._fields)], where)
        prompt, text = self._rendered(texts)
        return Record(origin, text, prompt, split)

    def part_split(self, origin: str) -> str:
        """The split that a whole file belongs to by its path; empty when no pattern matches."""
        pairs = (pair.partition("=") for pair in self.config.split_paths)
        return next((split for split, _, pattern in pairs if fnmatchcase(origin, pattern)), "")

    def _rendered(self, texts: dict[str, str | None]) -> tuple[str, str]:
        values = {name: value or "" for name, value in texts.items()}
        if not self.qa:
            return "", self.config.separator.join(values.values())
        values = {"context": "", **{name: value.strip() for name, value in values.items()}}
        templates = (self.config.qa.prompt_template, self.config.qa.response_template)
        prompt, response = (template.format(**values).strip() for template in templates)
        return prompt, response

    def _text(self, row: Any, field: tuple[str, Steps], where: str) -> str | None:
        try:
            return as_text(value_at(row, field[1]))
        except TypeError as error:
            raise _no_text(row, [field[0]], where, f"{field[0]} is a value of type {error}") from error

    def _split_of(self, row: Any, field: tuple[str, Steps], where: str) -> str | None:
        if (name := self._text(row, field, where)) is None:
            return None
        if (split := SPLIT_NAMES.get(name.strip().lower())) is None:
            known = ", ".join(SPLIT_NAMES)
            raise DataError("ROW_SPLIT", "a row names an unknown split", expected=known, found=name[:100], where=where)
        return split


class Ceiling:
    """Counts a file's malformed rows, and refuses it when there are more than the config allows."""

    def __init__(self, config: ExtractConfig, dropped: Counter[str]) -> None:
        self._most, self._share, self._dropped = config.max_malformed, config.max_malformed_share, dropped
        self._count = 0
        self._first: DataError | None = None

    def drop(self, error: DataError) -> None:
        """Leave out the row that ``error`` is about. Raises it when nothing may be left out."""
        self._count += 1
        self._first = self._first or error
        self._dropped["malformed"] += 1
        if not self._share:
            self._require(self._most)

    def close(self, sound: int) -> None:
        """Judge the whole file, with ``sound`` rows beside the malformed. Raises DataError ROWS_MALFORMED."""
        self._require(max(self._most, int(self._share * (sound + self._count))))

    def _require(self, most: int) -> None:
        if self._first is None or self._count <= most:
            return
        if not (self._most or self._share):
            raise self._first
        raise DataError(
            "ROWS_MALFORMED",
            "more malformed rows than the ceiling allows",
            expected=f"at most {most:,}",
            found=f"{self._count:,}",
            where=self._first.where,
            action=f"repair the file, or raise extract.max_malformed; the first was {self._first}",
        ) from self._first


def _no_text(row: Any, fields: list[str], where: str, found: str = "") -> DataError:
    expected = f"a row with text at {', '.join(map(repr, fields))}"
    found = found or str(sorted(row)[:_SHOWN] if isinstance(row, dict) else type(row).__name__)
    action = "set extract.fields, extract.qa or extract.skip_missing, or repair the row"
    return DataError("ROW_NO_TEXT", "a row has no text", expected=expected, found=found, where=where, action=action)
