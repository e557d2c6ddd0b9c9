"""Domains and recipes of installed packages: loading what they offer, and leaving out, by name, what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def load_offers(
    offers: Iterable[tuple[str, Callable[[], Any]]], check: Callable[[Any], Iterable[str]], wanted: type
) -> tuple[dict[str, Any], dict[str, str]]:
    """What each offer loads, by name; and of those that do not load or are unsound, why."""
    found: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for name, offer in sorted(offers, key=lambda pair: pair[0]):
        try:
            thing = offer()
        except (Exception, SystemExit) as error:  # a stranger's package: whatever it raises, the others go on
            broken[name] = f"it cannot be imported: {type(error).__name__}: {error}"
            continue
        problems = _problems(name, thing, check, wanted)
        if name in found:
            problems.append("another one has this name")
        if problems:
            broken[name] = "; ".join(problems)
        else:
            found[name] = thing
    return found, broken


def _problems(name: str, thing: Any, check: Callable[[Any], Iterable[str]], wanted: type) -> list[str]:
    if not isinstance(thing, wanted):
        return [f"it offers no {wanted.__name__}"]
    try:
        problems = list(check(thing))
    except (Exception, SystemExit) as error:  # of another shape than the check itself expects, or a preset that leaves
        return [f"it cannot be checked: {type(error).__name__}: {error}"]
    called = getattr(thing, "name", None)
    return problems + ([f"it is offered as {name!r} and calls itself {called!r}"] if called != name else [])
