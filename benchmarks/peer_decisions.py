"""Seconds and cost of decisions on one portfolio; see `benchmarks.peers`."""

import os
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peer_rules
from ptft_jax import (
    baselines,
    checkpoint,
    decide,
    finetune,
    left_out,
    oracle,
    risk,
    shapes,
    types,
)
from ptft_jax.streams import cell_key
from ptft_jax.worlds import WORLDS, gamma_poisson

WORLD = WORLDS["gamma_poisson"]
LAW = gamma_poisson.Law(jnp.asarray(2.0), jnp.asarray(10.0))
INSTALL = {
    "lightgbm": "pip install lightgbm",
    "numpyro": "pip install --no-deps numpyro multipledispatch; pip install tqdm",
}

Rule = Callable[[types.Portfolio], np.ndarray]


def own_rules() -> dict[str, Rule]:
    """Ours: pretrained only, fine-tuned, and all of `decide` with its certificates."""
    network, params, _ = checkpoint.load_shipped()
    config = finetune.FinetuneConfig()
    single = risk.single(network, params)
    fit = finetune.make_fit(network, config)

    def pretrained(portfolio):
        n = len(portfolio.quantile)
        return left_out.decide(network, single, shapes.pad(portfolio))[:n]

    def finetuned(portfolio):
        n, padded = len(portfolio.quantile), shapes.pad(portfolio)
        found = fit(params, padded, cell_key(0, "finetune", n))
        return left_out.decide(network, found.policy, padded)[:n]

    def certified(portfolio):
        names = [str(i) for i in range(len(portfolio.quantile))]
        found = decide.decide(network, params, portfolio, names, config=config)
        return found.table["decision"].to_numpy()

    return {
        "pretrained": pretrained,
        "fine-tuned": finetuned,
        "fine-tuned, certified": certified,
    }


def peer_rules_() -> dict[str, Rule]:
    """Theirs, those that are installed; says what is not."""
    found = {
        name: lambda portfolio, rule=baselines.COUNTS[name]: np.asarray(rule(portfolio))
        for name in ("shrunken_saa", "npmle_negbin", "gamma_poisson_eb")
    }
    optional = {
        "lightgbm": peer_rules.lightgbm_rule(tuned=False),
        "lightgbm, tuned": peer_rules.lightgbm_rule(tuned=True),
        "numpyro, rates sampled": peer_rules.numpyro_rule(sample_rates=True),
        "numpyro, rates integrated": peer_rules.numpyro_rule(sample_rates=False),
    }
    for name, rule in optional.items():
        if rule is None:
            print(f"{name}: not installed, not timed ({INSTALL[name.split(',')[0]]})")
        else:
            found[name] = rule
    return found


def draw(n: int, m: int, quantile: float, seed: int):
    """Instances of the gamma–Poisson world and the portfolio of their observations."""
    instance_key, demand_key = jax.random.split(jax.random.key(seed))
    instances = jax.jit(WORLD.sample_instances, static_argnums=2)(instance_key, LAW, n)
    demand = jax.jit(WORLD.sample_demand, static_argnums=2)(demand_key, instances, m)
    return instances, types.portfolio(demand, quantile)


def _timed(rule: Rule, portfolio: types.Portfolio) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    x = np.asarray(rule(portfolio))
    return time.perf_counter() - start, x


def report(n: int, m: int, quantile: float, repeats: int) -> None:
    """Prints first and later seconds of every rule, and its cost over the Bayes cost.

    Every rule decides on `repeats` portfolios after a first one that only compiles.

    Args:
      n: instances.
      m: observations of each.
      quantile: critical ratio.
      repeats: portfolios, each a round in which all rules take their turn.
    """
    rules = own_rules() | peer_rules_()
    cold = {}
    for name, rule in rules.items():
        cold[name] = _timed(rule, draw(n, m, quantile, 0)[1])[0]
        print(f"first call of {name}: {cold[name]:.2f} s", flush=True)
    seconds = {name: [] for name in rules}
    ratios = {name: [] for name in rules}
    for seed in range(1, repeats + 1):
        instances, portfolio = draw(n, m, quantile, seed)
        cost = lambda x, i=instances: oracle.expected_cost(WORLD, i, x, quantile).sum()
        least = cost(oracle.bayes(WORLD, LAW, portfolio))
        for name, rule in rules.items():
            taken, x = _timed(rule, portfolio)
            seconds[name].append(taken)
            ratios[name].append(cost(x) / least)
    print(
        f"gamma–Poisson, n = {n}, m = {m}, q = {quantile}, {repeats} portfolios, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    for name in rules:
        ratio = np.array(ratios[name])
        error = ratio.std(ddof=1) / np.sqrt(repeats) if repeats > 1 else np.nan
        print(
            f"  {name:26s} {np.median(seconds[name]):8.4f} s (least "
            f"{min(seconds[name]):.4f}); cost/Bayes {ratio.mean():.4f} ± "
            f"{error:.4f}"
        )
    _targets({name: float(np.median(seconds[name])) for name in rules}, cold)


def _targets(compiled: dict[str, float], cold: dict[str, float]) -> None:
    """Prints the ratios that a user would ask for."""
    fitted = [n for n in ("lightgbm", "shrunken_saa", "npmle_negbin") if n in compiled]
    for label, seconds in (("compiled", compiled), ("first call", cold)):
        total = sum(seconds[name] for name in fitted)
        print(
            f"{label}: fine-tuned takes {seconds['fine-tuned'] / total:.1f} times "
            f"{' + '.join(fitted)} ({total:.2f} s)"
        )
        for name in fitted:
            ratio = seconds[name] / seconds["pretrained"]
            print(f"{label}: {name} takes {ratio:.1f} times pretrained")
