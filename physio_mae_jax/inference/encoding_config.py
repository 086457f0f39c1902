"""Options for encoding recordings."""

import dataclasses
from typing import Literal

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.arguments import plain
from physio_mae_jax.setting_ranges import check_fields

Output = Literal["pooled", "channels", "columns", "tokens"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodingConfig:
    """Options of an encoding.

    Attributes:
        output: 'pooled', 'channels', 'columns' or 'tokens', see ``Encoder.encode_with_report``.
        rows: 'recording' for one output per recording, or 'window' for one per window, with its
            times (``EncodingReport.windows``); only with output 'pooled'.
        overlap: Fraction of a window that the next one also covers, in [0, 1).
        derive_leads: Add limb leads that follow from two others and that the model knows.
        unknown_channels: 'error' to reject a channel unknown to the model, or 'exclude' to
            exclude and report it.
        on_invalid: 'error' to reject NaN or a recording that is too short, or 'skip' to exclude and
            report windows with NaN; a recording without a valid window then gives NaN.
        num_threads: Threads that read ahead; 0 for one per core, at most eight.
    """

    output: Output = "pooled"
    rows: Literal["recording", "window"] = "recording"
    overlap: float = 0.5
    derive_leads: bool = False
    unknown_channels: str = "error"
    on_invalid: str = "error"
    num_threads: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        check_fields(self, "encoding")
        if self.by_window and self.output != "pooled":
            raise ConfigError(
                f"rows='window' needs output='pooled'; got output={self.output!r}. For embeddings "
                "over time that are averaged over windows, give output='columns' alone."
            )

    @property
    def by_window(self) -> bool:
        """Whether there is one output per window instead of one per recording."""
        return self.rows == "window"
