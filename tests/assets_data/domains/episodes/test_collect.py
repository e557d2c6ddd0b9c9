"""Collection from real environments: the same episodes in any order, on any day, and no other environment."""

import dataclasses

import numpy as np
import pytest

from assets_data.domains.episodes.checks import check_recollects
from assets_data.domains.episodes.collect import collect, open_simulator
from assets_data.domains.episodes.config import RAW, SourceConfig
from assets_data.domains.episodes.raw_slice import make_raw_slice
from assets_data.domains.episodes.record import record_id
from assets_data.domains.episodes.simulator import reopen
from assets_data.domains.episodes.source import slice_names
from assets_data.lineage import ConfigError, DataError

ENVIRONMENTS = ["Pendulum-v1", "CartPole-v1", "MountainCarContinuous-v0", "Acrobot-v1"]


@pytest.fixture
def smoke():
    return RAW["smoke"]()


def ids(config, seeds):
    simulator = open_simulator(config)
    found = {episode.seed: record_id(episode) for episode in collect(simulator, config, seeds)}
    simulator.close()
    return found


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
@pytest.mark.parametrize("policy", ["held", "uniform"])
def test_an_episode_is_the_same_whatever_was_played_before(env_id, policy):
    config = SourceConfig(env_id=env_id, policy=policy, max_steps=30, noise=0.01)
    forward, middle, back = (ids(config, seeds) for seeds in (range(6), range(3, 5), range(5, -1, -1)))
    assert forward == back and middle == {seed: forward[seed] for seed in (3, 4)}
    assert len(set(forward.values())) == 6


def test_the_collector_cuts_and_the_environment_ends():
    cut = next(iter(collect(s := open_simulator(c := SourceConfig(env_id="Pendulum-v1", max_steps=9)), c, range(1))))
    s.close()
    assert cut.truncated and not cut.terminated and cut.length == 9 and len(cut.obs) == 10
    config = SourceConfig(env_id="CartPole-v1", policy="uniform")
    ended = list(collect(s := open_simulator(config), config, range(20)))
    s.close()
    assert all(e.terminated and not e.truncated for e in ended) and len({e.length for e in ended}) > 5


def test_a_held_action_is_held_no_longer_than_said():
    config = SourceConfig(env_id="Pendulum-v1", hold=4)
    episode = next(iter(collect(s := open_simulator(config), config, range(1))))
    s.close()
    changes = np.flatnonzero(np.diff(episode.action.ravel())) + 1
    runs = np.diff([0, *changes, episode.length])
    assert runs.max() == 4 and runs.min() == 1


def test_noise_is_the_sensors_and_no_other_episodes(smoke):
    noisy = dataclasses.replace(smoke, noise=0.5)
    plain, seen = (next(iter(collect(_s := open_simulator(c), c, range(1)))) for c in (smoke, noisy))
    assert np.array_equal(plain.action, seen.action) and np.array_equal(plain.reward, seen.reward)
    assert 0.3 < float((seen.obs - plain.obs).std()) < 0.7 and seen.obs.dtype == np.float32


def test_recollects_plays_three_episodes_again_and_sees_one_that_is_another(store, smoke):
    raw = make_raw_slice(store, slice_names(smoke)[0], smoke)
    outcome = check_recollects(store, raw)
    assert outcome.passed and outcome.facts == {"played_again": 3}
    table = raw.table("episodes.arrow")
    shifted = table.set_column(
        table.schema.get_field_index("seed"), "seed", [[seed + 1 for seed in table["seed"].to_pylist()]]
    )

    class Tampered:
        id = raw.id
        read_json = staticmethod(raw.read_json)
        table = staticmethod(lambda name: shifted)

    assert not check_recollects(store, Tampered).passed


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("environment", {"env_id": "Pendulum-v1", "max_steps": 40, "env_kwargs": {}, "versions": {"gymnasium": "0.1"}}),
        ("obs", {"dtype": "float32", "shape": [4]}),
    ],
)
def test_another_version_or_space_is_refused_naming_both(smoke, part, value):
    simulator = open_simulator(smoke)
    simulator.close()
    facts = {**simulator.facts, part: value}
    with pytest.raises(ConfigError) as caught:
        reopen(facts)
    assert caught.value.code == "ENV_OTHER"
    assert str(value["versions"]["gymnasium"] if "versions" in value else value["shape"]) in str(caught.value)
    assert str(simulator.facts[part]) in str(caught.value)


def test_an_environment_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="ENV_MISSING") as caught:
        open_simulator(SourceConfig(env_id="NoSuch-v0"))
    assert "NoSuch" in str(caught.value) and "stemma[episodes]" in str(caught.value)


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Blackjack-v1"])
def test_a_space_that_cannot_be_stored_is_refused(env_id):
    with pytest.raises((DataError, ConfigError), match=r"ENV_SPACE|ENV_MISSING"):
        open_simulator(SourceConfig(env_id=env_id))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "EPISODES_NO_ENVIRONMENT"),
        ({"source": "npz", "reward_at": "action"}, "EPISODES_NO_ROOT"),
        ({"source": "npz", "root": "x"}, "EPISODES_REWARD_AT"),
        ({"source": "parquet", "root": "x"}, "EPISODES_REWARD_AT"),
        ({"env_id": "Pendulum-v1", "hold": 0}, "EPISODES_SOURCE"),
    ],
)
def test_settings_that_say_too_little_are_refused(fields, code):
    with pytest.raises(ConfigError) as caught:
        SourceConfig(**fields)
    assert caught.value.code == code
