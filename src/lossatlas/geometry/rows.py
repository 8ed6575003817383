"""Rows: the parameters of many steps in a file, which are read a block of columns at a time and never all at once."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# What one block of columns may take in float64, in bytes.
_BLOCK = 64 << 20

_KINDS = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}


class FileRows:
    """(T, P) numbers in a file, one row after the other; `append` makes it longer.

    size: P; dtype: float16, float32 or float64. A row that was cut off at the end, when a disk was full or a process was
    killed, is none, and is written over. Raises OSError as the disk does.
    """

    def __init__(self, path: Path, size: int, dtype: torch.dtype, *, new: bool = False) -> None:
        self.path, self.size, self.dtype = path, size, dtype
        self._bytes = size * dtype.itemsize
        self._lock = threading.Lock()  # a place in the file is gone to before it is read
        self._file = path.open("w+b" if new else "rb", buffering=0)
        weakref.finalize(self, self._file.close)
        self._count = 0 if new else path.stat().st_size // self._bytes

    def __len__(self) -> int:
        return self._count

    def append(self, row: Tensor) -> None:
        """One more row, (P,) of this dtype on the CPU: all of it, or, where it raises, nothing."""
        left = row.numpy().data.cast("B")
        with self._lock:
            self._file.seek(self._count * self._bytes)
            while left:
                left = left[self._file.write(left) :]
            self._count += 1

    def first(self, count: int) -> FileRows:
        """The first rows of the file, as they are now: a reader of its own."""
        reader = FileRows(self.path, self.size, self.dtype)
        reader._count = min(count, reader._count)
        return reader

    def row(self, k: int) -> Tensor:
        """One row, (P,), a copy."""
        return self._read(k, 0, self.size)

    def all(self) -> Tensor:
        """All rows, (T, P): the file itself, mapped into memory, of which is read what is looked at; changes stay in memory."""
        mapped = np.memmap(self.path, _KINDS[self.dtype], mode="c", shape=(self._count, self.size))
        return torch.from_numpy(mapped)

    def columns(self, start: int, stop: int) -> Tensor:
        """Columns [start, stop) of all rows, (T, stop − start) in float64."""
        block = torch.empty(self._count, stop - start, dtype=torch.float64)
        for k in range(self._count):
            block[k] = self._read(k, start, stop)
        return block

    def _read(self, k: int, start: int, stop: int) -> Tensor:
        found = torch.empty(stop - start, dtype=self.dtype)
        left = found.numpy().data.cast("B")
        with self._lock:
            self._file.seek(k * self._bytes + start * self.dtype.itemsize)
            while left:
                count = self._file.readinto(left)
                if not count:
                    raise OSError(f"{self.path} has become shorter than it was.")
                left = left[count:]
        return found


def empty_rows(count: int, size: int, dtype: torch.dtype) -> np.ndarray:
    """Memory for rows, (count, size), of which the system gives what is written to.

    NumPy asks for huge pages where the system has them, torch does not: a row that is written for the first time costs less.
    """
    return np.empty((count, size), _KINDS[dtype])


def column_spans(size: int, rows: int) -> list[tuple[int, int]]:
    """Ranges of columns, [start, stop), that take no more than a block's memory in so many rows each."""
    step = max(1, _BLOCK // (8 * max(1, rows)))
    return [(start, min(size, start + step)) for start in range(0, size, step)]
