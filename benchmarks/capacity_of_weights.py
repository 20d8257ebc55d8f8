"""Capacity of the shipped networks, from the norms of their weights, beside one head's.

    python -m benchmarks.capacity_of_weights

The policy attends to a frozen portfolio of 256 instances, so its costs on n others are
independent. `gap` is the measured R(û) − R̂(û) of the head û fitted to n labels in the
ball, less that of the pretrained head, whose mean is 0, nothing cut. `head` is twice
its Rademacher complexity, by simulation and by `capacity.linear_ball`; `certified` adds
3B√(ln(2/δ)/2n) to the latter (Mohri et al. 2018, Theorem 3.3). `net` is
`capacity.parameter_net` of all weights, from below: the slope of a cost in the weights
is measured at the trained weights alone and is larger elsewhere in the ball. `edelman`
and `trauger` are shapes with every hidden constant set to 1. All are over B, the range
at which costs are cut.
"""

import argparse
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from benchmarks.capacity_cases import RADIUS, Case, means_case, newsvendor_case
from benchmarks.capacity_norms import Norms, norms
from ptft_jax import compilation, plotting, store, streams
from theory import capacity, rates

SIZES = tuple(4**k for k in range(4, 9))
CONTEXT, DELTA = 256, 0.05
POPULATION = 2**15
MOST_SETS = 32  # of labels
UNCUT = 1e300
LOOKS = {
    "gap": {
        "color": "#D55E00",
        "marker": "s",
        "lw": 2.2,
        "label": "measured: gap, ± 2 s.e.",
    },
    "head_simulated": {"color": "#0072B2", "ls": ":", "marker": "o"}
    | {"label": "2 Rad of the head's ball, simulated"},
    "head": {"color": "#56B4E9", "ls": ":", "marker": "v"}
    | {"label": "2 Rad of the head's ball, bounded"},
    "certified": {"color": "#009E73", "ls": ":", "marker": "D"}
    | {"label": "certified: the head's ball"},
    "net": {"color": "black", "ls": ":", "marker": "^"}
    | {"label": "net of all weights (from below)"},
    "trauger": {"color": "0.35", "ls": (0, (1, 4)), "marker": "<"}
    | {"label": "rate: Trauger & Tewari, constant 1"},
    "edelman": {"color": "0.35", "ls": (0, (1, 4)), "marker": ">"}
    | {"label": "rate: Edelman et al., constant 1"},
}


def whole_network(case: Case, made: Norms, bound: float) -> dict[str, Callable]:
    """Deviation over B as a function of n, by every capacity of all weights."""
    width = case.network.width
    common = made.weights, made.last, math.sqrt(width), made.layers, width

    def edelman(n):
        log_covering = rates.edelman_log_covering(*common, CONTEXT, n)
        return rates.covering_rate(n, log_covering, UNCUT, made.slope) / bound

    def trauger(n):
        log_covering = rates.trauger_tewari_log_covering(*common)
        return rates.covering_rate(n, log_covering, UNCUT, made.slope) / bound

    def net(n):
        given = (made.count, made.length, made.steepest, n, DELTA, bound)
        return capacity.parameter_net(*given) / bound

    return {"net": net, "edelman": edelman, "trauger": trauger}


def needed(ratio: Callable[[int], float]) -> float:
    """log₁₀ of the least n at which a deviation is at most B."""
    low, high = 0.5, 300.0
    for _ in range(60):
        middle = (low + high) / 2.0
        is_vacuous = ratio(int(10.0**middle)) > 1.0
        low, high = (middle, high) if is_vacuous else (low, middle)
    return high


