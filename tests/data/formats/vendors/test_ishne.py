"""ISHNE Holter files against a reader written from the specification."""

import struct
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.formats.vendors.ishne import crc_ccitt
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

SAMPLES = np.random.default_rng(6).integers(-2000, 2000, size=(1000, 3)).astype("<i2")


def ishne(
    samples: np.ndarray = SAMPLES,
    specs: tuple[int, ...] = (5, 6, 11),
    resolutions: tuple[int, ...] = (2500, 5000, 625),
    rate_hz: int = 200,
    stated: int | None = None,
    text: bytes = b"notes",
    checksum: int | None = None,
) -> bytes:
    """Write a file, field by field as the specification lists them."""
    leads = len(specs)
    filler = (12 - leads) * (-9,)
    stated = len(samples) if stated is None else stated
    fields = struct.pack("<iiii", len(text), stated, 522, 522 + len(text))
    fields += struct.pack("<h40s40s20s", 1, b"First", b"Last", b"id")
    fields += struct.pack("<hh3h3h3h3h", 1, 1, 1, 1, 1950, 2, 2, 2001, 2, 2, 2001, 10, 0, 0)
    fields += struct.pack("<h12h12h12h", leads, *specs, *filler, *(12 * [0]), *resolutions, *filler)
    fields += struct.pack("<h40sh80s80s88s", 0, b"digital", rate_hz, b"", b"", b"")
    assert len(fields) == 512
    crc = crc_ccitt(fields + text) if checksum is None else checksum
    return b"ISHNE1.0" + struct.pack("<H", crc) + fields + text + samples.tobytes()


def read_by_specification(data: bytes) -> np.ndarray:
    """Read the samples in mV: magic 8, checksum 2, sizes and offsets, then at 156 the leads."""
    (offset,) = struct.unpack_from("<i", data, 22)
    (leads,) = struct.unpack_from("<h", data, 156)
    resolution = np.frombuffer(data, "<i2", leads, 206)
    counts = np.frombuffer(data, "<i2", offset=offset).reshape(-1, leads)
    return (counts * (resolution * 1e-6)).T


def test_values_names_units_and_rate(tmp_path: Path) -> None:
    data = ishne()
    (tmp_path / "h.ecg").write_bytes(data)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.units) == (("I", "II", "V1"), ("mV",) * 3)
    assert (info.sampling_rate_hz, info.num_samples) == (200, 1000)
    np.testing.assert_allclose(read_all(source), read_by_specification(data), rtol=1e-6)


def test_checksum_of_a_known_text() -> None:
    # The check value of CRC-16/CCITT-FALSE.
    assert crc_ccitt(b"123456789") == 0x29B1


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        ((0, 1, 19), ("ECG 1", "ECG 2", "AI")),
        ((2, 3, 4), ("VX", "VY", "VZ")),
        ((8, 1, 77), ("aVR", "ECG 2", "ECG 3")),
    ],
)
def test_names_of_leads(specs, names, tmp_path: Path) -> None:
    (tmp_path / "h.ecg").write_bytes(ishne(specs=specs))
    assert open_folder(tmp_path).recordings[0].channel_names == names


def test_missing_samples_are_nan(tmp_path: Path) -> None:
    samples = SAMPLES.copy()
    samples[10:20, 1] = -32768
    (tmp_path / "h.ecg").write_bytes(ishne(samples))
    signal = read_all(open_folder(tmp_path))
    assert np.isnan(signal[1, 10:20]).all()
    assert np.isnan(signal).sum() == 10


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ishne(stated=3000), ""),
        (ishne(stated=0), ""),
        (ishne(stated=990), "states 990 samples of each lead, it has 1000"),
        (ishne(checksum=1), "checksum of its header does not match"),
        (ishne(checksum=0), ""),
    ],
)
def test_headers_of_other_recorders(data: bytes, message: str, tmp_path: Path, caplog) -> None:
    (tmp_path / "h.ecg").write_bytes(data)
    assert open_folder(tmp_path).recordings[0].num_samples == 1000
    assert message in caplog.text
    assert bool(message) == ("h.ecg: " in caplog.text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ishne()[:400], "has 400 bytes of header"),
        (ishne()[:-1], "is cut short: 5999 bytes of samples of 3 leads"),
        (ishne()[:527], "is cut short: 0 bytes"),
        (ishne(stated=3001), "header states 3001 samples"),
        (ishne(rate_hz=-5), "rate of -5 Hz of I, II, V1 is not plausible"),
        (ishne(resolutions=(1, 0, 1)), "states resolutions of 1, 0, 1 nV"),
        (ishne().replace(struct.pack("<ii", 522, 527), struct.pack("<ii", 522, 10**6)), "puts 5"),
        (ishne().replace(struct.pack("<ii", 522, 527), struct.pack("<ii", -1, 527)), "puts 5"),
        (ishne()[:156] + struct.pack("<h", 13) + ishne()[158:], "states 13 leads"),
    ],
)
def test_broken_files_are_named(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "h.ecg").write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        open_folder(tmp_path)
    assert str(tmp_path / "h.ecg") in str(error.value)
    assert "First" not in str(error.value)
