"""Settings shared by the blocks of a stack."""

from typing import Literal, NamedTuple

import jax.numpy as jnp

AttentionImplementation = Literal["xla", "cudnn", "fused"]


class BlockConfig(NamedTuple):
    """Settings shared by the blocks of a stack, see ``MaeConfig.encoder_blocks``.

    Attributes:
        num_heads: Number of heads of both attentions.
        dtype: Compute type.
        time_mixer: Name of the mixer of a sequence, see ``models.mixers``.
        attention_every: Which layers have attention instead of that mixer, see ``MaeConfig``.
        state_size: Size of the state of a 'state_space' mixer.
        lookahead_columns: Columns of a block beyond which no later column is read, see
            ``MaeConfig.lookahead_seconds``; 0 for no such limit.
        attention_implementation: Backend of attention, norms, smoothing and MLP, see ``MaeConfig``.
        mlp_rank_ratio, attention_rank_ratio: 0 for full matrices, see ``LowRankDense``.
        channel_attention: Whether to attend across channels.
        channel_smoothing: Whether to smooth along time before channel attention.
        num_time_blocks: Number of time blocks of a sequence, see ``LocalAttention``.
        drop_path_rate: Probability of dropping a branch for an example, given a 'drop_path' key.
    """

    num_heads: int
    dtype: jnp.dtype
    time_mixer: str = "attention"
    attention_implementation: AttentionImplementation = "xla"
    mlp_rank_ratio: float = 0.0
    attention_rank_ratio: float = 0.0
    channel_attention: bool = True
    channel_smoothing: bool = True
    num_time_blocks: int = 1
    drop_path_rate: float = 0.0
    attention_every: int = 0
    state_size: int = 64
    lookahead_columns: int = 0
