"""The layout of MIMIC-III waveforms, segment by segment."""

import shutil
import warnings

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_header import read_header
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import only
from tests.preparation.layouts.records import waves, write_record

RNG = np.random.default_rng(0)

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates, and again where it writes.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def write_mimic(root, channels=("II", "PLETH"), units=("mV", "NU"), num_samples=2000):
    folder = root / "p00" / "p000020"
    signal = waves(len(channels), num_samples)
    write_record(folder, "3544749_0001", signal, channels, units)
    return folder, signal


def test_mimic3_segments(tmp_path):
    folder, written = write_mimic(
        tmp_path, ("ABP", "ART", "V", "PLETH"), ("mmHg", "mmHg", "mV", "NU")
    )
    write_record(folder, "3544749_0002", waves(1, 1249), ["II"], ["mV"])
    write_record(folder, "3544749_0003", waves(1, 2000), ["ABP"], ["mmHg"])
    write_record(folder, "3544749n", waves(1, 2000), ["II"], ["mV"])
    (folder / "3544749_layout.hea").write_text("3544749_layout 1 125 0\n~ 0 200/mV 8 0 0 0 0 II\n")
    (folder / "p000020-2183-04-28-17-47.hea").write_text(
        "p000020-2183-04-28-17-47/3 2 125 9000\n3544749_layout 0\n3544749_0001 2000\n~ 99\n"
    )
    ref, recording = only(get_layout("mimic3"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("p000020/3544749_0001", "p000020")
    np.testing.assert_allclose(recording.signal, written, atol=0.5 / 200 + 1e-6)
    assert recording.channels == ("ABP", "ART", "V", "PPG")
    assert recording.units == ("mmHg", "mmHg", "mV", "")
    assert recording.conversions == ()
    # A folder of one subject is a source too.
    assert get_layout("mimic3").find(folder)[0].record_id == ref.record_id


def test_mimic3_channels_of_a_lower_rate_are_interpolated_and_said_so(tmp_path):
    folder = tmp_path / "p000020"
    folder.mkdir()
    fast, slow = RNG.integers(-99, 99, 8000), RNG.integers(-99, 99, 2000)
    wfdb.wrsamp(
        "1_0001",
        fs=125,
        units=["mV", "NU"],
        sig_name=["II", "PLETH"],
        e_d_signal=[fast, slow],
        samps_per_frame=[4, 1],
        fmt=["16", "16"],
        adc_gain=[200.0, 200.0],
        baseline=[0, 0],
        write_dir=str(folder),
    )
    _, recording = only(get_layout("mimic3"), tmp_path)
    assert recording.sampling_rate_hz == 500
    np.testing.assert_allclose(recording.signal[0], fast / 200, atol=1e-7)
    np.testing.assert_allclose(recording.signal[1, ::4], slow / 200, atol=1e-7)
    assert recording.conversions == ("PLETH: 125 to 500 Hz by linear interpolation",)


def test_mimic3_hostile_segments(tmp_path):
    layout = get_layout("mimic3")
    folder, _ = write_mimic(tmp_path)
    data = (folder / "3544749_0001.dat").read_bytes()
    (folder / "3544749_0001.dat").write_bytes(data[:4000])
    with pytest.raises(UnreadableError, match=r"is truncated"):
        only(layout, tmp_path)
    (folder / "3544749_0001.dat").unlink()
    with pytest.raises(UnreadableError, match=r"3544749_0001.dat"):
        only(layout, tmp_path)
    (folder / "3544749_0001.hea").write_text("3544749_0001 2 125 2000\n3544749_0001.dat 16\n")
    with pytest.raises(UnreadableError, match=r"announces 2 signals and describes 1"):
        only(layout, tmp_path)
    shutil.move(folder, tmp_path / "p00" / "3544749")
    with pytest.raises(
        DataError, match=r"folder '3544749'; expected a folder named after a subject"
    ):
        layout.find(tmp_path)


def test_headers_follow_the_specification(tmp_path):
    path = tmp_path / "a.hea"
    path.write_text(
        "# first\na 3 125/1000(0) 50 10:00:00\n"
        "a.dat 16x2:3+24 200(5)/uV 12 0 -3 77 0 ECG lead, II\n"
        "a.dat 80\na.dat 212 100 12 0 0 9\n#<age>: 1\n"
    )
    header = read_header(path)
    assert header.channels == ("ECG lead, II", "", "")
    assert header.units == ("uV", "mV", "mV")
    assert [signal.samples_per_frame for signal in header.signals] == [2, 1, 1]
    assert [signal.checksum for signal in header.signals] == [77, None, 9]
    assert header.comments == ("first", "<age>: 1")
    assert (header.num_frames, header.frame_rate_hz, header.seconds) == (50, 125, 0.4)
    for text in ("", "a\n", "a x 125 50\n", "a 1 125 50\na.dat no\n", "a 1 0 50\na.dat 16\n"):
        path.write_text(text)
        with pytest.raises(UnreadableError, match=r"a\.hea"):
            read_header(path)
