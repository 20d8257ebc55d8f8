"""Whatever real number comes in, a Python float computed in float64 comes out."""

import numpy as np
import pytest

from theory import laws, limits, mismatch, rates, scaling

EYE = np.eye(2)

CALLS = (
    lambda real, whole: laws.harmonic(real(2), real(3)),
    lambda real, whole: laws.transfer_gain(real(2), real(3)),
    lambda real, whole: laws.gaussian_world(
        real(1), real(2), whole(4), whole(8), real(1)
    ),
    lambda real, whole: laws.james_stein_regret(whole(8), real(2), real(1)),
    lambda real, whole: laws.ridge_to_pretrained(EYE, [1, 2], real(1), real(1)),
    lambda real, whole: laws.sandwich(EYE, EYE, whole(8)),
    lambda real, whole: laws.sandwich_to_pretrained(
        EYE, EYE, [1, 2], real(1), whole(8)
    ),
    lambda real, whole: limits.saa_worst_case(real(0.75), whole(5)),
    lambda real, whole: limits.order_statistic_worst_case(
        real(0.75), whole(5), whole(2)
    ),
    lambda real, whole: limits.van_trees(whole(5), real(1), real(2)),
    lambda real, whole: limits.gaussian_bayes_risk(real(1), real(2), whole(5)),
    lambda real, whole: limits.gaussian_newsvendor_risk(
        real(1), real(2), whole(5), real(0.75)
    ),
    lambda real, whole: limits.gamma_poisson_bayes_risk(real(1), real(2), whole(5)),
    lambda real, whole: limits.gamma_poisson_newsvendor_risk(
        real(1), real(2), whole(5), real(0.75)
    ),
    lambda real, whole: mismatch.gaussian(real(1), real(2), real(3), real(1)),
    lambda real, whole: mismatch.gamma(real(1), real(2), real(3), real(1)),
    lambda real, whole: mismatch.poisson(real(1), real(2)),
    lambda real, whole: mismatch.negative_binomial(
        real(1), real(0.5), real(2), real(0.25)
    ),
    lambda real, whole: mismatch.total_variation_contaminated(real(1)),
    lambda real, whole: mismatch.total_variation_bound(real(1)),
    lambda real, whole: mismatch.risk_gap_tv(real(2), real(1)),
    lambda real, whole: mismatch.risk_gap_wasserstein(real(2), real(1)),
    lambda real, whole: scaling.tightness(real(3), real(2), real(4)),
    lambda real, whole: rates.universal_priors(whole(9), whole(8)),
    lambda real, whole: rates.data_pooling(whole(9)),
    lambda real, whole: rates.edelman_log_covering(
        [EYE], real(1), real(2), whole(2), whole(2), whole(8), whole(9)
    ),
    lambda real, whole: rates.trauger_tewari_log_covering(
        [EYE], real(1), real(2), whole(2), whole(2)
    ),
    lambda real, whole: rates.covering_rate(whole(9), real(1), real(5), real(1)),
    lambda real, whole: rates.parameter_net(
        whole(9), whole(3), real(1), real(2), real(1), 0.05
    ),
    lambda real, whole: rates.in_context_minimax(whole(9), real(2), whole(3)),
    lambda real, whole: rates.in_context(
        whole(9), whole(99), whole(3), real(2), whole(3)
    ),
)


def flat(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("call", CALLS)
def test_numbers_of_any_type_give_the_same_python_floats(call):
    expected = flat(call(float, int))
    assert all(type(x) is float for x in expected)
    for real, whole in (
        (np.float32, np.int32),
        (np.float64, np.int64),
        (lambda x: int(x) if x == int(x) else x, int),
    ):
        found = flat(call(real, whole))
        assert all(type(x) is float for x in found)
        assert found == expected
