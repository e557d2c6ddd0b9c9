"""Rows to records: named fields, question and answer pairs, the source's own splits. Opens no file.

A row without a value is refused or skipped, a malformed one refused; either way with the file and the line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from assets_data.lineage import DataError
from assets_data.sources.extract_config import SPLIT_NAMES, ExtractConfig
from assets_data.sources.fields import ABSENT, Steps, Unfit, kind_of, parse_field, spelled, texts_in, value_at
from assets_data.sources.parts import Record

_SHOWN = 10
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class Extractor:
    """Makes the records of one file under one config. ``origin`` is the file's path below its source's root.

    Folders named ``key=value``, as Hive and Spark write them, are fields that a row may be without.
    """

    def __init__(self, config: ExtractConfig, origin: str) -> None:
        self.config, self.qa = config, bool(config.qa.question)
        asked = (config.qa.question, config.qa.answer, config.qa.context) if self.qa else config.fields
        self.texts = {path: parse_field(path) for path in asked if path}
        self.split = {path: parse_field(path) for path in (config.split_field,) if path}
        self.carried = {path: parse_field(path) for path in config.carry}
        self.keys = folder_keys(origin)
        self.part_split = _split_by_path(config.split_paths, origin)

    @property
    def fields(self) -> dict[str, Steps]:
        """Every field path that records are made of."""
        return self.texts | self.split | self.carried

    def may_lack(self, path: str) -> bool:
        """Whether a table may have no such column: what a row may be without, or a folder's name gives."""
        steps = self.fields[path]
        given = len(steps) == 1 and steps[0] in self.keys
        left_out = self.config.skip_missing and path in self.texts
        return given or left_out or path in self.carried or (self.qa and path == self.config.qa.context)

    def values(self, row: Any, where: str) -> dict[str, Any]:
        """The value of every field of a row of JSON. Raises DataError ROW_NO_TEXT when it is no object."""
        if not isinstance(row, dict):
            raise _no_text(self.texts, f"a row that is {kind_of(row)}", where)
        return {path: value_at(row, steps) for path, steps in self.fields.items()}

    def record(self, values: Mapping[str, Any], origin: str, where: str, names: Collection[str]) -> Record | None:
        """The record of one row, or None where a value is missing and such rows are skipped.

        ``values`` is by field path, ``names`` are the row's own fields. Raises DataError ROW_NO_TEXT, ROW_LIST,
        ROW_SPLIT or ROW_NOT_UTF8 with ``where`` (``file:line``).
        """
        texts = {path: self._text(path, values, where, names) for path in self.texts}
        asked = [path for path in texts if not (self.qa and path == self.config.qa.context)]
        missing = [path for path in asked if texts[path] is None or (self.qa and not (texts[path] or "").strip())]
        split = self._split_of(values, where, names)
        if missing or split is None:
            if self.config.skip_missing:
                return None
            if missing:
                raise _no_text(missing, _absence(values, missing, names), where, names)
            raise self._no_split(names, where)
        prompt, text = self._rendered({path: text or "" for path, text in texts.items()})
        return Record(origin, text, prompt, split, self._carried(values, where, names))

    def whole(self, text: str, origin: str, where: str) -> Record:
        """The record of a file that is one text."""
        values = dict.fromkeys(self.fields, ABSENT)
        split = self._split_of(values, where, ())
        return Record(origin, text, "", self.part_split if split is None else split, self._carried(values, where, ()))

    def _carried(self, values: Mapping[str, Any], where: str, names: Collection[str]) -> str:
        """The texts of the fields to carry, those that the row has; nothing where none is asked for."""
        found = {path: self._text(path, values, where, names) for path in self.carried}
        said = {path: text for path, text in found.items() if text is not None}
        return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if found else ""

    def _rendered(self, texts: dict[str, str]) -> tuple[str, str]:
        if not self.qa:
            return "", self.config.separator.join(texts.values())
        qa = self.config.qa
        named = {"question": qa.question, "answer": qa.answer, "context": qa.context}
        values = {name: texts[path].strip() if path else "" for name, path in named.items()}
        prompt, response = (
            template.format(**values).strip() for template in (qa.prompt_template, qa.response_template)
        )
        return prompt, response

    def _text(self, path: str, values: Mapping[str, Any], where: str, names: Collection[str]) -> str | None:
        value = self._given(path, values)
        if isinstance(value, str):
            return value
        if isinstance(value, Unfit) and value.code != "ROW_NO_TEXT":
            raise DataError(value.code, value.what, where=where)
        try:
            texts = texts_in(value)
        except TypeError as error:
            kind = f"a value of type {value.what}" if isinstance(value, Unfit) else str(error)
            raise _no_text([path], f"{kind} at {path!r}", where, names) from error
        if self.qa and path in self.texts and path != self.config.qa.context:
            if len(set(texts)) > 1:
                raise _several(path, len(texts), where)
            texts = texts[:1]
        return self.config.separator.join(texts) if texts else None

    def _given(self, path: str, values: Mapping[str, Any]) -> Any:
        """The row's own value; where it has none, that of a folder's name."""
        steps, value = self.fields[path], values[path]
        return self.keys.get(str(steps[0]), ABSENT) if value is ABSENT and len(steps) == 1 else value

    def _split_of(self, values: Mapping[str, Any], where: str, names: Collection[str]) -> str | None:
        """The split that a row or its file says; empty where it says none (null); None where the field is not there."""
        for path in self.split:
            if self._given(path, values) is ABSENT:
                return None
            name = (self._text(path, values, where, names) or "").strip()
            if name and (split := SPLIT_NAMES.get(name.lower())) is None:
                known = ", ".join(SPLIT_NAMES)
                what = f"a row names an unknown split at {path!r}"
                raise DataError("ROW_SPLIT", what, expected=known, found=ascii(name[:100]), where=where)
            if name:
                return split
        return self.part_split

    def _no_split(self, names: Collection[str], where: str) -> DataError:
        what, expected = "a row has no split", f"a row with a field {self.config.split_field!r}, or null there"
        action = "set extract.split_field to the field that names the split, or leave it empty: splits are then drawn"
        return DataError("ROW_SPLIT", what, expected=expected, found=_listed(names), where=where, action=action)


