"""Edited haplotypes against editing the whole sequence; each fault that other projects met is a test by its name."""

import numpy as np
import pytest

from assets_data.domains.genome.alleles import normalize
from assets_data.domains.genome.config import ReferenceConfig
from assets_data.domains.genome.fasta import read_reference
from assets_data.domains.genome.haplotype import Contig, Edit, edit_of, overlap, windows
from assets_data.domains.genome.trajectories import padded
from assets_data.lineage import DataError

WIDTH = 20


def linear(seed=0, length=120):
    return Contig("c", "".join(np.random.default_rng(seed).choice(list("ACGT"), length)).encode())


def edited(contig, edits):
    """The whole sequence, edited from the right."""
    bases = bytearray(contig.bases)
    for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
        bases[edit.start : edit.end] = edit.inserted
    return bytes(bases)


def random_edits(random, contig, anchor):
    """Up to three edits around an anchor that touch no base twice."""
    found = []
    while len(found) < 3:
        start = int(anchor + random.integers(-12, 13))
        deleted = contig.bases[start : start + int(random.integers(0, 5))]
        inserted = "".join(random.choice(list("ACGT"), random.integers(0, 5))).encode()
        edit = Edit(start, deleted, inserted)
        if deleted != inserted and not any(overlap(edit, other) for other in found):
            found.append(edit)
    return found


def test_windows_are_those_of_the_whole_edited_sequence_in_any_order_of_edits():
    random = np.random.default_rng(1)
    for round_ in range(300):
        contig = linear(round_, 200)
        edits = random_edits(random, contig, 100)
        found, steps = windows(contig, 100, edits, WIDTH)
        for count in range(4):
            haplotype = edited(contig, edits[:count])
            assert found[count] in haplotype and len(found[count]) == WIDTH
        index = 100
        for count, step in enumerate(steps):
            before, after = edited(contig, edits[:count]), edited(contig, edits[: count + 1])
            assert found[count] == before[index - WIDTH // 2 : index + WIDTH // 2]
            at, edit = index + step.offset, edits[count]
            assert before[at : at + len(edit.deleted)] == edit.deleted
            assert before[:at] + edit.inserted + before[at + len(edit.deleted) :] == after
            index += step.shift
        assert found[3] == edited(contig, edits)[index - WIDTH // 2 : index + WIDTH // 2]


def test_a_replaced_anchor_stays_and_of_a_deleted_one_it_is_the_last_kept_base_on_its_left():
    contig = Contig("c", b"AAAAAAAAAACCGTTTTTTTTTTTTTT")
    (before, after), _ = windows(contig, 11, [Edit(11, b"C", b"G")], 8)
    assert (before[4], after[4]) == (ord("C"), ord("G"))
    (_, after), (step,) = windows(contig, 11, [Edit(10, b"CCG", b"")], 8)
    assert after == b"AAAATTTT"[:0] + contig.bases[5:10] + b"TTT" and step.shift == -2
    found, _ = windows(contig, 11, [Edit(11, b"CG", b""), Edit(10, b"C", b"")], 8)
    assert found[1] == contig.bases[6:11] + b"TTT" and found[2] == contig.bases[5:10] + b"TTT"


def test_touching_edits_are_applied_and_overlapping_ones_refused():
    contig = Contig("c", b"ACGTACGTACGTACGTACGTACGTACGT")
    deletion, before, behind = Edit(12, b"AC", b""), Edit(12, b"", b"TT"), Edit(14, b"", b"GG")
    found, _ = windows(contig, 14, [deletion, before, behind], 8)
    assert found[3] in b"ACGTACGTACGT" + b"TTGG" + b"GTACGTACGTACGT"
    for edits in ([before, Edit(12, b"", b"A")], [deletion, Edit(13, b"C", b"G")], [deletion, Edit(13, b"", b"G")]):
        with pytest.raises(DataError, match="EDITS_OVERLAP"):
            windows(contig, 14, edits, 8)


def test_an_edit_that_does_not_say_what_the_reference_says_is_refused():
    with pytest.raises(DataError, match="VARIANT_REF_MISMATCH"):
        windows(linear(), 60, [Edit(60, b"N", b"A")], WIDTH)


def test_windows_wrap_at_the_end_of_the_human_mitochondrial_genome():
    """16,569 goes on with 1."""
    contig = read_reference(ReferenceConfig())["MT"].contig
    (before, after), (step,) = windows(contig, 16_568, [edit_of((0, "G", "GTT"))], 10)
    assert before == contig.bases[-6:] + contig.bases[:4] and len(contig.bases) == 16_569
    assert after == contig.bases[-6:] + b"GTTA" and step.offset == 2
    (_, moved), (left,) = windows(contig, 2, [edit_of((16_567, "TG", "T"))], 10)
    assert moved == contig.bases[-4:-1] + contig.bases[:7] and left.shift == -1
    with pytest.raises(DataError, match="WINDOW_OFF_CONTIG"):
        windows(Contig("c", contig.bases), 16_568, [], 10)


def test_haplotypes_are_not_cut_at_the_3_prime_end_genvarloader_153():
    """A deletion near the end of a window is filled with the bases that follow, not with padding."""
    contig = linear(3)
    (_, after), _ = windows(contig, 60, [Edit(64, contig.bases[64:69], b"")], WIDTH)
    assert after == contig.bases[50:64] + contig.bases[69:75]


def test_unaligned_indels_are_no_canonical_ones_genvarloader_200():
    """Two spellings of one deletion give one allele, one edit and the same windows."""
    contig = Contig("c", b"GGGGGGGGGGCAAAAAAAATGGGGGGGGGGGGGGGGG")
    spelled = [(10, "CA", "C"), (15, "AA", "A"), (17, "AAT", "AT")]
    forms = {normalize(contig.bases, *allele) for allele in spelled}
    assert forms == {(10, "CA", "C")}
    assert len({tuple(windows(contig, 16, [edit_of(a)], 10)[0][1:]) for a in spelled}) > 1, "offsets differ unaligned"


def test_alleles_need_not_be_of_equal_length_grelu_45():
    contig = linear(4)
    for inserted in (b"", b"A", b"ACGTACGTACGT"):
        found, _ = windows(contig, 60, [Edit(58, contig.bases[58:61], inserted)], WIDTH)
        assert [len(window) for window in found] == [WIDTH, WIDTH]


def test_padding_does_not_make_a_aa_and_aaa_equal():
    assert len({padded(b"A" * length).tobytes() for length in range(4)}) == 4
