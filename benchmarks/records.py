"""A CSV file that several runs fill together, one row at a time."""

from __future__ import annotations

import csv
import fcntl
from collections.abc import Sequence
from pathlib import Path


class Records:
    """Rows of measurements in a file, at most one for each key.

    Every row is on disk when :meth:`add` returns; processes may add at the same time.

    Parameters
    ----------
    path : Path
        The file; it is made with the first row.
    columns : sequence of str
        Names of the columns.
    key : sequence of str
        Columns that tell one row from another.
    """

    def __init__(self, path: Path, columns: Sequence[str], key: Sequence[str]):
        self.path, self.columns, self.key = path, list(columns), list(key)

    def rows(self) -> list[dict[str, str]]:
        """Return all rows, as text."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return list(csv.DictReader(file))

    def find(self, **values: object) -> list[dict[str, str]]:
        """Return the rows that have these values in these columns."""
        wanted = {name: str(value) for name, value in values.items()}
        return [row for row in self.rows() if wanted.items() <= row.items()]

    def add(self, row: dict[str, object]) -> None:
        """Write a row in place of the one with the same key, or at the end."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        row = {name: str(row.get(name, "")) for name in self.columns}
        with self.path.open("a+", newline="") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            others = [old for old in csv.DictReader(file) if not self._same(old, row)]
            file.truncate(0)
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*others, row])

    def _same(self, first: dict, second: dict) -> bool:
        return all(first[name] == second[name] for name in self.key)
