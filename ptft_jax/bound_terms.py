"""Terms of a bound in `bounds.csv`: `total`, its parts, and what it was found at."""

from typing import Any

SETTING = "setting_"  # begins the name of a term that is no part of the total


def is_setting(row: dict[str, Any]) -> bool:
    """Whether a row says what a bound was found at, in a unit of its own.

    Args:
      row: of `bounds.csv`.

    Returns:
      Whether its term begins with `SETTING`.
    """
    return row["term"].startswith(SETTING)
