"""Valid files of every format, small, from which fuzzing starts."""

import json
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas
from scipy import io

from tests.data.formats.vendors.test_biosppy_text import write_biosppy
from tests.data.formats.vendors.test_empatica_e4 import write_e4
from tests.data.formats.vendors.test_garmin_fit import write_garmin
from tests.data.formats.vendors.test_ishne import ishne
from tests.data.formats.vendors.test_muse import write_muse
from tests.data.formats.vendors.test_opensignals import write_open_signals
from tests.data.formats.vendors.test_polar import write_polar
from tests.data.formats.vendors.test_shimmer import write_shimmer
from tests.folders import write_csv, write_manifest, write_wfdb

NAMES = ("II", "PPG", "RESP")
SIGNAL = np.random.default_rng(0).normal(size=(3, 60)).astype(np.float32)
TIMES_S = np.arange(60) / 250
STAMPS = (np.arange(60) * 4).astype("datetime64[ms]")
MANIFEST = b"""{"sampling_rate_hz": 100, "channels": ["I", "II"], "units": "mV",
 "label_names": ["a", "b"], "fold_array": "f", "attribute_arrays": {"age": "age"},
 "recordings": [
 {"file": "a.npz", "array": "X", "axes": ["record", "sample", "channel"],
  "subject_array": "p", "record_array": "i", "label_array": "y", "label_names_array": "k"},
 {"file": "s/*.npy", "channels": {"a": "EEG"}, "subject_pattern": "s/(p\\\\d+)_[a-z]"},
 {"file": "b.csv", "subjects": {"b": "ben"}, "labels": {"b": "a"}},
 {"file": "c.hea", "subject": 5, "label": "b"}]}"""
SUMS = b"".join(b"%064x  records/%d.dat\n" % (i, i) for i in range(9)) + b"a" * 64 + b" *LICENSE\n"
TABLE = (
    b'\xef\xbb\xbfid,age,"codes"\n1,56.0,"{\'NORM\': 100.0, ""SR"": 0.0}"\n2,,x\n\n3,19,"a\nb"\n'
)
MULTI_RATE = """multi 2 125 60
multi.dat 16x2 1000(0)/mV 16 0 0 0 0 II
multi.dat 16x1 1000(0)/NU 16 0 0 0 0 PLETH
"""


def write_npz(folder: Path, **options: Any) -> None:
    """Write an npz of two recordings with ids, subjects and labels."""
    save = np.savez_compressed if options.pop("compressed", False) else np.savez
    stacked = np.stack([SIGNAL, SIGNAL])
    members = {"channels": np.array(NAMES), "fs": 100, "subject": ["a", "b"], "rec": [3, 4]}
    save(folder / "a.npz", X=stacked, y=[1, -1], **members)


def write_edf(folder: Path) -> None:
    """Write an EDF+D file without a gap."""
    signals = [
        edfio.EdfSignal(v.astype(float), 20, label=n, physical_dimension="mV")
        for v, n in zip(SIGNAL, NAMES, strict=True)
    ]
    edf = edfio.Edf(signals, annotations=[edfio.EdfAnnotation(0.5, None, "x")])
    edf.write(folder / "a.edf")
    data = (folder / "a.edf").read_bytes()
    (folder / "a.edf").write_bytes(data.replace(b"EDF+C", b"EDF+D"))


def write_npy(folder: Path) -> None:
    """Write an array with the manifest that it needs."""
    np.save(folder / "a.npy", SIGNAL)
    write_manifest(folder, {"file": "a.npy"}, sampling_rate_hz=250, channels=NAMES)


def write_parquet(folder: Path, times: Any, **options: Any) -> None:
    """Write a table of two channels with a column of times."""
    columns = {"time": times, "II": SIGNAL[0], "PPG": np.arange(60)}
    pandas.DataFrame(columns).to_parquet(folder / "a.parquet", row_group_size=25, **options)


def write_multi_rate(folder: Path) -> None:
    """Write a WFDB record with two samples a frame of one signal and one of the other."""
    (folder / "multi.hea").write_text(MULTI_RATE, encoding="utf-8")
    samples = np.round(SIGNAL.reshape(-1)[: 60 * 3] * 1000).astype("<i2")
    (folder / "multi.dat").write_bytes(samples.tobytes())


