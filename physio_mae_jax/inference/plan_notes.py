"""Notes about what the preprocessing of a recording changes or excludes."""

from collections.abc import Sequence

from physio_mae_jax.data.channel_plan import ChannelPlan
from physio_mae_jax.data.input_spec import rate_note
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.inference.notes import (
    CONVERTED,
    PADDED,
    REJECTED,
    RENAMED,
    REORDERED,
    RESAMPLED,
    WARNING,
    Note,
)
from physio_mae_jax.inference.tiling import Tiling
from physio_mae_jax.signals.channels import canonical_name


def notes_of(
    info: RecordingInfo,
    channels: ChannelPlan,
    tiling: Tiling,
    column_samples: int,
    window: WindowConfig,
) -> list[Note]:
    """Describe the preprocessing of one recording.

    Args:
        info: Description of the recording.
        channels: Channels of its windows.
        tiling: Positions of its windows.
        column_samples: Samples of a column at the model's rate.
        window: Window of the model; that of the recording may have fewer columns.
    """
    found: list[tuple[str, str]] = []
    change = rate_note(info.sampling_rate_hz, window.sampling_rate_hz)
    names = renaming(info.channel_names)
    order = reordering(info.channel_names, channels.channels)
    for kind, text in ((RESAMPLED, change), (RENAMED, names), (REORDERED, order)):
        found += [(kind, text)] * bool(text)
    found += [(CONVERTED, note) for note in channels.montage.notes]
    nameless = [
        name for name, number in zip(channels.channels, channels.ids, strict=True) if not number
    ]
    if nameless:
        found.append((WARNING, f"names that the model cannot tell apart: {', '.join(nameless)}"))
    if window.band_hz:
        low, high = window.band_hz
        found.append((CONVERTED, f"band-passed {low:g} to {high:g} Hz, as in training"))
    unknown = [n for n in info.channel_names if canonical_name(n) not in channels.channels]
    if unknown:
        found.append((REJECTED, f"channels that the model does not know: {', '.join(unknown)}"))
    column_seconds = column_samples / window.sampling_rate_hz
    seconds = tiling.num_columns * column_seconds
    if seconds < window.seconds:
        found.append((PADDED, f"from {seconds:g} to {window.seconds:g} s, masked"))
    found += [(REJECTED, text) for text in _excluded_time(info, tiling, column_seconds)]
    return [Note(kind, text, info.record_id) for kind, text in found]


def _excluded_time(info: RecordingInfo, tiling: Tiling, column_seconds: float) -> list[str]:
    """Report which time no window covers."""
    covered = len(tiling.coverage) * column_seconds
    texts = []
    if info.seconds - covered > 0.5 / info.sampling_rate_hz:
        texts.append(f"the last {info.seconds - covered:.3g} s, less than a column")
    missed = int((tiling.coverage == 0).sum())
    if missed:
        texts.append(f"{missed * column_seconds:.4g} s around values that are not finite")
    return texts


def renaming(given: Sequence[str]) -> str:
    """List names read as other names; '' if none differs by more than case."""
    read = [(name, canonical_name(name)) for name in given]
    return ", ".join(f"{name} is {own}" for name, own in read if name.lower() != own.lower())


def reordering(given: Sequence[str], used: Sequence[str]) -> str:
    """Describe the reordering of channels for the model; '' if there is none."""
    picked = [canonical_name(name) for name in given if canonical_name(name) in used]
    own = [name for name in used if name in picked]
    return "" if picked == own else f"{', '.join(picked)} -> {', '.join(own)}"
