"""Config of a walk corpus: graph source, rules, sizes, presets. Owns every check that needs no data.

A config that breaks a rule cannot be made: all its problems are raised at once, under the code of the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets_data.lineage import ConfigError, option

R_SCALES = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.5, 2.0)
WALKS_PER_VERTEX = 100
MAX_WALKS = 2**31  # walk numbers and their shares stay inside 64-bit products


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionsGraph:
    """The token-transition graph of the triples' training split."""

    vocab_size: int = option(128, "most frequent tokens taken as vertices, before the component cut")
    min_count: int = option(4, "times a bigram is observed before it is an edge")
    blocks: int = option(4, "blocks kept: the smallest communities join the one they exchange most weight with")
    resolution: float = option(1.0, "Louvain resolution to start from: higher finds more, smaller communities")


@dataclass(frozen=True, slots=True, kw_only=True)
class DcsbmGraph:
    """A directed degree-corrected stochastic block model with equal contiguous blocks."""

    n: int = option(500, "vertices")
    blocks: int = option(4, "equal contiguous blocks; divides n")
    p_in: float = option(0.25, "edge probability inside a block, before degree correction")
    p_out: float = option(0.03, "edge probability between blocks, before degree correction")


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesConfig:
    """Which rules are planted: a walk at the jumper at step t stands in the target block at step t + r."""

    window: int | None = option(None, "base window w: r is w times 0.5 .. 2.0 (eight values); null when r is given")
    r: tuple[int, ...] = option((), "explicit r values, in steps; empty when window is given")
    jumpers_per_block: int = option(2, "jumper vertices per block")
    max_chance: float = option(0.6, "highest probability, under the free walk, of meeting a rule by chance")
    min_visits: float = option(0.0, "fewest expected visits to a jumper per walk, under the free walk")
    max_visits: float | None = option(None, "most expected visits to a jumper per walk, under the free walk; null: any")
    encounters: float | None = option(
        None, "times a walk meets each rule, deadline inside, by weighting the edges into jumpers; null: as it comes"
    )

    def r_values(self) -> tuple[int, ...]:
        """The r set, ascending, in steps."""
        if self.window is None:
            return tuple(sorted(set(self.r)))
        return tuple(sorted({max(1, round(scale * self.window)) for scale in R_SCALES}))


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkConfig:
    """A walk corpus. One seed drives graph, blocks, rules and walks, each through its own stream.

    Raises ConfigError (WALK_CONFIG_BLOCKS, _R, _LENGTH, _CORPUS or _VALUE) when its fields contradict each other.
    """

    graph: TransitionsGraph | DcsbmGraph = option(TransitionsGraph(), "graph source")
    rules: RulesConfig = option(RulesConfig(window=64), "planted rules")
    walk_length: int = option(256, "vertices per walk")
    train_walks: int = option(64_000, "training walks")
    heldout_walks: int = option(4_000, "held-out walks, distinct, none of which is a training walk")
    jumper_starts: float = option(0.5, "share of walks that start on a jumper, spread evenly over the rules")
    horizon: int = option(8, "steps before a deadline at which steps are weighted by the chance of meeting it")
    seed: int = option(42, "seed of everything random here")
    workers: int = option(2, "threads that draw walks; the corpus does not depend on it")

    def __post_init__(self) -> None:
        problems = [*_graph_problems(self.graph), *_rule_problems(self.rules), *_size_problems(self)]
        if problems:
            raise ConfigError(problems[0][0], "WalkConfig: " + "; ".join(text for _, text in problems))


def smoke() -> WalkConfig:
    """A corpus in about a second, for tests and first runs: short rules, common jumpers, a walk per training row."""
    return WalkConfig(
        graph=TransitionsGraph(vocab_size=32, min_count=2, blocks=3),
        rules=RulesConfig(r=(2, 3, 4, 5, 6, 8), max_chance=0.7, min_visits=0.5, max_visits=3.0),
        walk_length=32,
        train_walks=8_000,
        heldout_walks=2_000,
    )


def demo() -> WalkConfig:
    """The default: eight rules from 6 to 24 steps, learned in minutes on two CPU cores.

    A walk is one training row, so no deadline falls into a row whose trigger lies in the row before. Every rule is met
    equally often, whatever the text: where one was met half as often as the others, it was not learned at all.
    """
    return WalkConfig(
        rules=RulesConfig(window=12, max_chance=0.4, min_visits=0.3, max_visits=1.0, encounters=0.8),
        walk_length=97,
        train_walks=24_000,
        heldout_walks=4_000,
    )


