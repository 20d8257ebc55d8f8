"""Nothing imports the benchmarks: these tests keep them in step with the code."""

import importlib
import pkgutil

import numpy as np
import pytest

import benchmarks
from benchmarks import peer_decisions

NAMES = [found.name for found in pkgutil.iter_modules(benchmarks.__path__)]
OPTIONAL = {"torch", "lightgbm", "numpyro"}


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_can_be_imported(name):
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"{error.name} is not installed")


def test_own_rules_decide_on_what_the_peers_are_given():
    _, portfolio = peer_decisions.draw(8, 5, 0.9, 0)
    rules = peer_decisions.own_rules()
    for name in ("pretrained", "fine-tuned, certified"):
        x = np.asarray(rules[name](portfolio))
        assert x.shape == (8,)
        assert np.isfinite(x).all()
        assert (x > 0).all()
