"""By position: bases go where the edits move them, and vectors with them."""

import numpy as np
import pytest
import torch

from assets_data.domains.genome.config import TrajectoriesConfig
from assets_data.domains.genome.draw import Pool, draw_item, plan
from assets_data.domains.genome.fasta import Reference
from assets_data.domains.genome.haplotype import Contig
from assets_data.domains.genome.read import EMPTY, KINDS, N, Trajectories
from assets_data.domains.genome.trajectories import _row
from assets_data.lineage import DataError
from training.recipes.geno_lewm.config import StatesConfig
from training.recipes.geno_lewm.encoder import Encoder, carry, states
from training.recipes.geno_lewm.moving import places

WIDTH, FLANK = 96, 3
CONFIG = StatesConfig(state="positions", flank=FLANK)


def one_hot(codes):
    return torch.nn.functional.one_hot(codes, 4).float()


BASES = Encoder(id="bases", hidden=one_hot, token=lambda width: width // 2, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def rows() -> Trajectories:
    """Two hundred drawn trajectories of a drawn sequence, of every kind and number of edits."""
    bases = "".join(np.random.default_rng(5).choice(list("ACGT"), 2000)).encode()
    contig, config = Contig("c", bases), TrajectoriesConfig(observed=0.0)
    pool = Pool(contigs={"c": contig}, anchors=[("c", at) for at in range(300, 1700)], observed={}, barred=frozenset())
    quota = plan(config, "train", 0, 200)
    items = [draw_item(config, pool, quota, "train", 0, number) for number in range(200)]
    reference = {"c": Reference(contig=contig, digest="d", read_only=False, lower=())}
    found = [_row(item, reference, WIDTH, ("train", 0, number)) for number, item in enumerate(items)]
    named = {"kind_RK": "kinds", "offset_RK": "offsets", "shift_RK": "shifts", "deleted_RKA": "deleted"}
    named |= {"inserted_RKA": "inserted", "windows_RSW": "windows", "steps_R": "steps", "place_R": "anchor"}
    arrays = {axes: np.array([row[name] for row in found]) for axes, name in named.items()}
    return Trajectories(row_keys=np.arange(200, dtype=np.uint64), **arrays)


def test_every_base_of_every_edited_window_comes_from_its_place_or_was_put_in(rows):
    found = places(rows, FLANK).carried_RKW
    source = np.concatenate([rows.windows_RSW[:, 0], np.tile(np.arange(5, dtype=np.uint8), (200, 1))], 1)
    for step in range(3):
        bases = np.take_along_axis(source, found[:, step].astype(int), 1)
        known = found[:, step] != WIDTH + N
        assert (bases == rows.windows_RSW[:, step + 1])[known].all()
        assert known[:, 16 : WIDTH - 16].mean() > 0.99 and known[:, 32:65].all(), "only the ends may be unknown"
    assert {KINDS[kind] for kind in rows.kind_RK[:, 0]} == set(KINDS) and set(rows.steps_R) == {1, 2, 3}


def test_flanks_are_the_bases_beside_what_is_taken_out_nearest_first(rows):
    found = places(rows, FLANK).flank_RKP[:, 0]
    for row in range(200):
        left = WIDTH // 2 + rows.offset_RK[row, 0]
        right = left + (rows.deleted_RKA[row, 0] != EMPTY).sum()
        assert found[row].tolist() == [left - 1, left - 2, left - 3, right, right + 1, right + 2]


def test_of_an_encoder_without_context_the_carried_state_is_the_edited_windows(rows):
    found = places(rows, FLANK)
    values = carry(BASES, rows.windows_RSW[:, 0], found.carried_RKW, found.flank_RKP, CONFIG)
    for step in range(3):
        truth = states(BASES, rows.windows_RSW[:, step + 1], CONFIG)
        assert np.allclose(values[:, step, : truth.shape[1]], truth, atol=1e-6)
    moved = np.abs(states(BASES, rows.windows_RSW[:, 0], CONFIG) - states(BASES, rows.windows_RSW[:, 3], CONFIG))
    assert (moved.sum(1) > 1e-3).mean() > 0.9, "there is something to carry"


def test_what_an_edit_carries_does_not_depend_on_later_edits(rows):
    alone = Trajectories(
        **{name: getattr(rows, name) for name in Trajectories.__slots__ if name != "steps_R"}, steps_R=np.ones(200, int)
    )
    first, whole = places(alone, FLANK), places(rows, FLANK)
    assert np.array_equal(first.carried_RKW[:, 0], whole.carried_RKW[:, 0])
    assert np.array_equal(first.flank_RKP[:, 0], whole.flank_RKP[:, 0])
    assert not np.array_equal(first.carried_RKW[:, 2], whole.carried_RKW[:, 2])


def test_a_base_that_the_window_lacks_has_the_mean_of_all():
    """A window of A and C takes in a G: its vector is no zero and no other base's."""
    codes = np.array([[0, 1] * 48], np.uint8)
    place = np.full((1, 3, WIDTH), WIDTH + 2, np.int16)
    values = carry(BASES, codes, place, place[..., :2], StatesConfig(state="positions", flank=1))
    assert np.allclose(values[0, 0, :4], [0.5, 0.5, 0, 0])


def test_an_encoder_of_words_has_nothing_to_carry(rows):
    words = Encoder(id="w", hidden=lambda c: one_hot(c)[:, ::6], token=lambda w: w // 12, device=torch.device("cpu"))
    found = places(rows, FLANK)
    with pytest.raises(DataError, match="ENCODER_POSITIONS"):
        carry(words, rows.windows_RSW[:, 0], found.carried_RKW, found.flank_RKP, CONFIG)
