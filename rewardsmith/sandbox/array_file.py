"""Arrays of an .npz file of many small arrays, read about ten times as fast as by `numpy.load`.

NumPy evaluates the header of each array as Python and reads the file's directory at each opening. Here equal headers,
and the directory of a file that is opened several times in a row, are parsed once. What the format allows beyond that
is left to NumPy.
"""

from __future__ import annotations

import errno
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SUFFIX = ".npy"
LOCAL_HEADER = struct.Struct("<26xHH")
"""Fixed part of the header before a member of a zip file; it ends with the lengths of the name and of extra fields."""
NPY_1_0 = b"\x93NUMPY\x01\x00"
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error)
"""Errors that Python's zip files raise where bytes are damaged."""
HEADER_LENGTH = struct.Struct("<H")


class DamagedArrays(OSError, zipfile.BadZipFile):
    """Raised when a file of arrays cannot be read because its bytes are damaged."""


class ArrayFile:
    """The arrays of an .npz file by name, as `numpy.load(path, allow_pickle=False)` gives them; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its directory.

        Raises:
            OSError: if the file cannot be read, a `DamagedArrays` if it is not an .npz file.
        """
        self.path = path
        self._file = path.open("rb")
        try:
            status = os.fstat(self._file.fileno())
            self._members = _read_directory(path, (status.st_ino, status.st_size, status.st_mtime_ns))
        except DAMAGES as error:
            self._file.close()
            raise _build_damage_error(path, error) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array.

        Raises:
            KeyError: if there is no array of that name.
            ValueError: if it is not a plain array.
            DamagedArrays: if its bytes are damaged.
        """
        try:
            content = self._read_member(self._members[name])
        except DAMAGES as error:
            raise _build_damage_error(self.path, error) from error
        start = len(NPY_1_0) + HEADER_LENGTH.size
        if not content.startswith(NPY_1_0) or len(content) < start:
            return self._read_by_numpy(content)

        # The usual case: a header of version 1.0, and plain numbers behind it.
        end = start + HEADER_LENGTH.unpack_from(content, len(NPY_1_0))[0]
        shape, is_fortran, dtype = _parse_header(bytes(content[:end]))
        if dtype.hasobject:
            return self._read_by_numpy(content)
        values = np.frombuffer(content, dtype, math.prod(shape), end)
        return values.reshape(shape, order="F" if is_fortran else "C")

    def _read_member(self, info: zipfile.ZipInfo) -> bytearray:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits:
            with zipfile.ZipFile(self._file) as archive:
                return bytearray(archive.read(info))
        self._file.seek(info.header_offset)
        header = self._file.read(LOCAL_HEADER.size)
        if len(header) == LOCAL_HEADER.size:
            self._file.seek(sum(LOCAL_HEADER.unpack(header)), io.SEEK_CUR)
        content = bytearray(self._file.read(info.file_size))
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")
        return content

    @staticmethod
    def _read_by_numpy(content: bytearray) -> NDArray[Any]:
        values: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        return values


def _build_damage_error(path: Path, error: Exception) -> DamagedArrays:
    return DamagedArrays(errno.EIO, f"the file of arrays is damaged ({error})", str(path))


@lru_cache(maxsize=16)
def _read_directory(path: Path, stamp: tuple[int, ...]) -> Mapping[str, zipfile.ZipInfo]:
    """Return the members of an .npz file by the name of their array; read again when the file has another stamp."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(SUFFIX): info for info in archive.infolist()}


@lru_cache(maxsize=1024)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the order is Fortran's, and type of an array from its header of version 1.0."""
    stream = io.BytesIO(header)
    np.lib.format.read_magic(stream)
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    return shape, is_fortran, dtype
