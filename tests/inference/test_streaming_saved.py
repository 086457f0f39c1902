"""Files of streams that are damaged, or of another stream."""

import numpy as np
import pytest

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.streaming.saved_stream import SavedStream, read_stream, write_stream

SETTINGS = {"channels": ["II"], "hop_columns": 3}
STATE = SavedStream(SETTINGS, 6, 2, "", np.arange(8, dtype=np.int16)[None])


def test_a_state_is_read_as_it_was_written(tmp_path):
    path = write_stream(STATE, tmp_path / "deep" / "state")
    assert [one.name for one in path.parent.iterdir()] == ["state"]
    found = read_stream(path, SETTINGS)
    assert found[:4] == STATE[:4]
    assert found.samples.dtype == np.int16
    np.testing.assert_array_equal(found.samples, STATE.samples)


def test_another_stream_is_named(tmp_path):
    path = write_stream(STATE, tmp_path / "state")
    with pytest.raises(DataError, match="with hop_columns=3; this one has hop_columns=4"):
        read_stream(path, SETTINGS | {"hop_columns": 4})


def test_damage_is_found(tmp_path):
    path = write_stream(STATE, tmp_path / "state")
    content = path.read_bytes()
    for broken in (b"", b"text", content[:-30], content[:60] + b"!" + content[61:]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="state"):
            read_stream(path, SETTINGS)
    np.savez(path.with_suffix(".npz"), samples=STATE.samples)
    with pytest.raises(DataError, match="not the state of a stream"):
        read_stream(path.with_suffix(".npz"), SETTINGS)
    np.savez(path.with_suffix(".npz"), state=np.asarray([{}], object), samples=STATE.samples)
    with pytest.raises(DataError, match="not the state of a stream"):
        read_stream(path.with_suffix(".npz"), SETTINGS)
    with pytest.raises(DataError, match="none"):
        read_stream(tmp_path / "none", SETTINGS)
    with pytest.raises(ConfigError, match="path"):
        write_stream(STATE, "")
