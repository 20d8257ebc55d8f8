"""`python -m ptft_jax` is `ptft`."""

import sys

from ptft_jax import cli

sys.exit(cli.main())
