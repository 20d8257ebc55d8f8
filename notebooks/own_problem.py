# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A decision problem of your own
#
# A firm has tried n new features, each in an A/B test of its own. It sees an estimate
# of each effect θ with its standard error s, and launches the features that are worth
# it: x = 1 earns θ, x = 0 nothing. Most features do harm and tests are noisy: whoever
# launches what looks good is fooled by the luckiest.
#
# Forty lines are all that `ptft_jax` must know: a `Problem` (what is seen, a decision,
# its cost, how to leave data out so that labels are unbiased) and a `ProblemWorld` to
# pretrain on, which is what is known before any data is seen. In this one the mean
# effect is between −2 and 0 standard errors, and effects differ by up to 1.5. The law
# of a portfolio is known to the simulation alone, and with it the Bayes decision.

# %%
import importlib.util

if importlib.util.find_spec("ptft_jax") is None:  # on Colab, in a clone
    # %pip install -q ..
    pass

# %%
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ptft_jax.problems.problem import Inputs, Problem, ProblemWorld


# %%
class Seen(NamedTuple):
    y: jax.Array  # estimates of the effects
    s: jax.Array  # their standard errors; 0 is padding


def inputs(seen, scale):  # unit-free: of each instance, and of the portfolio
    z = seen.y / jnp.where(seen.s > 0, seen.s, 1.0)
    rows = jnp.stack([z, jnp.tanh(z), seen.y / scale, seen.s / scale], axis=1)
    return Inputs(rows, jnp.log((z**2).mean(where=seen.s > 0))[None])


def leave_out(key, seen):  # two independent halves of a normal estimate
    noise = seen.s * jax.random.normal(key, seen.s.shape)
    return Seen(seen.y + noise, seen.s * 2**0.5), seen.y - noise


score = lambda seen, scale, output: seen.y / scale + output[:, 0]
launch = Problem(
    name="launch",
    description="launch the features whose effect is positive",
    num_outputs=1,
    present=lambda seen: seen.s > 0,
    summarize=lambda seen: jnp.sqrt((seen.y**2).mean(where=seen.s > 0)),
    inputs=inputs,
    decide=lambda seen, scale, output, _: 1.0 * (score(seen, scale, output) > 0),
    loss=lambda seen, r, out, _, y: -y / r * jax.nn.sigmoid(4 * score(seen, r, out)),
    cost=lambda x, y: -y * x,
    leave_out=leave_out,
    baselines={"what looks good": lambda seen: 1.0 * (seen.y > 0)},
)
world = ProblemWorld(
    name="launches",
    description="a few good features among many that do harm",
    problem=launch,
    sample_law=lambda key: jax.random.uniform(key, (2,)) * jnp.array([-2.0, 1.5]),
    sample_instances=lambda key, law, n: law[0] + law[1] * jax.random.normal(key, (n,)),
    observe=lambda key, t, m: Seen(t + jax.random.normal(key, t.shape), 0 * t + 1),
    outcome=lambda key, theta: theta,
    expected_cost=lambda theta, x: -theta * x,
    full_information=lambda theta: 1.0 * (theta > 0),
    bayes=lambda law, seen: 1.0 * (seen.y * law[1] ** 2 + law[0] > 0),
    base=lambda theta: jnp.abs(theta),
)

# %% [markdown]
# Do they keep to the protocols? Shapes, padding, permutations, gradients, compilation,
# unbiased labels, and that nobody beats full information or Bayes:

# %%
from ptft_jax import conformance

findings = conformance.check(world, jax.random.key(0), num_instances=256)
for found in findings:
    print("ok  " if found.is_met else "FAIL", found.name, "-", found.detail)
assert all(found.is_met for found in findings)

# %% [markdown]
# Pretrain on the world, then lay the method beside the baseline and Bayes in portfolios
# that no step of it has seen. Nothing is left to be learnt from a portfolio where the
# pretraining world is right; `ptft_jax.method.finetune` finds that out by itself.

# %%
from ptft_jax.method import finetune, network, pretrain
from ptft_jax.pretrain import PretrainConfig

transformer = network.Across(num_outputs=1, width=32, num_blocks=1)
config = PretrainConfig(num_steps=400, shapes=((32, 64, 1),), learning_rate=3e-3)
params, losses = pretrain.run(world, transformer, config, jax.random.key(2))


@jax.jit
def costs(key):
    law_key, truth_key, seen_key = jax.random.split(key, 3)
    law = world.sample_law(law_key)
    theta = world.sample_instances(truth_key, law, 256)
    seen = world.observe(seen_key, theta, 1)
    rules = {
        "pretrained": network.decide(transformer, launch, params, seen),
        "what looks good": launch.baselines["what looks good"](seen),
        "bayes": world.bayes(law, seen),
    }
    return {k: world.expected_cost(theta, x).mean() for k, x in rules.items()}


table = jax.lax.map(costs, jax.random.split(jax.random.key(3), 64))
for name, cost in table.items():
    print(f"{name:16} earns {-cost.mean():+.4f} ± {cost.std() / 8:.4f} a feature")
assert table["pretrained"].mean() < table["what looks good"].mean()

# %% [markdown]
# A firm whose features are better than the world says fine-tunes on its own tests:

# %%
theta = 1.0 + jax.random.normal(jax.random.key(4), (1024,))
seen = world.observe(jax.random.key(5), theta, 1)
fit = finetune.make_fit(launch, transformer, finetune.FinetuneConfig())
tuned = fit(params, seen, jax.random.key(6))
earned = lambda x: float(-world.expected_cost(theta, x).mean())
print(tuned.chosen)
print("pretrained", earned(network.decide(transformer, launch, params, seen)))
print("fine-tuned", earned(finetune.decide(transformer, launch, tuned.params, seen)))
