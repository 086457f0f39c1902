"""How recordings are encoded, whatever they are."""

import dataclasses

from physio_mae_jax.inference.arguments import plain
from physio_mae_jax.inference.compiled_encoder import Output
from physio_mae_jax.setting_ranges import check_fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodingConfig:
    """Choices of a caller.

    Attributes:
        output: 'pooled', 'channels', 'columns' or 'tokens', see ``Encoder.encode_with_report``.
        overlap: share of a window that the next one also covers, in [0, 1).
        derive_leads: add limb leads that follow from two others and that the model knows.
        unknown_channels: a channel that the model does not know is an 'error', or is left out
            ('leave_out') and reported.
        on_invalid: NaN, or a recording too short, is an 'error'; or windows that hold NaN are left
            out ('skip') and reported, and a recording without any other gives NaN.
        num_threads: that read ahead; 0 for one a core, eight at most.
    """

    output: Output = "pooled"
    overlap: float = 0.5
    derive_leads: bool = False
    unknown_channels: str = "error"
    on_invalid: str = "error"
    num_threads: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        check_fields(self, "encoding")
