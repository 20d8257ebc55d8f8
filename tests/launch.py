"""The decision problem of `notebooks/own_problem.py`, as it stands there."""

import pathlib
from dataclasses import replace

from ptft_jax.method.network import Across

_TEXT = (pathlib.Path(__file__).parents[1] / "notebooks/own_problem.py").read_text()
_CELLS = [cell for cell in _TEXT.split("# %%") if "[markdown]" not in cell]
_MADE: dict = {}
for _cell in _CELLS:
    if "import Inputs" in _cell or "class Seen" in _cell:
        exec(_cell, _MADE)

PROBLEM, WORLD, Seen = _MADE["launch"], _MADE["world"], _MADE["Seen"]
NETWORK = Across(1, width=16, num_latents=4, num_blocks=1, heads=2)


def world(problem=PROBLEM, **changed):
    """The world with some of its functions, or its problem, replaced."""
    return replace(WORLD, problem=problem, **changed)
