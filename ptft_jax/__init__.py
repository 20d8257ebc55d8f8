"""Pretrain-then-finetune Transformers for many decisions with little data each.

`from ptft_jax import Portfolio, model, pretrain, finetune, risk, …`; nothing is
imported before it is asked for, so that the command line answers at once.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_FOLDERS = {"problems": "newsvendor"}


def __getattr__(name: str) -> Any:
    if name == "Portfolio":
        return importlib.import_module("ptft_jax.types").Portfolio
    if name in _FOLDERS:
        importlib.import_module(f"ptft_jax.{name}.{_FOLDERS[name]}")
    try:
        return importlib.import_module(f"ptft_jax.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ptft_jax.{name}":
            raise
        raise AttributeError(f"module 'ptft_jax' has no attribute {name!r}") from None
