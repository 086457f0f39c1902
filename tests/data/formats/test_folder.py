"""A folder of recordings reads back what was written; what cannot be read is rejected by name."""

import contextlib
import json
import logging
import pickle
import threading
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from physio_mae_jax.data.formats.array_cache import ArrayCache
from physio_mae_jax.data.formats.folder import FolderSource, draft_manifest, open_folder
from physio_mae_jax.data.formats.manifest import parse_manifest
from physio_mae_jax.data.formats.uniform_times import uniform_rate_hz
from physio_mae_jax.errors import DataError
from tests.paths import REPOSITORY

MANIFESTS = REPOSITORY / "configs" / "manifests"
NAMES = ("II", "PPG", "RESP")


@pytest.fixture
def signal() -> np.ndarray:
    """Return three channels of 400 samples, float32 [3, 400]."""
    return np.random.default_rng(0).normal(size=(3, 400)).astype(np.float32)


def write_manifest(folder: Path, *entries: dict[str, Any], **defaults: Any) -> None:
    content = {**defaults, "recordings": list(entries)}
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def write_csv(path: Path, signal: np.ndarray, rate_hz: float = 125.0, digits: int = 6) -> None:
    lines = [", ".join(("Time [s]", *NAMES[: len(signal)]))]
    for i, sample in enumerate(signal.T):
        lines.append(", ".join((f"{i / rate_hz:.{digits}f}", *map(str, sample))))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_wfdb(folder: Path, name: str, signal: np.ndarray, rate_hz: float = 250.0) -> np.ndarray:
    """Write a record and return what its 16 bits hold, [M, L] in mV."""
    with warnings.catch_warnings():
        # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates.
        warnings.filterwarnings("ignore", message="The inplace keyword")
        import wfdb

        wfdb.wrsamp(
            name,
            fs=rate_hz,
            units=["mV"] * len(signal),
            sig_name=list(NAMES[: len(signal)]),
            d_signal=np.round(signal.T * 1000).astype(np.int64),
            fmt=["16"] * len(signal),
            adc_gain=[1000.0] * len(signal),
            baseline=[0] * len(signal),
            write_dir=str(folder),
        )
    return (np.round(signal * 1000) / 1000).astype(np.float32)


def whole(source: FolderSource, index: int = 0) -> np.ndarray:
    return source.read(index, 0, source.recordings[index].num_samples)


