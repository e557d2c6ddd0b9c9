import numpy as np

from tests.training.walks import RULES, exact_walks
from training.recipes.walk_lm.prompts import read_prompts, start_prompts, trigger_prompts


def sets(data, walks=None, counts=(12, 4), length=6, seed=0):
    walks = data.heldout_NL if walks is None else walks
    keys = data.validation.walk_keys if len(walks) == len(data.heldout_NL) else np.arange(len(walks), dtype=np.uint64)
    return trigger_prompts(walks, keys, data.graph, length, counts, seed)


def test_trigger_prompts_are_distinct_heldout_prefixes_that_end_on_their_jumper(data):
    gate, _ = sets(data)
    windows = {}
    for walk in data.heldout_NL.tolist():
        for t in range(5, len(walk)):
            windows.setdefault(tuple(walk[t - 5 : t + 1]), []).append(len(walk) - 1 - t)
    for tokens, rule in zip(gate.tokens_NP.tolist(), gate.rule_N, strict=True):
        vertex, r, _ = RULES[rule]
        assert tokens[-1] == vertex and max(windows[tuple(tokens)]) >= r  # its deadline lies inside some walk
    assert np.bincount(gate.rule_N).tolist() == [12, 12, 12]
    assert len(np.unique(gate.tokens_NP, axis=0)) == 36


def test_short_prompts_that_repeat_are_taken_once(data):
    gate, monitor = sets(data, counts=(4, 4), length=2)
    taken = [tuple(prompt) for part in (gate, monitor) for prompt in part.tokens_NP.tolist()]
    assert len(set(taken)) == len(taken) > 12


def test_the_monitor_has_other_prompts_than_the_gate(data):
    gate, monitor = sets(data)
    assert len(monitor.tokens_NP) == 12
    assert not {tuple(p) for p in gate.tokens_NP.tolist()} & {tuple(p) for p in monitor.tokens_NP.tolist()}


def test_prompts_depend_on_the_seed_and_not_on_the_stored_order_of_walks(data):
    shuffle = np.random.default_rng(0).permutation(len(data.heldout_NL))
    keys = data.validation.walk_keys
    one, _ = trigger_prompts(data.heldout_NL, keys, data.graph, 6, (12, 4), 0)
    two, _ = trigger_prompts(data.heldout_NL[shuffle], keys[shuffle], data.graph, 6, (12, 4), 0)
    other, _ = trigger_prompts(data.heldout_NL, keys, data.graph, 6, (12, 4), 1)
    assert (one.tokens_NP == two.tokens_NP).all() and (one.tokens_NP != other.tokens_NP).any()


def test_a_rule_without_prompts_has_none_and_the_others_keep_theirs(data):
    walks = exact_walks(60, 9)
    walks = walks[~(walks == RULES[1][0]).any(1)]
    gate, _ = sets(data, walks)
    counts = np.bincount(gate.rule_N, minlength=3)
    assert counts[1] == 0 and min(counts[0], counts[2]) > 0


def test_a_prompt_longer_than_any_prefix_gives_none(data):
    gate, monitor = sets(data, length=48)
    assert gate.tokens_NP.shape == (0, 48) and len(monitor.rule_N) == 0


def test_a_table_of_prompts_reads_back_as_it_was(data):
    gate, _ = sets(data)
    read = read_prompts(gate.table())
    assert (read.tokens_NP == gate.tokens_NP).all() and (read.rule_N == gate.rule_N).all()


def test_start_prompts_are_first_vertices_with_their_repeats(data):
    assert start_prompts(data.heldout_NL, 40).tolist() == data.heldout_NL[:40, 0].tolist()
