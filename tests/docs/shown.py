"""What the documentation shows: its pages, and the commands, settings, Python, links and codes on them."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from docs.generate import PAGES
from docs.generate.errors import ROOT

DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"^ {4,}(?:\$ )?(.+)$", re.M)
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def pages() -> dict[str, str]:
    """Text by path from the root: pages of ``docs/``, those made when it is built, and those at the root."""
    paths = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]
    found = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return {**found, **{f"docs/{name}": make() for name, make in PAGES.items()}}


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for name, body in FENCE.findall(text) if name == language]


def commands(text: str) -> Iterator[list[str]]:
    """The words of every line of code that calls one of our programs."""
    for line in INDENTED.findall(FENCE.sub("", text)) + [
        line for body in blocks(text, "bash") for line in body.splitlines()
    ]:
        if re.match(r"(stemma|python -m training)\b", line):
            yield shlex.split(line, comments=True)


def links(text: str) -> list[str]:
    """The targets of all links and pictures outside code."""
    return LINK.findall(FENCE.sub("", text))


def inline(text: str) -> list[str]:
    """Everything in backticks outside blocks."""
    return INLINE.findall(FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """What headings can be linked by, as the site names them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", head.replace("`", "")).strip().lower()) for head in heads}


def resolve(page: str, target: str) -> tuple[str, str]:
    """``(path from the root, anchor)`` of a link on a page."""
    path, _, anchor = target.partition("#")
    there = (ROOT / page).parent / path if path else ROOT / page
    return Path(os.path.normpath(there)).relative_to(ROOT).as_posix(), anchor
