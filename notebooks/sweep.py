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
# # A sweep that outlives its machine
#
# A sweep is a list of cells. Cells that differ in traced values only (n, seed,
# mismatch, radius, learning rate) are one compiled program on all devices of a TPU, a
# GPU or a CPU. Every cell has a file of its own. When the session dies, reconnect,
# mount the drive and run the notebook again: what is finished is skipped, and the two
# chunks in flight at most are lost (`--chunk` makes them smaller).

# %%
import importlib.util

if importlib.util.find_spec("ptft_jax") is None:  # on Colab, in a clone
    # %pip install -q ..
    pass

# %%
import os
import pathlib

import polars as pl
from IPython.display import Image

from ptft_jax import cli

# On Colab: from google.colab import drive; drive.mount("/content/drive"), and a folder
# under /content/drive/MyDrive here.
grid = os.environ.get("PTFT_SWEEP", "harmonic_small")
out = pathlib.Path(os.environ.get("PTFT_SWEEP_OUT", "results")) / f"sweep-{grid}"

# %% [markdown]
# ## Run or resume

# %%
cli.main(["sweep", grid, "run", "--out", str(out)])

# %% [markdown]
# ## What came out

# %%
summary = pl.read_csv(out / "summary.csv")
summary.filter(pl.col("metric").is_in(["combined", "law_combined"]))

# %%
Image(out / "figures" / f"{grid}.png")

# %% [markdown]
# Combining the wrong prior mean with the one that n instances estimate costs what the
# harmonic law says. `ptft sweep --help` lists the other grids; a TOML file makes one of
# your own, and CONTRIBUTING says how to write a task.
