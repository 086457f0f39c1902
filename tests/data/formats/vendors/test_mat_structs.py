"""Struct arrays of MATLAB files, and what is damaged or nested too deep in them."""

from pathlib import Path

import numpy as np
import pytest
from scipy import io

from physio_mae_jax.data.formats.vendors.mat_v5 import read_struct_array
from physio_mae_jax.errors import DataError

X = np.random.default_rng(7).normal(size=(2, 1500))


def write_structs(path: Path, *, compressed: bool = True) -> list[dict]:
    """Write a struct array 'data' of two elements; return them."""
    written = [
        {"x": {"v": X.T, "fs": 125.0}, "id": "p1", "few": np.arange(3, dtype="int16"), "n": i}
        for i in range(2)
    ]
    elements = np.empty((1, 2), [(key, object) for key in written[0]])
    for element, content in zip(elements[0], written, strict=True):
        for key, value in content.items():
            element[key] = value
    io.savemat(path, {"data": elements, "X": X}, do_compression=compressed)
    return written


@pytest.mark.parametrize("compressed", [True, False])
def test_struct_arrays(compressed: bool, tmp_path: Path) -> None:
    written = write_structs(tmp_path / "a.mat", compressed=compressed)
    found = read_struct_array(tmp_path / "a.mat", "data")
    assert [list(element) for element in found] == [["x", "id", "few", "n"]] * 2
    for element, content in zip(found, written, strict=True):
        np.testing.assert_array_equal(element["x"][0]["v"], content["x"]["v"])
        np.testing.assert_array_equal(element["few"].ravel(), content["few"])
        assert (element["x"][0]["fs"].item(), element["n"].item()) == (125.0, content["n"])
        assert element["id"] == "p1"
    with pytest.raises(DataError, match=r"a\.mat cannot be read .it has no struct array 'X'"):
        read_struct_array(tmp_path / "a.mat", "X")


def test_damaged_struct_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    write_structs(path, compressed=False)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    errors = []
    for position in rng.integers(128, 900, 400).tolist():
        path.write_bytes(data[:position] + rng.bytes(1) + data[position + 1 :])
        try:
            read_struct_array(path, "data")
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert all(str(path) in error for error in errors)


def test_structs_nested_too_deep(tmp_path: Path) -> None:
    nested: dict = {"a": 1.0}
    for _ in range(20):
        nested = {"a": nested}
    io.savemat(tmp_path / "a.mat", {"data": nested})
    with pytest.raises(DataError, match="nested more than 16 deep"):
        read_struct_array(tmp_path / "a.mat", "data")
