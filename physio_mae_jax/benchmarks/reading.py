"""Windows per second of the training reader, beside a PyTorch DataLoader that does the same work.

    taskset -c 0,1 python -m physio_mae_jax.benchmarks.reading --threads=1,2 --workers=0,2

Writes 12-lead recordings at 100 Hz as prepared data set, npz, WFDB and EDF into a temporary folder.
Both sides draw random windows, normalize each channel by its mean and standard deviation, and stack
batches; PyTorch (``pip install physio_mae_jax[benchmark]``) is skipped if it is not installed.
Prints a JSON line per format and reader, with its processor time and page faults.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.pipeline import LoaderConfig, training_batches
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.data.sample_cache import SampleCache
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.signals.channels import TWELVE_LEADS

_RATE_HZ = 100
_WINDOW = 1000
_SAMPLES = 3000
_BATCH = 128
_MICROVOLTS = 1000.0  # per mV: resolution of the written samples
_Read = Callable[[int, int], np.ndarray]  # (recording, first sample) -> [12, _WINDOW]


def write_recordings(folder: Path, count: int) -> np.ndarray:
    """Write recordings in every format; return their samples [count, 12, n] float32 in mV.

    Args:
        folder: Folder that gets the folders ``npz``, ``wfdb``, ``edf`` and ``prepared``.
        count: Number of recordings.
    """
    import edfio
    import wfdb

    rng = np.random.default_rng(0)
    digital = np.cumsum(rng.normal(size=(count, 12, _SAMPLES)), axis=-1).round().astype(np.int16)
    samples = (digital / _MICROVOLTS).astype(np.float32)
    for name in ("npz", "wfdb", "edf"):
        (folder / name).mkdir()
    for index, signal in enumerate(samples):
        name = f"p{index:05}"
        np.savez(
            folder / "npz" / f"{name}.npz",
            signal=signal,
            channels=np.array(TWELVE_LEADS),
            sampling_rate_hz=np.array(float(_RATE_HZ)),
        )
        wfdb.wrsamp(
            name,
            fs=_RATE_HZ,
            units=["mV"] * 12,
            sig_name=list(TWELVE_LEADS),
            d_signal=digital[index].T.astype(np.int64),
            fmt=["16"] * 12,
            adc_gain=[_MICROVOLTS] * 12,
            baseline=[0] * 12,
            write_dir=str(folder / "wfdb"),
        )
        signals = [
            edfio.EdfSignal(row.astype(np.float64), _RATE_HZ, label=lead, physical_dimension="mV")
            for row, lead in zip(signal, TWELVE_LEADS, strict=True)
        ]
        edfio.Edf(signals).write(folder / "edf" / f"{name}.edf")
    command = ["-m", "physio_mae_jax.prepare", "folder", "--name=reading"]
    paths = [f"--source={folder / 'wfdb'}", f"--out={folder / 'prepared'}"]
    subprocess.run([sys.executable, *command, *paths], check=True, capture_output=True)
    return samples


def open_sources(folder: Path) -> dict[str, SignalSource]:
    """Open what ``write_recordings`` wrote, by format."""
    prepared = find_prepared(folder / "prepared", "reading")
    assert prepared is not None
    cache = SampleCache(2**30)
    sources: dict[str, SignalSource] = {"prepared": PreparedSource(prepared, cache)}
    sources |= {name: open_folder(folder / name) for name in ("npz", "wfdb", "edf")}
    return {
        name: ConcatSource([source], [range(len(source.recordings))], cache)
        for name, source in sources.items()
    }


def batches(source: SignalSource, threads: int) -> Iterator[np.ndarray]:
    """Yield the windows [B, 12, L] of the training reader."""
    config = WindowConfig(
        channels="12_lead", num_channels=12, sampling_rate_hz=_RATE_HZ, num_samples=_WINDOW
    )
    loader = LoaderConfig(batch_size=_BATCH, seed=0, num_threads=threads)
    recordings = range(len(source.recordings))
    for batch in training_batches(WindowReader(source, config), recordings, loader):
        yield batch["signal"]


def window_readers(folder: Path, samples: np.ndarray) -> dict[str, _Read]:
    """Return the usual way to read a window of each format in a PyTorch data set."""
    import edfio
    import wfdb

    np.save(folder / "all.npy", samples)
    mapped = np.load(folder / "all.npy", mmap_mode="r")

    def read_npz(index: int, first: int) -> np.ndarray:
        with np.load(folder / "npz" / f"p{index:05}.npz") as content:
            return content["signal"][:, first : first + _WINDOW]

    def read_wfdb(index: int, first: int) -> np.ndarray:
        name = str(folder / "wfdb" / f"p{index:05}")
        record = wfdb.rdrecord(name, sampfrom=first, sampto=first + _WINDOW)
        return np.asarray(record.p_signal, np.float32).T

    def read_edf(index: int, first: int) -> np.ndarray:
        edf = edfio.read_edf(folder / "edf" / f"p{index:05}.edf", lazy_load_data=True)
        rows = [signal.data[first : first + _WINDOW] for signal in edf.signals]
        return np.stack(rows).astype(np.float32)

    return {
        "prepared": lambda index, first: mapped[index, :, first : first + _WINDOW],
        "npz": read_npz,
        "wfdb": read_wfdb,
        "edf": read_edf,
    }


class RandomWindows:
    """Random normalized windows of recordings: a PyTorch map-style data set."""

    def __init__(self, read: _Read, count: int) -> None:
        self._read = read
        self._count = count

    def __len__(self) -> int:
        return self._count * 1000

    def __getitem__(self, index: int) -> np.ndarray:
        first = int(np.random.default_rng(index).integers(_SAMPLES - _WINDOW + 1))
        signal = np.asarray(self._read(index % self._count, first))
        centered = signal - signal.mean(axis=-1, keepdims=True)
        return centered / centered.std(axis=-1, keepdims=True)


def torch_batches(read: _Read, count: int, workers: int) -> Iterator[np.ndarray] | None:
    """Yield the batches of a PyTorch DataLoader; None if PyTorch is not installed."""
    try:
        from torch.utils.data import DataLoader
    except ImportError:
        return None
    return iter(
        DataLoader(
            RandomWindows(read, count),
            batch_size=_BATCH,
            shuffle=True,
            num_workers=workers,
        )
    )


class _Usage(NamedTuple):
    """Processor seconds, and page faults that needed no disk."""

    seconds: float
    faults: int

    @classmethod
    def now(cls) -> "_Usage":
        """Return the consumption so far of this process and its worker processes."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        seconds, faults = own.ru_utime + own.ru_stime, own.ru_minflt
        for worker in multiprocessing.active_children():
            fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            faults += int(fields[7])
        return cls(seconds, faults)


