import pathlib

import pytest
import tiny

from ptft_jax import compilation


@pytest.fixture(scope="session", autouse=True)
def programs(request):
    # Many tests, and both workers, run the same programs: they compile once.
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        compilation.keep_programs(pathlib.Path(cache.mkdir("xla")))


@pytest.fixture
def weights(tmp_path_factory):
    return str(tiny.write_weights(tmp_path_factory.mktemp("w") / "w.safetensors"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.write_csv(tmp_path / "good.csv", tiny.demand())
    return tmp_path
