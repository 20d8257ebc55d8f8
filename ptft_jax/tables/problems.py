"""Everything wrong with a data file, collected so that it is said at once."""

import itertools
import pathlib
from collections.abc import Iterable

LISTED = 20


class DataError(ValueError):
    """A data file cannot be used; the message lists every problem in it."""


class Problems:
    """The problems of one file: all are counted, `LISTED` of them are listed."""

    def __init__(self, path: pathlib.Path):
        """Start with none.

        Args:
          path: the file, named at the head of the message.
        """
        self.path = path
        self.total = 0
        self._by_remedy: dict[str, list[str]] = {}

    def add(self, problem: str, remedy: str) -> None:
        """Record one problem.

        Args:
          problem: where it is and what it is.
          remedy: what the user can do, said once however often it applies.
        """
        self.add_many(1, [problem], remedy)

    def add_many(self, count: int, problems: Iterable[str], remedy: str) -> None:
        """Record `count` problems of one kind, describing as many as fit the list.

        Args:
          count: how many there are.
          problems: their descriptions; read lazily, so that a million cost nothing.
          remedy: what the user can do.
        """
        if count == 0:
            return
        self.total += count
        listed = self._by_remedy.setdefault(remedy, [])
        listed.extend(itertools.islice(problems, LISTED - len(listed)))

    def check(self) -> None:
        """Raise if there is any problem.

        Raises:
          DataError: naming the file, its problems and what to do about them.
        """
        if self.total == 0:
            return
        listed = self._fair_share()
        total = counted(self.total, "problem")
        lines = [f"{self.path}: {total}; nothing was read from it."]
        lines += [f"  {problem}" for problem in listed]
        if self.total > len(listed):
            lines.append(f"  and {self.total - len(listed)} more")
        lines.append("What to do:")
        lines += [f"  {remedy}" for remedy in self._by_remedy]
        raise DataError("\n".join(lines))

    def _fair_share(self) -> list[str]:
        """The problems to list: one of each kind before a second of any."""
        kinds = list(self._by_remedy.values())
        ranked = sorted(
            (rank, k) for k, kind in enumerate(kinds) for rank in range(len(kind))
        )
        return [
            kinds[k][rank] for k, rank in sorted((k, r) for r, k in ranked[:LISTED])
        ]


def quoted(text: str) -> str:
    """The text in quotes, short enough for one line of a message."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def listing(names: Iterable[str], most: int = 8) -> str:
    """Names in quotes, such as "'a', 'b' and 3 more"."""
    every = list(names)
    shown = ", ".join(map(quoted, every[:most]))
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"


def counted(count: int, noun: str) -> str:
    """The count with its noun, such as "1 row" or "2 rows"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
