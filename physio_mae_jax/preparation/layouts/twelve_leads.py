"""Twelve-lead ECGs in mV: a WFDB record in the order of the leads, and packed recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.formats.wfdb_record import FullRecord, read_full_record
from physio_mae_jax.preparation.layouts.packed_flac import check_rows, packed_table
from physio_mae_jax.signals.channels import TWELVE_LEADS, canonical_name
from physio_mae_jax.signals.units import canonical_unit


def read_twelve_leads(
    path: Path, sampling_rate_hz: float | None = None
) -> tuple[np.ndarray, FullRecord]:
    """Read the signal [12, L] of a WFDB record in the order of ``TWELVE_LEADS``, and the record.

    Args:
        path: Header of the record.
        sampling_rate_hz: Expected sampling rate in Hz; None for any.

    Raises:
        UnreadableError: its leads, units or sampling rate are different.
    """
    record = read_full_record(path)
    channels = tuple(canonical_name(name) for name in record.channels)
    units = {canonical_unit(unit) for unit in record.units}
    has_rate = sampling_rate_hz in (None, record.sampling_rate_hz)
    if sorted(channels) != sorted(TWELVE_LEADS) or units != {"mV"} or not has_rate:
        found, expected = "", ""
        if sampling_rate_hz is not None:
            found = f" at {record.sampling_rate_hz:g} Hz"
            expected = f" at {sampling_rate_hz:g} Hz"
        raise UnreadableError(
            f"{path} names the signals {', '.join(record.channels)} in {', '.join(sorted(units))}"
            f"{found}; the twelve leads in mV{expected} are expected. Copy it again, or exclude it."
        )
    return record.signal[[channels.index(lead) for lead in TWELVE_LEADS]], record


def packed_twelve_leads(
    path: Path, row_members: Sequence[str], members: Sequence[str], what: str
) -> Mapping[str, np.ndarray]:
    """Load the ``.npz`` that describes packed recordings of twelve leads and one length.

    Args:
        path: Path of the file.
        row_members: Names of the members with one row per recording.
        members: Names of the other members that are needed, besides 'shape' and 'leads'.
        what: Expected content, for the message if the file is missing.

    Raises:
        DataError: the file or a member is missing.
        UnreadableError: the file is damaged, or 'shape' or 'leads' are not (rows, 12, samples) and
            ``TWELVE_LEADS``.
    """
    arrays = packed_table(path, (*row_members, "leads", "shape", *members), what)
    rows = check_rows(path, arrays, row_members)
    shape, leads = tuple(arrays["shape"].tolist()), tuple(arrays["leads"].tolist())
    if len(shape) != 3 or shape[:2] != (rows, len(TWELVE_LEADS)) or leads != TWELVE_LEADS:
        raise UnreadableError(
            f"{path} has shape {shape} and leads {', '.join(leads)} for {rows} rows; ({rows}, 12, "
            f"samples) and {', '.join(TWELVE_LEADS)} are expected. Copy the file again."
        )
    return arrays
