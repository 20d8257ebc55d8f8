"""The table of decisions, and the file of it."""

import io

import numpy as np
import polars as pl
from jaxtyping import Float64

from ptft_jax.quantile_curve import Curve
from ptft_jax.types import Portfolio

COLUMNS = (
    "instance",
    "decision",
    "decision_pretrained",
    "saa",
    "mean",
    "observations",
)
# exact in float64, which `np.power` is not on every processor
POWERS = np.array([float(10**k) for k in range(23)])


def make(
    portfolio: Portfolio, names: list[str], columns: dict[str, Float64[np.ndarray, "n"]]
) -> pl.DataFrame:
    """The table of a portfolio.

    Args:
      portfolio: n instances.
      names: of the instances.
      columns: decisions by name, in the order of `COLUMNS`.

    Returns:
      One row an instance.
    """
    count = np.asarray(portfolio.num_observed).astype(int)
    mean = np.asarray(portfolio.observations).sum(1, dtype=np.float64) / count
    numbers = {k: rounded(x) for k, x in {**columns, "mean": mean}.items()}
    return pl.DataFrame({"instance": names, **numbers, "observations": count})


def with_curve(table: pl.DataFrame, curve: Curve) -> pl.DataFrame:
    """The table with a column of each quantile, and of the uncertainty.

    Args:
      table: of `make`.
      curve: of the same instances.

    Returns:
      The table with columns such as `q0.9`, and `uncertainty`.
    """
    columns = {
        f"q{level:g}": rounded(x)
        for level, x in zip(curve.levels, curve.quantiles.T, strict=True)
    }
    columns["uncertainty"] = rounded(curve.uncertainty)
    return table.with_columns(**{name: pl.Series(x) for name, x in columns.items()})


def rounded(x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Numbers to 7 significant digits, all that float32 has.

    Args:
      x: numbers.

    Returns:
      The float64 nearest to each, so that no more digits are written.
    """
    with np.errstate(divide="ignore"):
        power = 6.0 - np.floor(np.log10(np.abs(x)))
    power = np.where(np.isfinite(power), power, 0.0)
    is_exact = np.abs(power) < len(POWERS)
    power = np.where(is_exact, power, 0.0).astype(int)
    up, down = POWERS[np.maximum(power, 0)], POWERS[np.maximum(-power, 0)]
    out = np.round(x * up / down) * down / up
    out[~is_exact] = [float(f"{value:.7g}") for value in x[~is_exact]]
    return out


def encoded(table: pl.DataFrame, suffix: str) -> bytes:
    """The decisions as a file.

    Args:
      table: of `make`.
      suffix: of the file's name: Parquet for `.parquet`, else CSV.

    Returns:
      The bytes of the file.
    """
    out = io.BytesIO()
    if suffix.lower() == ".parquet":
        table.write_parquet(out)
    else:
        table.write_csv(out)
    return out.getvalue()
