"""Seconds and memory of all that `ptft decide` does, from a thousand instances to 10⁶.

    python -m benchmarks.million
    python -m benchmarks.million --what "decide;saa" --n 1000,1000000

Every figure is of a process of its own: the seconds of a second call (where the first
took more than a minute: of the first, less what jax says it spent on compiling), the
seconds of the processor, and the most memory that the process ever had.
"""

import argparse
import functools
import io
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from ptft_jax import (
    baselines,
    checkpoint,
    data,
    decide,
    dependence,
    left_out,
    risk,
    types,
)
from ptft_jax.finetune import FinetuneConfig
from theory import certificates, scaling

OBSERVATIONS = 10
QUANTILE = 0.9
COUNTS = ("gamma_poisson_eb", "npmle_negbin")
FORMS = ("long.csv", "transposed.csv", "wide.csv", "long.parquet", "transposed.parquet")
LONG_SECONDS = 60.0


def demand(n: int, is_count: bool) -> np.ndarray:
    """Lognormal demand of lognormal levels, or Poisson counts, [n, m]."""
    rng = np.random.default_rng(0)
    level, shape = rng.lognormal(1.5, 0.8, (n, 1)), (n, OBSERVATIONS)
    drawn = (
        rng.poisson(level, shape) if is_count else level * rng.lognormal(0, 0.5, shape)
    )
    return drawn.astype(np.float32)


def write(n: int, form: str, path: pathlib.Path) -> None:
    """A file of demand in one of `FORMS`."""
    values = demand(n, False).round(3).astype(float)
    names = pl.Series("instance", [f"sku{i:07d}" for i in range(n)])
    days = [f"2025-01-{j + 1:02d}" for j in range(OBSERVATIONS)]
    kind, suffix = form.split(".")
    if kind == "wide":
        lines = [",".join(["date", *names])]
        lines += [",".join([d, *map(str, values[:, j])]) for j, d in enumerate(days)]
        path.write_text("\n".join(lines) + "\n")
        return
    table = pl.DataFrame([names, *map(pl.Series, days, values.T)])
    if kind == "long":
        table = table.unpivot(index="instance", variable_name="time").sort("instance")
    out = io.BytesIO()
    table.write_parquet(out) if suffix == "parquet" else table.write_csv(out)
    path.write_bytes(out.getvalue())


def several(params, width: int, count: int) -> risk.Policy:
    """As many networks as fine-tuning on many instances averages."""
    stacked = jax.tree.map(lambda x: jnp.repeat(x[None], count, axis=0), params)
    return risk.Policy(stacked, jnp.zeros((count, width)))


def work(what: str, n: int, folder: pathlib.Path) -> Callable[[], object]:
    """What is to be timed, its inputs ready."""
    if what in FORMS:
        write(n, what, folder / what)
        return lambda: data.to_portfolio(data.read(folder / what), QUANTILE)
    if what == "betting":
        losses = np.random.default_rng(0).beta(0.9, 17.1, n // 2)
        return lambda: certificates.betting(losses, 0.025)
    observations = jnp.asarray(demand(n, what in COUNTS))
    portfolio = types.portfolio(observations, QUANTILE)
    if what in baselines.COUNTS:
        return lambda: np.asarray(baselines.COUNTS[what](portfolio))
    if what == "dependence":
        return lambda: dependence.examine(portfolio)
    network, params, _ = checkpoint.load_shipped()
    if what in ("decide", "decide 4 networks"):
        count = 1 if what == "decide" else FinetuneConfig().num_folds
        policy = several(params, network.width, count)
        return lambda: left_out.decide(network, policy, portfolio)
    config = FinetuneConfig() if what == "finetune, certify" else None
    names = [f"sku{i:07d}" for i in range(n)]
    return functools.partial(
        decide.decide, network, params, portfolio, names, config=config
    )


WHAT = (
    *("decide", "decide 4 networks", "certify", "finetune, certify"),
    *("dependence", "betting", *baselines.COUNTS, *FORMS),
)


def one(what: str, n: int) -> None:
    """Prints the measurements of one piece of work as JSON."""
    spent = {"compile": 0.0}

    def listen(event: str, seconds: float, **_) -> None:
        if event.startswith("/jax/core/compile"):
            spent["compile"] += seconds

    jax.monitoring.register_event_duration_secs_listener(listen)
    gib = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with tempfile.TemporaryDirectory() as folder:
        call = work(what, n, pathlib.Path(folder))
        spent["compile"], before = 0.0, gib()
        for again in (False, True):
            compiled = spent["compile"]
            start, busy = time.perf_counter(), time.process_time()
            call()
            compiling = spent["compile"] - compiled
            seconds = time.perf_counter() - start - compiling
            busy = time.process_time() - busy
            if not again and seconds > LONG_SECONDS:
                break
    found = {"seconds": seconds, "processor": busy, "compile": spent["compile"]}
    print(json.dumps(found | {"before": before, "peak": gib()}))


def main() -> None:
    """Prints a line for each piece of work and size, and the slopes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", default=";".join(WHAT), help="separated by ;")
    parser.add_argument("--n", default="1000,10000,100000,1000000")
    parser.add_argument("--one", action="store_true", help="in this very process")
    args = parser.parse_args()
    sizes = [int(n) for n in args.n.split(",")]
    if args.one:
        one(args.what, sizes[0])
        return
    print(f"{os.cpu_count()} cores; load of the machine in the last column")
    for what in args.what.split(";"):
        seconds = []
        for n in sizes:
            line = [sys.executable, "-m", "benchmarks.million", "--one", "--what", what]
            done = subprocess.run(
                [*line, "--n", str(n)], capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            seconds.append(found["seconds"])
            print(
                f"{what:18s} n = {n:8d}: {found['seconds']:8.2f} s (processor "
                f"{found['processor']:8.2f} s) and {found['compile']:6.2f} s "
                "compiling; "
                f"{found['before']:5.2f} GiB before, {found['peak']:5.2f} GiB at most; "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        if len(sizes) > 2:
            slope = scaling.log_log_slope(sizes, seconds).slope
            last = np.log(seconds[-1] / seconds[-2]) / np.log(sizes[-1] / sizes[-2])
            print(f"{what:18s} slope {slope:.3f}, of the last step {last:.3f}")


if __name__ == "__main__":
    main()
