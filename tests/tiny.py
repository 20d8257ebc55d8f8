"""A network and an effort small enough to run every command in a test."""

import jax
import numpy as np

from ptft_jax import checkpoint, lab, model, pretrain
from ptft_jax.finetune import FinetuneConfig

NETWORK = model.Network(
    width=16, observation_width=8, num_latents=4, num_blocks=1, heads=2
)
BRIEF = FinetuneConfig(
    classes=("head",),
    least_instances=4,
    num_folds=2,
    num_splits=1,
    radii=(0.1,),
    num_rows=2,
)
EFFORT = lab.Effort(finetune=BRIEF, scratch=BRIEF, redraws=1, portfolios=3)


# Compiled as a whole: op by op, an initialisation compiles a hundred programs.
init_params = jax.jit(pretrain.init_params, static_argnums=0)


def params():
    return init_params(NETWORK, jax.random.key(0))


def write_weights(path):
    checkpoint.save_network(path, NETWORK, params(), seed=0)
    return path


def demand(periods=30, instances=12, seed=0):
    rng = np.random.default_rng(seed)
    level = rng.lognormal(2.0, 0.5, instances)
    return level * rng.lognormal(0.0, 0.4, (periods, instances))


def write_csv(path, values):
    lines = [",".join(f"i{k}" for k in range(values.shape[1]))]
    lines += [",".join(f"{x:.4f}" for x in row) for row in values]
    path.write_text("\n".join(lines) + "\n")
    return path
