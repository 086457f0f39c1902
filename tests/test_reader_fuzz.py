"""Whatever became of a file, opening and reading it succeeds or raises a DataError that names it.

Valid files are changed: bits flipped, ends cut off, stretches inserted or doubled, fields of
headers overwritten. Never another error, never a file left open, never a wait without end.
"""

import contextlib
import faulthandler
import gc
import logging
import os
import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.manifest import expand_entries, load_manifest
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.checksums import parse_checksums
from physio_mae_jax.preparation.layouts.folder import open_own_folder
from physio_mae_jax.preparation.tables import read_table
from tests.test_folder import write_csv, write_manifest, write_wfdb

NAMES = ("II", "PPG", "RESP")
SECONDS = 10.0
SIGNAL = np.random.default_rng(0).normal(size=(3, 60)).astype(np.float32)
# What headers have where a number, name or format belongs.
VALUES = (
    *("0", "-1", "1", "2", "99999999", "1e308", "-1e308", "1e-320", "nan", "inf", "", "x", "\x00"),
    *(
        "9" * 400,
        "1/0",
        "1(2)/mV",
        "212",
        "16x0",
        "16x-2",
        "../a",
        "µ",
        '"',
        "[",
        "{",
        "None",
        "<f8",
    ),
    *("|O", "True", "time", "2**64", "4294967296", "0x10", "1_0", "٣"),
)
_TOKEN = re.compile(rb"[-+.\w]+")
# A change: what, where (share of the file), a number, some bytes.
# Those that keep the length of the file, and so get past its first checks, come most often.
KINDS = ("flip", "flip", "set", *("padded field",) * 4, "field", "cut", "insert", "double")
CHANGE = st.tuples(
    st.sampled_from(KINDS),
    st.floats(0, 1),
    st.integers(0, 255),
    st.binary(min_size=1, max_size=8) | st.sampled_from(VALUES).map(str.encode),
)
CHANGES = st.lists(CHANGE, min_size=1, max_size=2)
EXAMPLES = int(os.environ.get("PHYSIO_MAE_FUZZ", "200"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES <= 200, database=None)


def changed(data: bytes, changes: Sequence[tuple[str, float, int, bytes]]) -> bytes:
    """Apply changes one after another."""
    content = bytearray(data)
    for kind, place, number, piece in changes:
        at = int(place * max(0, len(content) - 1))
        if kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = piece
        elif kind == "double":
            content[at:at] = content[at : at + number]
        elif kind in ("field", "padded field"):
            # Headers are at the beginning, so half of the changes are.
            tokens = list(_TOKEN.finditer(bytes(content[: 4096 if number % 2 else None])))
            if tokens:
                start, stop = tokens[int(place * (len(tokens) - 1))].span()
                padded = kind == "padded field"
                content[start:stop] = piece.ljust(stop - start)[: stop - start] if padded else piece
        elif content:
            content[at] = content[at] ^ (1 << number % 8) if kind == "flip" else number
    return bytes(content)


@pytest.fixture(autouse=True, scope="module")
def silence() -> Iterator[None]:
    """Keep the warnings of hundreds of folders out of the report of a failure."""
    logger = logging.getLogger("physio_mae_jax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@contextlib.contextmanager
def guarded() -> Iterator[Path]:
    """Give a folder; fail where the block takes long or leaves a file open."""
    before, begun = open_files(), time.monotonic()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert time.monotonic() - begun < SECONDS
    if open_files() != before:
        gc.collect()
        assert open_files() == before


def open_files() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith(tempfile.gettempdir()):
                found.append(target)
    return sorted(found)


def write_npz(folder: Path, **options: Any) -> None:
    save = np.savez_compressed if options.pop("compressed", False) else np.savez
    stacked = np.stack([SIGNAL, SIGNAL])
    members = {"channels": np.array(NAMES), "fs": 100, "subject": ["a", "b"], "rec": [3, 4]}
    save(folder / "a.npz", X=stacked, y=[1, -1], **members)


def write_edf(folder: Path) -> None:
    signals = [
        edfio.EdfSignal(v.astype(float), 20, label=n, physical_dimension="mV")
        for v, n in zip(SIGNAL, NAMES, strict=True)
    ]
    edf = edfio.Edf(signals, annotations=[edfio.EdfAnnotation(0.5, None, "x")])
    edf.write(folder / "a.edf")
    data = (folder / "a.edf").read_bytes()
    (folder / "a.edf").write_bytes(data.replace(b"EDF+C", b"EDF+D"))


def write_npy(folder: Path) -> None:
    np.save(folder / "a.npy", SIGNAL)
    write_manifest(folder, {"file": "a.npy"}, sampling_rate_hz=250, channels=NAMES)


def write_parquet(folder: Path, times: Any, **options: Any) -> None:
    columns = {"time": times, "II": SIGNAL[0], "PPG": np.arange(60)}
    pandas.DataFrame(columns).to_parquet(folder / "a.parquet", row_group_size=25, **options)


TIMES_S = np.arange(60) / 250
STAMPS = (np.arange(60) * 4).astype("datetime64[ms]")
# Name of a case -> the file that is changed, and what writes it and its companions.
CASES: dict[str, tuple[str, Callable[[Path], Any]]] = {
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
}


def valid_files(case: str) -> dict[str, bytes]:
    """Return the files of a case by name."""
    if case not in _VALID:
        with tempfile.TemporaryDirectory() as folder:
            CASES[case][1](Path(folder))
            _VALID[case] = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return _VALID[case]


_VALID: dict[str, dict[str, bytes]] = {}


def read_everything(folder: Path) -> None:
    """Open a folder for training and for preparation, and read all that it has."""
    source = open_folder(folder)
    for index, info in enumerate(source.recordings):
        signal = source.read(index, 0, info.num_samples)
        assert signal.shape == (len(info.channel_names), info.num_samples)
        assert signal.dtype == np.float32
    layout = open_own_folder("mine", folder)
    for ref in layout.found:
        layout.read(folder, ref)


@pytest.mark.parametrize("case", CASES)
def test_valid_files_are_read(case: str) -> None:
    with guarded() as folder:
        for name, data in valid_files(case).items():
            (folder / name).write_bytes(data)
        read_everything(folder)


@pytest.mark.parametrize("case", CASES)
@FUZZ
@given(changes=CHANGES)
def test_any_file_is_read_or_refused(case: str, changes: Any) -> None:
    with guarded() as folder:
        for name, data in valid_files(case).items():
            content = changed(data, changes) if name == CASES[case][0] else data
            (folder / name).write_bytes(content)
        named = True
        try:
            read_everything(folder)
        except DataError as error:
            named = str(folder) in str(error)
        assert named


@FUZZ
@given(changes=CHANGES, member=st.sampled_from(("X", "channels", "fs", "subject", "rec", "y")))
def test_any_member_of_an_archive_is_read_or_refused(changes: Any, member: str) -> None:
    """Changed before it is packed, so that the archive's own checksums are right."""
    with guarded() as folder:
        (folder / "valid.zip").write_bytes(valid_files("npz")["a.npz"])
        with (
            zipfile.ZipFile(folder / "valid.zip") as valid,
            zipfile.ZipFile(folder / "a.npz", "w") as archive,
        ):
            for name in valid.namelist():
                data = valid.read(name)
                archive.writestr(name, changed(data, changes) if name == f"{member}.npy" else data)
        write_manifest(folder, {"file": "a.npz", "label_array": "y"})
        with contextlib.suppress(DataError):
            read_everything(folder)


def test_characters_that_do_not_exist(tmp_path: Path) -> None:
    """numpy takes any four bytes for a character, and Python then fails wherever it is used."""
    for code in (0x110000, 0x7FFFFFFF, 0xD800):
        names = np.array(["II", "PPG", "RESP"])
        names.view(np.uint32)[0] = code
        np.savez(tmp_path / "a.npz", X=SIGNAL, channels=names, fs=100)
        with pytest.raises(DataError, match=r"member 'channels' is broken: it holds characters"):
            open_folder(tmp_path)
    big_endian = np.array(["II", "PPG", "RESP"]).astype(">U4")
    np.savez(tmp_path / "a.npz", X=SIGNAL, channels=big_endian, fs=100)
    assert open_folder(tmp_path).recordings[0].channel_names == NAMES


def test_gains_near_zero(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "a", SIGNAL)
    header = (tmp_path / "a.hea").read_text(encoding="utf-8")
    (tmp_path / "a.hea").write_text(header.replace("1000.0", "1e-310"), encoding="utf-8")
    source = open_folder(tmp_path)
    assert np.isinf(source.read(0, 0, 60)).any()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("0", "1e300", "2e300"), "line 4: the time column reads 2e.300; seconds, at most 1e.12"),
        (("0", "1e-320", "2e-320"), "the times do not ascend"),
        (("-1e308", "0", "1e308"), "seconds, at most"),
    ],
)
def test_times_beyond_reason(cells: Sequence[str], message: str, tmp_path: Path) -> None:
    lines = "".join(f"{cell},1\n" for cell in cells)
    (tmp_path / "a.csv").write_text(f"time,II\n{lines}", encoding="utf-8")
    with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
        open_folder(tmp_path)


