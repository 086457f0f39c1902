"""Reading of one recording that a caller gives."""

from physio_mae_jax.inference.inputs import as_recordings
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from tests.encoders import beats

LEADS = ["I", "II", "V1"]
SIGNAL = beats(5, 100)
GIVEN = {"sampling_rate_hz": 100, "channels": LEADS}


def read(signal=SIGNAL, **changes):
    """Return what is read of one recording, and what is said of it."""
    recordings, _ = as_recordings(signal, SignalMetadata(**GIVEN | changes))
    info = recordings.recordings[0]
    return recordings.read(0, 0, info.num_samples), info
