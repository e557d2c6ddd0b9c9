import pytest

from assets_data.lineage import GateError
from training.findings import Measurement
from training.gate import judge, wilson

THRESHOLDS = {"rule": 0.8}


def measured(hits: int, checks: int, name: str = "a") -> Measurement:
    return Measurement(name=name, threshold="rule", value=hits / max(1, checks), checks=checks, hits=hits)


@pytest.mark.parametrize(
    ("hits", "checks", "low", "high"),
    [(10, 10, 0.72247, 1.0), (0, 10, 0.0, 0.27753), (81, 263, 0.25527, 0.36621), (1, 1, 0.20655, 1.0)],
)
def test_wilson_intervals_have_their_published_values(hits, checks, low, high):
    assert wilson(hits, checks) == pytest.approx((low, high), abs=6e-5)


def test_the_interval_of_nothing_is_everything():
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_value_must_exceed_its_threshold():
    assert judge([measured(81, 100)], THRESHOLDS)["verdict"] == "pass"
    assert judge([measured(80, 100)], THRESHOLDS)["verdict"] == "fail"


def test_zero_checks_are_undetermined_and_never_a_pass():
    verdict = judge([measured(100, 100), measured(0, 0, "b")], THRESHOLDS)
    assert verdict["verdict"] == "undetermined" and verdict["reasons"] == ["b was never checked"]
    assert verdict["criteria"][1]["value"] is None


def test_one_failure_outweighs_passes_and_open_questions():
    verdict = judge([measured(100, 100), measured(0, 0, "b"), measured(1, 100, "c")], THRESHOLDS)
    assert verdict["verdict"] == "fail" and len(verdict["reasons"]) == 2


def test_nothing_measured_is_undetermined():
    assert judge([], THRESHOLDS)["verdict"] == "undetermined"


def test_a_measurement_without_a_registered_threshold_is_refused():
    with pytest.raises(GateError) as caught:
        judge([measured(1, 1)], {"edge": 0.1})
    assert caught.value.code == "GATE_NO_THRESHOLD"


def loss(value: float, checks: int = 10, **more) -> Measurement:
    return Measurement(name="loss", threshold="rule", value=value, checks=checks, direction="below", **more)


@pytest.mark.parametrize(("value", "verdict"), [(0.79, "pass"), (0.8, "fail"), (0.81, "fail"), (-5.0, "pass")])
def test_a_measurement_with_direction_below_must_stay_under_its_threshold(value, verdict):
    found = judge([loss(value)], THRESHOLDS)
    assert found["verdict"] == verdict and found["criteria"][0]["direction"] == "below"
    assert found["reasons"] == ([] if verdict == "pass" else [f"loss is {value:.4f}, must be below 0.8"])


def test_each_measurement_goes_by_its_own_direction():
    found = judge([measured(90, 100), loss(0.9)], THRESHOLDS)  # the same number, judged both ways
    assert [criterion["verdict"] for criterion in found["criteria"]] == ["pass", "fail"]
    assert [criterion["direction"] for criterion in found["criteria"]] == ["above", "below"]
    assert judge([measured(70, 100), loss(0.7)], THRESHOLDS)["reasons"] == ["a is 0.7000, must be above 0.8"]


def test_zero_checks_are_undetermined_below_a_threshold_too():
    assert judge([loss(0.0, checks=0)], THRESHOLDS)["verdict"] == "undetermined"


def test_the_interval_is_the_hits_own_or_the_one_that_was_brought_or_none():
    given = [loss(0.5, interval=(0.4, 0.62)), loss(0.5), measured(5, 10), loss(0.5, hits=5, interval=(0.0, 0.1))]
    intervals = [criterion["interval"] for criterion in judge(given, THRESHOLDS)["criteria"]]
    assert intervals == [[0.4, 0.62], None, list(wilson(5, 10)), list(wilson(5, 10))]


def test_an_interval_that_reaches_over_the_threshold_changes_no_verdict():
    """Point estimates decide; the interval is reported beside."""
    assert judge([loss(0.79, interval=(0.1, 3.0))], THRESHOLDS)["verdict"] == "pass"
    assert judge([loss(0.81, interval=(0.1, 3.0))], THRESHOLDS)["verdict"] == "fail"