def _drawn(case: Case, context, total: int, stream: str):
    """Instances, decisions and labels of `total` fresh instances, in the context."""
    part = min(total, 2**14)

    @jax.jit
    def one(key):
        rows, seen, labels = case.draw(key, part)
        return rows, case.decide(case.params, seen, context), labels

    keys = jax.random.split(streams.cell_key(0, stream, total), total // part)
    parts = [one(key) for key in keys]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def gaps(case: Case, fresh, pool, n: int) -> np.ndarray:
    """R(û) − R̂(û) less that of φ₀, of heads fitted to sets of n labels of the pool."""
    sets = min(MOST_SETS, len(pool[2]) // n)
    split = jax.tree.map(lambda x: x[: sets * n].reshape(sets, n, *x.shape[1:]), pool)
    rows, decision, _ = fresh
    saved = lambda pay, made, u: (
        pay(made.base + made.scale * (made.hidden @ u)) - pay(made.base)
    ).mean()

    def one(given):
        _, own, labels = given
        u = case.fit(own, labels)
        on_sample = saved(lambda x: case.cost(x, labels), own, u)
        return saved(lambda x: case.truth(rows, x), decision, u) - on_sample

    return np.asarray(jax.jit(lambda x: jax.lax.map(one, x))(split), np.float64)


def row_of(case: Case, drawn: tuple, bound: float, n: int, whole: dict) -> dict:
    """All columns at one n, over B."""
    found = gaps(case, *drawn, n) / bound
    hidden, scale = (x[:n] for x in (drawn[1][1].hidden, drawn[1][1].scale))
    ball = hidden, scale, RADIUS, case.lipschitz(bound)
    simulated = capacity.linear_ball_monte_carlo(*ball, 200, n)
    rademacher = capacity.linear_ball(*ball)
    spread = 3.0 * math.sqrt(math.log(2.0 / DELTA) / (2.0 * n))
    return {
        "network": case.name,
        "n": n,
        "gap": float(found.mean()),
        "gap_error": float(found.std(ddof=1) / math.sqrt(len(found))),
        "sets": len(found),
        "head_simulated": 2.0 * simulated.value / bound,
        "head_simulated_error": 2.0 * simulated.standard_error / bound,
        "head": 2.0 * rademacher / bound,
        "certified": 2.0 * rademacher / bound + spread,
        **{name: ratio(n) for name, ratio in whole.items()},
    }


def measure(case: Case, size: int) -> tuple[list[dict], dict[str, Any]]:
    """The rows of a network, and what does not depend on n."""
    _, context, labels = case.draw(streams.cell_key(1, "capacity", 0), CONTEXT)
    base = jax.jit(case.decide)(case.params, context, context).base
    paid = case.cost(base, labels)
    bound = 2.0 * float(paid.max())
    made = norms(case, bound, context)
    each = [rates.weight_norms(w) for w in made.weights]
    whole = whole_network(case, made, bound)
    about = {
        "network": case.name,
        "B": bound,
        "mean_cost_over_B": float(paid.mean()) / bound,
        "parameters": made.count,
        "layers": made.layers,
        "spectral": max(x.spectral for x in each),
        "two_one": max(x.two_one for x in each),
        "one_one": max(x.one_one for x in each),
        "last": made.last,
        "slope": made.slope,
        "length": made.length,
        "steepest": made.steepest,
        "log10_n": {name: needed(ratio) for name, ratio in whole.items()},
    }
    drawn = (
        _drawn(case, context, POPULATION, "capacity, population"),
        _drawn(case, context, size, "capacity, fitted"),
    )
    sizes = [n for n in SIZES if n <= size]
    return [row_of(case, drawn, bound, n, whole) for n in sizes], about


def draw(rows: list[dict]) -> Figure:
    """Every column against n, one panel a network."""
    figure = Figure(figsize=(11.5, 5.0), layout="constrained", dpi=150)
    names = list(dict.fromkeys(row["network"] for row in rows))
    axes = figure.subplots(1, len(names), sharey=True)
    for axis, name in zip(axes, names, strict=True):
        shown = [row for row in rows if row["network"] == name]
        n = [row["n"] for row in shown]
        for column, look in LOOKS.items():
            value = np.array([row[column] for row in shown])
            error = np.array([2.0 * row.get(f"{column}_error", 0.0) for row in shown])
            # both ends of a bar have a logarithm
            ends = np.minimum(error, 0.9 * value), error
            axis.errorbar(n, value, ends, ms=4.5, capsize=2, **look)
        axis.axhline(1.0, color="black", lw=1.0)
        axis.annotate("B: above it a bound says nothing", (n[0], 1.3), fontsize=7)
        axis.set(xscale="log", yscale="log", title=f"{name} network")
        axis.set_xlabel("instances n")
        axis.grid(visible=True, which="major", color="0.9", lw=0.8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("deviation of the risk, units of the range B")
    handles, labels = axes[0].get_legend_handles_labels()
    place = {"loc": "outside right center", "frameon": False, "fontsize": 8}
    figure.legend(handles, labels, **place)
    return figure


def main() -> None:
    """Prints the tables, stores their rows and draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("results/capacity_of_weights")
    )
    parser.add_argument("--instances", type=int, default=2**18, help="to fit heads to")
    args = parser.parse_args()
    compilation.keep_programs()
    rows, about = [], []
    for case in (newsvendor_case(), means_case()):
        found, constants = measure(case, args.instances)
        rows, about = rows + found, [*about, constants]
        print(json.dumps(constants, default=float, indent=1))
        columns = "gap, 2 Rad simulated, bounded, certified, net, edelman, trauger"
        print(f"{case.name}, over B: n, {columns}")
        for row in found:
            print(
                f"{row['n']:6d}  {row['gap']:.2e} ± {row['gap_error']:.0e}  "
                f"{row['head_simulated']:.2e}  {row['head']:.2e}  "
                f"{row['certified']:.2e}  {row['net']:.3g}  {row['edelman']:.2e}  "
                f"{row['trauger']:.2e}",
                flush=True,
            )
    tables = {"rows": rows, "constants": about}
    store.write_text(args.out / "rows.json", json.dumps(tables, indent=1) + "\n")
    figure = plotting.to_bytes(draw(rows), "png")
    store.write_text(args.out / "capacity_of_weights.png", figure)
    print(f"figure and rows in {args.out}")


if __name__ == "__main__":
    main()
