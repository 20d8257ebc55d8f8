"""Allocation under a budget: items, rules, baselines and tables."""
