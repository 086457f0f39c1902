"""Files and folders give the embeddings of their samples, and reports say where facts are from."""

import json
from pathlib import Path

import edfio
import numpy as np
import pandas as pd
import pytest
from scipy import io

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.errors import DataError, UserError
from physio_mae_jax.inference.notes import READ, REJECTED
from tests.data.formats.vendors.test_biosppy_text import write_biosppy
from tests.data.formats.vendors.test_empatica_e4 import write_e4
from tests.data.formats.vendors.test_ishne import ishne
from tests.encoders import beats, encoder
from tests.vendor_files import read_all, real_exports

SIGNAL = beats(12, 125, leads=2)


@pytest.fixture(scope="module")
def model():
    return encoder(input={"channels": ("I", "II", "V1", "ECG", "PPG", "EDA", "RESP")})


def write_csv(path: Path) -> None:
    frame = pd.DataFrame({"Time [s]": np.arange(1500) / 125, "II": SIGNAL[0], "PLETH": SIGNAL[1]})
    frame.to_csv(path, index=False)


def origins(report) -> list[str]:
    return [note.text for note in report.of(READ)]


def test_a_file_gives_what_its_samples_give(model, tmp_path: Path) -> None:
    write_csv(tmp_path / "r.csv")
    found = model.encode_file(tmp_path / "r.csv")
    (wanted,) = model.encode(
        read_all(open_folder(tmp_path))[None], sampling_rate_hz=125, channels=["II", "PPG"]
    )
    assert found.embeddings.shape == (1, wanted.size)
    np.testing.assert_allclose(found.embeddings[0], wanted, atol=1e-6)
    assert origins(found.report) == [
        "table of text: rate from column 'Time [s]', names from its line of names, units not stated"
    ]
    assert "read       table of text: rate from column 'Time [s]'" in str(found.report)
    (tokens,) = model.encode_file(str(tmp_path / "r.csv"), output="channels").embeddings
    assert tokens.shape == (2, wanted.size)


def test_what_a_file_does_not_state_is_an_argument(model, tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", SIGNAL)
    with pytest.raises(DataError, match="does not say its rate"):
        model.encode_file(tmp_path / "r.npy")
    found = model.encode_file(
        tmp_path / "r.npy", sampling_rate_hz=np.float32(125), channels=["II", "PPG"], units="mV"
    )
    wanted = model.encode(SIGNAL, sampling_rate_hz=125, channels=["II", "PPG"])
    np.testing.assert_allclose(found.embeddings, wanted.reshape(1, -1), atol=1e-5)
    manifest = "the manifest or arguments"
    assert origins(found.report) == [
        f"npy: rate from {manifest}, names from {manifest}, units from {manifest}"
    ]
    with pytest.raises(DataError, match="sampling_rate_hz"):
        model.encode_file(tmp_path / "r.npy", sampling_rate_hz="fast", channels=["II", "PPG"])


def test_formats_say_where_their_facts_are_from(model, tmp_path: Path) -> None:
    (tmp_path / "h.ecg").write_bytes(ishne(np.round(SIGNAL[[0, 0, 0]].T * 200).astype("<i2")))
    write_biosppy(tmp_path)
    names = np.array(["II", "PPG"], dtype=object)
    io.savemat(tmp_path / "m.mat", {"X": SIGNAL, "channels": names, "fs": 125.0})
    signals = [edfio.EdfSignal(x.astype(float), 125, label=n, physical_dimension="mV")
               for x, n in zip(SIGNAL, ("II", "RESP"), strict=True)]  # fmt: skip
    edfio.Edf(signals).write(tmp_path / "e.edf")
    for name, wanted in {
        "h.ecg": "ISHNE Holter: rate from its header, names from its header, "
        "units from its header (nV per count)",
        "r.txt": "BioSPPy text: rate from its key 'Sampling Rate (Hz)', "
        "names from its key 'Labels', units not stated",
        "m.mat": "MATLAB v5: rate from variable 'fs', names from variable 'channels', "
        "units not stated",
        "e.edf": "EDF: rate from its header, names from its header, units from its header",
    }.items():
        report = model.encode_file(tmp_path / name).report
        assert origins(report) == [wanted], name


def test_an_export_of_several_files(model, tmp_path: Path) -> None:
    write_e4(tmp_path / "p1", seconds=12)
    with pytest.raises(UserError, match="unknown_channels='exclude'"):
        model.encode_file(tmp_path / "p1")
    found = model.encode_file(tmp_path / "p1", channels=["PPG", "EDA"])
    assert found.report.recordings == ("p1",)
    assert found.report.channels == (("PPG", "EDA"),)
    assert origins(found.report)[0].startswith("Empatica E4 (folder): rate from line 2 of each")
    with pytest.raises(DataError, match="is a folder, but not the export of one recording"):
        model.encode_file(tmp_path)
    with pytest.raises(DataError, match=r"absent\.csv is not a file"):
        model.encode_file(tmp_path / "absent.csv")


def test_a_folder(model, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_csv(tmp_path / f"{name}.csv")
    write_e4(tmp_path / "p1", seconds=12)
    found = model.encode_folder(tmp_path, channels="PPG", unknown_channels="exclude")
    assert found.report.recordings == ("a", "b", "p1")
    assert found.embeddings.shape[0] == 3
    assert len(origins(found.report)) == 3
    (tmp_path / "b.csv").write_text("time,II\n0,x\n")
    with pytest.raises(DataError, match=r"b\.csv"):
        model.encode_folder(tmp_path, channels="PPG", unknown_channels="exclude")
    found = model.encode_folder(
        tmp_path, channels="PPG", unknown_channels="exclude", on_invalid="skip"
    )
    assert found.report.recordings == ("a", "p1")
    manifest = {"recordings": [{"file": "a.csv", "channels": {"PLETH": "PPG"}, "subject": "ann"}]}
    (tmp_path / "m.json").write_text(json.dumps(manifest))
    found = model.encode_folder(tmp_path, manifest=tmp_path / "m.json")
    assert found.report.channels == (("PPG",),)


def test_missing_samples_are_skipped_as_of_arrays(model, tmp_path: Path) -> None:
    signal = SIGNAL.astype(np.float32)
    signal[0, 100:110] = np.nan
    np.savez(tmp_path / "r.npz", X=signal, channels=["II", "PPG"], fs=125)
    with pytest.raises(UserError, match="not finite"):
        model.encode_file(tmp_path / "r.npz")
    found = model.encode_file(tmp_path / "r.npz", on_invalid="skip")
    wanted = model.encode(signal, sampling_rate_hz=125, channels=["II", "PPG"], on_invalid="skip")
    np.testing.assert_allclose(found.embeddings, wanted.reshape(1, -1), atol=1e-6)
    assert found.report.of(REJECTED)


def test_real_exports(model, shared: Path) -> None:
    folder = real_exports(shared, "vendor")
    for name in ("biosppy/ecg.txt", "biosppy/ppg.txt", "opensignals/SampleECG.txt",
                 "faros/testfile_read.EDF", "empatica"):  # fmt: skip
        found = model.encode_file(folder / name, unknown_channels="exclude")
        assert np.isfinite(found.embeddings).all(), name
