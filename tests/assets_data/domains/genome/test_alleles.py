"""Every spelling of a change comes to one allele: by brute force on random 12-mers, against whole edited sequences."""

import itertools
from collections import defaultdict

import numpy as np
import pytest

from assets_data.domains.genome.alleles import core, kind_of, normalize, record_id

BASES = "ACGT"


def sequences(seed, count):
    """Random 12-mers, of few letters too: repeats are where alleles can move."""
    random = np.random.default_rng(seed)
    for number in range(count):
        letters = BASES[: 1 + number % 4]
        yield "".join(random.choice(list(letters), 12))


def spellings(sequence, longest_ref, longest_alt):
    """Every allele with REF and ALT of up to so many bases, with the edited sequence."""
    alts = ["".join(p) for n in range(1, longest_alt + 1) for p in itertools.product(BASES, repeat=n)]
    for length in range(1, longest_ref + 1):
        for pos in range(len(sequence) - length + 1):
            ref = sequence[pos : pos + length]
            for alt in alts:
                if alt != ref:
                    yield pos, ref, alt, sequence[:pos] + alt + sequence[pos + length :]


def shortest_leftmost(sequence, edited):
    """The normal form by another way: the longest common end of the two whole sequences is taken off, then the longest
    common beginning, then one base is given back where a side is empty."""
    end = 0
    while end < min(len(sequence), len(edited)) and sequence[len(sequence) - 1 - end] == edited[len(edited) - 1 - end]:
        end += 1
    ref, alt = sequence[: len(sequence) - end], edited[: len(edited) - end]
    front = 0
    while front < min(len(ref), len(alt)) and ref[front] == alt[front]:
        front += 1
    ref, alt = ref[front:], alt[front:]
    if ref and alt:
        return front, ref, alt
    if front:
        return front - 1, sequence[front - 1] + ref, sequence[front - 1] + alt
    behind = sequence[len(ref)]
    return 0, ref + behind, alt + behind


@pytest.mark.parametrize("seed", range(3))
def test_all_alleles_of_random_12_mers_have_one_normal_form_for_each_edited_sequence(seed):
    for sequence in sequences(seed, 8):
        forms = defaultdict(set)
        for pos, ref, alt, edited in spellings(sequence, 4, 3):
            found = normalize(sequence.encode(), pos, ref, alt)
            forms[edited].add(found)
            at, normal_ref, normal_alt = found
            assert sequence[:at] + normal_alt + sequence[at + len(normal_ref) :] == edited, "another haplotype"
            assert sequence[at : at + len(normal_ref)] == normal_ref
            assert normalize(sequence.encode(), *found) == found, "not idempotent"
            assert found == shortest_leftmost(sequence, edited), (sequence, pos, ref, alt)
        assert all(len(found) == 1 for found in forms.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_longer_alleles_of_more_12_mers_too(seed):
    for sequence in sequences(seed, 12):
        for pos, ref, alt, edited in spellings(sequence, 6, 4):
            assert normalize(sequence.encode(), pos, ref, alt) == shortest_leftmost(sequence, edited)


def test_nothing_moves_over_an_n():
    assert normalize(b"CANAAAC", 4, "AA", "A") == (3, "AA", "A")
    assert normalize(b"CAAAAAC", 4, "AA", "A") == (0, "CA", "C")


@pytest.mark.parametrize(
    ("ref", "alt", "kind"),
    [
        ("A", "C", "SNV"),
        ("AG", "CG", "SNV"),
        ("A", "AC", "INS"),
        ("CA", "CTTA", "INS"),
        ("AC", "A", "DEL"),
        ("GA", "A", "DEL"),
        ("AC", "GT", "MNV"),
        ("ACG", "TCA", "MNV"),
        ("AC", "GTT", "INDEL"),
        ("ACC", "GT", "INDEL"),
    ],
)
def test_a_kind_goes_by_the_change_alone(ref, alt, kind):
    assert kind_of(ref, alt) == kind


def test_core_takes_off_what_both_sides_share():
    assert core(10, "CA", "CTTA") == (11, "", "TT") and core(0, "GA", "A") == (0, "G", "")


def test_an_id_tells_alleles_and_sequences_apart():
    ids = {record_id(d, p, r, a) for d in ("x", "y") for p in (1, 2) for r in ("A", "AA") for a in ("C", "CC")}
    assert len(ids) == 16
