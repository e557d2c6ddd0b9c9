"""Drawing walks: the compiled inner loop. Plain arrays in, vertices out; no policy, no files, no threads.

Every draw is integer arithmetic on a counter-based generator: SplitMix64 (Steele, Lea, Flood 2014) at a position that
is a pure function of (stream key, walk, attempt, step, draw). So a walk does not depend on which thread drew it, on the
walks before it, or on the machine.

How a walk keeps its rules. It is the first L steps of an endless walk, and ``due[t]`` is the block it must stand in at
step t, or FREE. The next vertex y has probability proportional to weight(y) times, for every deadline in the next
``horizon`` steps, the chance of meeting it from y; zero for a jumper whose own deadline contradicts ``due``. The draw
proposes an edge by weight (alias table) and accepts it with that chance; after PROPOSALS refusals it scans the
neighbours, which gives the same distribution. A walk without a next vertex is drawn again, as another attempt.

Two tuples run through all of it: ``edges`` (offsets, targets, weights, cut, alias; see ``alias_table``) and ``rules``
(per vertex: r or 0, and target block). The usual path calls nothing that takes arrays: such a call costs 30 ns here,
twice a whole step. What is inlined there takes single arrays and numbers, as unpacking the tuples again costs 10 ns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

BITS = 30  # fixed point of a probability; here, not where the tables are made, so that the compile cache sees a change
FREE = -1
PROPOSALS = 16
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_BITS = np.uint64(BITS)
_ONE = np.uint64(1 << BITS)
_TOP = np.uint64(64 - BITS)
_ZERO = np.uint64(0)


@njit(inline="always")
def _random(state, draw, step):
    """64 bits at place (draw, step) of the stream that starts at ``state``."""
    z = state + ((np.uint64(draw) << _HALF) + np.uint64(step) + np.uint64(1)) * _GAMMA
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always")
def _below(bits, bound):
    """A number in [0, bound) from 64 random bits: the high word of their product (Lemire 2019, without rejection)."""
    low = (bits & _LOW) * (bound & _LOW)
    middle = (bits >> _HALF) * (bound & _LOW) + (low >> _HALF)
    other = (bits & _LOW) * (bound >> _HALF) + (middle & _LOW)
    return (bits >> _HALF) * (bound >> _HALF) + (middle >> _HALF) + (other >> _HALF)


@njit(inline="always")
def _contradicts(r, block, promised):
    """Whether a jumper (``r`` above 0) would promise its block for a step that is promised to another."""
    return r > 0 and promised != FREE and promised != block


@njit(inline="always")
def _chance(reach, due, step, vertex):
    """The chance, in ``BITS`` bits, of meeting every deadline that ``reach`` covers from a vertex at ``step``."""
    chance = _ONE
    for ahead in range(len(reach)):
        if due[step + ahead] != FREE:
            chance = (chance * np.uint64(reach[ahead, due[step + ahead], vertex])) >> _BITS
    return chance


@njit
def _scan(edges, rules, reach, here, step, due, bits, mass):
    """An edge from ``here`` for ``step``, by weight times chance over all neighbours; -1 when none is left."""
    offsets, targets, weights, _, _ = edges
    jump, block = rules
    begin, degree = offsets[here], offsets[here + 1] - offsets[here]
    total = _ZERO
    for j in range(degree):
        vertex = targets[begin + j]
        dead = _contradicts(jump[vertex], block[vertex], due[step + jump[vertex]])
        chance = _ZERO if dead else _chance(reach, due, step, vertex)
        mass[j] = chance * np.uint64(weights[begin + j])
        total += mass[j]
    if total == _ZERO:
        return np.int64(-1)
    left = _below(bits, total)
    j = 0
    while left >= mass[j]:
        left -= mass[j]
        j += 1
    return begin + j


@njit
def _draw_walk(edges, rules, reach, state, due, mass, walk):
    """Continue ``walk`` from its first vertex to its end; False when it ran dead."""
    offsets, targets, _, cut, alias = edges
    jump, block = rules
    horizon = len(reach)
    due[:] = FREE
    near = 0  # deadlines among the steps that ``reach`` covers
    here = np.int64(walk[0])
    for step in range(1, len(walk)):
        if jump[here] > 0:
            near += jump[here] < horizon and due[step - 1 + jump[here]] == FREE
            due[step - 1 + jump[here]] = block[here]
        near += due[step - 1 + horizon] != FREE
        degree, edge = np.uint64(offsets[here + 1] - offsets[here]), np.int64(-1)
        for draw in range(PROPOSALS):
            bits = _random(state, draw, step)
            proposal = offsets[here] + np.int64(((bits >> _HALF) * degree) >> _HALF)
            if (bits & _LOW) >= cut[proposal]:
                proposal = np.int64(alias[proposal])
            vertex = targets[proposal]
            if _contradicts(jump[vertex], block[vertex], due[step + jump[vertex]]):
                continue
            chance = _chance(reach, due, step, vertex) if near > 0 else _ONE
            if near == 0 or (_random(state, PROPOSALS + draw, step) >> _TOP) < chance:
                edge = proposal
                break
        if edge < 0:
            edge = _scan(edges, rules, reach, here, step, due, _random(state, 2 * PROPOSALS, step), mass)
        if edge < 0:
            return False
        here = np.int64(targets[edge])
        walk[step] = here
        near -= due[step] != FREE
    return True


@njit(cache=True, nogil=True)
def draw_walks(edges, rules, reach, jumpers, jumper_share, key, first, attempts, walks):
    """Fill ``walks`` [B, L] with walks ``first`` .. ``first`` + B - 1 of the stream ``key``; returns the redraws.

    ``reach`` uint32[horizon, K, n] is for 0 .. horizon - 1 steps after arrival. Walk i starts on a jumper when
    floor(i * share) steps up at i + 1, ``jumper_share`` being the share times 2**32, on each of ``jumpers`` in turn;
    else anywhere. Returns -1 - i when walk i is dead after all ``attempts``.
    """
    offsets, jump = edges[0], rules[0]
    due = np.empty(walks.shape[1] + jump.max() + len(reach), np.int32)
    mass = np.empty(np.max(offsets[1:] - offsets[:-1]), np.uint64)
    redraws = 0
    for row in range(len(walks)):
        index = np.uint64(first + row)
        rank = (index * jumper_share) >> _HALF
        on_jumper = ((index + np.uint64(1)) * jumper_share) >> _HALF != rank
        attempt = 0
        alive = False
        while not alive:
            if attempt == attempts:
                return -1 - (first + row)
            state = _random(key, attempt, index)
            start = np.int64(_below(_random(state, 0, 0), np.uint64(len(jump))))
            walks[row, 0] = jumpers[rank % np.uint64(len(jumpers))] if on_jumper else start
            alive = _draw_walk(edges, rules, reach, state, due, mass, walks[row])
            attempt += 1
        redraws += attempt - 1
    return redraws
