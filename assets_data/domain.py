"""What a domain is, and which domains there are.

A domain is one kind of data: a folder ``assets_data/domains/<name>/`` whose ``domain.py`` offers ``DOMAIN``, or a
package of its own that says so by an entry point (group ``stemma.domains``). It lists its stages, parents first, and
ends in one ``dataset_manifest``. Finding domains imports their ``domain.py`` only, so it stays fast.

A plug-in that cannot be imported, or breaks the rules below, is left out and named in :func:`broken_plugins`: one
broken package never takes the others with it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from assets_data import domains
from assets_data.lineage import ConfigError
from assets_data.lineage.receipts.code import has_source
from assets_data.plugins import load_offers
from assets_data.soundness import address_problems, is_plain, preset_problems, stage_problems, twice
from assets_data.stage import Stage

MANIFEST = "dataset_manifest"
FUNCTIONS = ("slices", "standing", "grown", "recorded", "preview", "find", "carried", "tally", "alike", "embed")
"""The members of a domain that name a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One kind of data: its stages and how its slices are found. Functions are named as ``module:function``.

    - ``slices(config, store) -> names``: the slices that the source stage's config offers now.
    - ``standing() -> names``: slices that are always there, known without a run.
    - ``grown(store, most) -> ({slice: state}, warnings)``: slices that recorded sources offer by now, for the sensor;
      the state of one is another when its content may be.
    - ``recorded(store, slice_name) -> overrides``: the settings of the source stage that the slice's own source was
      recorded with; nothing where it was not.
    - ``preview(store, table_snapshot) -> row -> text``: what a training row says, for people.
    - ``find(snapshots, text) -> {record: (where, excerpt)}``: the records that say something; without it the
      columns of text in the source's tables are searched.
    - ``carried(snapshots, records) -> {record: {field: values}}``: what sources say of records besides their content,
      as settings asked them to; nothing for one of which nothing is kept.
    - ``tally(snapshots) -> {field: {value: rows}}``: the same fields over all records of these sources, for reports.
    - ``alike(snapshots, records) -> records``: those that stand for the same content: another spelling of a text.
    - ``embed(source, target, vectors, settings, facts) -> facts``: read a file of rows, ask ``vectors(rows)`` for their
      embeddings, and write both to ``target``; for ``stemma embed``.
    - ``commands(commands, tools)``: further ``stemma`` commands that only make sense for this kind of data.
    - ``jobs``: work that is done on request, each offered as a Dagster job.
    """

    name: str
    stages: tuple[Stage, ...]
    slices: str
    standing: str = ""
    grown: str = ""
    recorded: str = ""
    preview: str = ""
    find: str = ""
    carried: str = ""
    tally: str = ""
    alike: str = ""
    embed: str = ""
    commands: str = ""
    jobs: tuple[Job, ...] = ()

    @property
    def source(self) -> Stage:
        """The stage that reads from outside and whose config says which slices there are: its first source."""
        return next(stage for stage in self.stages if stage.source)

    @property
    def in_tree(self) -> bool:
        """Whether it is one of Stemma's own."""
        return self.stages[-1].make.startswith(f"{domains.__name__}.")

    @property
    def manifest(self) -> str:
        """The kind of its last stage."""
        return f"{self.name}/{MANIFEST}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work on request: ``run(store, config, **fields) -> {asset name: snapshot}``. ``fields``: name to (type, default,
    meaning).
    """

    name: str
    run: str
    says: str
    presets: Mapping[str, Callable[[], Any]]
    fields: Mapping[str, tuple[Any, Any, str]] = field(default_factory=dict[str, tuple[Any, Any, str]])


def find_domains() -> dict[str, Domain]:
    """Every sound domain by name: those of the tree, then those of installed packages."""
    return _found()[0]


def broken_plugins() -> dict[str, str]:
    """Domains that were left out, and why."""
    return _found()[1]


@functools.cache
def _found() -> tuple[dict[str, Domain], dict[str, str]]:
    offers: list[tuple[str, Callable[[], Any]]] = [
        (info.name, functools.partial(_in_tree, info.name)) for info in pkgutil.iter_modules(domains.__path__)
    ]
    offers += [(entry.name, entry.load) for entry in entry_points(group="stemma.domains")]
    return load_offers(offers, check_domain, Domain)


def check_domain(domain: Domain) -> Iterable[str]:
    """Every rule of a domain that this one breaks."""
    if not is_plain(domain.name):
        yield f"{domain.name!r} is no name: letters, digits and underscores"
    yield from _own_problems(domain)
    yield from (problem for stage in domain.stages for problem in stage_problems(stage))
    yield from (f"two stages make {kind}" for kind in twice(stage.kind for stage in domain.stages))
    kinds: list[str] = []
    if not domain.stages or domain.stages[-1].kind != domain.manifest:
        yield f"its last stage must be {domain.manifest}"
    elif domain.stages[-1].sliced:
        yield f"{domain.manifest} is made slice by slice: there must be one over all of them"
    sources = [stage for stage in domain.stages if stage.source]
    if not sources:
        yield "no stage is its source"
    elif not sources[0].sliced:
        yield f"{sources[0].kind} is its first source and has no slices"
    for stage in domain.stages:
        if stage.owner != domain.name:
            yield f"{stage.kind} does not begin with {domain.name}/"
        for given in stage.inputs.values():
            if given.kind.partition("/")[0] == domain.name and given.kind not in kinds:
                yield f"{stage.kind} reads {given.kind}, which is not listed before it"
        kinds.append(stage.kind)


def _own_problems(domain: Domain) -> Iterable[str]:
    """What a domain names besides its stages: functions, commands, jobs."""
    addresses = {name: getattr(domain, name) for name in FUNCTIONS}
    yield from (f"it {problem}" for problem in address_problems(addresses, set(FUNCTIONS) - {"slices"}))
    if domain.commands and not has_source(domain.commands):
        yield f"it names {domain.commands!r} as commands, which is not there"
    for job in domain.jobs:
        if not is_plain(job.name):
            yield f"it has a job called {job.name!r}"
        problems = [*preset_problems(job.presets), *address_problems({"run": job.run})]
        yield from (f"its job {job.name} {problem}" for problem in problems)
    yield from (f"it has two jobs called {name}" for name in twice(job.name for job in domain.jobs))


def require_domain(name: str) -> Domain:
    """The domain of that name. Raises ConfigError DOMAIN_UNKNOWN listing the names, with why one was left out."""
    if (domain := find_domains().get(name)) is None:
        why = broken_plugins().get(name)
        what = f"this domain was left out: {why}" if why else "no such domain"
        raise ConfigError("DOMAIN_UNKNOWN", what, expected=f"one of {sorted(find_domains())}", found=name)
    return domain


def _in_tree(name: str) -> Any:
    return importlib.import_module(f"{domains.__name__}.{name}.domain").DOMAIN
