"""The layout of CinC 2017 as published."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def write_challenge(folder, record, samples, checksum=0):
    folder.mkdir(parents=True, exist_ok=True)
    # The header of a MATLAB 4 matrix of 16-bit integers named 'val'.
    header = np.array([30, 1, len(samples), 0, 4], "<u4").tobytes() + b"val\0"
    (folder / f"{record}.mat").write_bytes(header + samples.astype("<i2").tobytes())
    (folder / f"{record}.hea").write_text(
        f"{record} 1 300 {len(samples)} 05:05:15 1/05/2000 \n"
        f"{record}.mat 16+24 1000/mV 16 0 {samples[0]} {checksum} 0 ECG \n"
    )


def test_cinc2017(tmp_path):
    layout = get_layout("cinc2017")
    written = {}
    for record in ("A00001", "A00002", "A00003", "A00004"):
        written[record] = RNG.integers(-999, 999, 2714)
        write_challenge(tmp_path / "training2017", record, written[record])
    total = int(written["A00004"].sum()) % 65536
    write_challenge(tmp_path / "training2017", "A00004", written["A00004"], checksum=total)
    (tmp_path / "training2017" / "REFERENCE.csv").write_text("A00001,N\nA00002,N\n")
    # The third revision is preferred.
    (tmp_path / "REFERENCE-v3.csv").write_text("A00001,N\nA00002,A\nA00003,O\nA00004,~\n")
    for number, ref in enumerate(layout.find(tmp_path)):
        recording = layout.read(tmp_path, ref)
        assert ref.subject_id == ref.record_id
        np.testing.assert_allclose(recording.signal, written[ref.record_id][None] / 1000, atol=1e-6)
        assert recording.channels == ("I",)
        assert recording.units == ("mV",)
        assert recording.sampling_rate_hz == 300
        assert recording.labels["rhythm"].tolist() == np.eye(4, dtype=int)[number].tolist()
        assert recording.attributes == {"subject_known": False}


def test_cinc2017_hostile_files(tmp_path):
    layout = get_layout("cinc2017")
    write_challenge(tmp_path, "A00001", np.arange(3000) % 50, checksum=1)
    with pytest.raises(DataError, match=r"neither REFERENCE-v3.csv nor REFERENCE.csv"):
        layout.find(tmp_path)
    table = tmp_path / "REFERENCE.csv"
    table.write_text("A00001,X\n")
    with pytest.raises(DataError, match=r"REFERENCE.csv, line 1 reads 'A00001,X'"):
        layout.find(tmp_path)
    table.write_text("A00002,N\n")
    with pytest.raises(DataError, match=r"no row for 1 recordings \(A00001\)"):
        layout.find(tmp_path)
    table.write_text("A00001,N\nA00001,A\n")
    with pytest.raises(DataError, match=r"record id 'A00001' occurs twice"):
        layout.find(tmp_path)
    table.write_text("A00001,N\nA00002,A\n")
    first, second = layout.find(tmp_path)
    with pytest.raises(UnreadableError, match=r"checksum"):
        layout.read(tmp_path, first)
    with pytest.raises(UnreadableError, match=r"A00002.hea"):
        layout.read(tmp_path, second)
    write_challenge(tmp_path, "A00001", np.arange(3000) % 50)
    content = (tmp_path / "A00001.mat").read_bytes()
    (tmp_path / "A00001.mat").write_bytes(content[:-100])
    with pytest.raises(UnreadableError, match=r"A00001.mat is truncated"):
        layout.read(tmp_path, first)
    header = tmp_path / "A00001.hea"
    header.write_text(header.read_text().replace("1000/mV", "1000/uV"))
    with pytest.raises(UnreadableError, match=r"one ECG in mV at 300 Hz is expected"):
        layout.read(tmp_path, first)
