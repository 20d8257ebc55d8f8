"""What the means network learns in context as n grows, without any fine-tuning.

    python -m benchmarks.in_context_law

Normal means, v = 1, τ log-uniform on [.2, 3]. Regret per instance is E(x − x*)², x* the
Bayes decision with μ and τ known. Hierarchical Bayes (float64) is the least that any
rule equivariant to translation reaches on average; James–Stein's rule has exactly
(3/n)·v²/(τ²+v), a law, and is simulated too (at n = 4 its regret has a mean and no
variance). All rules see the same portfolios, the τ of the average are evenly spread,
and ± is one standard error over portfolios, of a ratio with its numerator and
denominator paired.
"""

import argparse
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ptft_jax import compilation, plotting, store, streams
from ptft_jax.means import pretrain as means_pretrain
from ptft_jax.types import Portfolio, enable_x64
from ptft_jax.worlds import means_posterior
from theory import laws

SIZES = (4, 8, 16, 64, 256, 1024, 4096)
SPREADS = (0.2, 0.5, 1.0, 3.0)
AVERAGE = "average"
RULES = ("network", "hierarchical_bayes", "james_stein")
LOOKS = {
    "network": plotting.STYLES["pretrained"] | {"label": "network, not fine-tuned"},
    "hierarchical_bayes": plotting.STYLES["hierarchical_bayes"]
    | {"label": "hierarchical Bayes"},
    "james_stein": {"color": "#E69F00", "marker": "v", "ls": "none"}
    | {"label": "James–Stein, simulated"},
}
LAW_LOOK = {"color": "0.55", "lw": 1.2, "ls": ":", "label": "law (3/n) v²/(τ²+v)"}


def portfolios(spread: np.ndarray, n: int, rng: np.random.Generator):
    """Means θ, averages x̄ of variance 1, Bayes decisions of known μ = 0, τ: [p, n]."""
    spread = spread[:, None]
    theta = spread * rng.standard_normal((len(spread), n))
    mean = np.float32(theta + rng.standard_normal(theta.shape)).astype(np.float64)
    return theta, mean, spread**2 / (spread**2 + 1.0) * mean


def james_stein(mean: np.ndarray) -> np.ndarray:
    """The rule 1 − (n−3)v/S about the mean of x̄, at v = 1."""
    center = mean.mean(1, keepdims=True)
    scatter = ((mean - center) ** 2).sum(1, keepdims=True)
    return center + (1.0 - (mean.shape[1] - 3) / scatter) * (mean - center)


