"""Pickled arrays come back, and nothing in them is run."""

import os
import pickle

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.restricted_pickle import read_pickled_arrays
from physio_mae_jax.errors import DataError
from tests.preparation.layouts.wearables import Reduced

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_arrays_come_back_at_every_protocol(tmp_path, protocol):
    content = {
        "nested": [{"columns": np.asfortranarray(RNG.normal(size=(3, 4)))}, ("text", None, 1.5)],
        "big_endian": np.arange(5, dtype=">i4"),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.float64(2.5),
        "same": (shared := np.arange(3)),
        "again": shared,
        "raw": b"\xff\x00",
    }
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = read_pickled_arrays(path)
    columns = found["nested"][0]["columns"]
    np.testing.assert_array_equal(columns, content["nested"][0]["columns"])
    assert found["nested"][1] == ("text", None, 1.5)
    np.testing.assert_array_equal(found["big_endian"], np.arange(5))
    assert found["empty"].shape == (0, 3)
    assert found["scalar"] == 2.5
    assert found["same"] is found["again"]
    assert found["raw"] == b"\xff\x00"


def test_pickles_of_python_2_and_old_numpy_come_back(tmp_path):
    # What Python 2 writes: bytes of arrays as text, numpy.core, and a state without a version.
    stream = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'i2'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"S'\\xff\\x00\\x01\\x02'\ntb."
    )
    path = tmp_path / "a.pkl"
    path.write_bytes(stream)
    np.testing.assert_array_equal(read_pickled_arrays(path), [255, 513])


@pytest.mark.parametrize("module", ["posix", "builtins", "numpy"])
def test_pickles_that_would_run_something_are_rejected_and_run_nothing(tmp_path, module):
    trace = tmp_path / "was_here"
    call = {
        "posix": (os.system, (f"touch {trace}",)),
        "builtins": (eval, (f"open({str(trace)!r}, 'w').close()",)),
        "numpy": (np.save, (str(trace), np.arange(3))),
    }[module]
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"signal": np.arange(3), "then": Reduced(*call)}))
    with pytest.raises(DataError, match=rf"names {module}\..*no code of the file was executed"):
        read_pickled_arrays(path)
    assert not list(tmp_path.glob("was_here*"))
    # It would have been run.
    pickle.loads(path.read_bytes())
    assert list(tmp_path.glob("was_here*"))


def test_bytes_do_not_pass_for_objects(tmp_path):
    """NumPy lets a pickle say that addresses of objects are plain numbers."""
    dtype = Reduced(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0))
    new = np.zeros(0).__reduce__()
    array = Reduced(new[0], new[1], (1, (1,), dtype, False, b"\x01" * 8))
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps(array))
    with pytest.raises(UnreadableError, match="O8"):
        read_pickled_arrays(path)
    path.write_bytes(pickle.dumps(np.array([{}, 1], dtype=object)))
    with pytest.raises(UnreadableError, match="numbers are expected"):
        read_pickled_arrays(path)


def test_small_pickles_of_very_many_references_end(tmp_path):
    nested = [1]
    for _ in range(60):
        nested = [nested, nested]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(nested))
    # Whoever walks it would never end.
    with pytest.raises(UnreadableError, match=r"a\.pkl cannot be read .*(nested|over and over)"):
        read_pickled_arrays(path)
    cycle = []
    cycle.append(cycle)
    path.write_bytes(pickle.dumps(cycle))
    with pytest.raises(UnreadableError, match="nested more than 50 deep"):
        read_pickled_arrays(path)


def test_broken_pickles_are_named(tmp_path):
    path = tmp_path / "a.pkl"
    content = pickle.dumps({"a": np.arange(1000)})
    wrong_shape = np.arange(4).__reduce__()
    state = (1, (5,), np.dtype(np.int64), False, bytes(32))
    for data in (b"", b"hello", content[:500], pickle.dumps(Reduced(*wrong_shape[:2], state))):
        path.write_bytes(data)
        with pytest.raises(UnreadableError, match=r"a\.pkl cannot be read"):
            read_pickled_arrays(path)
    with pytest.raises(UnreadableError, match=r"b\.pkl"):
        read_pickled_arrays(tmp_path / "b.pkl")
