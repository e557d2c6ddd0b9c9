import numpy as np
import pytest


@pytest.fixture
def counts():
    """int64[60, 40]: cells by genes; sparse, with one gene that nobody has."""
    dense = np.random.default_rng(3).negative_binomial(1, 0.5, (60, 40))
    dense[:, 7] = 0
    return dense
