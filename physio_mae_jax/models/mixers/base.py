"""The protocol of a time mixer, and the geometry of the tokens that it receives."""

from typing import ClassVar, NamedTuple, Protocol

import jax

from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.residual import ResidualBranch
from physio_mae_jax.models.rotary import Rotation


class Geometry(NamedTuple):
    """Where the tokens [B, M, K, R, D] of a stack are, the same for all M sequences.

    Attributes:
        times: [B, K, R] int, time column of each token. Under a mask, neighbors along K may be
            several columns apart. The class token of a joint sequence is at 0.
        rotation: Rotary angles of the K · R tokens of a sequence, [B, K · R, d / 2].
        token_mask: [B, K, R] bool, False = padding, which must not affect other tokens; None
            if all tokens are valid.
    """

    times: jax.Array
    rotation: Rotation
    token_mask: jax.Array | None


class SequenceShape(NamedTuple):
    """Numbers of tokens of an example that a mixer processes, to count its operations.

    Attributes:
        num_sequences: Number of sequences M.
        num_tokens: Tokens of each, K · R (the average if they differ).
        num_rows: Tokens of a column, R.
        width: Width D of a token.
    """

    num_sequences: int
    num_tokens: float
    num_rows: int
    width: int


class TimeMixer(Protocol):
    """A Flax module that mixes the tokens of each sequence.

    The mixer reshapes the tokens itself: attention works on [B · M, K · R, D], a recurrence on [B ·
        M, K, R, D].

    Attributes:
        supports_joint: Whether it mixes all channels in one sequence too, where K is the number of
            tokens, R = 1, times are not sorted and a class token may come first (v1, v2).
        supports_ragged_rows: Whether the R tokens of a position k may be at different times, as
            with mask 'random_rows'.
        sows_received_weights: Whether it sows the weight that each token receives from all
            queries, averaged over heads and queries, as 'received' [B, M, K, R] in the collection
            ``attention.ATTENTION``, if that is mutable.
    """

    supports_joint: ClassVar[bool]
    supports_ragged_rows: ClassVar[bool]
    sows_received_weights: ClassVar[bool]

    def __init__(self, settings: BlockConfig, *, name: str | None = None) -> None:
        """Create the module for blocks of these settings."""
        ...

    def __call__(self, tokens: jax.Array, geometry: Geometry) -> ResidualBranch:
        """Return what is added to the tokens.

        Args:
            tokens: [B, M, K, R, D], normalized.
            geometry: Times, rotary angles and mask of the tokens.
        """
        ...

    @classmethod
    def operations(cls, settings: BlockConfig, shape: SequenceShape) -> float:
        """Count the floating-point operations of one example in one forward pass."""
        ...
