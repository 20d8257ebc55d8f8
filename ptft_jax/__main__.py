"""`python -m ptft_jax` is `ptft`."""

from ptft_jax import cli

cli.run()
