import pathlib

import pytest

from ptft_jax import compilation


@pytest.fixture(scope="session", autouse=True)
def programs(request):
    # Many tests, and both workers, run the same programs: they compile once.
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        compilation.keep_programs(pathlib.Path(cache.mkdir("xla")))
