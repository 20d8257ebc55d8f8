"""What one instance does to the decisions on the others, as n grows.

    python -m benchmarks.attention_sensitivity

Portfolios of the broad prior, m = 10, q = .9, the shipped newsvendor network, every
portfolio its own context. One instance is replaced by a fresh one of the same law, or
by one with a hundred times its demand. `move` is the largest |x_i − x'_i|/s_i over the
other instances i, `cost` the change of the mean cost over B, B twice the largest
cost in 8192 instances,
`others` the same without the cost of the instance replaced; each is the largest of 8
replacements. Means over portfolios are geometric, ± in percent; slopes are means of
each portfolio's own, ± one standard error.

`attention` is the move of the output of the first attention across instances when one
token is replaced and nothing else. Its bounds are sums over heads of
`capacity.attention_sensitivity`: with κ half the range of the scores seen (adding a
constant to all scores or values of a query changes nothing), and with the weights that
the other tokens have, e^(−2κ) = Z e^(−κ̄)/(n−1), Z their sum of e^score, κ̄ the largest
score. They cover one attention. A replaced instance also moves the portfolio's
statistics and so every other token: no bound here covers the whole network, and L, the
slope of a cost in that output, is measured, not bounded.
"""

import argparse
import json
import math
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from matplotlib.figure import Figure

from benchmarks import first_attention
from ptft_jax import checkpoint, compilation, plotting, store, streams, types
from ptft_jax.problems import newsvendor
from ptft_jax.worlds import WORLDS
from theory import capacity, scaling

SIZES = (32, 128, 512, 2048, 8192)
WORLD = WORLDS["demand"]
OBSERVATIONS, QUANTILE, DELTA = 10, 0.9, 0.05
REPLACED = 8  # instances of a portfolio, one at a time
OUTLIER = 100.0
SLOPES = 16  # instances whose cost is differentiated
LOOKS = {
    "move": {"color": "#D55E00", "marker": "s", "lw": 2.2}
    | {"label": "measured: decision, same law"},
    "move_outlier": {"color": "#E69F00", "marker": "^", "lw": 1.6}
    | {"label": "measured: decision, outlier"},
    "cost": {"color": "#0072B2", "marker": "o", "lw": 2.2}
    | {"label": "measured: mean cost over B, same law"},
    "attention": {"color": "#009E73", "marker": "D", "lw": 1.6}
    | {"label": "measured: attention's output"},
    "by_weights": {"color": "#009E73", "ls": ":", "marker": "v"}
    | {"label": "bound of it, weights of the others"},
    "by_range": {"color": "black", "ls": ":", "marker": "^"}
    | {"label": "bound of it, range of scores"},
}


class Drawn(NamedTuple):
    """Portfolios' data: seen [n, m], labels [n], and replacements [k, m]."""

    seen: jax.Array
    label: jax.Array
    fresh: jax.Array


def draw(seed: int, n: int) -> Drawn:
    """The first n instances of the portfolio of a seed, and fresh ones of its law."""
    keys = jax.random.split(streams.cell_key(seed, "attention sensitivity", 0), 3)
    law = jax.jit(WORLD.sample_law)(keys[0])
    sample = jax.jit(WORLD.sample_instances, static_argnums=2)
    demand = jax.jit(WORLD.sample_demand, static_argnums=2)
    rows = sample(keys[1], law, max(SIZES) + REPLACED)
    values = demand(keys[2], rows, OBSERVATIONS + 1)
    seen, label = values[:, :-1], values[:, -1]
    return Drawn(seen[:n], label[:n], seen[max(SIZES) :])


@jax.jit
def outcome(params, seen, label):
    """Decisions of the portfolio as its own context, and their costs."""
    decision = _network().apply(params, types.portfolio(seen, QUANTILE))
    return decision, newsvendor.cost(decision.base, label, jnp.asarray(QUANTILE))


@jax.jit
def moves(params, drawn: Drawn, lift: float):
    """Per replacement: largest move of another decision, changes of the mean cost.

    Of all instances, and of the others alone.
    """
    before, paid = outcome(params, drawn.seen, drawn.label)

    def one(given):
        j, row = given
        after, cost = outcome(params, drawn.seen.at[j].set(lift * row), drawn.label)
        move = jnp.abs(after.base - before.base) / before.scale
        change = cost - paid
        others = jnp.abs(change.at[j].set(0.0).mean())
        return move.at[j].set(0.0).max(), jnp.abs(change.mean()), others

    return jax.lax.map(one, (jnp.arange(REPLACED), drawn.fresh))


def _network():
    return checkpoint.load_shipped()[0]


@jax.jit
def slope(params, drawn: Drawn):
    """L: largest Σ_l ‖∂c_i/∂(output l)‖ of the first attention, over some instances."""
    network = _network()

    def costs(offset):
        def shifted(call, args, kwargs, context):
            out = call(*args, **kwargs)
            is_first = context.module.name == "collect_0"
            return out + offset if is_first else out

        with nn.intercept_methods(shifted):
            x = network.apply(params, types.portfolio(drawn.seen, QUANTILE)).base
        paid = newsvendor.cost(x, drawn.label, jnp.asarray(QUANTILE))
        return paid[:SLOPES]

    zero = jnp.zeros((network.num_latents, network.width))
    found = jax.jacrev(costs)(zero)
    return jnp.linalg.norm(found, axis=-1).sum(-1).max()