def anchor() -> WalkConfig:
    """The published anchor: its graph (13,370 edges), its eight rules, its corpus size."""
    return WalkConfig(
        graph=DcsbmGraph(), rules=RulesConfig(window=64), walk_length=256, train_walks=200_000, heldout_walks=22_222
    )


def strict() -> WalkConfig:
    """The anchor's corpus: the strict preset narrows the model's context, not the data."""
    return anchor()


PRESETS = {"smoke": smoke, "demo": demo, "anchor": anchor, "strict": strict}


def _graph_problems(graph: TransitionsGraph | DcsbmGraph) -> Iterator[tuple[str, str]]:
    if isinstance(graph, TransitionsGraph):
        if not 2 <= graph.blocks <= graph.vocab_size / 2:
            yield "WALK_CONFIG_BLOCKS", f"graph.blocks={graph.blocks} is not in 2 .. vocab_size / 2"
        if graph.min_count < 1:
            yield "WALK_CONFIG_VALUE", f"graph.min_count={graph.min_count} is below 1"
        if graph.resolution <= 0:
            yield "WALK_CONFIG_VALUE", f"graph.resolution={graph.resolution} is not positive"
        return
    if graph.blocks < 2 or graph.n < 2 * graph.blocks or graph.n % graph.blocks:
        yield "WALK_CONFIG_BLOCKS", f"graph.blocks={graph.blocks} is not in 2 .. n / 2, or does not divide n={graph.n}"
    for name, p in (("p_in", graph.p_in), ("p_out", graph.p_out)):
        if not 0 < p <= 1:
            yield "WALK_CONFIG_VALUE", f"graph.{name}={p} is not in (0, 1]"


def _rule_problems(rules: RulesConfig) -> Iterator[tuple[str, str]]:
    if (rules.window is None) == (not rules.r):
        yield "WALK_CONFIG_R", "exactly one of rules.window and rules.r must be given"
    elif min(rules.r_values()) < 1 or (rules.window or 1) < 1:
        yield "WALK_CONFIG_R", f"a rule takes at least one step, not r={rules.r_values()}"
    if rules.jumpers_per_block < 1:
        yield "WALK_CONFIG_VALUE", f"rules.jumpers_per_block={rules.jumpers_per_block} is below 1"
    if not 0 < rules.max_chance < 1:
        yield "WALK_CONFIG_VALUE", f"rules.max_chance={rules.max_chance} is not in (0, 1)"
    if not 0 <= rules.min_visits <= (rules.max_visits or rules.min_visits):
        yield "WALK_CONFIG_VALUE", f"rules.min_visits={rules.min_visits} is not in 0 .. max_visits={rules.max_visits}"
    if rules.encounters is not None and rules.encounters <= 0:
        yield "WALK_CONFIG_VALUE", f"rules.encounters={rules.encounters} is not positive"


def _size_problems(config: WalkConfig) -> Iterator[tuple[str, str]]:
    longest = max(config.rules.r_values(), default=0)
    if config.walk_length <= longest or config.walk_length < 2 * (config.rules.window or 0):
        yield "WALK_CONFIG_LENGTH", f"walk_length={config.walk_length} must exceed r={longest} and reach 2 * window"
    n = config.graph.n if isinstance(config.graph, DcsbmGraph) else config.graph.vocab_size
    if not WALKS_PER_VERTEX * n <= config.train_walks <= MAX_WALKS:
        yield "WALK_CONFIG_CORPUS", f"train_walks={config.train_walks} is not in {WALKS_PER_VERTEX * n} .. {MAX_WALKS}"
    if not 1 <= config.heldout_walks <= MAX_WALKS:
        yield "WALK_CONFIG_CORPUS", f"heldout_walks={config.heldout_walks} is not in 1 .. {MAX_WALKS}"
    if not 0 <= config.jumper_starts <= 1:
        yield "WALK_CONFIG_VALUE", f"jumper_starts={config.jumper_starts} is not in [0, 1]"
    for name, least in (("horizon", 1), ("seed", 0), ("workers", 1)):
        if getattr(config, name) < least:
            yield "WALK_CONFIG_VALUE", f"{name}={getattr(config, name)} is below {least}"
