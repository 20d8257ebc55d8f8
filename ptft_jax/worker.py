"""One group's program at work: chunks are started, read and written in turn."""

import collections
import pathlib
import random
import sysconfig
import time
import traceback
from typing import Any, NamedTuple

import jax

import theory
from ptft_jax import program, provenance, store, task
from ptft_jax.program import Program
from ptft_jax.progress import Progress
from ptft_jax.task import Point, Task

OK, FAILED = "ok", "failed"
# folders of the library, of installed packages and of Python itself
NOT_OWN = (
    pathlib.Path(__file__).parent,
    pathlib.Path(theory.__file__).parent,
    *(pathlib.Path(sysconfig.get_path(k)) for k in ("purelib", "platlib", "stdlib")),
)


def told(error: Exception) -> str:
    """Where a task of one's own raised, the type and the first line of an error.

    Args:
      error: any, raised.

    Returns:
      One line, such as `mine.py:12: ValueError: too few`; without the place where no
      code but the library's was running.
    """
    first = str(error).strip().partition("\n")[0]
    return f"{_place(error)}{type(error).__name__}: {first}"


def _place(error: Exception) -> str:
    """The innermost line of code that is neither the library's nor a package's."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = pathlib.Path(frame.filename)
        if path.is_file() and not any(map(path.is_relative_to, NOT_OWN)):
            return f"{path.name}:{frame.lineno}: "
    return ""


def fault(record: dict[str, Any]) -> str | None:
    """What keeps the record of a cell from being used.

    Args:
      record: as read from its file; `store` has looked at its id and configuration.

    Returns:
      None where it is as `Writer.save` writes it: `ok` with named floating-point
      numbers, finite or not, or `failed` with the error as text.
    """
    status, metrics = record.get("status"), record.get("metrics")
    if status == FAILED:
        return None if isinstance(record.get("error"), str) else "it says no error"
    if status != OK:
        return f"its status is neither {OK} nor {FAILED}"
    if not isinstance(metrics, dict) or not metrics:
        return "it has no metrics"
    wrong = [name for name, value in metrics.items() if not isinstance(value, float)]
    return f"its metrics {wrong} are no numbers as they are written" if wrong else None


def alone_or_raise(error: Exception) -> None:
    """Lets one process go on after an error; of several on one mesh none can.

    Args:
      error: what happened.

    Raises:
      Exception: the error, where other processes would wait for this one forever.
    """
    if jax.process_count() > 1:
        raise error


class Writer:
    """Writes the records of one run; only the first of several processes writes."""

    def __init__(self, made_by: Task, folder: pathlib.Path):
        """Notes what every record of the run says of its origin.

        Args:
          made_by: task of the cells.
          folder: of the results.
        """
        self.task, self.folder = made_by, folder
        self.origin = {
            "versions": provenance.versions(),
            "device": provenance.device(),
            "commit": provenance.commit(),
        }

    def status(self, each: Point) -> str | None:
        """What is on disk of a cell, whoever wrote it.

        Args:
          each: the cell.

        Returns:
          `ok`, `failed`, or None where there is no record that can be used.
        """
        config = task.record_config(self.task, each.config, each.swept)
        record = store.load(self.folder, config)
        return None if record is None or fault(record) else record["status"]

    def save(self, each: Point, status: str, record: dict[str, Any]) -> None:
        """Writes the record of a cell.

        Args:
          each: the cell.
          status: `ok` or `failed`.
          record: the rest of it.
        """
        if jax.process_index() == 0:
            config = task.record_config(self.task, each.config, each.swept)
            whole = {"status": status, **record, **self.origin}
            store.save(self.folder, config, whole)

    def failed(self, members: list[Point], error: Exception) -> None:
        """Writes why cells have no result, where no other process has found one.

        Args:
          members: the cells.
          error: what stopped them.
        """
        for each in members:
            if self.status(each) != OK:
                text = f"{_place(error)}{type(error).__name__}: {error}"
                self.save(each, FAILED, {"error": text})


class Worker(NamedTuple):
    """One group's program at work."""

    made: Program
    writer: Writer
    progress: Progress
    retry: bool

    def work(self, members: list[Point]) -> tuple[int, int]:
        """Cells computed, and how many of them failed.

        A chunk is started before the one before it is read, so that devices need not
        wait for files.
        """
        waiting = collections.deque(_order(members))
        computed = failed = 0
        before: tuple[list[Point], Any, float] | None = None
        while waiting or before:
            chunk = self.take(waiting)
            begin = time.perf_counter()
            started = self.start(chunk) if chunk else None
            if before:
                lost, end = self.finish(*before)
                failed, computed = failed + lost, computed + len(before[0])
                begin = max(begin, end)  # the devices were not free before
            before = (chunk, started, begin) if chunk else None
        return computed, failed

    def take(self, waiting: collections.deque) -> list[Point]:
        """The next chunk; cells that others have finished are skipped."""
        chunk: list[Point] = []
        while waiting and len(chunk) < self.made.chunk:
            each = waiting.popleft()
            done = (OK,) if self.retry else (OK, FAILED)
            # processes that share a mesh write nothing but their own chunks
            if jax.process_count() == 1 and self.writer.status(each) in done:
                self.progress.advance(1.0)
            else:
                chunk.append(each)
        return chunk

    def start(self, chunk: list[Point]) -> Any:
        """The outputs to come, or the error."""
        try:
            return program.launch(self.made, [each.swept for each in chunk])
        except Exception as error:
            alone_or_raise(error)
            return error

    def finish(self, chunk: list[Point], started: Any, begin: float):
        """Writes the records of a chunk; returns how many failed, and when it ended."""
        try:
            if isinstance(started, Exception):
                raise started
            outputs = program.collect(started, len(chunk))
        except Exception as error:
            alone_or_raise(error)
            self.writer.failed(chunk, error)
            line = f"{len(chunk)} cells failed, {told(error)}"
            self.progress.advance(float(len(chunk)), line)
            return len(chunk), time.perf_counter()
        end, failed = time.perf_counter(), 0
        wall = (end - begin) / len(chunk)
        for each, output in zip(chunk, outputs, strict=True):
            failed += not self.keep(each, output, wall)
        self.progress.advance(float(len(chunk)), f"{len(chunk)} cells done")
        return failed, end

    def keep(self, each: Point, output: Any, wall: float) -> bool:
        """Writes one record; returns whether the cell has a result."""
        try:
            found = self.writer.task.finish(each.config, each.swept, output)
            metrics = {str(name): float(value) for name, value in found.items()}
            if not metrics:
                raise ValueError("the task gave no metrics")
            twice = metrics.keys() & task.fields(each).keys()
            if twice:
                raise ValueError(f"metrics {sorted(twice)} have the names of fields")
        except Exception as error:
            self.writer.failed([each], error)
            self.progress.note(f"cell {each.name}: {told(error)}")
            return False
        times = {"wall_s": wall, "compile_s": self.made.compile_s}
        self.writer.save(each, OK, {"metrics": metrics, **times})
        return True


def _order(members: list[Point]) -> list[Point]:
    """The cells from a random one on, so that processes sharing a folder part ways."""
    if jax.process_count() > 1:
        return members
    at = random.SystemRandom().randrange(len(members))
    return members[at:] + members[:at]