def write_format(kind: str, folder: Path, signal: np.ndarray) -> np.ndarray:
    """Write ``signal`` in one format with what it takes to read it; return what it holds."""
    if kind == "npy":
        np.save(folder / "a.npy", signal.T)
        write_manifest(folder, {"file": "a.npy"}, sampling_rate_hz=250, channels=NAMES)
    elif kind == "npz":
        np.savez(folder / "a.npz", signal=signal, channels=NAMES, sampling_rate_hz=250)
    elif kind == "csv":
        write_csv(folder / "a.csv", signal, 250.0)
    else:
        return write_wfdb(folder, "a", signal)
    return signal


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "wfdb"])
class TestEveryFormat:
    def test_round_trip(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        held = write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        (info,) = source.recordings
        assert (info.record_id, info.sampling_rate_hz, info.num_samples) == ("a", 250.0, 400)
        assert info.channel_names == NAMES
        assert whole(source).dtype == np.float32
        np.testing.assert_array_equal(whole(source), held)

    def test_a_stretch_is_a_slice_of_the_whole(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        held = write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        for start, stop in ((0, 1), (17, 211), (399, 400), (5, 5)):
            np.testing.assert_array_equal(source.read(0, start, stop), held[:, start:stop])
        for start, stop in ((-1, 5), (0, 401), (9, 3)):
            with pytest.raises(DataError, match=r"recording a .* has 400"):
                source.read(0, start, stop)

    def test_pickled_copy_reads_the_same(
        self, kind: str, tmp_path: Path, signal: np.ndarray
    ) -> None:
        write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)
        expected = whole(source)
        data = pickle.dumps(source)
        # Arrays held in memory do not travel to the workers.
        assert len(data) < signal.nbytes
        np.testing.assert_array_equal(whole(pickle.loads(data)), expected)

    def test_threads_read_the_same(self, kind: str, tmp_path: Path, signal: np.ndarray) -> None:
        held = write_format(kind, tmp_path, signal)
        source = open_folder(tmp_path)

        def read(start: int) -> bool:
            return np.array_equal(source.read(0, start, start + 90), held[:, start : start + 90])

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(0, 300, 5)))


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        (["record", "channel", "sample"], (0, 1, 2)),
        (["record", "sample", "channel"], (0, 2, 1)),
        (["sample", "record", "channel"], (2, 0, 1)),
        (None, (0, 2, 1)),
        (None, (0, 1, 2)),
    ],
)
def test_stacked_npz_in_any_order_of_axes(
    tmp_path: Path, axes: list[str] | None, order: tuple[int, ...]
) -> None:
    stacked = np.random.default_rng(1).normal(size=(4, 3, 50)).astype(np.float16)
    who, ids = ["anna", "ben", "anna", "carl"], [7, 8, 9, 10]
    np.savez(tmp_path / "s.npz", data=stacked.transpose(order), who=who, ids=ids)
    entry = {"file": "*.npz", "array": "data", "subject_array": "who", "record_array": "ids"}
    entry |= {"axes": axes} if axes else {}
    write_manifest(tmp_path, entry, sampling_rate_hz=100, channels=NAMES)
    source = open_folder(tmp_path)
    assert [info.subject_id for info in source.recordings] == who
    assert [info.record_id for info in source.recordings] == ["s/7", "s/8", "s/9", "s/10"]
    for index in range(4):
        np.testing.assert_array_equal(whole(source, index), stacked[index].astype(np.float32))


def test_axes_that_could_be_either_are_asked_for(tmp_path: Path) -> None:
    for shape, names in (((3, 3), NAMES), ((7, 50), NAMES)):
        np.save(tmp_path / "a.npy", np.zeros(shape))
        write_manifest(tmp_path, {"file": "a.npy"}, sampling_rate_hz=100, channels=names)
        with pytest.raises(DataError, match=r"a\.npy .*'axes'"):
            open_folder(tmp_path)


