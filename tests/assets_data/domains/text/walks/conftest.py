"""Real text for the walk tests: two slices of the standard library, tokenised and cut into triples once."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from assets_data.domains.text import config as text
from assets_data.domains.text.raw_slice import make_raw_slice
from assets_data.domains.text.walks.config import DcsbmGraph, RulesConfig, WalkConfig, smoke
from assets_data.domains.text.walks.corpus import make_walk_corpus
from assets_data.lineage import Snapshot, Store
from assets_data.sources import config as fetch
from assets_data.sources.sources import slice_names
from tests.assets_data.domains.text.corpora import trained, triples_of

SMALL = replace(smoke(), train_walks=3200, heldout_walks=200)
BLOCK_MODEL = WalkConfig(
    graph=DcsbmGraph(n=60, p_in=0.5, p_out=0.1),
    rules=RulesConfig(window=8),
    walk_length=48,
    train_walks=6000,
    heldout_walks=300,
)
SHORT = replace(SMALL, rules=RulesConfig(r=(2, 3), max_chance=0.7), walk_length=4)  # so few walks that many coincide


class Text(NamedTuple):
    """Published text: what the walk corpus stage is given."""

    store: Store
    triples: list[Snapshot]
    tokenizer: Snapshot


@pytest.fixture(scope="session")
def text_snapshots(tmp_path_factory) -> Text:
    return publish_text(Store(tmp_path_factory.mktemp("text") / "store"))


def publish_text(store: Store) -> Text:
    raw = [make_raw_slice(store, name, fetch.smoke()) for name in slice_names(fetch.smoke())[:2]]
    tokenizer = trained(store, raw, text.smoke())
    return Text(store, [triples_of(store, part, tokenizer, text.smoke()) for part in raw], tokenizer)


def make(text: Text, store: Store, config: WalkConfig = SMALL, triples: list[Snapshot] | None = None) -> Snapshot:
    return make_walk_corpus(store, by_name(triples or text.triples), text.tokenizer, config)


def by_name(triples: list[Snapshot]) -> dict[str, Snapshot]:
    """The slices as the stage is given them; the same one may stand under two names."""
    return {f"slice-{number}": snapshot for number, snapshot in enumerate(triples)}


@pytest.fixture(scope="session")
def corpora(text_snapshots, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("corpora") / "store")
    configs = {"text": SMALL, "dcsbm": BLOCK_MODEL, "short": SHORT}
    return {name: make(text_snapshots, store, config) for name, config in configs.items()}


@pytest.fixture(params=["text", "dcsbm", "short"])
def corpus(request, corpora):
    return corpora[request.param]
