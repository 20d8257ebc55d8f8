"""Speed against what a user would pick otherwise, side by side in one run.

    python -m benchmarks.peers training [--repeats 7]
    python -m benchmarks.peers decisions [--repeats 5] [--n 1115] [--m 10]

`training`: a step of pretraining (loss, gradient, clip, AdamW, average) on the same
batches, drawn beforehand, in JAX and in PyTorch (`benchmarks.torch_network`), eager and
compiled by inductor; before it is timed, loss and gradients of both are compared.
`decisions`: n instances of the gamma–Poisson world, decided by the shipped network, by
LightGBM, Shrunken-SAA and NPMLE, and by NUTS on the true hierarchy with numpyro; costs
are exact, over that of the Bayes decision with the law known.

The peers are not dependencies: what is not installed is named and left out.

    pip install torch==2.13.0 lightgbm tqdm
    pip install --no-deps numpyro multipledispatch   # leaves jax as it is

inductor needs a C++ compiler. Times are medians of turns taken one after the other, on
two threads each.
"""

import argparse
import os

from benchmarks import peer_decisions, peer_training


def main() -> None:
    """Prints one of the two comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=("training", "decisions"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n", type=int, default=1115)
    parser.add_argument("--m", type=int, default=10)
    parser.add_argument("--quantile", type=float, default=0.95)
    args = parser.parse_args()
    # OpenMP threads that spin at barriers crawl when other work shares the cores (300
    # rounds of LightGBM: 14 s instead of 2); read when torch or lightgbm is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if args.which == "training":
        peer_training.report(args.repeats)
    else:
        peer_decisions.report(args.n, args.m, args.quantile, args.repeats)


if __name__ == "__main__":
    main()