def write_ishne(folder: Path) -> None:
    """Write a Holter file of three leads."""
    (folder / "a.ecg").write_bytes(ishne(np.round(SIGNAL.T * 300).astype("<i2")))


def write_mat(folder: Path, *, compressed: bool) -> None:
    """Write a MATLAB file that describes itself."""
    content = {"X": SIGNAL, "channels": np.array(NAMES, dtype=object), "fs": 250.0}
    io.savemat(folder / "a.mat", content, do_compression=compressed)


def write_text(folder: Path, write: Callable[..., Any]) -> None:
    """Write an export of a device under the name of the file that is changed."""
    write(folder)
    (path,) = folder.iterdir()
    path.rename(folder / f"a{path.suffix}")


# Name of a case -> the file that is changed, and what writes it and its companions.
FILES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "npy": ("a.npy", write_npy),
    "npz": ("a.npz", write_npz),
    "compressed npz": ("a.npz", lambda folder: write_npz(folder, compressed=True)),
    "csv": ("a.csv", lambda folder: write_csv(folder / "a.csv", SIGNAL, 250.0)),
    "parquet": ("a.parquet", lambda folder: write_parquet(folder, TIMES_S)),
    "plain parquet": (
        "a.parquet",
        lambda folder: write_parquet(folder, STAMPS, compression=None),
    ),
    "edf": ("a.edf", write_edf),
    "wfdb header": ("a.hea", lambda folder: write_wfdb(folder, "a", SIGNAL)),
    "wfdb samples": ("a.dat", lambda folder: write_wfdb(folder, "a", SIGNAL)),
    "wfdb multi-rate header": ("multi.hea", write_multi_rate),
    "ishne": ("a.ecg", write_ishne),
    "mat": ("a.mat", lambda folder: write_mat(folder, compressed=False)),
    "compressed mat": ("a.mat", lambda folder: write_mat(folder, compressed=True)),
    "empatica e4": ("EDA.csv", write_e4),
    "biosppy": ("a.txt", lambda folder: write_text(folder, write_biosppy)),
    "opensignals": ("a.txt", lambda folder: write_text(folder, write_open_signals)),
    "shimmer": ("a.csv", lambda folder: write_text(folder, write_shimmer)),
    "garmin": ("a.csv", lambda folder: write_text(folder, write_garmin)),
    "polar": (
        "a.txt",
        lambda folder: write_text(folder, lambda inside: write_polar(inside, "ECG", 130)),
    ),
    "muse": ("a.csv", lambda folder: write_text(folder, write_muse)),
}
_VALID: dict[str, dict[str, bytes]] = {}


def valid_files(case: str) -> dict[str, bytes]:
    """Return the files of a case by name."""
    if case not in _VALID:
        with tempfile.TemporaryDirectory() as folder:
            FILES[case][1](Path(folder))
            _VALID[case] = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return _VALID[case]


def wesad_pickle() -> bytes:
    """Return a pickle like those of WESAD: containers, text and NumPy arrays."""
    wrist = {"BVP": SIGNAL[0][:, None].astype(np.float64), "ACC": np.arange(30).reshape(10, 3)}
    content = {"signal": {"wrist": wrist}, "label": np.arange(9, dtype=np.int32), "subject": "S2"}
    return pickle.dumps(content, protocol=2)


def npz_with_member(data: bytes, member: str, content: bytes) -> bytes:
    """Return an npz with one member replaced, its checksums being right."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "valid.zip", Path(folder) / "changed.zip"
        source.write_bytes(data)
        with zipfile.ZipFile(source) as valid, zipfile.ZipFile(target, "w") as archive:
            for name in valid.namelist():
                kept = valid.read(name)
                archive.writestr(name, content if name == f"{member}.npy" else kept)
        return target.read_bytes()


def member_of(data: bytes, member: str) -> bytes:
    """Return the bytes of one member of an npz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "valid.zip"
        path.write_bytes(data)
        with zipfile.ZipFile(path) as archive:
            return archive.read(f"{member}.npy")


def manifest_json() -> Any:
    """Return the content of the manifest."""
    return json.loads(MANIFEST)