def by_portfolio(rule, mean: np.ndarray, dtype) -> np.ndarray:
    """A rule of one portfolio of one observation an instance, over all of them."""
    n = mean.shape[1]

    def one(x):
        seen = Portfolio(x[:, None], jnp.ones((n, 1), bool), jnp.full(n, 0.5, x.dtype))
        return rule(seen)

    size = max(1, min(len(mean), 16_384 // n))
    decide = jax.jit(lambda x: jax.lax.map(one, x, batch_size=size))
    return np.asarray(decide(jnp.asarray(mean, dtype)), np.float64)


def regrets(shipped, spread: np.ndarray, n: int, rng) -> dict[str, np.ndarray]:
    """Mean regret per instance of every rule, in each portfolio."""
    network, params, _ = shipped
    _, mean, bayes = portfolios(spread, n, rng)
    apply = lambda seen: network.apply(params, seen, 1.0).base
    with enable_x64(True):
        best = lambda seen: means_posterior.hierarchical_bayes(seen, 1.0)
        hierarchical = by_portfolio(best, mean, jnp.float64)
    decisions = (
        by_portfolio(apply, mean, jnp.float32),
        hierarchical,
        james_stein(mean),
    )
    return {
        rule: ((x - bayes) ** 2).mean(1)
        for rule, x in zip(RULES, decisions, strict=True)
    }


def ratio(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    """Ratio of two means over the same portfolios, and its standard error."""
    value = top.mean() / bottom.mean()
    error = (top - value * bottom).std(ddof=1) / bottom.mean() / len(top) ** 0.5
    return float(value), float(error)


def spreads(where: float | str, count: int) -> np.ndarray:
    """One τ for all portfolios, or the hyper-prior's, evenly spread."""
    if where != AVERAGE:
        return np.full(count, where)
    low, high = np.log(means_posterior.SPREAD_RANGE)
    return np.exp(low + (high - low) * (np.arange(count) + 0.5) / count)


def cell(shipped, where: float | str, n: int, instances: int) -> dict:
    """One row: all rules at one n, at one τ or on the average over the hyper-prior."""
    count = min(max(instances // n, 200), 40_000)
    tau = spreads(where, count)
    found = regrets(shipped, tau, n, streams.generator(n, f"in-context law {where}"))
    law = float(np.mean([laws.james_stein_regret(n, 1.0, t**2) for t in tau]))
    row = {"spread": where, "n": n, "portfolios": count, "law": law}
    for rule, values in found.items():
        row[rule] = float(values.mean())
        row[f"{rule}_error"] = float(values.std(ddof=1) / math.sqrt(count))
    of_best = ratio(found["network"], found["hierarchical_bayes"])
    row["over_hierarchical"], row["over_hierarchical_error"] = of_best
    return row


def _title(where: float | str) -> str:
    return "τ log-uniform on [.2, 3]" if where == AVERAGE else f"τ = {where:g}"


def draw(rows: list[dict]) -> Figure:
    """Regret against n by τ, and the network's over hierarchical Bayes."""
    figure = Figure(figsize=(11.5, 6.8), layout="constrained", dpi=150)
    axes = figure.subplots(2, 3)
    for axis, where in zip(axes.flat, (AVERAGE, *SPREADS), strict=False):
        shown = [row for row in rows if row["spread"] == where]
        n = [row["n"] for row in shown]
        axis.plot(n, [row["law"] for row in shown], **LAW_LOOK)
        for rule in reversed(RULES):
            error = [2.0 * row[f"{rule}_error"] for row in shown]
            value = [row[rule] for row in shown]
            axis.errorbar(n, value, yerr=error, ms=5, capsize=2, **LOOKS[rule])
        axis.set(xscale="log", yscale="log", title=_title(where))
        axis.set_ylabel("regret per instance, units of v")
    last = axes.flat[-1]
    for where in (*SPREADS, AVERAGE):
        shown = [row for row in rows if row["spread"] == where]
        look = {"color": "black", "lw": 2.4} if where == AVERAGE else {"lw": 1.2}
        last.plot(
            [row["n"] for row in shown],
            [row["over_hierarchical"] for row in shown],
            marker="o",
            ms=4,
            label=_title(where),
            **look,
        )
    last.axhline(1.15, color="0.6", lw=1.0, ls="--")
    last.set(xscale="log", title="network / hierarchical Bayes")
    last.legend(frameon=False, fontsize=7)
    for axis in axes.flat:
        axis.set_xticks(SIZES, [str(n) for n in SIZES], fontsize=7)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("instances n")
        axis.grid(visible=True, which="major", color="0.9", lw=0.8)
        axis.spines[["top", "right"]].set_visible(False)
    axes.flat[0].legend(frameon=False, fontsize=8)
    return figure


def start(about: str, name: str, instances: int):
    """The options of a benchmark of the means network, and that network."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument(
        "--instances", type=int, default=instances, help="in a row, about"
    )
    parser.add_argument("--out", type=pathlib.Path, default=f"results/{name}")
    compilation.keep_programs()
    return parser.parse_args(), means_pretrain.load_shipped()


def main() -> None:
    """Prints the table, stores its rows and draws the figure."""
    args, shipped = start(__doc__, "in_context_law", 2**18)
    print(f"{'τ':>8} {'n':>5}  regret·n/3: network, HB, JS, law   network/HB")
    rows = []
    for where in (AVERAGE, *SPREADS):
        for n in SIZES:
            row = cell(shipped, where, n, args.instances)
            rows.append(row)
            shown = "  ".join(
                f"{row[rule] * n / 3:.4f} ± {row[f'{rule}_error'] * n / 3:.4f}"
                for rule in RULES
            )
            over = row["over_hierarchical"], row["over_hierarchical_error"]
            print(
                f"{where:>8} {n:5d}  {shown}  {row['law'] * n / 3:.4f}   "
                f"{over[0]:.4f} ± {over[1]:.4f}",
                flush=True,
            )
    store.write_text(args.out / "rows.json", json.dumps(rows, indent=1) + "\n")
    figure = plotting.to_bytes(draw(rows), "png")
    (args.out / "in_context_law.png").write_bytes(figure)
    print(f"figure and rows in {args.out}")


if __name__ == "__main__":
    main()
