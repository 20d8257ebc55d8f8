"""Squared risk of the means network, split in two, and the van Trees inequality.

    python -m benchmarks.squared_risk_parts

Normal means, one observation an instance, v = 1, decisions f of the network without
fine-tuning. E(f−θ)² = E(π−θ)² + E(f−π)², π the posterior mean with μ and τ known:
posterior variance, which no rule avoids, and the network's gap. Measured, the two leave
a cross term whose mean is 0 (`limits.decompose_squared_risk`); `z` is that term in its
standard errors. The posterior variance is τ²/(1+τ²), and here this is also what van
Trees' inequality says of every estimator of θ, `limits.van_trees` at m = 1, I = 1 and
I(prior) = 1/τ²: it is attained by a normal prior. It is about the mean over θ, so a
measured risk may fall below it by chance; `(risk − van Trees)/s.e.` says by how much.
"""

import json
import math

import jax.numpy as jnp
import numpy as np

from benchmarks import in_context_law
from ptft_jax import store, streams
from theory import limits

SIZES = (4, 8, 16, 64, 256, 1024, 4096)
SPREADS = (0.2, 0.5, 1.0, 3.0)


def row_of(shipped, spread: float, n: int, instances: int) -> dict[str, float]:
    """The parts at one τ and n, over `instances` of them, and what they should be."""
    network, params, _ = shipped
    rng = streams.generator(n, f"squared risk parts {spread}")
    count = max(instances // n, 64)
    theta, mean, posterior = in_context_law.portfolios(np.full(count, spread), n, rng)
    decide = lambda seen: network.apply(params, seen, 1.0).base
    decisions = in_context_law.by_portfolio(decide, mean, jnp.float32)
    parts = limits.decompose_squared_risk(
        decisions.ravel(), posterior.ravel(), theta.ravel()
    )
    # instances share what the network makes of their portfolio
    risks = ((decisions - theta) ** 2).mean(1)
    gaps = ((decisions - posterior) ** 2).mean(1)
    variance = (posterior - theta) ** 2
    error = lambda x: float(x.std(ddof=1)) / math.sqrt(x.size)
    least = limits.van_trees(1, 1.0, 1.0 / spread**2)
    return {
        "spread": spread,
        "n": n,
        "instances": theta.size,
        "van_trees": least,
        "risk_error": error(risks),
        "variance_error": error(variance),
        "gap_error": error(gaps),
        "left_over": parts.risk
        - (parts.posterior_variance + parts.bayes_gap + parts.cross),
        "z": parts.cross / parts.cross_standard_error,
        "above_van_trees": (parts.risk - least) / error(risks),
        **parts._asdict(),
    }


def main() -> None:
    """Prints the table and the worst of each check, and stores the rows."""
    args, shipped = in_context_law.start(__doc__, "squared_risk_parts", 2**19)
    print("  τ      n  van Trees  risk  posterior variance  gap  cross term (z)")
    rows = []
    for spread in SPREADS:
        for n in SIZES:
            row = row_of(shipped, spread, n, args.instances)
            rows.append(row)
            print(
                f"{spread:4g} {n:5d}  {row['van_trees']:.4f}  "
                f"{row['risk']:.4f} ± {row['risk_error']:.4f}  "
                f"{row['posterior_variance']:.4f} ± {row['variance_error']:.4f}  "
                f"{row['bayes_gap']:.2e} ± {row['gap_error']:.0e}  "
                f"{row['cross']:+.1e} ({row['z']:+.1f})",
                flush=True,
            )
    worst = max(abs(row["z"]) for row in rows)
    variance = max(
        abs(row["posterior_variance"] - row["van_trees"]) / row["variance_error"]
        for row in rows
    )
    lowest = min(rows, key=lambda row: row["above_van_trees"])
    print(f"cross term: at most {worst:.1f} standard errors from 0 in {len(rows)} rows")
    print(f"posterior variance: at most {variance:.1f} from τ²/(1+τ²)")
    print(f"rounding left over: {max(abs(row['left_over']) for row in rows):.0e}")
    print(
        f"risk less van Trees: least {lowest['above_van_trees']:+.1f} standard errors, "
        f"at τ = {lowest['spread']:g}, n = {lowest['n']}"
    )
    store.write_text(args.out / "rows.json", json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
