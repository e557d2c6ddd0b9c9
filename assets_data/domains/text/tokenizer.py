"""The tokenizer stage: byte-level BPE, trained on the training split only, then pinned.

Promises the same vocabulary for the same slices in any order and on any number of threads, and that a tokenizer which
was published once is returned from then on, whatever slices arrive, until ``retrain`` is asked for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from assets_data.domains.text.config import TextConfig
from assets_data.domains.text.documents import iter_documents
from assets_data.lineage import IntegrityError, Snapshot, SnapshotWriter, Store, digest_json, lease, to_dict

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
PINS = "pins/text/tokenizer"


def make_tokenizer(store: Store, raw: list[Snapshot], config: TextConfig) -> Snapshot:
    """The pinned ``text/tokenizer`` snapshot for these settings; trained on ``raw`` and pinned if there is none yet.

    Holds ``tokenizer.json`` and ``documents.json`` (the cleaning and split it was trained under), and the sidecar
    ``trained_on.json``. Raises IntegrityError when the pinned one is broken and ``raw`` does not rebuild it.
    """
    key = digest_json(_settings(config)).removeprefix("sha256:")[:16]
    pin = f"{PINS}/{key}"
    with lease(store.root / "pointers" / f"{pin}.lock"):
        if key in store.names(PINS) and not config.tokenizer.retrain:
            return dataclasses.replace(_pinned(store, pin, raw, config), reused=True)
        snapshot = _train_stage(store, raw, config)
        store.point(pin, snapshot)
        return snapshot


def load_tokenizer(snapshot: Snapshot) -> Tokenizer:
    """The tokenizer, ready to encode. Special tokens spelled out in a text are encoded as text, never as specials."""
    tokenizer = Tokenizer.from_file(str(snapshot.file("tokenizer.json")))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _settings(config: TextConfig) -> dict[str, Any]:
    """What a tokenizer is pinned under: everything that decides it but the slices, and not the wish to retrain."""
    tokenizer = dataclasses.replace(config.tokenizer, retrain=False)
    return {"documents": to_dict(config.documents), "tokenizer": to_dict(tokenizer)}


def _pinned(store: Store, pin: str, raw: list[Snapshot], config: TextConfig) -> Snapshot:
    try:
        return store.pointed(pin)
    except IntegrityError:
        _train_stage(store, raw, config)  # quarantines and rebuilds the broken copy if these slices are what made it
    try:
        return store.pointed(pin)
    except IntegrityError as error:
        action = "restore it from a copy, or set tokenizer.retrain = true and rebuild every triple"
        what = "the pinned tokenizer is broken and these slices do not rebuild it"
        raise IntegrityError("TOKENIZER_PIN_BROKEN", f"{what}: {error}", where=pin, action=action) from error


def _train_stage(store: Store, raw: list[Snapshot], config: TextConfig) -> Snapshot:
    slices = sorted({snapshot.id: snapshot for snapshot in raw}.values(), key=lambda snapshot: snapshot.id)
    return store.run_stage(
        name="text/tokenizer",
        module=__name__,
        config=dataclasses.replace(config.tokenizer, retrain=False),
        arguments={"documents": to_dict(config.documents)},
        parents={"raw_slice": slices},
        seeds={"split": config.documents.seed},
        build=lambda writer: _build(writer, slices, config),
    )


def _build(writer: SnapshotWriter, slices: list[Snapshot], config: TextConfig) -> None:
    seen: Counter[str] = Counter()
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=config.tokenizer.vocab_size,
        min_frequency=config.tokenizer.min_frequency,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(slices, config, seen), trainer)
    tokenizer.save(str(writer.part("tokenizer.json")), pretty=False)
    writer.write_json("documents.json", to_dict(config.documents))
    trained_on = {"slices": [snapshot.id for snapshot in slices], "split": "train", **seen}
    writer.write_json("trained_on.json", trained_on, sidecar=True)
    writer.stats |= {"vocab_size": tokenizer.get_vocab_size(), "slices": len(slices), **seen}


def _training_texts(slices: list[Snapshot], config: TextConfig, seen: Counter[str]) -> Iterator[list[str]]:
    for snapshot in slices:
        for batch in iter_documents(snapshot, config.documents, Counter()):
            training = batch.filter(pl.col("split") == "train")
            texts = [*training.get_column("text"), *filter(None, training.get_column("prompt"))]
            seen.update(documents=len(training), characters=sum(map(len, texts)))
            yield texts
