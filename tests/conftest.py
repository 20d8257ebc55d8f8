import pathlib

import jax
import pytest
import tiny

from ptft_jax import compilation, data

MOST_MAPPINGS = 30_000


@pytest.fixture(scope="session", autouse=True)
def programs(request):
    # Many tests, and both workers, run the same programs: they compile once.
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        compilation.keep_programs(pathlib.Path(cache.mkdir("xla")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Forgets compiled programs before they take all mappings of the process.

    Linux gives a process 65,530 of them by default, every program takes several, and
    XLA dies of a segmentation fault when there are no more.
    """
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()


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
