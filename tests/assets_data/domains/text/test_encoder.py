"""The encoder: pre-tokens where the tokenizer cuts, its very ids, and none encoded twice."""

import itertools
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from assets_data.domains.text import encoder as encoder_module
from assets_data.domains.text.encoder import LONGEST, Encoder
from assets_data.domains.text.pretokens import cut
from assets_data.domains.text.tokenizer import load_tokenizer
from assets_data.lineage import Store
from tests.assets_data.domains.text.corpora import documents, raw_of, trained

KINDS = "as1!' \n\t\x1c\xa0\u3000é½\u0301"
MIXED = st.text(st.one_of(st.sampled_from("astrevlmd''' \n"), st.characters(codec="utf-8")), max_size=30)


class Asked:
    """A tokenizer that also tells what it was asked for."""

    def __init__(self, tokenizer):
        self.tokenizer, self.texts = tokenizer, []

    def get_vocab_size(self):
        return self.tokenizer.get_vocab_size()

    def encode_batch_fast(self, texts, **options):
        self.texts += texts
        return self.tokenizer.encode_batch_fast(texts, **options)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoder")
    return load_tokenizer(trained(Store(root), raw_of(Store(root), root / "in", documents(30))))


def pretokens(texts):
    """Every pre-token's bytes, of texts that lie end to end."""
    utf8 = [text.encode() for text in texts]
    whole, offsets = b"".join(utf8), np.cumsum([0, *map(len, utf8)])
    places = cut(memoryview(whole), offsets)
    return [whole[begin:end] for begin, end in itertools.pairwise(places.tolist())]


def expected_pretokens(texts):
    own = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return [text[a:b].encode() for text in texts for _, (a, b) in own.pre_tokenize_str(text)]


def ids_of(encoder, texts):
    ids, lengths = encoder.encode(pl.Series(texts, dtype=pl.String))
    assert ids.dtype == encoder.token_type and len(lengths) == len(texts)
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]


def expected_ids(tokenizer, texts):
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


def test_pretokens_are_cut_where_the_tokenizer_cuts_in_every_text_of_four_characters_of_every_kind():
    texts = ["".join(four) for four in itertools.product(KINDS, repeat=4)]
    assert pretokens(texts) == expected_pretokens(texts)


def test_every_character_is_of_the_kind_that_the_tokenizer_takes_it_for():
    points = [*range(0x3100), *range(0x3100, 0xD800, 17), *range(0xE000, 0x20000, 17), 0xE0100, sys.maxunicode]
    texts = ["".join(f"a{chr(p)}1{chr(p)}!{chr(p)}a" for p in points)]
    assert pretokens(texts) == expected_pretokens(texts)


def test_contractions_are_cut_wherever_a_pretoken_can_begin_with_a_quote():
    endings = ("s", "t", "re", "ve", "m", "ll", "d", "r", "l", "S", "x")
    before, behind = (
        ("", "a", "1", "!", " ", "  ", "\n", "a'", "'", "é", "…", "\u3000"),
        ("", "a", "é", "'s", " ", "1", "!"),
    )
    texts = [f"{first}'{ending}{last}" for first in before for ending in endings for last in behind]
    assert pretokens(texts) == expected_pretokens(texts)


@given(st.lists(MIXED, max_size=4))
def test_texts_that_lie_end_to_end_are_cut_each_by_itself(texts):
    assert pretokens(texts) == expected_pretokens(texts)


@given(st.lists(MIXED, max_size=4))
def test_ids_are_those_of_the_tokenizer(tokenizer, texts):
    assert ids_of(Encoder(tokenizer), texts) == expected_ids(tokenizer, texts)


def test_specials_spelled_out_are_text(tokenizer):
    texts = ["a <bos> b <eos><pad> c <unk>", "<pad>"]
    assert ids_of(Encoder(tokenizer), texts) == expected_ids(tokenizer, texts)


def test_a_pretoken_is_encoded_once(tokenizer):
    asked = Asked(tokenizer)
    encoder, texts = Encoder(asked), documents(20)
    assert ids_of(encoder, texts[:10]) == expected_ids(tokenizer, texts[:10])
    assert ids_of(encoder, texts) == expected_ids(tokenizer, texts)
    assert sorted(asked.texts) == sorted({pretoken.decode() for pretoken in expected_pretokens(texts)})


def test_what_is_remembered_is_bounded_in_number_and_length(tokenizer, monkeypatch):
    monkeypatch.setattr(encoder_module, "KNOWN", 10)
    asked, long = Asked(tokenizer), "x" * (LONGEST + 1)
    encoder, words = Encoder(asked), [f"{'ab' * n} {long} {long} {long}" for n in range(1, 20)]
    for word in words * 2:
        assert ids_of(encoder, [word]) == expected_ids(tokenizer, [word])
    assert asked.texts.count(f" {long}") == 2 * len(words)
    assert 1 < asked.texts.count("ab") < 2 * len(words)


def test_texts_whose_pretokens_hardly_repeat_are_asked_whole_and_remembered_by_nobody(tokenizer):
    asked, text = Asked(tokenizer), "漢字仮名交じり文 é٣𝟘 abc"
    encoder = Encoder(asked)
    for texts in ([text, "", "x"], [text, text[::-1], "x"]):
        asked.texts.clear()
        assert ids_of(encoder, texts) == expected_ids(tokenizer, texts)
        assert asked.texts == texts
    assert ids_of(encoder, [text] * 3) == expected_ids(tokenizer, [text] * 3)
    assert text not in asked.texts[3:]


def test_many_threads_get_the_same_ids(tokenizer):
    encoder, rng = Encoder(tokenizer), random.Random(0)
    batches = [rng.sample(documents(30), 20) for _ in range(16)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda texts: ids_of(encoder, texts), batches))
    assert found == [expected_ids(tokenizer, texts) for texts in batches]


def test_ids_of_a_vocabulary_beyond_two_bytes_take_four():
    alphabet = {character: (1 << 16) + place for place, character in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    tokenizer = Tokenizer(models.BPE({f"<{number}>": number for number in range(1 << 16)} | alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder = Encoder(tokenizer)
    assert encoder.token_type == np.uint32
    assert ids_of(encoder, ["some text"]) == expected_ids(tokenizer, ["some text"])