def measure(batches: Iterator[np.ndarray], seconds: float) -> dict[str, float]:
    """Measure a stream of batches, after a warm-up of a fifth of the time.

    Returns:
        Windows per second; processor seconds per 10,000 windows; page faults per batch.
    """
    for length in (seconds / 5, seconds):
        used, begun, count = _Usage.now(), time.perf_counter(), 0
        while time.perf_counter() - begun < length:
            count += len(next(batches))
        taken, after = time.perf_counter() - begun, _Usage.now()
    return {
        "windows_per_s": round(count / taken),
        "cpu_s_per_10000": round((after.seconds - used.seconds) / count * 10_000, 3),
        "faults_per_batch": round((after.faults - used.faults) / count * _BATCH, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the measurements of each format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recordings", type=int, default=256)
    parser.add_argument("--formats", default="prepared,npz,wfdb,edf")
    parser.add_argument("--threads", default="1,2", help="numbers of threads to measure")
    parser.add_argument("--workers", default="0,2", help="numbers of PyTorch's worker processes")
    parser.add_argument("--rounds", type=int, default=1, help="of all readers, one after another")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    options = parser.parse_args(arguments)
    threads, workers = (
        [int(number) for number in text.split(",") if number]
        for text in (options.threads, options.workers)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = write_recordings(folder, options.recordings)
        readers, sources = window_readers(folder, samples), open_sources(folder)
        for form in [form for form in options.formats.split(",") for _ in range(options.rounds)]:
            for count in threads:
                stream = batches(sources[form], count)
                _report(form, "threads", count, measure(stream, options.seconds))
            for count in workers:
                loader = torch_batches(readers[form], options.recordings, count)
                if loader is not None:
                    _report(form, "torch_workers", count, measure(loader, options.seconds))


def _report(form: str, kind: str, count: int, measured: Mapping[str, float]) -> None:
    print(json.dumps({"format": form, kind: count, **measured}), flush=True)


if __name__ == "__main__":
    main()
