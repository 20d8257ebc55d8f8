"""Reading tables of demand: the parts behind `ptft_jax.data`."""
