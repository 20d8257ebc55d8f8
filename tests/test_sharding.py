import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp

from ptft_jax import sharding, types

PROGRAM = """
import functools
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp, numpy as np
import tiny
from ptft_jax import risk, sharding, streamed, types

policy = risk.single(tiny.NETWORK, tiny.params())
rng = np.random.default_rng(0)
demand = rng.lognormal(1.0, 0.6, (101, 1)) * rng.lognormal(0.0, 0.5, (101, 5))
data = types.portfolio(jnp.asarray(demand, jnp.float32), 0.9)
decide = lambda data, axis: streamed.decide(tiny.NETWORK, policy, data, 8, axis)
found = [
    jax.jit(sharding.over_instances(devices)(decide))(data)
    for devices in (jax.devices()[:1], jax.devices())
]
assert len(jax.devices()) == 4
np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
each = jax.jit(sharding.over_instances(jax.devices())(lambda d, a: d.quantile))
assert len(each(jax.tree.map(lambda x: x[:100], data)).devices()) == 4
print("same")
"""


def test_four_devices_decide_as_one():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).parent,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr


def test_one_device_leaves_a_function_as_it_is():
    data = types.portfolio(jnp.ones((3, 2)), 0.5)
    split = sharding.over_instances(jax.devices()[:1])
    assert split(lambda portfolio, axis: (portfolio, axis))(data) == (data, None)
