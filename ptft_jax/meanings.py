"""What the rows of a run's tables say, in the words of its manifest and its report."""

from ptft_jax import (
    certify,
    law_rows,
    mismatch_rows,
    own_bounds,
    theory_rows,
)
from ptft_jax.lab import Lab
from ptft_jax.method import certify as method_certify
from ptft_jax.method.lab import ProblemLab

CERTIFICATES = "certificates"


def of_run(lab: Lab | ProblemLab) -> dict[str, str]:
    """The meaning of each kind of row that a run may have, and of no other.

    Args:
      lab: what the cells of the run have in common.

    Returns:
      Sentences by name of the bound; `CERTIFICATES` is of all those that `certify`
      makes, of demand or of another problem.
    """
    shared = law_rows.meaning(lab.pretrained_on) | own_bounds.MEANING
    if isinstance(lab, ProblemLab):
        return {CERTIFICATES: method_certify.meaning(lab.world.problem), **shared}
    made = theory_rows.MEANING | mismatch_rows.MEANING
    return {CERTIFICATES: certify.MEANING, **made, **shared}
