"""What is no whole number, or no number, is refused by name: as a user meets it.

The tests' type checks would refuse it first, so a process without them makes the calls.
"""

import subprocess
import sys

import numpy as np
import pytest

from theory import certificates, checks, laws

REFUSED = {
    "pac_bayes.mcallester(0.1, 1.0, 10.5, 0.05)": "n = 10.5 is not a whole number",
    "pac_bayes.catoni_grid(0.1, 1.0, math.inf, 0.05, [1.0])": "n = inf is not a whole",
    "pac_bayes.maurer_log_xi(10.5)": "n = 10.5",
    "certificates.floor(0.1, 2.5, 0.05)": "n = 2.5 is not a whole number",
    "certificates.floor(0.1, math.inf, 0.05)": "n = inf is not a whole number",
    "certificates.clopper_pearson(2.5, 10, 0.05)": "k = 2.5 is not a whole number",
    "certificates.clopper_pearson_lower(2.5, 10, 0.05)": "k = 2.5",
    "certificates.clopper_pearson(2, 10.5, 0.05)": "n = 10.5",
    "certificates.clopper_pearson(math.nan, 10, 0.05)": "k = nan is not in [0, 10]",
    "certificates.hoeffding([0.1], [0.05])": "delta = [0.05] is not a number",
    "certificates.hoeffding([0.1, 0.5j], 0.05)": "losses holds what is no real number",
    "certificates.paired_gain([0.0], [0.0], 0.05, np.array([1.0]))": (
        "loss_range = [1.] is not a number"
    ),
    "certificates.paired_gain(np.array([0j]), [0.0], 0.05, 1.0)": "losses_new holds",
    "kl.binary_kl(0.1j, 0.5)": "q holds what is no real number",
    "kl.binary_kl('0.1', 0.5)": "q holds what is no real number",
    "posteriors.gaussian_kl([0.0], [1j], [1.0])": "prior_scale holds what is no real",
    "coin_betting.log_regret(10.5)": "n = 10.5",
    "limits.saa_worst_case(0.9, 1.5)": "m = 1.5 is not a whole number",
    "limits.order_statistic_worst_case(0.9, 5, 1.5)": "r = 1.5 is not a whole number",
    "laws.gaussian_world(1.0, 1.0, 4.9, 16, 0.1)": "m = 4.9 is not a whole number",
    "laws.gaussian_world(1.0, 1.0, 4, 16.9, 0.1)": "n = 16.9 is not a whole number",
    "laws.gaussian_world(1.0, 1.0, 4, math.inf, 0.1)": "n = inf is not a whole number",
    "laws.harmonic([1.0, 2.0], 1.0)": "pretrain_excess = [1.0, 2.0] is not a number",
    "laws.james_stein_regret(8.5, 1.0, 1.0)": "n = 8.5",
    "capacity.linear_ball([[1.0]], [1.0], [1.0], 1.0)": "radius = [1.0] is not a",
    "capacity.linear_ball([[1.0]], [1.0], 1.0, (1.0,))": "lipschitz = (1.0,) is not a",
    "capacity.frank_wolfe_gap([1.0], [0.0], [1.0])": "radius = [1.0] is not a number",
    "capacity.parameter_net(2.5, 1.0, 1.0, 9, 0.1, 1.0)": "num_parameters = 2.5",
    "capacity.parameter_net(2, 1.0, 1.0, 9.5, 0.1, 1.0)": "n = 9.5",
    "capacity.attention_sensitivity(1.0, 1.0, 2.5)": "n = 2.5",
    "capacity.attention_sensitivity([1.0], 1.0, 2)": "kappa = [1.0] is not a number",
    "rates.data_pooling(10.5)": "n = 10.5 is not a whole number",
    "rates.universal_priors(10, math.inf)": "n_pretrain = inf is not a whole number",
    "mismatch.gaussian(0.0, [1.0], 0.0, 1.0)": "sd_p = [1.0] is not a number",
    "posteriors.monte_carlo(0.1, 10.5, 0.05)": "draws = 10.5",
    "scaling.tightness(None, 0.1, 0.2)": "bound = None is not a number",
    "two(n_fit=2.9)": "n_fit = 2.9 is not a whole number",
    "two(n_select=math.inf)": "n_select = inf is not a whole number",
    "two(pretrain_excess=[0.1])": "pretrain_excess = [0.1] is not a number",
}

PROGRAM = """
import functools, math, warnings
import numpy as np
from theory import (capacity, certificates, coin_betting, kl, laws, limits, mismatch,
                    pac_bayes, posteriors, rates, scaling, two_path)
warnings.simplefilter("error")
two = lambda **changed: two_path.bound(**{**dict(
    pretrain_excess=0.1, total_variation=0.1, mismatch_range=1.0, approximation=[0.1],
    rademacher=[0.1], optimisation=[0.1], cost_bounds=[1.0, 1.0], n_fit=9, n_select=9,
    delta=0.05), **changed})
for call in %r:
    try:
        print(call, "->", eval(call))
    except ValueError as error:
        print(error)
    except Exception as error:
        print(call, type(error).__name__, error)
"""


def test_what_is_not_whole_or_not_a_number_is_refused_by_name():
    program = PROGRAM % list(REFUSED)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    answers = done.stdout.splitlines()
    assert len(answers) == len(REFUSED)
    for answer, message in zip(answers, REFUSED.values(), strict=True):
        assert answer.startswith(message)


@pytest.mark.parametrize("ten", [10, 10.0, np.int8(10), np.float32(10), np.array(10)])
def test_whole_numbers_of_any_type_are_counts(ten):
    assert type(checks.count("n", ten)) is int
    assert checks.count("n", ten) == 10


def test_counts_out_of_range_name_the_range():
    with pytest.raises(ValueError, match=r"n = 3, expected at least 4"):
        checks.count("n", 3, 4)
    with pytest.raises(ValueError, match=r"n = 3 is not in \[0, 2\]"):
        checks.count("n", 3, 0, 2)


def test_short_integers_do_not_overflow():
    short = certificates.floor(0.1, np.int8(100), 0.05)
    assert short == certificates.floor(0.1, 100, 0.05)
    assert laws.gaussian_world(1.0, 1.0, np.int8(9), np.int8(99), 0.1) == (
        laws.gaussian_world(1.0, 1.0, 9, 99, 0.1)
    )
