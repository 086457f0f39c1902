"""Recurrent streams of an encoder."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.arguments import sequence_of, setting
from physio_mae_jax.inference.recurrent.block_encoder import BlockEncoder, bank_of
from physio_mae_jax.inference.recurrent.block_signal import BlockLayout
from physio_mae_jax.inference.recurrent.stream import RecurrentStream
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.stream_layout import StreamLayout
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.setting_kinds import Number

if TYPE_CHECKING:
    from physio_mae_jax.inference.encoder import Encoder

_LOOKAHEAD = Number(low=1e-3, high=86_400.0, example=2.0)
_DEFAULT_SECONDS = 2.0
_OUTPUTS = ("pooled", "columns")


def open_recurrent_stream(
    encoder: "Encoder", output: str, lookahead_seconds: object, description: Mapping[str, object]
) -> RecurrentStream:
    """Open a stream; arguments as for ``Encoder.stream``.

    Raises:
        UserError: The model cannot be used in this way, an argument is unknown, or the description
            is incomplete.
    """
    if output not in _OUTPUTS:
        raise ConfigError(
            f"output is {output!r}; a stream gives {' or '.join(map(repr, _OUTPUTS))}."
        )
    encode, layout = blocks_of(encoder, lookahead_seconds, description)
    return RecurrentStream(encode, layout, encoder.fingerprint, by_column=output == "columns")


def blocks_of(
    encoder: "Encoder", lookahead_seconds: object, description: Mapping[str, object]
) -> tuple[BlockEncoder, BlockLayout]:
    """Return the encoder of blocks, and the blocks of a signal; arguments as above."""
    cfg = encoder.programs.config
    check_recurrent(cfg, is_single=encoder.programs.channel_independent)
    if lookahead_seconds is None:
        lookahead_seconds = cfg.lookahead_seconds or _nearest(cfg, _DEFAULT_SECONDS)
    seconds = setting(lookahead_seconds, "lookahead_seconds", _LOOKAHEAD)
    if abs(_nearest(cfg, seconds) - seconds) > 1e-6:
        raise ConfigError(
            f"lookahead_seconds is {seconds:g}, not a whole number of time columns of "
            f"{cfg.patch_samples / cfg.sampling_rate_hz:g} s; give {_nearest(cfg, seconds):g}."
        )
    layout = StreamLayout.of(encoder.input, sequence_of(SignalMetadata, description), seconds)
    encode = BlockEncoder(
        config=dataclasses.replace(cfg, lookahead_seconds=0.0),
        params=encoder.programs.params,
        channel_ids=np.asarray(layout.plan.ids, np.int32),
        num_columns=layout.hop_columns,
    )
    return encode, BlockLayout(stream=layout, reach=encode.reach, edge=bank_of(cfg).edge)


def check_recurrent(cfg: MaeConfig, *, is_single: bool) -> None:
    """Raise a ConfigError if a model reads later columns in other ways than by its state space."""
    reasons = {
        f"model.time_mixer={cfg.time_mixer!r}": cfg.time_mixer != "state_space",
        f"model.attention_every={cfg.attention_every}, layers of attention": bool(
            cfg.attention_every
        ),
        f"model.convolutional_stem={cfg.convolutional_stem!r}": cfg.convolutional_stem != "none",
        "encoding of each channel separately": is_single,
    }
    for reason, holds in reasons.items():
        if holds:
            raise ConfigError(
                "mode='recurrent' needs a model with a state space in all layers "
                "(model.time_mixer='state_space', model.attention_every=0) that encodes all "
                f"channels together; this one has {reason}. Use mode='window'."
            )


def _nearest(cfg: MaeConfig, seconds: float) -> float:
    """Return the nearest duration of a whole number of columns, at least one."""
    column = cfg.patch_samples / cfg.sampling_rate_hz
    return max(1, round(seconds / column)) * column
