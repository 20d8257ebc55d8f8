"""The newsvendor with covariates: regression, features, baselines, tables, truth."""
