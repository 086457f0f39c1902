"""Weight files of strangers: what they may not say of tensors, of other files and of memory."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.interop.torch.checkpoint_file import read_state_dict
from physio_mae_jax.interop.torch.convert import import_state_dict
from tests.factories import small_state_dict

ORDERED = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    name = f"ctorch\n{kind}\n".encode()
    return b"(" + text("storage") + name + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(stored: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    arguments = stored + number(offset) + numbers(*shape) + numbers(*strides) + b"\x89" + ORDERED
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def state_dict(**tensors: bytes) -> bytes:
    items = b"".join(text(name) + content for name, content in tensors.items())
    return b"\x80\x02" + ORDERED + b"(" + items + b"u."


def write(path: Path, content: bytes, **stored: np.ndarray | bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", content)
        for key, data in stored.items():
            archive.writestr(f"a/data/{key}", bytes(memoryview(data).cast("B")))
    return path


NUMBERS = np.arange(6, dtype=np.float32)


def test_tensors_are_views_of_their_storage(tmp_path):
    shared = storage("k", 6)
    content = state_dict(
        whole=tensor(shared, 0, (2, 3), (3, 1)), turned=tensor(shared, 0, (3, 2), (1, 3))
    )
    found = read_state_dict(write(tmp_path / "a.pth", content, k=NUMBERS))
    np.testing.assert_array_equal(found["whole"], NUMBERS.reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], NUMBERS.reshape(2, 3).T)
    assert not found["whole"].flags.writeable


def test_a_tensor_does_not_pass_for_a_storage(tmp_path):
    made = tensor(storage("k", 6), 0, (2, 3), (3, 1))
    content = state_dict(w=tensor(made, 1, (3,), (1,)))
    with pytest.raises(DataError, match=r"a\.pth .*made of _Tensor, not of a storage"):
        read_state_dict(write(tmp_path / "a.pth", content, k=NUMBERS))


@pytest.mark.parametrize("thing", [b"K\x01", b"]", ORDERED, b"ctorch\nFloatStorage\n", text("k")])
def test_nothing_else_passes_for_a_storage_either(thing, tmp_path):
    content = state_dict(w=tensor(thing, 0, (3,), (1,)))
    with pytest.raises(DataError, match=r"a\.pth .*not of a storage"):
        read_state_dict(write(tmp_path / "a.pth", content, k=NUMBERS))


@pytest.mark.parametrize(
    "target",
    [b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", storage("k", 6), b"K\x01"],
)
def test_a_file_gives_no_state_to_what_others_share(target, tmp_path):
    good = state_dict(w=tensor(storage("k", 6), 0, (6,), (1,)))
    state = b"}" + text("dtype") + text("int32") + b"sb"
    hostile = b"\x80\x02" + ORDERED + b"(" + text("w") + target + state + b"u."
    with pytest.raises(DataError, match="sets the state of"):
        read_state_dict(write(tmp_path / "bad.pth", hostile, k=NUMBERS))
    found = read_state_dict(write(tmp_path / "good.pth", good, k=NUMBERS))
    np.testing.assert_array_equal(found["w"], NUMBERS)


def test_attributes_of_a_state_dict_are_excluded(tmp_path):
    content = state_dict(w=tensor(storage("k", 6), 0, (6,), (1,)))[:-1]
    content += b"}" + text("_metadata") + ORDERED + b"sb."
    assert set(read_state_dict(write(tmp_path / "a.pth", content, k=NUMBERS))) == {"w"}


def test_many_tensors_of_one_storage_do_not_fill_the_memory(tmp_path):
    stored = np.zeros(1 << 20, np.float32)
    one = tensor(storage("k", len(stored)), 0, (len(stored),), (1,))
    content = state_dict(**{f"w{i}": one for i in range(300)})
    with pytest.raises(DataError, match=r"a\.pth .*but the file has [\d,]+ only"):
        read_state_dict(write(tmp_path / "a.pth", content, k=stored))
    few = state_dict(**{f"w{i}": one for i in range(12)})  # as layers that share their weights
    assert len(read_state_dict(write(tmp_path / "b.pth", few, k=stored))) == 12


def test_one_storage_of_two_types_is_two_storages(tmp_path):
    content = state_dict(
        a=tensor(storage("k", 6), 0, (6,), (1,)),
        b=tensor(storage("k", 6, "IntStorage"), 0, (6,), (1,)),
    )
    found = read_state_dict(write(tmp_path / "a.pth", content, k=NUMBERS))
    assert (found["a"].dtype, found["b"].dtype) == (np.float32, np.int32)


def test_an_npz_that_unpacks_to_very_much_is_rejected(tmp_path):
    packed = io.BytesIO()
    np.savez_compressed(packed, w=np.zeros(1 << 27, np.float32))
    (tmp_path / "a.npz").write_bytes(packed.getvalue())
    with pytest.raises(DataError, match=r"a\.npz .*but the file has [\d,]+ only"):
        read_state_dict(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["x" * 5000 + ".pth", "a\0b.pth", "~nobody_at_all/a.pth"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(UserError) as caught:
        read_state_dict(name)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_that_are_no_numbers_are_named(value):
    state, config = small_state_dict()
    state["norm.bias"] = state["norm.bias"].astype(np.float64)
    state["norm.bias"][3] = value
    with pytest.raises(DataError, match=r"1 with values that are not finite: norm\.bias"):
        import_state_dict(state, config)


@pytest.mark.parametrize("name", [3, None, ("a",), b"x"])
def test_names_that_are_no_texts_are_reported(name):
    state, config = small_state_dict()
    with pytest.raises(DataError, match="has a name that is not text"):
        import_state_dict({**state, name: np.zeros(1)}, config)
