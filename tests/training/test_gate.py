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