def test_listed_channels_are_taken_by_name_and_renamed(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    write_manifest(tmp_path, {"file": "a.csv", "channels": {"RESP": "breath", "II": "I"}})
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("breath", "I")
    np.testing.assert_array_equal(whole(source), signal[[2, 0]])
    held = write_wfdb(tmp_path, "b", signal)
    write_manifest(tmp_path, {"file": "b.hea", "channels": ["RESP", "PLETH"]})
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("RESP", "PPG")
    np.testing.assert_array_equal(whole(source), held[[2, 1]])
    write_manifest(tmp_path, {"file": "b.hea", "channels": ["II", "V1"]})
    with pytest.raises(DataError, match=r"'V1' is not in .*b\.hea; it has II, PPG, RESP"):
        open_folder(tmp_path)


def test_channels_of_one_name_are_renamed_in_order(tmp_path: Path, signal: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", X=signal, channels=["ECG", "ECG", "ECG"], fs=100)
    write_manifest(tmp_path, {"file": "a.npz", "channels": ["I", "II", "III"]})
    source = open_folder(tmp_path)
    assert source.recordings[0].channel_names == ("I", "II", "III")
    np.testing.assert_array_equal(whole(source), signal)


def test_subjects_by_pattern_mapping_and_name(tmp_path: Path, signal: np.ndarray) -> None:
    for name in ("p1_night1", "p1_night2", "p2_night1"):
        np.savez(tmp_path / f"{name}.npz", X=signal, channels=NAMES, fs=100)
    subjects = {"p1_night1": "x", "p1_night2": "x", "p2_night1": "y"}
    for field, expected in (
        ({"subject_pattern": r"^(p\d+)_"}, ["p1", "p1", "p2"]),
        ({"subjects": subjects}, ["x", "x", "y"]),
        ({"subject": 5}, ["5", "5", "5"]),
    ):
        write_manifest(tmp_path, {"file": "*.npz", **field})
        assert [info.subject_id for info in open_folder(tmp_path).recordings] == expected
    del subjects["p2_night1"]
    write_manifest(tmp_path, {"file": "*.npz", "subjects": subjects})
    with pytest.raises(DataError, match="no 'p2_night1'"):
        open_folder(tmp_path)
    write_manifest(tmp_path, {"file": "*.npz", "subject_pattern": r"^(q\d+)"})
    with pytest.raises(DataError, match=r"finds no subject in 'p1_night1\.npz'"):
        open_folder(tmp_path)


def test_unknown_subjects_and_unread_folders_are_said(
    tmp_path: Path, signal: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(tmp_path / "a.csv", signal)
    (tmp_path / "deeper").mkdir()
    write_csv(tmp_path / "deeper" / "b.csv", signal)
    with caplog.at_level(logging.INFO):
        source = open_folder(tmp_path)
    assert [info.record_id for info in source.recordings] == ["a"]
    assert "deeper/ are not read" in caplog.text
    assert "1 of 1 recordings name no subject" in caplog.text


ENTRY = {"file": "a.npz"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "must be a JSON object"),
        ({}, "'recordings' must be a list"),
        ({"recordings": [ENTRY], "sampling_rate": 5}, "Did you mean 'sampling_rate_hz'"),
        ({"recordings": [{"flie": "a.npz"}]}, "entry 0: unknown key 'flie'.*'file'"),
        ({"recordings": ["a.npz"]}, "entry 0 must be an object"),
        ({"recordings": [{"file": "/etc/a.npz"}]}, "relative to the folder"),
        ({"recordings": [{"file": "../a.npz"}]}, "stay inside"),
        ({"recordings": [{**ENTRY, "sampling_rate_hz": "?"}]}, "above 0, found '\\?'"),
        ({"recordings": [{**ENTRY, "sampling_rate_hz": -1}]}, "found -1"),
        ({"recordings": [{**ENTRY, "channels": ["?"]}]}, "'\\?' in 'channels'"),
        ({"recordings": [{**ENTRY, "axes": ["time"]}]}, "record, channel, sample"),
        ({"recordings": [{**ENTRY, "subject_pattern": "("}]}, "is not valid"),
        ({"recordings": [{**ENTRY, "subject_pattern": "a"}]}, "has 0 groups"),
        ({"recordings": [{**ENTRY, "subject": "a", "subjects": {}}]}, "subject twice"),
    ],
)
def test_manifest_mistakes_are_named(content: object, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s)M.*{message}"):
        parse_manifest(content, "M")


def test_files_of_a_manifest_must_exist_once(tmp_path: Path, signal: np.ndarray) -> None:
    np.savez(tmp_path / "cohort.npz", X=signal, channels=NAMES, fs=100)
    for entries, message in (
        ([{"file": "cohrt.npz"}], "cohrt.npz does not exist.*Did you mean 'cohort.npz'"),
        ([{"file": "*.csv"}], r"'\*\.csv' matches no file"),
        ([{"file": "*.npz"}, {"file": "cohort.npz"}], "lists already"),
        ([{"file": "manifest.json"}], "'.json' cannot be read; supported: .npy"),
        ([{"file": "cohort.npz", "sampling_rate_hz": 50}], "has 100 .* states 50"),
        ([{"file": "cohort.npz", "array": "Y"}], "no member 'Y'; it has X, channels, fs"),
    ):
        write_manifest(tmp_path, *entries)
        with pytest.raises(DataError, match=message):
            open_folder(tmp_path)
    with pytest.raises(DataError, match=r"absent\.json cannot be read"):
        open_folder(tmp_path, tmp_path / "absent.json")


def test_one_record_in_two_formats_is_rejected(tmp_path: Path, signal: np.ndarray) -> None:
    write_csv(tmp_path / "a.csv", signal)
    write_wfdb(tmp_path, "a", signal)
    with pytest.raises(DataError, match=r"record id 'a' occurs 2 times .*a\.csv.*a\.hea"):
        open_folder(tmp_path)


def test_missing_folder_names_the_part_that_exists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"does not exist \\({tmp_path} does"):
        open_folder(tmp_path / "data" / "ecg")
    (tmp_path / "x.npz").touch()
    with pytest.raises(DataError, match="is a file; give the folder"):
        open_folder(tmp_path / "x.npz")
    (tmp_path / "x.npz").unlink()
    with pytest.raises(DataError, match="has no recordings"):
        open_folder(tmp_path)


