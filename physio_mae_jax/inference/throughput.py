"""Throughput of an encoder in recordings per second: from memory, and from files.

python -m physio_mae_jax.inference.throughput --run=runs/first --channels=I,II,V1 --seconds=10
python -m physio_mae_jax.inference.throughput --run=runs/first --files '/raw/*.hea'
"""

import argparse
import glob
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from physio_mae_jax.data.formats.folder import open_files
from physio_mae_jax.data.gap_scan import ScannedRecordings
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.errors import UserError
from physio_mae_jax.inference.arguments import setting
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.setting_kinds import Number
from physio_mae_jax.signals.rates import check_rate

# Maximum size of synthetic noise, which is kept in memory.
_COUNT = Number(low=1, high=100_000, whole=True, example=64)
_SECONDS = Number(low=0.0, high=86_400.0, above=True, example=10.0)


class Throughput(NamedTuple):
    """Measured throughput, compilation excluded.

    Attributes:
        recordings: Recordings encoded per repetition.
        windows: Windows of these recordings.
        seconds: Duration of the fastest repetition, including reading.
        device: Device of the measurement.
    """

    recordings: int
    windows: int
    seconds: float
    device: str

    def __str__(self) -> str:
        """Format the result on one line."""
        return (
            f"{self.recordings / self.seconds:.1f} recordings/s, "
            f"{self.windows / self.seconds:.1f} windows/s ({self.recordings} recordings, "
            f"{self.windows} windows, {self.seconds:.2f} s, {self.device})"
        )


def measure_arrays(
    encoder: Encoder,
    *,
    channels: Sequence[str],
    seconds: float,
    sampling_rate_hz: float,
    num_recordings: int,
    repeats: int = 3,
) -> Throughput:
    """Encode noise, including the preparation of the windows.

    Args:
        encoder: Encoder to measure.
        channels: Channel names of the synthetic recordings.
        seconds, sampling_rate_hz: Duration and sampling rate of each recording.
        num_recordings: Recordings encoded together.
        repeats: Number of repetitions, of which the fastest counts.
    """
    setting(num_recordings, "recordings", _COUNT)
    check_rate(sampling_rate_hz, channels, "sampling_rate_hz")
    seconds = setting(seconds, "seconds", _SECONDS)
    shape = (num_recordings, len(channels), round(seconds * sampling_rate_hz))
    signal = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def encode() -> tuple[int, int]:
        report = encoder.encode_with_report(
            signal, sampling_rate_hz=sampling_rate_hz, channels=list(channels)
        ).report
        return num_recordings, report.num_windows

    return _fastest(encode, repeats)


def measure_files(
    encoder: Encoder, paths: Sequence[str], *, num_threads: int = 0, repeats: int = 3
) -> Throughput:
    """Encode files, from opening them to their embeddings; unknown channels are excluded."""
    settings = EncodingConfig(
        unknown_channels="exclude", on_invalid="skip", num_threads=num_threads
    )

    def encode() -> tuple[int, int]:
        source = open_files(paths)
        joined = ConcatSource([source], [range(len(source.recordings))])
        scanned = ScannedRecordings(joined, range(len(joined.recordings)), skip_unreadable=True)
        _, report = encoder.encode_source(scanned, settings)
        return len(report.recordings), report.num_windows

    return _fastest(encode, repeats)


def _fastest(encode: Callable[[], tuple[int, int]], repeats: int) -> Throughput:
    setting(repeats, "repeats", _COUNT)
    recordings, windows = encode()  # compiles
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        encode()
        times.append(time.perf_counter() - begin)
    return Throughput(recordings, windows, min(times), jax.devices()[0].device_kind)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement that the flags describe; return the exit status."""
    options = _parse(arguments)
    try:
        encoder = Encoder.from_checkpoint(options.run, batch_size=options.batch_size)
        if options.files:
            paths = [path for pattern in options.files for path in sorted(glob.glob(pattern))]
            print(measure_files(encoder, paths, repeats=options.repeats))
            return 0
        print(
            measure_arrays(
                encoder,
                channels=options.channels.split(","),
                seconds=options.seconds,
                sampling_rate_hz=options.sampling_rate_hz,
                num_recordings=options.recordings,
                repeats=options.repeats,
            )
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m physio_mae_jax.inference.throughput")
    parser.add_argument("--run", required=True, help="work folder of a pre-training run")
    parser.add_argument("--files", nargs="*", help="files or patterns; none: noise in memory")
    parser.add_argument("--channels", default="I,II,V1", help="channels of the noise")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of the noise")
    parser.add_argument("--sampling_rate_hz", type=float, default=500.0, help="rate of the noise")
    parser.add_argument("--recordings", type=int, default=64, help="recordings of noise")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
