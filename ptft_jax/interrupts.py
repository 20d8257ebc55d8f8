"""Ctrl-C, wherever it comes."""

import os
import signal
import sys
import threading
from typing import Any

AGAIN_S = 0.05


def keep() -> None:
    """Loses no interrupt of this process.

    One that comes in a callback, such as JAX's on garbage collection, which runs often
    while programs are traced, Python only tells of: it is sent again.
    """
    sys.unraisablehook = _again


def _again(dropped: Any) -> None:
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    later = threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
    later.daemon = True
    later.start()
