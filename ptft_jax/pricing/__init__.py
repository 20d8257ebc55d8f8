"""Pricing: demand laws, regressions, baselines and tables."""
