"""The layout of WESAD: chest and wrist."""

import os
import pickle

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import E4_CHANNELS
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import only
from tests.preparation.layouts.wearables import Reduced, marks_of

RNG = np.random.default_rng(0)


def wesad_content(seconds=30, subject="S2"):
    num_chest = seconds * 700
    labels = np.repeat([0, 1, 2, 7, 3, 4], [700, 7000, 3500, 700, 2100, num_chest - 14000])
    return {
        "signal": {
            "chest": {
                "ACC": RNG.normal(size=(num_chest, 3)),
                "ECG": RNG.normal(size=(num_chest, 1)),
                "EMG": RNG.normal(size=(num_chest, 1)),
                "EDA": RNG.normal(size=(num_chest, 1)),
                "Temp": RNG.normal(size=(num_chest, 1)).astype(np.float32),
                "Resp": RNG.normal(size=(num_chest, 1)),
            },
            "wrist": {
                "ACC": RNG.integers(-64, 64, (seconds * 32, 3)).astype(float),
                "BVP": RNG.normal(size=(seconds * 64, 1)),
                "EDA": RNG.normal(size=(seconds * 4, 1)),
                "TEMP": RNG.normal(size=(seconds * 4, 1)),
            },
        },
        "label": labels,
        "subject": subject,
    }


def write_wesad(folder, content, protocol=2):
    (folder / "S2").mkdir(parents=True, exist_ok=True)
    (folder / "S2" / "S2.pkl").write_bytes(pickle.dumps(content, protocol))


def with_byte_keys(value):
    if not isinstance(value, dict):
        return value
    return {key.encode(): with_byte_keys(part) for key, part in value.items()}


@pytest.mark.parametrize("convert", [dict, with_byte_keys])
def test_wesad_chest(tmp_path, convert):
    content = wesad_content()
    write_wesad(tmp_path, convert(content))
    ref, recording = only(get_layout("wesad"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("S2", "S2")
    chest = content["signal"]["chest"]
    keys = ("ECG", "ACC", "EMG", "EDA", "Temp", "Resp")
    expected = np.concatenate([chest[key] for key in keys], axis=1).T.astype(np.float32)
    np.testing.assert_array_equal(recording.signal, expected)
    assert recording.channels == ("ECG", "ACC_X", "ACC_Y", "ACC_Z", "EMG", "EDA", "TEMP", "RESP")
    assert recording.units == ("mV", "g", "g", "g", "mV", "uS", "degC", "%")
    assert recording.sampling_rate_hz == 700
    assert recording.conversions == ()
    assert marks_of(recording.annotations["stress"]) == [
        (700, 7700, 0),
        (7700, 11200, 1),
        (11900, 14000, 0),
    ]
    assert marks_of(recording.annotations["affect"]) == [
        (0, 700, 0),
        (700, 7700, 1),
        (7700, 11200, 2),
        (11200, 11900, 0),
        (11900, 14000, 3),
        (14000, 21000, 4),
    ]


def test_wesad_wrist(tmp_path):
    content = wesad_content()
    write_wesad(tmp_path, content)
    _, recording = only(get_layout("wesad/wrist"), tmp_path)
    assert recording.channels == E4_CHANNELS
    assert recording.sampling_rate_hz == 64
    # EDA and TEMP end first, with their sample at 29.75 s.
    assert recording.signal.shape == (6, 29.75 * 64 + 1)
    bvp = content["signal"]["wrist"]["BVP"][: recording.signal.shape[1], 0]
    np.testing.assert_array_equal(recording.signal[0], bvp.astype(np.float32))
    assert np.abs(recording.signal[3:]).max() < 2
    assert marks_of(recording.annotations["affect"])[:3] == [
        (0, 64, 0),
        (64, 704, 1),
        (704, 1024, 2),
    ]
    assert marks_of(recording.annotations["affect"])[-1] == (1280, recording.signal.shape[1], 4)
    assert "EDA: 4 to 64 Hz by a low-pass polyphase filter" in recording.conversions


def test_hostile_wesad_pickles(tmp_path):
    layout = get_layout("wesad")
    content = wesad_content()
    for changes, match in (
        ({"subject": "S3"}, "has subject 'S3'; its file name has 'S2'"),
        ({"label": content["label"] + 5}, "label 8 occurs; labels of WESAD are 0 to 7"),
        ({"label": content["label"] * 0.5}, "must be a 1-D array of integers"),
        ({"signal": {"wrist": {}}}, "has no 'chest'; it has wrist"),
        ({"signal": {"chest": {"ECG": np.zeros((9, 2))}}}, r"ECG of the chest has shape \(9, 2\)"),
        ({"signal": {"chest": {"ECG": [1.0]}}}, "ECG is a list; an array of numbers"),
    ):
        write_wesad(tmp_path, content | changes)
        with pytest.raises(UnreadableError, match=match):
            only(layout, tmp_path)
    write_wesad(tmp_path, [content])
    with pytest.raises(UnreadableError, match=r"no 'subject'; it has .*list"):
        only(layout, tmp_path)
    trace = tmp_path / "was_here"
    write_wesad(tmp_path, content | {"more": Reduced(os.system, (f"touch {trace}",))})
    with pytest.raises(
        DataError, match=r"S2.pkl names posix.system.*no code of the file was executed"
    ):
        only(layout, tmp_path)
    assert not trace.exists()
    path = tmp_path / "S2" / "S2.pkl"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableError, match=r"S2.pkl cannot be read"):
        only(layout, tmp_path)
    (tmp_path / "again").mkdir()
    write_wesad(tmp_path / "again", content)
    with pytest.raises(DataError, match="record id 'S2' occurs twice"):
        layout.find(tmp_path)