def cell(params, seed: int, n: int, bound: float) -> dict[str, float]:
    """One portfolio at one n, costs cut at B."""
    drawn = draw(seed, n)
    found = (np.asarray(x, np.float64) for x in moves(params, drawn, 1.0))
    moved, changed, others = found
    outlier, _, outlier_others = moves(params, drawn, OUTLIER)
    made = first_attention.measure(
        _network(), params, drawn.seen, drawn.fresh, QUANTILE
    )
    lipschitz = float(slope(params, drawn)) / bound
    all_n = lambda c: capacity.mcdiarmid(np.full(n, c), DELTA)
    by_bound = {
        f"mcdiarmid_{name}": all_n(
            capacity.portfolio_difference(1.0, lipschitz, move, n)
        )
        for name, move in (("range", made.by_range), ("weights", made.by_weights))
    }
    return {
        "move": float(moved.max()),
        "move_outlier": float(outlier.max()),
        "cost": float(changed.max()) / bound,
        "others": float(others.max()) / bound,
        "others_outlier": float(outlier_others.max()) / bound,
        "attention": made.moved,
        "by_range": made.by_range,
        "by_weights": made.by_weights,
        "kappa": made.kappa,
        "slope": lipschitz,
        "hoeffding": all_n(1.0 / n),
        "mcdiarmid_measured": all_n(float(changed.max()) / bound),
        **by_bound,
    }


def summary(cells: list[dict[str, float]]) -> dict[str, float]:
    """Geometric mean over portfolios of every column, its error, and the largest."""
    out = {}
    for name in cells[0]:
        logs = np.log([max(each[name], 1e-12) for each in cells])
        out[name] = float(np.exp(logs.mean()))
        out[f"{name}_error"] = float(logs.std(ddof=1) / math.sqrt(len(logs)))
        out[f"{name}_largest"] = float(np.exp(logs.max()))
    return out


def figure_of(rows: list[dict]) -> Figure:
    """Moves and McDiarmid's deviations against n."""
    figure = Figure(figsize=(11.5, 4.8), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2)
    n = [row["n"] for row in rows]
    for name, look in LOOKS.items():
        left.plot(n, [row[name] for row in rows], ms=5, **look)
    left.plot(n, [rows[0]["attention"] * n[0] / k for k in n], color="0.7", lw=0.8)
    left.annotate("slope −1", (n[-1], rows[0]["attention"] * n[0] / n[-1]), fontsize=7)
    left.set_ylabel("change when one instance is replaced")
    for name, look in (
        ("hoeffding", {"color": "black", "ls": ":", "marker": "o"}),
        ("mcdiarmid_measured", {"color": "#D55E00", "marker": "s"}),
        ("mcdiarmid_weights", {"color": "#009E73", "ls": ":", "marker": "v"}),
        ("mcdiarmid_range", {"color": "#0072B2", "ls": ":", "marker": "^"}),
    ):
        label = {
            "hoeffding": "certified: Hoeffding, context frozen",
            "mcdiarmid_measured": "McDiarmid from the measured change",
            "mcdiarmid_weights": "McDiarmid from the bound by weights",
            "mcdiarmid_range": "McDiarmid from the bound by range",
        }[name]
        right.plot(n, [row[name] for row in rows], ms=5, label=label, **look)
    right.axhline(1.0, color="black", lw=1.0)
    right.set_ylabel("deviation of the mean cost, units of B")
    for axis in (left, right):
        axis.set(xscale="log", yscale="log", xlabel="instances n")
        axis.set_xticks(n, [str(k) for k in n])
        axis.minorticks_off()
        axis.grid(visible=True, which="major", color="0.9", lw=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=7)
    return figure


def main() -> None:
    """Prints the table and slopes, stores the rows and draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--portfolios", type=int, default=6)
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("results/attention_sensitivity"),
    )
    args = parser.parse_args()
    compilation.keep_programs()
    params = checkpoint.load_shipped()[1]
    rows, tables, slopes = [], [], {}
    bounds = []
    for seed in range(args.portfolios):
        whole = draw(seed, max(SIZES))
        bounds.append(2.0 * float(outcome(params, whole.seen, whole.label)[1].max()))
    for n in SIZES:
        tables.append([cell(params, seed, n, b) for seed, b in enumerate(bounds)])
        rows.append({"n": n, **summary(tables[-1])})
        print(f"n = {n}: mean over portfolios ± %, the largest")
        for name in tables[0][0]:
            value, error, largest = (
                rows[-1][f"{name}{end}"] for end in ("", "_error", "_largest")
            )
            print(
                f"  {name:20s} {value:9.2e} ± {error:4.0%}  {largest:9.2e}", flush=True
            )
    print("slopes in n")
    for name in tables[0][0]:
        each = [
            scaling.log_log_slope(SIZES, [t[k][name] for t in tables]).slope
            for k in range(args.portfolios)
        ]
        error = float(np.std(each, ddof=1)) / math.sqrt(len(each))
        slopes[name] = float(np.mean(each)), error
        print(f"  {name:20s} {slopes[name][0]:5.2f} ± {error:.2f}")
    store.write_text(
        args.out / "rows.json",
        json.dumps({"rows": rows, "slopes": slopes}, indent=1) + "\n",
    )
    figure = plotting.to_bytes(figure_of(rows), "png")
    store.write_text(args.out / "attention_sensitivity.png", figure)
    print(f"figure and rows in {args.out}")


if __name__ == "__main__":
    main()
