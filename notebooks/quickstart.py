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
# # ptft_jax in five minutes
#
# Two hundred products, eight past days each, a stock level to choose for all of them at
# once. A Transformer pretrained on synthetic demand reads the whole portfolio; it is
# fine-tuned on the portfolio itself where that wins on products held out; and the cost
# of the result is certified.

# %%
import importlib.util

if importlib.util.find_spec("ptft_jax") is None:  # on Colab, in a clone
    # %pip install -q ..
    pass

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import theory
from ptft_jax import baselines, checkpoint, finetune, risk, types, worlds

print(jax.__version__, jax.devices()[0].device_kind)

# %% [markdown]
# ## A portfolio
# A simulated world, so that the true cost of every decision is known.

# %%
world = worlds.WORLDS["lognormal"]
law_key, instance_key, demand_key, fit_key = jax.random.split(jax.random.key(7), 4)
instances = world.sample_instances(instance_key, world.sample_law(law_key), 200)
demand = world.sample_demand(demand_key, instances, 8)
portfolio = types.portfolio(demand, quantile=0.9)

# %% [markdown]
# ## Decide: the shipped network, then fine-tuned on these 200 products

# %%
network, params, info = checkpoint.load_shipped()
config = finetune.FinetuneConfig(classes=("head",), num_rows=4)
tuned = finetune.make_fit(network, config)(params, portfolio, fit_key)
print(tuned.chosen)

# %%
decide = jax.jit(risk.decide, static_argnums=0)
decisions = {
    "sample average": baselines.saa(portfolio),
    "lognormal EB": baselines.lognormal_eb(portfolio),
    "pretrained": decide(network, risk.single(network, params), portfolio),
    "fine-tuned": decide(network, tuned.policy, portfolio),
    "full information": world.full_information(instances, portfolio.quantile),
}

# %% [markdown]
# ## What each rule costs in truth

# %%
cost = {
    name: float(np.sum(world.expected_cost(instances, x, portfolio.quantile)))
    for name, x in decisions.items()
}
full = cost.pop("full information")
excess = {name: 100 * (value / full - 1) for name, value in cost.items()}

# %%
plt.barh(list(excess), list(excess.values()), color="0.4")
plt.xlabel("cost above full information (%)")
plt.tight_layout()

# %% [markdown]
# ## A certificate
# Half of the products only form the portfolio that the other half is read beside, and
# set the scale at which costs are cut. Given them, the costs of the other half on a day
# that no decision has seen are independent, one a product, and bound the mean cost per
# product, whatever the demand law.

# %%
part = lambda a, b: jax.tree.map(lambda leaf: leaf[a:b], portfolio)
first, second = part(0, 100), part(100, 200)
seen, last = types.leave_one_out(second, np.full(100, 7))
x = decide(network, risk.single(network, params), seen, first)
scale = 4.0 * float(np.mean(first.observations.sum(1) / first.num_observed))
short = np.asarray(last - x, np.float64)
losses = np.minimum(np.maximum(0.9 * short, -0.1 * short) / scale, 1.0)

# %%
upper = scale * theory.certificates.betting(losses, 0.05)
print(f"mean cost {scale * losses.mean():.3f}, at most {upper:.3f} with confidence .95")

# %% [markdown]
# Reading the portfolio as a whole costs a fraction of what sample averages cost, and
# fine-tuning is adopted only where products held out say that it helps. Next: `ptft
# decide` on a file of your own, `ptft validate` for errors and bounds as n grows.
