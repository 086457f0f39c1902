"""Signals of a CSV file whose sampling rate is known."""

from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.csv_table import load_csv, probe_csv
from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.signals.channels import canonical_name


def read_signal_table(
    path: Path, sampling_rate_hz: float, rate_source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the signals [M, n] float32 and their canonical names [M].

    Args:
        path: Path of the file, with a column of times.
        sampling_rate_hz: Sampling rate in Hz.
        rate_source: Where that rate is stated, for the message.

    Raises:
        UnreadableError: the file is broken, or its times have another rate.
    """
    entry = ManifestEntry(label=str(path), file=path.name, sampling_rate_hz=sampling_rate_hz)
    facts = probe_csv(path, entry, signals_only=True)
    assert facts.channels is not None
    assert facts.stored_columns is not None
    if facts.sampling_rate_hz != sampling_rate_hz:
        raise UnreadableError(
            f"{path} has {facts.sampling_rate_hz or 0:g} samples per second by its times; "
            f"{rate_source} states {sampling_rate_hz:g}. Copy the file again."
        )
    signal = np.ascontiguousarray(load_csv(path, facts.stored_columns).T)
    return signal, tuple(canonical_name(name) for name in facts.channels)
