import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptft_jax import compilation


@pytest.fixture
def nowhere():
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_the_folder_a_user_chose_is_left(tmp_path, nowhere):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    assert compilation.keep_programs(tmp_path / "ours") == tmp_path / "theirs"
    assert not (tmp_path / "ours").exists()


def test_without_a_place_to_write_programs_are_not_kept(tmp_path, nowhere):
    (tmp_path / "file").write_text("")
    assert compilation.keep_programs(tmp_path / "file" / "folder") is None
    assert jax.config.jax_compilation_cache_dir is None


KEPT = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE")
PROGRAM = """
import pathlib, sys
import jax, jax.numpy as jnp
from ptft_jax import compilation
compilation.LEAST_SECONDS = 0.0
compilation.keep_programs(pathlib.Path(sys.argv[1]))
print(jax.jit(lambda x: jnp.sort(x) @ x)(jnp.arange(4.0)))
"""


def test_a_second_process_finds_the_first_ones_programs(tmp_path):
    chosen = {k: v for k, v in os.environ.items() if not k.startswith(KEPT)}
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, tmp_path],
            capture_output=True,
            text=True,
            check=True,
            env=chosen,
        )
        outputs.append((done.stdout, done.stderr))
        kept = {p.name for p in tmp_path.iterdir() if p.name.endswith("-cache")}
        if len(outputs) == 1:
            first = kept
    assert outputs[0] == outputs[1] == (f"{jnp.float32(14.0)}\n", "")
    assert first
    assert kept == first


def test_threads_compile_a_program_once_between_them():
    traces = []

    def double(x):
        traces.append(x.shape)
        return 2 * x

    call = compilation.once(double)
    inputs = [jnp.full(3, i, jnp.float32) for i in range(8)] + [jnp.ones(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(call, inputs))
    assert sorted(traces) == [(3,), (4,)]
    for x, y in zip(inputs, found, strict=True):
        np.testing.assert_array_equal(y, 2 * x)


def test_weak_and_strong_types_do_not_share_a_program():
    call = compilation.once(lambda x, y: x * y)
    assert call(jnp.ones(2, jnp.bfloat16), 2.0).dtype == jnp.bfloat16
    assert call(jnp.ones(2, jnp.bfloat16), jnp.float32(2.0)).dtype == jnp.float32


@pytest.mark.parametrize(("platform", "precision"), [("tpu", "highest"), ("cpu", None)])
def test_only_accelerators_are_asked_for_full_products(
    platform, precision, monkeypatch
):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    try:
        compilation.full_precision()
        assert jax.config.jax_default_matmul_precision == precision
    finally:
        jax.config.update("jax_default_matmul_precision", None)


def test_programs_are_forgotten_before_mappings_run_out(tmp_path, monkeypatch):
    limit = tmp_path / "limit"
    monkeypatch.setattr(compilation, "MAPPINGS_LIMIT", str(limit))
    assert not compilation.spare_mappings()  # no such limit on this system
    double = jax.jit(lambda x: 2.0 * x)
    double(1.0)
    limit.write_text("1000000000")
    assert not compilation.spare_mappings()
    assert double._cache_size() == 1
    limit.write_text("10")
    assert compilation.spare_mappings()
    assert double._cache_size() == 0
    assert double(1.0) == 2.0
