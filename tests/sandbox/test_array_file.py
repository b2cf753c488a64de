"""The reader of .npz files gives what NumPy's own gives, and refuses what it refuses."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from rewardsmith.sandbox.array_file import ArrayFile

ARRAYS = {
    "0/height": np.linspace(0.0, 1.0, 7),
    "0/start/tilt": np.array(0.25),
    "0/tilt": np.arange(12, dtype=np.float32).reshape(4, 3),
    "1/empty": np.zeros((0, 3)),
    "1/fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "1/bytes": np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
    "1/big": np.arange(3, dtype=">f8"),
    "flags": np.array([True, False]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_each_array_is_what_numpy_reads(tmp_path: Path, save) -> None:
    save(tmp_path / "file.npz", **ARRAYS)
    with ArrayFile(tmp_path / "file.npz") as arrays, np.load(tmp_path / "file.npz") as known:
        assert list(arrays) == list(known)
        for name in known:
            assert arrays[name].dtype == known[name].dtype
            np.testing.assert_array_equal(arrays[name], known[name])
            arrays[name][...] = 0  # the caller's own, to change
        assert "0/none" not in arrays
        with pytest.raises(KeyError):
            arrays["0/none"]


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    for values in (np.zeros(2), np.ones(3)):
        np.savez(tmp_path / "file.npz", values=values, **{f"other{len(values)}": values})
        with ArrayFile(tmp_path / "file.npz") as arrays:
            assert list(arrays) == ["values", f"other{len(values)}"]
            np.testing.assert_array_equal(arrays["values"], values)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", evil=np.array([{"a": 1}], dtype=object))
    with ArrayFile(tmp_path / "file.npz") as arrays, pytest.raises(ValueError, match="allow_pickle=False"):
        arrays["evil"]


def test_damaged_bytes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez(path, **ARRAYS)
    content = bytearray(path.read_bytes())
    place = content.index(np.linspace(0.0, 1.0, 7).tobytes())
    content[place + 9] ^= 1
    path.write_bytes(content)
    with ArrayFile(path) as arrays, pytest.raises(zipfile.BadZipFile, match="CRC"):
        arrays["0/height"]
    path.write_bytes(b"no zip")
    with pytest.raises(zipfile.BadZipFile):
        ArrayFile(path)


@pytest.mark.parametrize(
    "header", [b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\xff\xff{}", b"\x93NUMPY\x02\x00\x02\x00\x00\x00{}"]
)
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("a.npy", header)
    with ArrayFile(tmp_path / "file.npz") as arrays, pytest.raises((ValueError, EOFError)):
        arrays["a"]


def test_damage_is_an_error_of_the_system_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(OSError, match="is damaged") as error:
        ArrayFile(path)
    assert error.value.filename == str(path)
