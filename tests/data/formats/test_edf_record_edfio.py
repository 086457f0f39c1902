"""EDF recordings as edfio writes them, and what they cannot be."""

from pathlib import Path

import edfio
import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.readers import get_reader
from physio_mae_jax.errors import DataError
from tests.data.formats.format_files import edf_signal, write_edf
from tests.folders import whole, write_manifest


class TestEdf:
    def test_channels_of_one_rate_are_chosen(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "night.edf"
        eeg, temperature = np.ones(1000), np.ones(10)
        write_edf(
            path,
            edf_signal(eeg, "EEG Fpz-Cz", 100),
            edf_signal(eeg, "EEG Pz-Oz", 100),
            edf_signal(temperature, "Temp rectal", 1, "degC"),
        )
        (info,) = open_folder(tmp_path).recordings
        assert (info.sampling_rate_hz, info.num_samples) == (100, 1000)
        assert "TEMP from 1 to 100 Hz (night.edf)" in caplog.text
        write_manifest(tmp_path, {"file": "*.edf", "channels": ["EEG Pz-Oz"]})
        (info,) = open_folder(tmp_path).recordings
        assert (info.sampling_rate_hz, info.num_samples) == (100, 1000)
        assert info.channel_names == ("EEG_PZ_OZ",)
        write_manifest(tmp_path, {"file": "*.edf", "channels": ["Temp rectal"]})
        (info,) = open_folder(tmp_path).recordings
        assert (info.sampling_rate_hz, info.num_samples) == (1, 10)

    def test_units_that_are_not_ascii(self, tmp_path: Path) -> None:
        path = tmp_path / "a.edf"
        write_edf(path, edf_signal(np.ones(100), "II", 100, "xV"))
        path.write_bytes(path.read_bytes().replace(b"xV", "µV".encode("latin-1")))
        assert get_reader(path).probe(path, ManifestEntry(label="a", file="a.edf")).units == ("µV",)

    def test_annotations_alone_are_no_recording(self, tmp_path: Path) -> None:
        edfio.Edf([], annotations=[edfio.EdfAnnotation(0, 30, "W")]).write(tmp_path / "a.edf")
        with pytest.raises(DataError, match="has no channels, only annotations"):
            open_folder(tmp_path)

    @pytest.mark.parametrize("gap", [False, True])
    def test_interrupted_recordings(self, tmp_path: Path, gap: bool) -> None:
        path = tmp_path / "a.edf"
        write_edf(path, edf_signal(np.ones(300), "II", 100), annotations=[])
        data = path.read_bytes().replace(b"EDF+C", b"EDF+D")
        path.write_bytes(data.replace(b"+2\x14", b"+7\x14") if gap else data)
        if gap:
            with pytest.raises(DataError, match=r"was interrupted \(EDF\+D\)"):
                open_folder(tmp_path)
        else:
            assert whole(open_folder(tmp_path)).shape == (1, 300)

    @pytest.mark.parametrize(
        ("position", "field", "message"),
        [
            (236, b"-2      ", "the header states -2 data records"),
            (236, b"4       ", r"is truncated: its header states 4 data records, \d+ bytes"),
            (236, b"2       ", r"is damaged: its header states 2 data records"),
            (244, b"0       ", "its header states data records of 0 s"),
            (244, b"-1      ", "data records of '-1' seconds"),
            (244, b"1e-300  ", "sampling rate of 1e.302 Hz is not plausible"),
            (244, b"1000    ", "sampling rate of 0.1 Hz of II is not plausible"),
            (252, b"0   ", "states 0 signals"),
            (256 + 104, b"10      ", "'II' maps samples .* onto values 10 to 10"),
            (256 + 120, b"32767   ", "maps samples 32767 to 32767"),
            (256 + 112, b"9e99    ", "onto values -10 to 9e"),
            (256 + 112, b"ten     ", "onto values -10 to ten"),
        ],
    )
    def test_wrong_headers(self, tmp_path: Path, position: int, field: bytes, message: str) -> None:
        path = tmp_path / "a.edf"
        write_edf(path, edf_signal(np.ones(300), "II", 100))
        data = bytearray(path.read_bytes())
        data[position : position + len(field)] = field
        path.write_bytes(bytes(data))
        with pytest.raises(DataError, match=rf"a\.edf.*{message}"):
            open_folder(tmp_path)
