"""Decision problems: cost, expected cost, the best decision under a known law."""
