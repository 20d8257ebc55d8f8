"""A pretraining step in JAX and in PyTorch, side by side; see `benchmarks.peers`."""

import importlib.util
import os
import time
from collections.abc import Callable

import jax
import numpy as np

from ptft_jax import checkpoint, losses, model, pretrain, train
from ptft_jax.worlds.world import in_float64

THREADS = len(os.sched_getaffinity(0))
CHUNK = 5  # short turns, so that other work on the machine meets all alike
NAMES = ("jax", "jax with sampling", "torch eager", "torch compiled")


def batch_loss(network: model.Network) -> train.LossFn:
    """Mean pretraining loss of a batch that was drawn before."""
    one = lambda params, example: losses.pretraining_loss(params, network, example)
    return lambda params, batch: jax.vmap(one, (None, 0))(params, batch).mean()


def sampled(config: pretrain.PretrainConfig, shape: tuple[int, int, int], key):
    """A chunk of batches, as `pretrain.run` would draw them; leaves [chunk, b, …]."""
    num_portfolios, n, m = shape

    def batch(key):
        one = lambda key: pretrain.BROAD_PRIOR(
            key, n, m, config.num_quantiles, config.num_future
        )
        return jax.vmap(one)(jax.random.split(key, num_portfolios))

    keys = jax.random.split(key, config.chunk)
    return jax.jit(lambda keys: jax.lax.map(batch, keys))(keys)


def jax_chunks(network, config, shape, params, batches) -> dict[str, Callable]:
    """The compiled chunk of steps, with batches given and with batches drawn inside."""
    optimizer = pretrain.make_optimizer(config)
    drawn = pretrain.make_loss(network, config, shape)
    keys = jax.random.split(jax.random.key(2), config.chunk)
    found = {}
    for name, loss, given in (
        ("jax", batch_loss(network), batches),
        ("jax with sampling", drawn, keys),
    ):
        steps = train.make_steps(loss, optimizer, config.average_decay)
        state, program = train.init(params, optimizer), jax.jit(steps)
        found[name] = lambda p=program, s=state, g=given: jax.block_until_ready(p(s, g))
    return found


def _to_torch(batches) -> list:
    import torch

    from benchmarks import torch_network

    arrays = (
        batches.portfolio.observations,
        batches.portfolio.valid,
        batches.quantiles,
        batches.future,
    )
    leaves = [torch.from_numpy(np.array(a)) for a in arrays]
    return [torch_network.Batch(*row) for row in zip(*leaves, strict=True)]


def torch_chunks(network, config, params, batches) -> dict[str, Callable]:
    """A chunk of steps in PyTorch on the same batches, eager and by inductor."""
    import torch

    from benchmarks import torch_network

    torch.set_num_threads(THREADS)
    given, found = _to_torch(batches), {}
    for name, compiled in (("torch eager", False), ("torch compiled", True)):
        trainer = torch_network.Trainer(
            torch_network.Network(network, params), config, compiled
        )
        found[name] = lambda t=trainer: [t.step(batch) for batch in given]
    return found


def agreement(network, params, batches) -> tuple[float, float]:
    """Relative differences of the loss and, over leaves at worst, of gradients.

    In float64: in float32 two orders of the same sums differ by more where a feature is
    the cube root of a sum that cancels.
    """
    from benchmarks import torch_network

    first = jax.tree.map(lambda leaf: leaf[:1], batches)
    alone = jax.tree.map(lambda leaf: leaf[0], batches)
    loss = jax.value_and_grad(batch_loss(network))
    value, grads = in_float64(loss, params, alone)
    batch = _to_torch(first)[0]
    doubled = [leaf.double() if leaf.is_floating_point() else leaf for leaf in batch]
    peer = torch_network.Network(network, params).double()
    found = torch_network.loss(peer, torch_network.Batch(*doubled))
    found.backward()
    worst = 0.0
    for name, parameter in peer.named_parameters():
        ours = torch_network.flax_leaf(grads, name)
        gap = np.linalg.norm(parameter.grad.numpy() - ours) / np.linalg.norm(ours)
        worst = max(worst, float(gap))
    return abs(found.item() / float(value) - 1.0), worst


def _seconds(program: Callable) -> float:
    start = time.perf_counter()
    program()
    return time.perf_counter() - start


def in_turns(programs: dict[str, Callable], repeats: int) -> dict[str, np.ndarray]:
    """Wall times of programs called in turn, after a first call each.

    Args:
      programs: by name; each waits for its own result.
      repeats: timed calls of each.

    Returns:
      Seconds, [repeats] each.
    """
    for program in programs.values():
        program()
    rounds = [
        {name: _seconds(program) for name, program in programs.items()}
        for _ in range(repeats)
    ]
    return {name: np.array([r[name] for r in rounds]) for name in programs}


def report(repeats: int) -> None:
    """Prints milliseconds a step by shape, and the ratios of the medians.

    Args:
      repeats: timed chunks of each implementation and shape.
    """
    network, params, _ = checkpoint.load_shipped()
    if network != model.Network():
        raise SystemExit("the shipped network is not of the default configuration")
    config = pretrain.PretrainConfig(chunk=CHUNK)
    has_torch = importlib.util.find_spec("torch")
    if not has_torch:
        print("torch: not installed, not timed (pip install torch==2.13.0)")
    else:
        batches = sampled(config, config.shapes[0], jax.random.key(1))
        loss_gap, grad_gap = agreement(network, params, batches)
        print(
            f"in float64 the loss differs by {loss_gap:.1e}, gradients {grad_gap:.1e}"
        )
    names = NAMES if has_torch else NAMES[:2]
    median, least = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for shape in config.shapes:
        batches = sampled(config, shape, jax.random.key(1))
        programs = jax_chunks(network, config, shape, params, batches)
        if has_torch:
            programs |= torch_chunks(network, config, params, batches)
        row = []
        for name, seconds in in_turns(programs, repeats).items():
            step = 1e3 * seconds / config.chunk
            median[name] += float(np.median(step)) / len(config.shapes)
            least[name] += float(step.min()) / len(config.shapes)
            row.append(f"{name} {np.median(step):.1f} ms (least {step.min():.1f})")
        print(f"{shape}: " + ", ".join(row), flush=True)
    print(f"mean over shapes, load {os.getloadavg()[0]:.1f}, {THREADS} threads:")
    for name in names:
        print(
            f"  {name:18s} {median[name]:6.1f} ms, {median[name] / median['jax']:.2f} "
            f"times ours; least {least[name]:.1f}, {least[name] / least['jax']:.2f}"
        )
