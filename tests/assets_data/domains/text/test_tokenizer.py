"""The tokenizer: lossless, blind to held-out text, the same for slices in any order, and pinned."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets_data.domains.text.config import TokenizerConfig
from assets_data.domains.text.tokenizer import BOS, EOS, PAD, SPECIALS, UNK, load_tokenizer, shared_settings
from assets_data.lineage import DataError, IntegrityError, Snapshot, Store
from tests.assets_data.domains.text.corpora import TEXT, documents, documents_of, raw_of, rows_of, trained

RETRAIN = dataclasses.replace(TEXT, tokenizer=TokenizerConfig(vocab_size=320, retrain=True))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tokenizer")
    return load_tokenizer(trained(Store(root), raw_of(Store(root), root / "in", documents(30))))


def vocabulary(snapshot):
    return snapshot.content["parts"]["tokenizer"]


def flip_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@given(st.text(max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_decoding_gives_the_text_back_whatever_it_is(encoder, text):
    ids = encoder.encode(text, add_special_tokens=False).ids
    assert encoder.decode(ids, skip_special_tokens=False) == text
    assert not {PAD, BOS, EOS, UNK} & set(ids)


def test_specials_spelled_out_in_a_text_are_text(encoder):
    text = "a <bos> b <eos><pad> c <unk>"
    (encoding,) = encoder.encode_batch_fast([text], add_special_tokens=False)
    assert min(encoding.ids) > UNK and encoder.decode(encoding.ids) == text
    assert [encoder.token_to_id(token) for token in SPECIALS] == [PAD, BOS, EOS, UNK] == [0, 1, 2, 3]


def test_held_out_documents_leave_no_trace_and_training_documents_do(store, tmp_path):
    texts = documents(60)
    raw = raw_of(store, tmp_path / "all", texts)
    training = [row["text"] for row in rows_of(documents_of(store, raw)) if row["split"] == "train"]
    assert 0 < len(training) < len(texts)
    full = trained(store, raw, RETRAIN)
    assert vocabulary(trained(store, raw_of(store, tmp_path / "some", training), RETRAIN)) == vocabulary(full)
    assert vocabulary(trained(store, raw_of(store, tmp_path / "few", training[1:]), RETRAIN)) != vocabulary(full)
    assert full.read_json("trained_on.json")["documents"] == len(training)


def test_the_order_of_slices_and_slices_given_twice_change_nothing(tmp_path):
    ids = set()
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1)), ("c", (1, 0, 2, 1))):
        store = Store(tmp_path / name)
        raw = [raw_of(store, tmp_path / str(seed), documents(15, seed)) for seed in range(3)]
        ids.add(trained(store, [raw[i] for i in order]).id)
    assert len(ids) == 1


def test_once_published_it_is_pinned_whatever_slices_arrive_until_retraining_is_asked_for(store, tmp_path):
    first, second = (raw_of(store, tmp_path / str(seed), documents(20, seed)) for seed in range(2))
    pinned = trained(store, first)
    later = trained(store, [first, second])
    assert later.id == pinned.id and later.reused and later.receipt == pinned.receipt
    retrained = trained(store, [first, second], RETRAIN)
    assert retrained.id != pinned.id and not retrained.reused
    assert trained(store, second).id == retrained.id


def test_other_settings_have_a_pin_of_their_own(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    larger = dataclasses.replace(TEXT, tokenizer=TokenizerConfig(vocab_size=330))
    seeded = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, seed=1))
    windowed = dataclasses.replace(TEXT, triples=dataclasses.replace(TEXT.triples, window=64))
    assert len({trained(store, raw, config).id for config in (TEXT, larger, seeded)}) == 3
    assert trained(store, raw, windowed).id == trained(store, raw, TEXT).id


def test_the_documents_settings_are_part_of_what_a_tokenizer_is(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    looser = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, max_chars=3_000_000))
    assert vocabulary(trained(store, raw)) == vocabulary(trained(store, raw, looser))
    assert trained(store, raw).id != trained(store, raw, looser).id


def test_slices_cleaned_under_different_settings_are_refused_and_equal_ones_are_read_once(store, tmp_path, monkeypatch):
    raws = [raw_of(store, tmp_path / str(seed), documents(20, seed)) for seed in range(3)]
    looser = dataclasses.replace(TEXT, documents=dataclasses.replace(TEXT.documents, max_chars=3_000_000))
    slices = {str(number): documents_of(store, raw) for number, raw in enumerate(raws)}
    read, read_json = [], Snapshot.read_json
    monkeypatch.setattr(Snapshot, "read_json", lambda self, name: read.append(name) or read_json(self, name))
    assert shared_settings(slices) == slices["2"].read_json("settings.json")
    assert read == ["settings.json"] * 2  # one of the slices', and ours
    for other in ("0", "1", "3"):
        with pytest.raises(DataError) as error:
            shared_settings({**slices, other: documents_of(store, raws[0], looser)})
        assert error.value.code == "TOKENIZER_SETTINGS" and len(error.value.found) == 2


def test_f14_a_broken_pinned_tokenizer_is_rebuilt_from_the_slices_that_made_it(store, tmp_path):
    raw = raw_of(store, tmp_path / "in", documents(20))
    pinned = trained(store, raw)
    flip_byte(pinned.file("tokenizer.json"))
    assert trained(store, raw).id == pinned.id
    store.snapshot(pinned.id).verify(deep=True)


def test_f14_a_broken_pinned_tokenizer_is_never_replaced_by_another(store, tmp_path):
    first, second = (raw_of(store, tmp_path / str(seed), documents(20, seed)) for seed in range(2))
    pinned = trained(store, first)
    flip_byte(pinned.file("tokenizer.json"))
    with pytest.raises(IntegrityError) as error:
        trained(store, second)
    assert error.value.code == "TOKENIZER_PIN_BROKEN"
    assert trained(store, second, RETRAIN).id != pinned.id
