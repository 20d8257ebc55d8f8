import os

import jax
import pytest
import tiny

from ptft_jax import compilation, data

# Most of a first run is compilation, and most of that is optimization of programs
# that run once. XLA_FLAGS= (empty) runs the tests on the programs that users run.
HASTY = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def pytest_configure(config):
    # before the first device is asked for; workers and started processes inherit it
    os.environ.setdefault("XLA_FLAGS", HASTY)
    # Many tests, the workers, notebooks and started processes run the same programs,
    # most of them of one operation: each compiles once.
    cache = getattr(config, "cache", None)
    if cache is None or jax.config.jax_compilation_cache_dir:
        return
    kept = {
        "jax_compilation_cache_dir": str(cache.mkdir("xla")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    for name, value in kept.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Many tests, many programs: XLA dies where a process has no more mappings."""
    yield
    compilation.spare_mappings(0.4)


@pytest.fixture
def undrawn(monkeypatch):
    # Where figures are not the property: a run draws them for seconds.
    monkeypatch.setattr("ptft_jax.plotting.to_bytes", lambda figure, form: b"")


@pytest.fixture
def weights(tmp_path_factory):
    return str(tiny.write_weights(tmp_path_factory.mktemp("w") / "w.safetensors"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.write_csv(tmp_path / "good.csv", tiny.demand())
    return tmp_path


@pytest.fixture
def read(tmp_path):
    def read_text(text, **options):
        path = tmp_path / "demand.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return data.read(path, **options)

    return read_text
