"""WFDB records and waves that layouts read, and the marks of an annotation."""

import warnings

import numpy as np

RNG = np.random.default_rng(0)

with warnings.catch_warnings():
    # wfdb 4.3 calls pandas 3.1 with a keyword that it deprecates, and again where it writes.
    warnings.filterwarnings("ignore", message="The inplace keyword")
    import wfdb


def write_record(folder, name, signal, channels, units, rate_hz=125.0, comments=()):
    """Write signal [M, n] as 16-bit WFDB at 200 units a value; half of one is the tolerance."""
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=rate_hz,
        units=list(units),
        sig_name=list(channels),
        p_signal=np.asarray(signal, np.float64).T,
        fmt=["16"] * len(signal),
        adc_gain=[200.0] * len(signal),
        baseline=[0] * len(signal),
        comments=list(comments),
        write_dir=str(folder),
    )


def waves(num_channels, num_samples, scale=1.0):
    return scale * RNG.normal(size=(num_channels, num_samples))


def marks_of(recording, task):
    annotations = recording.annotations[task]
    return list(
        zip(
            annotations.start.tolist(),
            annotations.stop.tolist(),
            annotations.label.tolist(),
            strict=True,
        )
    )
