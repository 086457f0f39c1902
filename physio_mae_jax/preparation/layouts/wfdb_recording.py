"""A recording made of a WFDB record."""

from typing import Any

from physio_mae_jax.data.formats.wfdb_record import FullRecord
from physio_mae_jax.preparation.recording import Recording
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.units import canonical_unit


def wfdb_recording(record: FullRecord, **fields: Any) -> Recording:
    """Create a recording with the samples, channels, units and rate of a record.

    Args:
        record: Record, as read from its first sample to its last.
        **fields: Labels, annotations and attributes of the recording.

    Raises:
        DataError: two channels have the same canonical name.
    """
    return Recording(
        signal=record.signal,
        channels=tuple(canonical_name(name) for name in record.channels),
        units=tuple(canonical_unit(unit) for unit in record.units),
        sampling_rate_hz=record.sampling_rate_hz,
        **fields,
    )
