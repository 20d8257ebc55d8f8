"""Progress for whoever watches: a bar on a terminal, plain lines elsewhere, or none."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """What long work tells about itself."""

    def stage(self, text: str) -> None:
        """Say what is being done now."""

    def advance(self, amount: float, line: str = "") -> None:
        """Count finished work; `line` is printed where there is no bar."""

    def note(self, line: str) -> None:
        """Print a line above the bar."""


class Silent:
    """Says nothing."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def advance(self, amount: float, line: str = "") -> None:
        """Count nothing."""

    def note(self, line: str) -> None:
        """Print nothing."""


class Lines:
    """Plain lines on stderr, each with the time that is left."""

    def __init__(self, total: float):
        """Start the clock.

        Args:
          total: amount of work.
        """
        self.total, self.done, self.start = total, 0.0, time.monotonic()
        self.first: tuple[float, float] | None = None

    def stage(self, text: str) -> None:
        """Say nothing: a log needs no stages."""

    def advance(self, amount: float, line: str = "") -> None:
        """Count finished work and print the line.

        The time left is told from the second piece of work on, at the rate since the
        first, which is the one that programs are compiled for.

        Args:
          amount: of work.
          line: what was finished.
        """
        self.done += amount
        if not line:
            return
        now = time.monotonic()
        if self.first is None and self.done:
            self.first = now, self.done
        since, before = self.first or (now, 0.0)
        more, rest = self.done - before, max(self.total - self.done, 0.0)
        left = (now - since) * rest / more if more else 0.0
        tail = f", about {duration(left)} left" if left >= 1.0 else ""
        spent = now - self.start
        self.note(f"{line} (after {duration(spent)}{tail})")

    def note(self, line: str) -> None:
        """Print a line.

        Args:
          line: to print.
        """
        print(line, file=sys.stderr, flush=True)


class Bar:
    """A bar with the time that is left."""

    def __init__(self, bar, task):
        """Wrap a running bar of rich.

        Args:
          bar: `rich.progress.Progress`.
          task: its task.
        """
        self.bar, self.task = bar, task

    def stage(self, text: str) -> None:
        """Say what is being done now.

        Args:
          text: shown beside the bar.
        """
        self.bar.update(self.task, description=text)

    def advance(self, amount: float, line: str = "") -> None:
        """Move the bar.

        Args:
          amount: of work.
          line: not shown, the bar says it.
        """
        self.bar.advance(self.task, amount)

    def note(self, line: str) -> None:
        """Print a line above the bar.

        Args:
          line: to print.
        """
        self.bar.console.print(line, markup=False, highlight=False)


def duration(seconds: float) -> str:
    """Seconds in the unit a person would use.

    Args:
      seconds: ≥ 0.

    Returns:
      Such as "8 s", "3 min 20 s" or "2 h 5 min".
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@contextlib.contextmanager
def watch(total: float, quiet: bool = False) -> Iterator[Progress]:
    """Progress of a piece of work, in the form that fits where stderr goes.

    Args:
      total: amount of work.
      quiet: say nothing.

    Yields:
      The progress to report to.
    """
    if quiet:
        yield Silent()
        return
    if not sys.stderr.isatty():
        yield Lines(total)
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.description}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        yield Bar(bar, bar.add_task("starting", total=total))
