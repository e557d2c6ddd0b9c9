"""Draws with exact quotas, and what taking an allele out changes."""

import numpy as np
import pytest

from assets_data.domains.genome.config import TrajectoriesConfig
from assets_data.domains.genome.draw import Drawn, Pool, draw_item, plan, quotas
from assets_data.domains.genome.haplotype import Contig
from assets_data.domains.genome.near import near_rows
from assets_data.domains.genome.read import KINDS, encode, reverse_complement

CONFIG = TrajectoriesConfig()
SEQUENCE = "".join(np.random.default_rng(0).choice(list("ACGT"), 1200))
OBSERVED = {
    ("c", place): [Drawn((place, SEQUENCE[place], "ACGT"[("ACGT".find(SEQUENCE[place]) + 1) % 4]), f"record-{place}")]
    for place in range(100, 1100, 3)
}


def pool(observed=OBSERVED, barred=frozenset()):
    anchors = [("c", place) for place in range(150, 1050)]
    return Pool(contigs={"c": Contig("c", SEQUENCE.encode())}, anchors=anchors, observed=observed, barred=barred)


def items(count=400, **changes):
    quota = plan(CONFIG, "train", 0, count)
    return [draw_item(CONFIG, pool(**changes), quota, "train", 0, number) for number in range(count)]


@pytest.mark.parametrize("count", [7, 100, 1001])
def test_quotas_are_exact_in_every_epoch(count):
    for epoch in (0, 1):
        made = plan(CONFIG, "train", epoch, count)
        assert np.bincount(made.steps, minlength=4)[1:].tolist() == quotas(CONFIG.steps, count).tolist()
        used = made.kinds[np.arange(3)[None, :] < made.steps[:, None]]
        assert np.bincount(used, minlength=5).tolist() == quotas(CONFIG.kinds, len(used)).tolist()
    assert not np.array_equal(plan(CONFIG, "train", 0, 100).steps, plan(CONFIG, "train", 1, 100).steps)


def test_largest_remainders_get_what_is_left():
    assert quotas((0.5, 0.25, 0.25), 5).tolist() == [3, 1, 1] and quotas((1, 1, 1), 8).tolist() == [3, 3, 2]


def test_every_edit_is_of_the_kind_that_was_asked_for_and_near_its_anchor():
    from assets_data.domains.genome.alleles import kind_of, normalize
    from assets_data.domains.genome.haplotype import edit_of, overlap

    quota = plan(CONFIG, "train", 0, 400)
    for number, item in enumerate(items()):
        kinds = [KINDS.index(kind_of(*drawn.allele[1:])) for drawn in item.edits]
        assert kinds == quota.kinds[number, : len(kinds)].tolist()
        edits = [edit_of(drawn.allele) for drawn in item.edits]
        assert all(abs(edit.start - item.anchor) <= 12 for edit in edits)
        assert not any(overlap(a, b) for i, a in enumerate(edits) for b in edits[:i])
        assert all(normalize(SEQUENCE.encode(), *drawn.allele) == drawn.allele for drawn in item.edits)


def test_half_of_the_snvs_are_observed():
    snvs = [d for item in items() for d in item.edits if len(d.allele[1]) == len(d.allele[2]) == 1]
    assert abs(sum(bool(d.record) for d in snvs) - len(snvs) / 2) <= 1


def test_taking_an_allele_out_changes_the_rows_that_used_it_and_no_others():
    before = items()
    record = next(d.record for item in before for d in item.edits if d.record)
    left = {key: [d for d in found if d.record != record] for key, found in OBSERVED.items()}
    after = items(observed=left)
    used = [any(d.record == record for d in item.edits) for item in before]
    assert 0 < sum(used) < 20
    assert [one != other for one, other in zip(before, after, strict=True)] == used


def test_a_barred_allele_is_never_drawn():
    drawn = {("c", d.allele) for item in items() for d in item.edits if not d.record}
    again = {("c", d.allele) for item in items(barred=frozenset(drawn)) for d in item.edits if not d.record}
    assert drawn and not drawn & again


def test_windows_are_near_on_either_strand_and_not_by_chance():
    random = np.random.default_rng(5)
    window = encode(("".join(random.choice(list("ACGT"), 96))).encode())
    other = encode(("".join(random.choice(list("ACGT"), 96))).encode())
    half = np.concatenate([window[:60], other[:36]])  # 40 of its 76 21-mers
    rows = np.stack([window, reverse_complement(window), half, other])
    assert near_rows(rows, window[None]).tolist() == [True, True, True, False]
