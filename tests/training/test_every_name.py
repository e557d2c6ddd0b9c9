"""Every optimizer and every schedule that the installed library and torch have: it works and resumes to the bit, or the
preflight refuses it with a code and a reason."""

import pytest

from benchmarks.optimizers import ARGUMENTS, optimizer_names, schedule_names, try_optimizer, try_schedule
from training.config.optimizers import UNFIT_OPTIMIZERS
from training.library_schedules import NEEDS_CODE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", optimizer_names())
def test_an_optimizer_resumes_bit_equal_or_is_refused_with_what_it_needs(name):
    found = try_optimizer(name)
    if name not in UNFIT_OPTIMIZERS:
        assert found["result"] == "bit-equal", found
        return
    assert (found["result"], found["code"], found["path"]) == ("refused", "OPTIMIZER_UNFIT", "train.optimizer.name")
    assert "needs" in found["reason"] or "inside the backward pass" in found["reason"]


@pytest.mark.parametrize("name", schedule_names())
def test_a_schedule_resumes_bit_equal_or_is_refused_with_what_it_needs(name):
    found = try_schedule(name)
    if name in NEEDS_CODE:
        assert found["code"] == "SCHEDULE_UNKNOWN" and NEEDS_CODE[name] in found["reason"]
    elif name in ARGUMENTS:
        (argument,) = ARGUMENTS[name]
        assert found["code"] == "SCHEDULE_ARGUMENTS" and f"needs {argument}" in found["reason"]
        assert try_schedule(name, ARGUMENTS[name])["result"] == "bit-equal"
    else:
        assert found["result"] == "bit-equal", found


def test_no_refused_name_is_one_that_the_library_lacks():
    assert {*UNFIT_OPTIMIZERS} <= {*optimizer_names()} and {*NEEDS_CODE, *ARGUMENTS} <= {*schedule_names()}
