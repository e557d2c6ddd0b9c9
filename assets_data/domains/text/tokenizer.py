"""The tokenizer stage: byte-level BPE, trained on the training split only, then pinned.

Promises the same vocabulary for the same slices in any order and on any number of threads, and that a tokenizer which
was published once is returned from then on, whatever slices arrive, until ``retrain`` is asked for.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.documents import read_documents
from assets_data.domains.text.progress import counted
from assets_data.domains.text.words import cut_long_words
from assets_data.lineage import DataError, IntegrityError, Snapshot, SnapshotWriter, Store, digest_json, lease, to_dict

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
PINS = "pins/text/tokenizer"

Slices = Mapping[str, Snapshot]


def make_tokenizer(store: Store, documents: Mapping[str, Snapshot], config: TextConfig) -> Snapshot:
    """The pinned ``text/tokenizer`` snapshot for these settings; trained on ``documents`` (by slice name) and pinned if
    there is none yet.

    Holds ``tokenizer.json`` and ``documents.json`` (the cleaning and split it was trained under), and the sidecar
    ``trained_on.json``. Raises DataError TOKENIZER_NO_SLICES, TOKENIZER_SETTINGS where the slices were cleaned in
    different ways, and IntegrityError when the pinned one is broken and these documents do not rebuild it.
    """
    settings = shared_settings(documents)
    key = digest_json(_pinned_under(settings, config)).removeprefix("sha256:")[:16]
    pin = f"{PINS}/{key}"
    with lease(store.root / "pointers" / f"{pin}.lock"):
        if key in store.names(PINS) and not config.tokenizer.retrain:
            return dataclasses.replace(_pinned(store, pin, documents, settings, config), reused=True)
        snapshot = _train_stage(store, documents, settings, config)
        store.point(pin, snapshot)
        return snapshot


def load_tokenizer(snapshot: Snapshot) -> Tokenizer:
    """The tokenizer, ready to encode. Special tokens spelled out in a text are encoded as text, never as specials."""
    tokenizer = Tokenizer.from_file(str(snapshot.file("tokenizer.json")))
    tokenizer.encode_special_tokens = True
    return tokenizer


def shared_settings(documents: Mapping[str, Snapshot]) -> dict[str, Any]:
    """The cleaning and split under which every slice's documents were made. Raises DataError where there is no one."""
    name = "settings.json"
    apart = {snapshot.files.get(name, {}).get("sha256"): snapshot for snapshot in documents.values()}
    every = [snapshot.read_json(name) for snapshot in apart.values()]  # one of each kind: there are thousands of slices
    found = {digest_json(settings): settings for settings in every}
    if not found:
        raise DataError("TOKENIZER_NO_SLICES", "a tokenizer is trained on at least one slice's documents")
    if len(found) > 1:
        what, action = "slices were cleaned under different settings", "materialise text/documents of all of them again"
        raise DataError("TOKENIZER_SETTINGS", what, found=list(found.values()), action=action)
    return next(iter(found.values()))


def _pinned_under(settings: Mapping[str, Any], config: TextConfig) -> dict[str, Any]:
    """Everything that decides a tokenizer but the slices, and not the wish to retrain."""
    tokenizer = dataclasses.replace(config.tokenizer, retrain=False)
    return {"documents": settings, "tokenizer": to_dict(tokenizer)}


def _pinned(store: Store, pin: str, documents: Slices, settings: Mapping[str, Any], config: TextConfig) -> Snapshot:
    try:
        return store.pointed(pin)
    except IntegrityError:
        # quarantines and rebuilds the broken copy if these slices are what made it
        _train_stage(store, documents, settings, config)
    try:
        return store.pointed(pin)
    except IntegrityError as error:
        action = "restore it from a copy, or set tokenizer.retrain = true and rebuild every triple"
        what = "the pinned tokenizer is broken and these slices do not rebuild it"
        raise IntegrityError("TOKENIZER_PIN_BROKEN", f"{what}: {error}", where=pin, action=action) from error


def _train_stage(store: Store, documents: Slices, settings: Mapping[str, Any], config: TextConfig) -> Snapshot:
    slices = sorted({snapshot.id: snapshot for snapshot in documents.values()}.values(), key=lambda s: s.id)
    tokenizer = dataclasses.replace(config.tokenizer, retrain=False)
    return store.run_stage(
        name="text/tokenizer",
        module=__name__,
        config={"tokenizer": to_dict(tokenizer)},
        parents={"documents": slices},
        build=lambda writer: _build(writer, slices, settings, config),
    )


def _build(writer: SnapshotWriter, slices: list[Snapshot], settings: Mapping[str, Any], config: TextConfig) -> None:
    seen: Counter[str] = Counter()
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pieces
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.tokenizer.vocab_size,
        min_frequency=config.tokenizer.min_frequency,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=sys.stderr.isatty(),
    )
    texts = _training_texts(slices, seen)
    most = config.tokenizer.max_word_chars
    words = ([piece for text in batch for piece in cut_long_words(text, most, pieces)] for batch in texts)
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.save(str(writer.part("tokenizer.json")), pretty=False)
    writer.write_json("documents.json", settings)
    trained_on = {"slices": [snapshot.id for snapshot in slices], "split": "train", **seen}
    writer.write_json("trained_on.json", trained_on, sidecar=True)
    writer.stats |= {"vocab_size": tokenizer.get_vocab_size(), "slices": len(slices), **seen}


def _training_texts(slices: list[Snapshot], seen: Counter[str]) -> Iterator[list[str]]:
    for snapshot in slices:
        batches = counted(read_documents(snapshot), len, snapshot.stats["rows"], "text/tokenizer")
        for batch in batches:
            training = batch.filter(pl.col("split") == "train")
            texts = [*training.get_column("text"), *filter(None, training.get_column("prompt"))]
            seen.update(documents=len(training), characters=sum(map(len, texts)))
            yield texts
