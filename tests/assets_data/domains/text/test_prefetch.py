"""Working ahead: the order of the items, an error in its place, and never more drawn than may be held."""

import pytest

from assets_data.domains.text.prefetch import mapped_ahead
from assets_data.lineage import DataError


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order_and_no_more_items_are_drawn_than_workers_hold(workers):
    drawn = []

    def items():
        for number in range(20):
            drawn.append(number)
            yield number

    for given, result in enumerate(mapped_ahead(lambda number: number * number, items(), workers)):
        assert result == given * given and len(drawn) <= given + workers + 1
    assert len(drawn) == 20


def test_an_error_is_raised_at_its_place():
    def refuse_three(number):
        if number == 3:
            raise DataError("BROKEN", "the fourth cannot be made")
        return number

    seen = []
    with pytest.raises(DataError, match="fourth"):
        for result in mapped_ahead(refuse_three, range(10), 4):
            seen.append(result)
    assert seen == [0, 1, 2]
