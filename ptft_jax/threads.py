"""Work side by side on one machine: small operations leave cores idle."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def side_by_side(tasks: list[Callable[[], Any]]) -> list[Any]:
    """Runs functions in threads of one process.

    Args:
      tasks: at least one; compiled programs release the interpreter while they run.

    Returns:
      What they returned, in their order.

    Raises:
      KeyboardInterrupt: at once when the user stops the wait; running tasks are left.
    """
    pool = ThreadPoolExecutor(len(tasks))
    try:
        return [each.result() for each in [pool.submit(task) for task in tasks]]
    finally:
        # nothing is running unless something failed, and then nobody wants the rest
        pool.shutdown(wait=False, cancel_futures=True)