def test_mute_files_are_answered_with_a_draft_that_works(
    tmp_path: Path, signal: np.ndarray
) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, signal)
    with pytest.raises(DataError, match=r"(?s)a\.npy does not say its rate.*\"file\": \"\*\.npy\""):
        open_folder(tmp_path)
    draft = draft_manifest(tmp_path)
    (entry,) = draft["recordings"]
    entry["sampling_rate_hz"], entry["channels"] = 100, NAMES
    (tmp_path / "manifest.json").write_text(json.dumps(draft), encoding="utf-8")
    source = open_folder(tmp_path)
    assert len(source.recordings) == 2
    np.testing.assert_array_equal(whole(source), signal)


class TestBrokenFiles:
    def test_corrupt_npz(self, tmp_path: Path, signal: np.ndarray) -> None:
        path = tmp_path / "a.npz"
        path.write_bytes(b"PK\x03\x04 no archive")
        with pytest.raises(DataError, match=r"a\.npz cannot be read \(BadZipFile"):
            open_folder(tmp_path)
        np.savez_compressed(path, X=signal, channels=NAMES, fs=100)
        with zipfile.ZipFile(path) as archive:
            position = archive.getinfo("X.npy").header_offset + 200
        data = bytearray(path.read_bytes())
        data[position : position + 400] = bytes(400)
        path.write_bytes(bytes(data))
        with pytest.raises(DataError, match=r"a\.npz cannot be read"):
            whole(open_folder(tmp_path))

    @pytest.mark.parametrize("values", [np.array([{}, {}]), np.ones(9, complex), np.array(["a"])])
    def test_arrays_of_no_numbers(self, tmp_path: Path, values: np.ndarray) -> None:
        np.savez(tmp_path / "a.npz", X=values, channels=["I"], fs=100)
        with pytest.raises(DataError, match=r"a\.npz, member 'X' is an array of .*real numbers"):
            open_folder(tmp_path)

    def test_cut_npy(self, tmp_path: Path, signal: np.ndarray) -> None:
        np.save(tmp_path / "a.npy", signal)
        (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
        with pytest.raises(DataError, match=r"a\.npy is broken: shape \(3, 400\)"):
            open_folder(tmp_path)

    def test_cut_or_missing_signal_file(self, tmp_path: Path, signal: np.ndarray) -> None:
        write_wfdb(tmp_path, "a", signal)
        (tmp_path / "a.dat").write_bytes((tmp_path / "a.dat").read_bytes()[:-40])
        with pytest.raises(DataError, match=r"a\.dat is truncated: a\.hea states 400 samples"):
            open_folder(tmp_path)
        (tmp_path / "a.dat").unlink()
        with pytest.raises(DataError, match=r"a\.hea names the signal file 'a\.dat'"):
            open_folder(tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("time,II\n0,1\n0.1,oops\n0.2,3\n", "line 3: column 'II' has 'oops'"),
            ("time,II\n0,1\n0.1,1,9\n0.2,3\n", "cannot be read: line 3 has 3 cells"),
            ("time,II\n0,1,5\n0.1,2,5\n", "names 2 columns .* have 3"),
            ("0,1\n0.1,2\n", "starts with numbers"),
            ("time,II\n0,1\n0.1,2\n0.3,3\n0.4,3\n", "time column is not uniform"),
            ("time,II\n0,1\n,2\n0.2,3\n", "line 3: the time column has no number"),
            ("time,II\n0,1\n0,2\n0,3\n", "do not increase"),
            ("", "is empty"),
        ],
    )
    def test_bad_csv(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=rf"a\.csv.*{message}"):
            open_folder(tmp_path)

    def test_broken_files_can_be_excluded(
        self, tmp_path: Path, signal: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_csv(tmp_path / "a.csv", signal)
        (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DataError, match=r"1 of 2 files cannot be read.*\n.*b\.csv"):
            open_folder(tmp_path)
        assert len(open_folder(tmp_path, skip_unreadable=True).recordings) == 1
        assert "Skipped: " in caplog.text

    def test_file_that_changed_after_opening(self, tmp_path: Path, signal: np.ndarray) -> None:
        np.savez(tmp_path / "a.npz", X=signal, channels=NAMES, fs=100)
        source = open_folder(tmp_path)
        np.savez(tmp_path / "a.npz", X=signal[:, :10], channels=NAMES, fs=100)
        with pytest.raises(DataError, match=r"a\.npz changed"):
            source.read(0, 0, 5)


@pytest.mark.parametrize("form", ["{:.3f}", "{:.5g}", "{!r}"])
@pytest.mark.parametrize("rate_hz", [125.0, 360.0, 31.25])
def test_rate_is_found_through_rounded_times(rate_hz: float, form: str) -> None:
    times_s = np.array([float(form.format(i / rate_hz)) for i in range(20_000)])
    assert uniform_rate_hz(times_s, "it") == pytest.approx(rate_hz, rel=1e-4)
    with pytest.raises(DataError, match="not uniform"):
        uniform_rate_hz(np.delete(times_s, 3000), "it")


def test_coarse_times_need_a_stated_rate() -> None:
    # 99 Hz with two decimals reads like 100 Hz that lost a sample.
    times_s = np.round(np.arange(100) / 99, 2)
    with pytest.raises(DataError, match="state 'sampling_rate_hz'"):
        uniform_rate_hz(times_s, "it")
    assert uniform_rate_hz(times_s, "it", 99.0) == 99.0
    with pytest.raises(DataError, match="not uniform"):
        uniform_rate_hz(times_s, "it", 98.0)


def test_missing_samples_of_a_csv_stay_in_place(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time;II;PPG\n0;1;2\n0.1;;3\n0.2;4;5\n\n", encoding="utf-8")
    source = open_folder(tmp_path)
    assert source.recordings[0].sampling_rate_hz == 10.0
    np.testing.assert_array_equal(whole(source), np.array([[1, np.nan, 4], [2, 3, 5]]))


def test_cache_gives_up_the_array_unused_for_longest() -> None:
    cache, loads = ArrayCache(3000), []

    def get(key: str) -> None:
        cache.get(key, lambda: loads.append(key) or np.zeros(1000, np.uint8))

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        get(key)
        assert cache.num_bytes <= 3000
    assert loads == ["a", "b", "c", "d", "b"]


def test_cache_loads_once_for_many_threads() -> None:
    cache, loads, together = ArrayCache(10), [], threading.Barrier(8)

    def get(_: int) -> np.ndarray:
        together.wait()
        return cache.get("a", lambda: loads.append(1) or np.zeros(1000))

    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(get, range(8)))
    assert len(loads) == 1
    assert all(array is arrays[0] for array in arrays)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("file", "channels", "axes", "array", "subject", "subjects", "subject_pattern")
ANY_ENTRY = st.dictionaries(st.sampled_from((*FIELDS, "units", "sampling_rate_hz")), JSON)
FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(content=st.fixed_dictionaries({"recordings": st.lists(ANY_ENTRY, min_size=1)}) | JSON)
def test_any_manifest_is_read_or_rejected(tmp_path: Path, content: object) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((1, 9)), channels=["II"], fs=100)
    (tmp_path / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with contextlib.suppress(DataError):
        open_folder(tmp_path)


@FUZZ
@given(
    kind=st.sampled_from(["npy", "npz", "csv", "wfdb"]),
    positions=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    keep=st.floats(0, 1) | st.just(1.0),
)
def test_any_bytes_are_read_or_rejected(
    tmp_path: Path, kind: str, positions: list[tuple[float, int]], keep: float
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    write_format(kind, tmp_path, np.arange(60, dtype=np.float32).reshape(3, 20) / 4)
    path = next(p for p in tmp_path.iterdir() if p.suffix in (".npy", ".npz", ".csv", ".hea"))
    data = bytearray(path.read_bytes())
    for position, value in positions:
        data[int(position * (len(data) - 1))] = value
    path.write_bytes(bytes(data[: int(keep * len(data))]))
    try:
        source = open_folder(tmp_path)
        assert np.shape(whole(source)) == (
            len(source.recordings[0].channel_names),
            source.recordings[0].num_samples,
        )
    except DataError as error:
        if str(tmp_path) not in str(error):
            raise


class TestRealSignals:
    def test_bidmc_describes_itself(self, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            source = open_folder(shared / "data" / "bidmc")
        assert "bidmc_csv/ are not read" in caplog.text
        assert source.recordings[0].channel_names == ("PPG", "II", "RESP")
        stated = open_folder(shared / "data" / "bidmc", MANIFESTS / "bidmc.json")
        assert stated.recordings == source.recordings
        assert len({info.subject_id for info in source.recordings}) < len(source.recordings)

    def test_bidmc_csv_holds_the_same_signals(self, shared: Path) -> None:
        folder = shared / "data" / "bidmc"
        with pytest.raises(DataError, match=r"(?s)_Breaths\.csv.*\*_Signals\.csv"):
            open_folder(folder / "bidmc_csv")
        tables = open_folder(folder / "bidmc_csv", MANIFESTS / "bidmc_csv.json")
        stacked = open_folder(folder)
        for index, info in enumerate(tables.recordings):
            assert info.sampling_rate_hz == 125.0
            assert info.subject_id == stacked.recordings[index].subject_id
            rows = [info.channel_names.index(name) for name in ("PPG", "II", "RESP")]
            np.testing.assert_array_equal(
                tables.read(index, 500, 900)[rows], stacked.read(index, 500, 900)
            )

    def test_ptbxl_subset_by_its_manifest(self, shared: Path) -> None:
        folder = shared / "data" / "ptbxl_subset"
        source = open_folder(folder, MANIFESTS / "ptbxl_subset.json")
        with np.load(next(folder.glob("*.npz"))) as members:
            patients, ids = members["patient_id"], members["ecg_id"]
            expected = members["X"][1234].T.astype(np.float32)
        info = source.recordings[1234]
        assert info.subject_id == str(patients[1234])
        assert info.record_id.endswith(f"/{ids[1234]}")
        assert (len(source.recordings), info.num_samples) == (2020, 1000)
        np.testing.assert_array_equal(whole(source, 1234), expected)

    def test_mitbih_samples_are_those_of_wfdb(self, shared: Path) -> None:
        folder = shared / "data" / "mitbih_ds1"
        source = open_folder(folder)
        assert len(source.recordings) == 22
        import wfdb

        index = [info.record_id for info in source.recordings].index("114")
        assert source.recordings[index].channel_names == ("V5", "II")
        assert source.recordings[index].sampling_rate_hz == 360.0
        record: Any = wfdb.rdrecord(str(folder / "114"), sampfrom=1001, sampto=4001)
        np.testing.assert_array_equal(
            source.read(index, 1001, 4001), np.asarray(record.p_signal, np.float32).T
        )

    def test_ptbxl_native_by_a_glob(self, shared: Path, tmp_path: Path) -> None:
        write_manifest(tmp_path, {"file": "records100/**/*.hea"})
        source = open_folder(shared / "data" / "ptbxl_native", tmp_path / "manifest.json")
        assert len(source.recordings) == 300
        assert source.recordings[0].channel_names[3:6] == ("aVR", "aVL", "aVF")
