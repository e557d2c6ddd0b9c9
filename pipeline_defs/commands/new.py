"""``stemma new domain`` and ``stemma new recipe``: a small installable package that is the example to start from.

The templates are real code below ``templates/``, in which ``newdomain``, ``newrecipe`` and ``newparent`` stand for the
names; ``parent/`` holds the files that differ where a recipe reads another one's checkpoint.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import keyword
import re
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from assets_data.domain import MANIFEST, Domain, find_domains, require_domain
from assets_data.lineage import ConfigError
from assets_data.lineage.storage import atomic
from training import recipes
from training.recipe import Recipe

TEMPLATES = Path(__file__).parent / "templates"
RESERVED = ("pins",)  # the store keeps pins under this name


def add_parsers(commands: Any) -> None:
    """Add the command to the subparsers of ``stemma``."""
    text = "write a small installable package to start a domain or a recipe from"
    kinds = commands.add_parser("new", help=text, description=text).add_subparsers(required=True, metavar="KIND")
    domain = kinds.add_parser("domain", help="rows of numbers from CSV files: stages, schemas, checks, tests")
    recipe = kinds.add_parser("recipe", help="a small regression network on such a domain, with its gate and tests")
    for parser, write in ((domain, _domain), (recipe, _recipe)):
        parser.add_argument("name", help="a Python identifier in lower case that nothing else is called")
        parser.add_argument("directory", type=Path, metavar="DIR", help="where the folder NAME is made")
        parser.set_defaults(command=write)
    recipe.add_argument("--domain", help="what it trains on; default: its parent's, or the only one that fits")
    recipe.add_argument("--parent", metavar="RECIPE", help="another recipe whose checkpoint it reads")


def new_domain(name: str, directory: Path) -> Path:
    """Write the package of a domain and return its folder.

    Raises ConfigError NEW_NAME, NEW_NAME_TAKEN or NEW_TARGET, with nothing written.
    """
    return _write([TEMPLATES / "domain"], _target(name, directory), {"newdomain": name})


def new_recipe(name: str, directory: Path, domain: str | None = None, parent: str | None = None) -> Path:
    """Write the package of a recipe and return its folder. Errors as for :func:`new_domain`, and NEW_DOMAIN,
    NEW_PARENT for a domain or a parent that the template cannot read.
    """
    target = _target(name, directory)
    teacher = _parent(parent) if parent else None
    chosen = _chosen_domain(domain, teacher)
    words = {"newdomain.read": _reader(chosen), "newdomain": chosen.name, "newrecipe": name}
    if teacher is None:
        return _write([TEMPLATES / "recipe"], target, words)
    if f"{chosen.name}/{MANIFEST}" not in {given.kind for given in teacher.inputs.values()}:
        what = "parent and child must read the same manifest"
        raise ConfigError("NEW_PARENT", what, expected=f"{chosen.name}/{MANIFEST}", found=teacher.name)
    words |= {"from newparent import RECIPE": _offer(teacher), "newparent": teacher.name}
    return _write([TEMPLATES / "recipe", TEMPLATES / "parent"], target, words)


def _domain(options: argparse.Namespace) -> int:
    return _say(new_domain(options.name, options.directory))


def _recipe(options: argparse.Namespace) -> int:
    return _say(new_recipe(options.name, options.directory, options.domain, options.parent))


def _say(folder: Path) -> int:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"  {path.relative_to(folder.parent)}")
    print(f"\nNext: pip install --no-deps -e {folder}, then {folder / 'README.md'}.")
    return 0


def _target(name: str, directory: Path) -> Path:
    """The folder to write. Raises ConfigError for a name that cannot be one or is taken, or if something is there."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name) or keyword.iskeyword(name) or name in RESERVED:
        what = "the name must be a Python identifier in lower case, of at most 50 characters"
        raise ConfigError("NEW_NAME", what, found=name)
    if taken := _taken(name):
        raise ConfigError("NEW_NAME_TAKEN", f"this name is taken: {taken}", found=name, action="choose another one")
    target = directory / name
    if target.is_symlink() or target.is_file() or (target.is_dir() and any(target.iterdir())):
        action = "choose another directory, or move it away"
        raise ConfigError("NEW_TARGET", "there is something already", where=target, action=action)
    return target


def _taken(name: str) -> str | None:
    from pipeline_defs.catalogue import catalogue

    known = catalogue()
    for what, names in (("a domain", known.domains), ("a recipe", known.recipes), ("one that is broken", known.broken)):
        if name in names:
            return what
    spec = importlib.util.find_spec(name)
    importable = name in sys.stdlib_module_names or (spec is not None and spec.origin is not None)
    return "a Python package that is installed here" if importable else None


def _parent(name: str) -> Recipe:
    from pipeline_defs.catalogue import catalogue

    recipe = catalogue().recipe(name)
    if not callable(getattr(recipe, "predict", None)):
        what = "the template asks its parent for predict(model, data) -> {split: float32[N]}"
        action = "give it that method, or begin without --parent"
        raise ConfigError("NEW_PARENT", what, found=f"{name} has none", action=action)
    return recipe


def _chosen_domain(name: str | None, parent: Recipe | None) -> Domain:
    """The domain to train on. Raises ConfigError DOMAIN_UNKNOWN or NEW_DOMAIN."""
    if name is None and parent is not None:
        kinds = [given.kind for given in parent.inputs.values() if given.kind.endswith(f"/{MANIFEST}")]
        name = kinds[0].partition("/")[0] if kinds else None
    fitting = sorted(domain.name for domain in find_domains().values() if _fits(domain))
    if name is None and len(fitting) == 1:
        name = fitting[0]
    if name is not None and _fits(require_domain(name)):
        return require_domain(name)
    what = "the template reads rows of numbers, by open_slices and open_rows of the domain's read.py"
    action = "name one with --domain, or begin with `stemma new domain`"
    raise ConfigError("NEW_DOMAIN", what, expected=f"one of {fitting}", found=name, action=action)


def _fits(domain: Domain) -> bool:
    try:
        reader = importlib.import_module(_reader(domain))
    except ImportError:
        return False
    return hasattr(reader, "open_rows") and hasattr(reader, "open_slices")


def _reader(domain: Domain) -> str:
    return f"{domain.stages[-1].make.partition(':')[0].rpartition('.')[0]}.read"


def _offer(recipe: Recipe) -> str:
    """The import of a recipe, by the way in which it is offered."""
    for entry in entry_points(group="stemma.recipes", name=recipe.name):
        return f"from {entry.module} import {entry.attr}"
    return f"from {recipes.__name__}.{recipe.name} import RECIPE"


def _write(templates: list[Path], target: Path, words: Mapping[str, str]) -> Path:
    """Every file of the templates, a later one's instead of an earlier one's, with the words put in; all or nothing."""
    every = {**words, **{old.upper(): new.upper() for old, new in words.items() if old.isidentifier()}}
    pattern = re.compile("|".join(re.escape(word) for word in sorted(every, key=len, reverse=True)))

    def put_in(text: str) -> str:
        return pattern.sub(lambda found: every[found[0]], text)

    temp = atomic.temp_beside(target)
    with atomic.disk_errors(target):
        try:
            for template in templates:
                for path in sorted(path for path in template.rglob("*") if path.suffix in (".py", ".toml", ".md")):
                    made = temp / put_in(str(path.relative_to(template)))
                    made.parent.mkdir(parents=True, exist_ok=True)
                    made.write_text(put_in(path.read_text()))
            if not atomic.publish_directory(temp, target):
                raise ConfigError("NEW_TARGET", "something was written there meanwhile", where=target)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    return target