MANIFEST = b"""{"sampling_rate_hz": 100, "channels": ["I", "II"], "units": "mV",
 "label_names": ["a", "b"], "fold_array": "f", "attribute_arrays": {"age": "age"},
 "recordings": [
 {"file": "a.npz", "array": "X", "axes": ["record", "sample", "channel"],
  "subject_array": "p", "record_array": "i", "label_array": "y", "label_names_array": "k"},
 {"file": "s/*.npy", "channels": {"a": "EEG"}, "subject_pattern": "s/(p\\\\d+)_[a-z]"},
 {"file": "b.csv", "subjects": {"b": "ben"}, "labels": {"b": "a"}},
 {"file": "c.hea", "subject": 5, "label": "b"}]}"""


@FUZZ
@given(changes=CHANGES)
def test_any_manifest_is_understood_or_refused(changes: Any) -> None:
    with guarded() as folder:
        path = folder / "manifest.json"
        path.write_bytes(changed(MANIFEST, changes))
        for name in ("a.npz", "b.csv", "c.hea"):
            (folder / name).touch()
        with contextlib.suppress(DataError):
            expand_entries(folder, load_manifest(path))


def test_patterns_that_may_mean_something_else_one_day(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    write_manifest(tmp_path, {"file": "a.csv", "subject_pattern": "([[:alpha:]]+)_"})
    with pytest.raises(DataError, match=r"subject_pattern .* is not valid: Possible nested set"):
        load_manifest(tmp_path / "manifest.json")


SUMS = b"".join(b"%064x  records/%d.dat\n" % (i, i) for i in range(9)) + b"a" * 64 + b" *LICENSE\n"


@FUZZ
@given(changes=CHANGES)
def test_any_checksum_list_is_understood_or_refused(changes: Any) -> None:
    with contextlib.suppress(DataError):
        for name, checksum in parse_checksums(changed(SUMS, changes), "the list").items():
            assert not name.startswith("/")
            assert ".." not in name.split("/")
            assert re.fullmatch("[0-9a-f]{64}", checksum)


TABLE = (
    b'\xef\xbb\xbfid,age,"codes"\n1,56.0,"{\'NORM\': 100.0, ""SR"": 0.0}"\n2,,x\n\n3,19,"a\nb"\n'
)


@FUZZ
@given(changes=CHANGES, delimiter=st.sampled_from(",;\t"))
def test_any_table_is_read_or_refused(changes: Any, delimiter: str) -> None:
    with guarded() as folder:
        path = folder / "t.csv"
        path.write_bytes(changed(TABLE, changes).replace(b",", delimiter.encode()))
        named = True
        try:
            for row in read_table(path, ("id", "age"), delimiter):
                assert {"id", "age"} <= set(row)
        except DataError as error:
            named = str(path) in str(error)
        assert named
