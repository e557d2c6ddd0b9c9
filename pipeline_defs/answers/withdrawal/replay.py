"""Doing again what a receipt says was done: the stage functions by kind, called with a receipt's config and arguments.

What ``rebuild`` and ``withdraw --apply`` share. A kind that is not listed here cannot be replayed, and is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets_data.lineage import DataError, Snapshot, Store, from_dict
from assets_data.lineage.queries.tree import Node
from assets_data.lineage.receipts.provenance import Provenance
from assets_data.lineage.storage.redaction import WITHDRAWN, WITHDRAWN_FROM, redact
from training.recipe import STAGES, Recipe

if TYPE_CHECKING:
    from training.branch import Origin

Parents = Mapping[str, list[Snapshot]]
Duplicates = Callable[[Provenance, Snapshot], Snapshot | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """Where to publish, what finds the duplicates a slice's triples were made with, and the last state of an earlier
    run (its folder) that training may go on from; without one it begins anew."""

    store: Store
    duplicates: Duplicates
    state: Path | None = None

    def run(self, account: Provenance, parents: Parents) -> Snapshot:
        """What the account's stage makes of ``parents`` today. Raises DataError REPLAY_UNKNOWN for another kind."""
        store = dataclasses.replace(self.store, requested=account.requested)
        if WITHDRAWN in account.arguments:
            records = [bytes.fromhex(record) for record in account.arguments[WITHDRAWN]]
            return redact(store, parents[WITHDRAWN_FROM][0], records)
        stage = account.stage.partition("/")[2]
        key = stage if stage in STAGES else account.stage
        if (function := _STAGES.get(key)) is None:
            action = "run it by hand, then point its name at the result"
            raise DataError("REPLAY_UNKNOWN", "this kind cannot be replayed", found=account.stage, action=action)
        return function(self, store, account, parents)

    def _raw_slice(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.raw_slice import make_raw_slice
        from assets_data.sources.config import SourceConfig

        return make_raw_slice(store, account.arguments["slice"], from_dict(SourceConfig, account.config))

    def _tokenizer(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.config import TokenizerConfig
        from assets_data.domains.text.tokenizer import make_tokenizer

        pinned_anew = {**account.config, "retrain": True}
        config = _text_config(account, tokenizer=from_dict(TokenizerConfig, pinned_anew))
        return make_tokenizer(store, parents["raw_slice"], config)

    def _duplicates(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.config import DuplicatesConfig
        from assets_data.domains.text.duplicates import make_duplicates

        raw = {str(place): snapshot for place, snapshot in enumerate(parents["raw_slice"])}
        return make_duplicates(
            store, raw, _text_config(account, duplicates=from_dict(DuplicatesConfig, account.config))
        )

    def _triples(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.config import TriplesConfig
        from assets_data.domains.text.triples import make_triples

        (raw,), (tokenizer,) = parents["raw_slice"], parents["tokenizer"]
        config = _text_config(account, triples=from_dict(TriplesConfig, account.config))
        return make_triples(store, raw, tokenizer, config, self.duplicates(account, raw))

    def _quality_summary(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.quality_summary import make_quality_summary

        names = account.arguments["slices"]
        raw, triples = (dict(zip(names, parents[group], strict=True)) for group in ("raw_slice", "triples"))
        return make_quality_summary(store, raw, triples)

    def _walk_corpus(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.walks.config import WalkConfig
        from assets_data.domains.text.walks.corpus import make_walk_corpus

        (tokenizer,) = parents["tokenizer"]
        return make_walk_corpus(store, parents.get("triples", []), tokenizer, from_dict(WalkConfig, account.config))

    def _dataset_manifest(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from assets_data.domains.text.manifest import make_dataset_manifest

        slices = dict(zip(account.arguments["slices"], parents["triples"], strict=True))
        return make_dataset_manifest(store, slices, parents["tokenizer"][0], parents["walk_corpus"][0])

    def _preflight_report(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from training.stages import make_preflight_report

        recipe = _recipe(account)
        config = from_dict(recipe.config_type, account.config)
        return make_preflight_report(store, recipe, parents["manifest"][0], config)

    def _checkpoint(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from training.stages import make_checkpoint

        (manifest,), (preflight,), recipe = parents["manifest"], parents["preflight"], _recipe(account)
        return make_checkpoint(store, recipe, manifest, preflight, self._origin(store, account, recipe, manifest))

    def _origin(self, store: Store, account: Provenance, recipe: Recipe, manifest: Snapshot) -> Origin | None:
        if self.state is None:
            return None
        from training.branch import exact_origin

        config = from_dict(recipe.config_type, account.config)
        return exact_origin(self.state, config, recipe.open_data(store, manifest, config))

    def _gate_report(self, store: Store, account: Provenance, parents: Parents) -> Snapshot:
        from training.stages import make_gate_report

        manifest, preflight, checkpoint = (parents[name][0] for name in ("manifest", "preflight", "checkpoint"))
        return make_gate_report(store, _recipe(account), manifest, preflight, checkpoint)


_STAGES: dict[str, Callable[[Replay, Store, Provenance, Parents], Snapshot]] = {
    "text/raw_slice": Replay._raw_slice,
    "text/tokenizer": Replay._tokenizer,
    "text/duplicates": Replay._duplicates,
    "text/triples": Replay._triples,
    "text/quality_summary": Replay._quality_summary,
    "text/walk_corpus": Replay._walk_corpus,
    "text/dataset_manifest": Replay._dataset_manifest,
    "preflight_report": Replay._preflight_report,
    "checkpoint": Replay._checkpoint,
    "gate_report": Replay._gate_report,
}


def newest(node: Node) -> Provenance:
    """The latest account of a node. Raises the node's fault when it has none."""
    if not node.accounts:
        raise node.fault or DataError("RECEIPT_MISSING", "no receipt says how this was made", found=node.id)
    return max(node.accounts, key=lambda account: (account.finished, account.id))


def _text_config(account: Provenance, **sections: Any) -> Any:
    from assets_data.domains.text.config import DocumentsConfig, TextConfig

    return TextConfig(documents=from_dict(DocumentsConfig, account.arguments["documents"]), **sections)


def _recipe(account: Provenance) -> Recipe:
    from training.recipe import discover

    name = account.stage.partition("/")[0]
    if (recipe := discover().get(name)) is None:
        raise DataError("REPLAY_UNKNOWN", "there is no such recipe here", found=name)
    return recipe
