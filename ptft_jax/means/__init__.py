"""Estimating many means: families, rules, baselines and tables."""
