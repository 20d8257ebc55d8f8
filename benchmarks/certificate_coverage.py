"""How tight the betting certificate is on real demand, and how often it holds.

    python -m benchmarks.certificate_coverage [--redraws 1000]

The stores are split in two folds and the policies of each fold are fitted, once. Then
the certificate's part alone is redrawn: the scored instances of each fold are stores
drawn at random, with observations drawn anew. The statement is about the mean cost of
the folds' policies over all stores, whose exact value is known: every column's whole
empirical distribution is its store's law. Held against that cost uncut as well, which
is more than the certificate promises.
"""

import argparse
import time

import jax
import numpy as np
from scipy import stats

from benchmarks import datasets
from ptft_jax import (
    certify,
    checkpoint,
    compilation,
    crossfit,
    finetune,
    left_out,
    shapes,
    sources,
)


def population(network, half, source, cell, num_draws: int):
    """Left-out costs [draw, store] and the exact mean cost, by policy of one fold."""
    own, exact = {}, {}
    for repeat in range(num_draws):
        fresh = source.fresh(cell, repeat)
        size = fresh.portfolio.valid.shape[0]
        padded = shapes.pad(fresh.portfolio)
        position, counts, decisions = left_out.several(
            network, half.policies, padded, half.context, jax.random.key(repeat)
        )
        used, lacks = (np.asarray(leaf)[:, :size] for leaf in (counts, position))
        for name, x in decisions.items():
            found = left_out.instance_costs(padded, x, position, counts)[:size]
            own.setdefault(name, []).append(found)
            pairs = zip(x[:, :size], lacks, strict=True)
            cost = np.stack([fresh.left_out_cost(*pair) for pair in pairs])
            mean = np.where(used, cost, 0.0).sum(0) / used.sum(0)
            exact.setdefault(name, []).append(mean.mean())
    return (
        {name: np.stack(values) for name, values in own.items()},
        {name: float(np.mean(values)) for name, values in exact.items()},
    )


def redraw(rng, half, pool):
    """The scores of one fold, of as many stores as it has to score."""
    num_draws, num_stores = pool["saa"].shape
    size = len(half.others)
    which = rng.integers(num_draws, size=size), rng.integers(num_stores, size=size)
    costs = {name: values[which] for name, values in pool.items()}
    return crossfit.Scores(costs, half.scale, half.ranges)


def main() -> None:
    """Prints tightness and coverage of the pretrained and fine-tuned policies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--redraws", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=24, help="of the population")
    parser.add_argument("--observations", type=int, default=10)
    parser.add_argument("--quantile", type=float, default=0.95)
    parser.add_argument("--delta", type=float, default=0.05)
    args = parser.parse_args()
    compilation.keep_programs()
    network, params, _ = checkpoint.load_shipped()
    source = sources.FileSource(datasets.path("rossmann"), datasets.table("rossmann"))
    cell = sources.Cell("iid", source.size, args.observations, args.quantile, seed=0)
    fit = finetune.make_fit(network, finetune.FinetuneConfig())
    halves = crossfit.cross_fit(
        network, params, source.draw(cell).portfolio, fit, jax.random.key(0)
    )
    pools, exact = zip(
        *(population(network, half, source, cell, args.draws) for half in halves),
        strict=True,
    )
    rng, start = np.random.default_rng(1), time.perf_counter()
    bounds = {"pretrained": [], "finetuned": []}
    for _ in range(args.redraws):
        scores = tuple(redraw(rng, *pair) for pair in zip(halves, pools, strict=True))
        for name, found in bounds.items():
            made = certify.cost_bounds(scores, name, args.delta, ("betting",))
            found.append(made[0].value)
    print(f"{args.redraws} redraws in {time.perf_counter() - start:.0f} s")
    for name, found in bounds.items():
        values = np.array(found)
        share = [
            np.minimum(pool[name], half.scale).mean()
            for pool, half in zip(pools, halves, strict=True)
        ]
        cut = certify.weigh(scores, share)
        uncut = certify.weigh(scores, [one[name] for one in exact])
        ratio = values / uncut
        print(f"{name}: bound / true cost {ratio.mean():.3f} ± {ratio.std():.3f} (sd)")
        for label, true in (("cut", cut), ("uncut", uncut)):
            held = int((values >= true).sum())
            low = stats.binomtest(held, len(values)).proportion_ci(0.95).low
            print(
                f"  holds for the {label} cost {true:.5g} in {held} of {len(values)} "
                f"redraws (at least {low:.1%} at confidence .975)"
            )


if __name__ == "__main__":
    main()
