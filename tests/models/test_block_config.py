"""Blocks have the settings of their model."""

from physio_mae_jax.models.block_config import BlockConfig
from tests.factories import tiny_model


def test_blocks_have_the_settings_of_their_model():
    cfg = tiny_model(
        mlp_rank_ratio=0.5, attention_rank_ratio=0.25, channel_attention=False, num_heads=4
    ).config
    encoder_blocks, decoder_blocks = cfg.encoder_blocks, cfg.decoder_blocks
    assert encoder_blocks == BlockConfig(
        4, cfg.dtype, mlp_rank_ratio=0.5, attention_rank_ratio=0.25, channel_attention=False
    )
    assert decoder_blocks == BlockConfig(2, cfg.dtype)
