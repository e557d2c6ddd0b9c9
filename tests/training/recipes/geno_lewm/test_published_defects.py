"""What the published system got wrong, each a test by its name; those of single modules stand beside these."""

import numpy as np
import torch

from assets_data.domains.genome.haplotype import Contig, Edit
from assets_data.domains.genome.haplotype import windows as haplotype_windows
from tests.training.recipes.geno_lewm.rows import made_rows
from tests.training.recipes.geno_lewm.test_gate import judged
from training.recipes.geno_lewm.baselines import squared_errors
from training.recipes.geno_lewm.batches import batch_of
from training.recipes.geno_lewm.config import StatesConfig
from training.recipes.geno_lewm.encoder import Encoder, states
from training.recipes.geno_lewm.evaluate import _state_cosines

WIDTH = 96


def one_hot(codes):
    return torch.nn.functional.one_hot(codes, 4).float()


PLAIN = Encoder(id="x", hidden=one_hot, token=lambda width: width // 2, device=torch.device("cpu"))


def random_windows(count):
    return np.random.default_rng(0).integers(0, 4, (count, WIDTH)).astype(np.uint8)


def test_source_and_target_are_pooled_at_the_same_place():
    """There the source was pooled over the window and the target around the edit, so that no change was a change."""
    source = random_windows(8)
    target = source.copy()
    assert np.array_equal(states(PLAIN, source, StatesConfig()), states(PLAIN, target, StatesConfig()))
    target[:, [0, WIDTH // 2 - 17, WIDTH // 2 + 17, WIDTH - 1]] ^= 1
    assert np.array_equal(states(PLAIN, source, StatesConfig()), states(PLAIN, target, StatesConfig()))
    target[:, WIDTH // 2 + 16] ^= 1
    assert (np.abs(states(PLAIN, source, StatesConfig()) - states(PLAIN, target, StatesConfig())).sum(1) > 0).all()


def test_a_state_is_the_anchor_and_two_means_around_it():
    """By hand, from one-hot bases."""
    (codes,) = random_windows(1)
    bases = np.eye(4)[codes]
    wanted = [bases[48], bases[44:53].mean(0), bases[32:65].mean(0)]
    assert np.allclose(states(PLAIN, codes[None], StatesConfig())[0], np.concatenate(wanted), atol=1e-6)


def test_every_edit_has_a_target_of_its_own():
    """There the state behind the last edit was the target of all."""
    rows = made_rows(40)
    batch = batch_of(rows, np.arange(40))
    three = np.flatnonzero(rows.steps_R == 3)
    for step in range(3):
        wanted = (rows.states_RSD[:, step + 1] - rows.states_RSD[:, 0]) / rows.sigma_D
        assert np.allclose(batch["change"][:, step].numpy(), wanted, atol=1e-6)
    apart = (batch["change"][three, 0] - batch["change"][three, 2]).abs().amax(1)
    assert len(three) > 5 and (apart > 1e-3).all()


def test_a_window_keeps_its_length_and_its_locus_when_bases_go():
    """There it was trimmed, and everything in it moved."""
    bases = "".join(np.random.default_rng(3).choice(list("ACGT"), 400)).encode()
    contig = Contig("c", bases)
    edit = Edit(205, bases[205:210], b"")
    (before, after), _ = haplotype_windows(contig, 200, [edit], WIDTH)
    assert len(before) == len(after) == WIDTH
    assert before[: WIDTH // 2 + 5] == after[: WIDTH // 2 + 5]
    assert after[WIDTH // 2 + 5 :] == bases[210 : 210 + WIDTH // 2 - 5], "real bases slide in from the right"


def test_copying_the_state_looks_good_by_cosine_and_fails_the_gate():
    """There the cosine of states was the score: .289 for the model, .998 for no change."""
    test = made_rows(300, 3, effect=0.1)
    errors = squared_errors(made_rows(400, 1, effect=0.1), made_rows(80, 2, effect=0.1), test)
    copied = _state_cosines(np.zeros_like(test.change_RKD), test)[1]
    assert copied["state cosine"] == copied["state cosine of no change"] > 0.95
    outcome = judged(errors, errors["no_change"])
    assert outcome["verdict"] == "fail"
    assert not [criterion for criterion in outcome["criteria"] if "cosine" in criterion["name"]]
