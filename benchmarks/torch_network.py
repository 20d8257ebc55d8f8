"""The default network and its pretraining loss in PyTorch; for `benchmarks.peers` only.

Written as one would in PyTorch: batched over portfolios, torch's own attention, fused
AdamW. The same weights give the same loss and gradients as `model` and `losses`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import torch_features
from ptft_jax import model, pretrain

LAYER_NORM_EPS = 1e-6


class Batch(NamedTuple):
    """Portfolios, the quantiles asked of them and their futures."""

    observations: torch.Tensor  # [b, n, m]
    valid: torch.Tensor  # [b, n, m]
    quantiles: torch.Tensor  # [b, n, k]
    future: torch.Tensor  # [b, n, j]


class Attend(nn.Module):
    """Multi-head softmax attention, pre-norm, residual."""

    def __init__(self, width: int, heads: int):
        """Declares the layers."""
        super().__init__()
        self.heads = heads
        self.query_norm = nn.LayerNorm(width, LAYER_NORM_EPS, bias=False)
        self.key_norm = nn.LayerNorm(width, LAYER_NORM_EPS, bias=False)
        for name in ("q", "k", "v", "out"):
            setattr(self, name, nn.Linear(width, width, bias=False))

    def forward(self, queries, keys, valid=None):
        """Queries [b, i, d] after attending to keys [b, j, d], those `valid` [b, j]."""
        split = lambda x: x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        normed, keys = self.query_norm(queries), self.key_norm(keys)
        mixed = functional.scaled_dot_product_attention(
            split(self.q(normed)),
            split(self.k(keys)),
            split(self.v(keys)),
            None if valid is None else valid[:, None, None],
        )
        return queries + self.out(mixed.transpose(1, 2).flatten(-2))


class Feedforward(nn.Module):
    """Pre-norm two-layer perceptron, residual; named as flax names its layers."""

    def __init__(self, width: int):
        """Declares the layers."""
        super().__init__()
        self.LayerNorm_0 = nn.LayerNorm(width, LAYER_NORM_EPS, bias=False)
        self.Dense_0 = nn.Linear(width, 2 * width)
        self.Dense_1 = nn.Linear(2 * width, width)

    def forward(self, x):
        """Tokens after the perceptron."""
        hidden = functional.gelu(self.Dense_0(self.LayerNorm_0(x)), approximate="tanh")
        return x + self.Dense_1(hidden)


class Network(nn.Module):
    """`model.Network`: decisions for every quantile of every instance of a batch."""

    def __init__(self, like: model.Network, params: Any):
        """The layers of `like`, with its flax parameters."""
        super().__init__()
        width, blocks, tree = like.width, range(like.num_blocks), params["params"]
        linear = lambda name, size, bias=True: nn.Linear(
            tree[name]["kernel"].shape[0], size, bias
        )
        self.observe = linear("observe", like.observation_width)
        self.embed = linear("embed", width)
        self.embed_portfolio = linear("embed_portfolio", width)
        self.seeds = nn.Parameter(torch.empty(like.num_latents, width))
        self.collect = nn.ModuleList(Attend(width, like.heads) for _ in blocks)
        self.reflect = nn.ModuleList(Feedforward(width) for _ in blocks)
        self.consult = nn.ModuleList(Attend(width, like.heads) for _ in blocks)
        self.think = nn.ModuleList(Feedforward(width) for _ in blocks)
        self.read = linear("read", 2 * width)
        self.read_quantile = linear("read_quantile", 2 * width, False)
        self.read_sample = linear("read_sample", 2 * width, False)
        self.last = linear("last", width)
        self.shift = linear("shift", 1)
        self.stretch = linear("stretch", 1)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(torch.from_numpy(flax_leaf(params, name)))

    def forward(self, inputs: torch_features.Inputs, present, quantiles):
        """Decisions x⁰ [b, n, k], in units of the observations."""
        shared = self.embed_portfolio(inputs.portfolio)
        own = torch.cat([self.observe(inputs.observation), inputs.instance], -1)
        x, latents = self.embed(own) + shared, self.seeds + shared
        for collect, reflect, consult, think in zip(
            self.collect, self.reflect, self.consult, self.think, strict=True
        ):
            latents = reflect(collect(latents, x, present))
            x = think(consult(x, latents))
        return self.decide(inputs, x, quantiles)

    def decide(self, inputs: torch_features.Inputs, x, quantiles):
        """The decision link, at all quantiles at once."""
        z = torch.special.ndtri(quantiles)
        levels = [z / 2.0, z.square() / 4.0, quantiles, (-z.square() / 2.0).exp()]
        asked = self.read_quantile(torch.stack(levels, -1))
        rule = inputs.noise[..., None] * (inputs.shrinkage[..., None] + z)
        plain = functional.softplus(rule + model.SOFTPLUS_ONE)
        start = (plain - 1.0) / inputs.noise[..., None]
        near = self.read_sample(torch_features.exceedances(inputs, start))
        y = functional.gelu(self.read(x)[:, :, None] + asked + near, approximate="tanh")
        h = self.last(y)
        h = h * (h.square().mean(-1, keepdim=True) + 1e-12).rsqrt()
        widened = z * self.stretch(h)[..., 0].exp()
        moved = inputs.shrinkage[..., None] + self.shift(h)[..., 0] + widened
        t = inputs.noise[..., None] * moved + model.SOFTPLUS_ONE
        return inputs.scale[..., None] * functional.softplus(t)


def flax_leaf(tree: Any, name: str) -> np.ndarray:
    """The leaf of a flax tree that a torch parameter of that name stands for.

    Args:
      tree: parameters or gradients of `model.Network`.
      name: as in `named_parameters`.

    Returns:
      The array, transposed where torch stores weights by rows.
    """
    *path, kind = name.split(".")
    node = tree["params"]
    while path:
        part = path.pop(0)
        if path and path[0].isdigit():
            part += "_" + path.pop(0)
        node = node[part]
    if kind == "weight":
        kind = "kernel" if "kernel" in node else "scale"
    leaf = np.array(node[kind])
    return leaf.T.copy() if kind == "kernel" else leaf


def loss(network: Network, batch: Batch) -> torch.Tensor:
    """`losses.pretraining_loss`, the mean over a batch.

    Args:
      network: the Transformer.
      batch: b portfolios.

    Returns:
      The loss, a scalar.
    """
    present = batch.valid.any(-1)
    inputs = torch_features.inputs(batch.observations, batch.valid)
    x = network(inputs, present, batch.quantiles)
    scale, count = inputs.scale, present.sum(1, keepdim=True)
    typical = torch.where(present, scale, 0.0).sum(1, keepdim=True)
    typical = typical / count.clamp(min=1)
    weight = present / (0.8 * scale + 0.2 * typical + 1e-30)
    future, q = batch.future[:, :, None], batch.quantiles[..., None]

    def total(x):
        short = future - x[..., None]
        cost = torch.maximum(q * short, (q - 1.0) * short).mean(-1)
        return (weight[..., None] * cost).sum(1)

    sd = batch.future.std(-1, correction=0, keepdim=True)
    mean = batch.future.mean(-1, keepdim=True)
    informed = total((mean + torch.special.ndtri(batch.quantiles) * sd).clamp(min=0.0))
    floor = 0.003 * (weight * scale).sum(1, keepdim=True) + 1e-30
    return (total(x) / (informed + floor)).mean()


class Trainer:
    """A training step as `pretrain` makes it: clip, AdamW with a schedule, average."""

    def __init__(self, network: Network, config: pretrain.PretrainConfig, compiled):
        """Optimizer and averages of a network; `compiled` turns inductor on."""
        self.network, self.decay = network, config.average_decay
        self.loss = torch.compile(loss, dynamic=False) if compiled else loss
        self.params = list(network.parameters())
        self.average = [p.detach().clone() for p in self.params]
        self.optimizer = torch.optim.AdamW(
            self.params,
            config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
            fused=True,
        )
        warm = min(500, config.num_steps // 10)
        rest = config.num_steps - warm
        cosine = lambda step: (1.0 + math.cos(math.pi * (step - warm) / rest)) / 2.0
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: step / warm if step < warm else cosine(step)
        )

    def step(self, batch: Batch) -> float:
        """One step; a gradient that is not finite is left out."""
        self.optimizer.zero_grad(set_to_none=True)
        value = self.loss(self.network, batch)
        value.backward()
        norm = nn.utils.clip_grad_norm_(self.params, 1.0)
        if norm.isfinite():
            self.optimizer.step()
        self.schedule.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.params, 1.0 - self.decay)
        return value.item()
