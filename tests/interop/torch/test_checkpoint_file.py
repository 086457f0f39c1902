"""PyTorch files are read without PyTorch, and nothing in them is run."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from physio_mae_jax.data.pickle_values import PickleError
from physio_mae_jax.errors import DataError
from physio_mae_jax.interop.torch.checkpoint_file import _rebuild_tensor, read_state_dict
from tests.paths import TORCH_FILES


def test_a_checkpoint_of_pytorch_gives_its_arrays():
    state = read_state_dict(TORCH_FILES / "checkpoint.pth")
    with np.load(TORCH_FILES / "truth.npz") as truth:
        assert set(state) == set(truth.files)
        for name, array in state.items():
            assert array.shape == truth[name].shape
            np.testing.assert_array_equal(array.astype(np.float32), truth[name])
    assert state["bf16"].dtype.name == "bfloat16"
    assert state["count"].dtype == np.int64


def test_an_npz_is_read_as_it_is(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.arange(3.0))
    np.testing.assert_array_equal(read_state_dict(tmp_path / "w.npz")["a"], [0, 1, 2])


def test_a_whole_model_is_rejected_by_the_name_of_its_class():
    with pytest.raises(DataError, match=r"names torch\.nn\.modules.* Save the state dict alone"):
        read_state_dict(TORCH_FILES / "whole_model.pth")


class _Hostile:
    def __init__(self, call):
        self._call = call

    def __reduce__(self):
        return self._call


def write_archive(path, content, **members):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in members.items():
            archive.writestr(f"archive/data/{name}", data)
    return path


def test_a_pickle_that_would_run_a_command_is_rejected_and_runs_nothing(tmp_path):
    trace = tmp_path / "was_here"
    content = pickle.dumps({"w": _Hostile((os.system, (f"touch {trace}",)))})
    with pytest.raises(
        DataError, match=r"names (posix|nt)\.system, .*no code of the file was executed"
    ):
        read_state_dict(write_archive(tmp_path / "bad.pth", content))
    content = pickle.dumps({"w": _Hostile((eval, (f"open({str(trace)!r}, 'w')",)))})
    with pytest.raises(DataError, match=r"names builtins\.eval"):
        read_state_dict(write_archive(tmp_path / "bad.pth", content))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (1000, 1000), (0, 0)),
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
    ],
)
def test_a_tensor_outside_its_storage_is_rejected(offset, shape, strides):
    with pytest.raises(PickleError, match="does not lie within its 4 numbers"):
        _rebuild_tensor(np.zeros(4, np.float32), offset, shape, strides)


def test_broken_files_are_reported(tmp_path):
    whole = (TORCH_FILES / "checkpoint.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    write_archive(tmp_path / "none.pth", pickle.dumps({"epoch": 3}))
    write_archive(tmp_path / "list.pth", pickle.dumps([1, 2]))
    write_archive(tmp_path / "garbage.pth", b"\x80\x02nonsense")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("a.txt", "b")
    for name, message in (
        ("absent.pth", "does not exist"),
        ("cut.pth", "not a whole .npz or .pth file"),
        ("objects.npz", "cannot be read as weights"),
        ("none.pth", "has no state dict, .* it has epoch"),
        ("list.pth", "holds a list, not a state dict"),
        ("garbage.pth", "cannot be read as weights"),
        ("other.pth", "not one that torch.save wrote"),
    ):
        with pytest.raises(DataError, match=message):
            read_state_dict(tmp_path / name)


def test_a_compressed_archive_is_rejected(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(DataError, match="is compressed"):
        read_state_dict(tmp_path / "bomb.pth")
