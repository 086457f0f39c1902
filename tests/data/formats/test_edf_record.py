"""EDF and BDF files: values of every channel at its own rate."""

from pathlib import Path

import edfio
import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError
from tests.data.formats.edf_files import channel, clock, edf_bytes, opened
from tests.data.formats.wfdb_files import assert_stretches
from tests.folders import whole


@pytest.mark.parametrize("seconds", ["1", "0.5", "0.23814", "0,25", "3", "1.000041"])
def test_values_are_those_of_edfio(tmp_path: Path, seconds: str) -> None:
    parts = [channel(30, label="ECG"), channel(30, label="RESP", physical=("7.5", "-3"))]
    source = opened(tmp_path, edf_bytes(parts, seconds=seconds))
    rate_hz = 30 / float(seconds.replace(",", "."))
    assert source.recordings[0].sampling_rate_hz == rate_hz
    (tmp_path / "a.edf").write_bytes(edf_bytes(parts, seconds=seconds.replace(",", ".")))
    edf = edfio.read_edf(tmp_path / "a.edf")
    expected = np.stack([signal.data.astype(np.float32) for signal in edf.signals])
    np.testing.assert_array_equal(whole(source), expected)
    assert_stretches(source, expected)


def test_real_recording_is_that_of_pyedflib(shared: Path) -> None:
    pyedflib = pytest.importorskip("pyedflib")
    folder = shared / "data" / "vendor" / "faros"
    source = open_folder(folder)
    with pyedflib.EdfReader(str(folder / "testfile_read.EDF")) as reader:
        (info,) = source.recordings
        rates = reader.getSampleFrequencies()
        assert info.sampling_rate_hz == rates.max()
        for row, name in zip(whole(source), info.channel_names, strict=True):
            labels = [label.upper() for label in reader.getSignalLabels()]
            number = next((i for i, label in enumerate(labels) if label == name.upper()), None)
            if number is not None and rates[number] == rates.max():
                np.testing.assert_allclose(row, reader.readSignal(number), rtol=1e-5, atol=1e-3)
    assert_stretches(source, whole(source))


def test_channels_of_several_rates(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [channel(64, label="ECG"), channel(3, label="RESP"), channel(16, label="EDA")]
    source = opened(tmp_path, edf_bytes(parts))
    (info,) = source.recordings
    assert (info.sampling_rate_hz, info.num_samples) == (64, 1280)
    for part, row in zip(parts, whole(source), strict=True):
        count = part.digital.shape[1]
        own = (part.digital.ravel() + 0.5) * 20 / 65535
        positions = np.arange(1280) * count / 64
        np.testing.assert_allclose(row, np.interp(positions, np.arange(len(own)), own), atol=1e-5)
    assert_stretches(source, whole(source))
    warned = [r.getMessage() for r in caplog.records if "interpolation" in r.getMessage()]
    assert len(warned) == 1
    assert "RESP from 3 to 64 Hz (a.edf); EDA from 16 to 64 Hz (a.edf)" in warned[0]
    caplog.clear()
    for wanted, rate_hz in (("ECG", 64), ("EDA", 16), ("ecg_only", 64)):
        assert open_folder(tmp_path, channels=wanted).recordings[0].sampling_rate_hz == rate_hz
    assert "interpolation" not in caplog.text


@pytest.mark.parametrize("name", ["a.bdf", "a.edf", "a.rec", "A.BDF"])
def test_24_bits(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    wide = {"bits": 24, "limits": ("-8388608", "8388607"), "physical": ("-262144", "262143")}
    parts = [channel(50, label="Fp1", **wide), channel(50, label="Status", **wide)]
    data = edf_bytes(parts, magic=b"\xffBIOSEMI")
    source = opened(tmp_path, data, name)
    assert source.recordings[0].num_samples == 1000
    assert "channel 'Status' is skipped: triggers are not a signal" in caplog.text
    bdf = edfio.read_bdf(tmp_path / name)
    np.testing.assert_array_equal(whole(source)[0], bdf.signals[0].data.astype(np.float32))
    assert whole(source).shape == (1, 1000)
    assert_stretches(source, whole(source))
    (tmp_path / "manifest.json").write_text(
        f'{{"recordings": [{{"file": "{name}", "channels": ["Status"]}}]}}'
    )
    np.testing.assert_array_equal(
        whole(open_folder(tmp_path))[0], bdf.signals[1].data.astype(np.float32)
    )


@pytest.mark.parametrize(
    ("times", "is_read"),
    [
        ([f"{i}" for i in range(20)], True),
        ([f"{5 + i}.250" for i in range(20)], True),
        ([f"{i}" for i in range(19)] + ["20"], False),
        ([f"{i + 0.02:.3f}" if i > 9 else f"{i}" for i in range(20)], False),
    ],
)
def test_gaps(tmp_path: Path, times: list[str], is_read: bool) -> None:
    parts = [channel(50, label="II"), clock(times)]
    if is_read:
        assert (
            opened(tmp_path, edf_bytes(parts, reserved=b"EDF+D")).recordings[0].num_samples == 1000
        )
    else:
        with pytest.raises(DataError, match=r"a\.edf was interrupted \(EDF\+D\)"):
            opened(tmp_path, edf_bytes(parts, reserved=b"EDF+D"))
    # By its header this one is continuous, whatever its clock says.
    assert opened(tmp_path, edf_bytes(parts, reserved=b"EDF+C")).recordings[0].num_samples == 1000


def test_printed_times_need_not_be_exact(tmp_path: Path) -> None:
    times = [f"{i * 0.23814:.3f}" for i in range(20)]
    parts = [channel(30, label="II"), clock(times)]
    data = edf_bytes(parts, reserved=b"EDF+D", seconds="0.23814")
    assert opened(tmp_path, data).recordings[0].num_samples == 600


def test_a_broken_channel_matters_where_it_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [
        channel(50, label="II"),
        channel(50, label="RESP", physical=("5", "5")),
        channel(50, label="ACC"),
        channel(50, label="ACC"),
        channel(1, label="PPG"),
        channel(50, label=""),
    ]
    data = edf_bytes(parts)
    with pytest.raises(DataError) as error:
        opened(tmp_path, data)
    for words in (
        "'RESP' maps samples", "2 channels named 'ACC'", "rate of 1 Hz of PPG", "without a name"
    ):  # fmt: skip
        assert words in str(error.value)
    source = open_folder(tmp_path, channels="II")
    assert source.recordings[0].channel_names == ("II",)
    assert "not requested are skipped in 1 files" in caplog.text
    assert "'RESP' maps samples" in caplog.text
    for wanted in ("RESP", "II,ACC", "ecg_ppg"):
        with pytest.raises(DataError, match=r"a\.edf"):
            open_folder(tmp_path, channels=wanted)


def test_channels_that_others_are_made_of_are_wanted(tmp_path: Path) -> None:
    parts = [channel(50, label="I"), channel(50, label="II"), channel(5, label="RESP")]
    source = opened(tmp_path, edf_bytes(parts), channels="III")
    assert source.recordings[0].channel_names == ("I", "II")
    parts[1] = parts[1]._replace(physical=("5", "5"))
    with pytest.raises(DataError, match="'II' maps samples"):
        opened(tmp_path, edf_bytes(parts), channels="III")
