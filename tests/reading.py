"""Files that must not be read."""

import pytest

from ptft_jax import data


def complaint(read, text, **options):
    with pytest.raises(data.DataError) as caught:
        read(text, **options)
    return str(caught.value)
