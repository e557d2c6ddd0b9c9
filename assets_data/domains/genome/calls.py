"""Alleles as a source says them, and what their labels mean. Knows no file format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

LABELS = ("VUS", "LP", "P", "LB", "B", "listed")
"""The first of several wins: who disagrees, or is not sure, is uncertain. ``listed``: named in a table of diseases."""
_WORDS = {
    "pathogenic": "P",
    "p": "P",
    "likely pathogenic": "LP",
    "lp": "LP",
    "benign": "B",
    "b": "B",
    "likely benign": "LB",
    "lb": "LB",
    "vus": "VUS",
    "uncertain significance": "VUS",
}


class Call(NamedTuple):
    """One allele of one line. ``line`` counts from 1; ``pos`` from 0. Not known: ``count`` and ``frequency`` -1."""

    line: int
    contig: str
    pos: int
    ref: str
    alt: str
    count: int = -1
    frequency: float = -1.0
    label: str = ""


def label_of(value: str) -> str:
    """P, LP, VUS, LB, B, ``listed`` or nothing, of a clinical significance as ClinVar and MITOMAP write it.

    Of ``Pathogenic/Likely_pathogenic`` it is LP, of conflicting ones VUS; ``Cfrm [LP]`` is LP. Of other words, such as
    drug_response, it is ``listed``: known to a clinic, and neither.
    """
    text = value.lower().replace("_", " ").strip()
    if text in ("", ".", "not provided"):
        return ""
    if "conflicting" in text:
        return "VUS"
    if bracket := re.search(r"\[([a-z]+)[*+-]*\]", text):
        text = bracket[1]
    found = {_WORDS[word] for part in re.split(r"[/|,;]", text) if (word := part.strip()) in _WORDS}
    return merge_labels(found) if found else "listed"


def merge_labels(labels: Iterable[str]) -> str:
    """The label of an allele that has several; the empty one says nothing."""
    found = set(labels)
    return next((label for label in LABELS if label in found), "")