def folder_keys(origin: str) -> dict[str, str | None]:
    """What the folders of a path say: ``{"lang": "en"}`` of ``lang=en/a.parquet``."""
    pairs = [folder.partition("=") for folder in origin.split("/")[:-1]]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, is_pair, value in pairs if is_pair}


def _split_by_path(pairs: Iterable[str], origin: str) -> str:
    """The split that a whole file belongs to by its path; empty when no pattern matches."""
    found = (pair.partition("=") for pair in pairs)
    return next((split for split, _, pattern in found if fnmatchcase(origin, pattern)), "")


def _several(path: str, count: int, where: str) -> DataError:
    action = f"say which is meant, such as {path}[0]"
    what = "a question or an answer is a list of several"
    return DataError("ROW_LIST", what, expected="one value", found=f"{count} at {path!r}", where=where, action=action)


def _absence(values: Mapping[str, Any], missing: list[str], names: Collection[str]) -> str:
    path = missing[0]
    if values[path] is ABSENT:
        return f"no {path!r} among {_listed(names)}"
    kinds = {list: "a list without a text", str: "an empty text", float: "a number that is none"}
    return f"{kinds.get(type(values[path]), 'null')} at {path!r}"


def _no_text(fields: Iterable[str], found: str, where: str, names: Collection[str] = ()) -> DataError:
    expected = f"a row with text at {', '.join(map(repr, fields))}"
    action = "set extract.fields, extract.qa, extract.carry or extract.skip_missing, or repair the row"
    if dotted := [name for name in fields if name in names and name != spelled(name)]:
        action = f"a name that holds a dot is a quoted step: write {spelled(dotted[0])!r}"
    return DataError("ROW_NO_TEXT", "a row has no text", expected=expected, found=found, where=where, action=action)


def _listed(names: Collection[str]) -> str:
    return str(sorted(names)[:_SHOWN])
