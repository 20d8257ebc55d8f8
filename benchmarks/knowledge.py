"""What managerial knowledge is worth: right, vague and wrong priors, before and after.

    python -m benchmarks.knowledge [--seeds 8] [--steps 1500]

The truth is slow-moving counts with promotions. Four networks of one shape and budget
differ in their pretraining world only: `informed` knows the kind of demand to a factor
of two, `vague` is the broad prior, `wrong` believes in fast-moving, even amounts, and
`none` is not pretrained at all. Each decides for n instances of m = 5 observations at
q = .9, as it is and fine-tuned; excess costs are exact, over full information, the
same portfolios for all. The networks are kept under results/ by configuration.
"""

import argparse
import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ptft_jax import (
    baselines,
    checkpoint,
    compilation,
    finetune,
    plotting,
    pretrain,
    risk,
    shapes,
    store,
    streams,
    types,
    worlds,
)
from ptft_jax.model import Network

NETWORK = Network(width=32, observation_width=16, num_latents=8, heads=2)
SIZES = (32, 128, 512, 2048)
M, Q = 5, 0.9
TRUTH = worlds.demand(
    level=(2.0, 4.0),
    spread=0.6,
    noise=0.4,
    intermittency=(0.3, 0.5),
    is_count=True,
    day_effect=0.2,
    promotions=0.1,
    promotion_lift=3.0,
    name="truth",
)
PRIORS = {
    "informed": worlds.demand(
        level=(1.0, 8.0),
        spread=(0.3, 1.0),
        noise=(0.2, 0.8),
        intermittency=(0.2, 0.6),
        is_count=True,
        promotions=(0.05, 0.2),
        promotion_lift=(2.0, 4.0),
    ),
    "vague": worlds.demand(),
    "wrong": worlds.demand(
        level=(50.0, 500.0),
        spread=(0.1, 0.3),
        noise=(0.05, 0.15),
        intermittency=0.0,
        is_count=False,
        day_effect=0.0,
    ),
}
COLORS = {"informed": "C2", "vague": "C0", "wrong": "C3", "none": "0.5"}
FOLDER = pathlib.Path("results/knowledge")
MEANING = 2  # of what is known: networks of before were taught something else


def network_of(name: str, steps: int):
    """Parameters pretrained on a prior, or at their start."""
    key = jax.random.key(0)
    if name == "none":
        return jax.jit(pretrain.init_params, static_argnums=0)(NETWORK, key)
    prior = PRIORS[name]
    config = pretrain.PretrainConfig(
        num_steps=steps, shapes=((32, 64, 8), (8, 256, 8)), learning_rate=3e-3
    )
    taught = (NETWORK, config, prior.name, MEANING)
    digest = hashlib.sha256(repr(taught).encode()).hexdigest()
    path = FOLDER / f"{name}-{digest[:12]}.safetensors"
    if not path.exists():
        params, losses = pretrain.run(
            NETWORK, config, key, sample_example=prior.sample_example
        )
        checkpoint.save_network(path, NETWORK, params, prior=prior.name)
        print(f"{name}: loss {losses[-1]:.3f} after {steps} steps", flush=True)
    return checkpoint.load_network(path)[1]


def draw(seed: int, n: int):
    """Instances of one law of the truth, and their portfolio."""
    keys = jax.random.split(streams.cell_key(seed, "knowledge", n), 3)
    law = TRUTH.sample_law(keys[0])
    rows = TRUTH.sample_instances(keys[1], law, n)
    seen = TRUTH.sample_demand(keys[2], rows, M)
    return rows, types.portfolio(seen, Q)


def excesses(rows, portfolio, decisions: dict) -> dict[str, float]:
    """Σ cost / Σ cost of full information − 1, in percent."""
    q = portfolio.quantile
    cost = lambda x: float(TRUTH.expected_cost(rows, jnp.asarray(x), q).sum())
    full = cost(TRUTH.full_information(rows, q))
    return {name: 100.0 * (cost(x) / full - 1.0) for name, x in decisions.items()}


def measure(seeds: int, steps: int) -> dict[tuple[str, int], np.ndarray]:
    """Excess of every method and n, one value a seed."""
    decide = jax.jit(risk.decide, static_argnums=0)
    params = {name: network_of(name, steps) for name in (*PRIORS, "none")}
    fit = finetune.make_fit(NETWORK, finetune.FinetuneConfig())
    found: dict[tuple[str, int], list[float]] = {}
    for n in SIZES:
        for seed in range(seeds):
            rows, portfolio = draw(seed, n)
            padded, made = shapes.pad(portfolio), {}
            for name, p in params.items():
                key = streams.cell_key(seed, "finetune", n)
                policies = {
                    f"{name}, pretrained": risk.single(NETWORK, p),
                    f"{name}, fine-tuned": fit(p, padded, key).policy,
                }
                made |= {
                    k: decide(NETWORK, policy, padded)[:n]
                    for k, policy in policies.items()
                }
            for name in ("saa", "shrunken_saa", "gamma_poisson_eb", "npmle_negbin"):
                made[name] = baselines.COUNTS[name](portfolio)
            for name, value in excesses(rows, portfolio, made).items():
                found.setdefault((name, n), []).append(value)
        print(f"n = {n} done", flush=True)
    return {key: np.array(values) for key, values in found.items()}


def table(found: dict[tuple[str, int], np.ndarray]) -> str:
    """A Markdown table, ± standard errors over seeds."""
    names = list(dict.fromkeys(name for name, _ in found))
    lines = ["| excess, % | " + " | ".join(f"n = {n}" for n in SIZES) + " |"]
    lines += ["|---" * (len(SIZES) + 1) + "|"]
    for name in names:
        cells = [found[name, n] for n in SIZES]
        shown = [f"{c.mean():.1f} ± {c.std(ddof=1) / len(c) ** 0.5:.1f}" for c in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def draw_figure(found: dict[tuple[str, int], np.ndarray]) -> Figure:
    """Excess against n, dashed before fine-tuning and solid after it."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for name, color in COLORS.items():
        for stage, line in (("pretrained", "--"), ("fine-tuned", "-")):
            if name == "none" and stage == "pretrained":
                continue  # a network without training is off the scale
            values = [found[f"{name}, {stage}", n] for n in SIZES]
            mean = [v.mean() for v in values]
            error = [v.std(ddof=1) / len(v) ** 0.5 for v in values]
            label = f"{name}, {stage}"
            axis.errorbar(SIZES, mean, error, color=color, ls=line, label=label, ms=4)
    best = [found["npmle_negbin", n].mean() for n in SIZES]
    axis.plot(SIZES, best, color="k", ls=":", label="NPMLE")
    axis.set(xscale="log", xlabel="instances n", ylabel="excess cost, %")
    axis.set_xticks(SIZES, [str(n) for n in SIZES])
    axis.legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    """Prints the table and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    compilation.keep_programs()
    found = measure(args.seeds, args.steps)
    print(table(found))
    path = FOLDER / "knowledge.png"
    store.write_text(path, plotting.to_bytes(draw_figure(found), "png"))
    print(path)


if __name__ == "__main__":
    main()
