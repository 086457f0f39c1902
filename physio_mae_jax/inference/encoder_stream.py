"""Streams of an encoder, see ``streaming.stream``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.inference.arguments import sequence_of
from physio_mae_jax.inference.compiled_encoder import CompiledEncoder
from physio_mae_jax.inference.encoding_config import Output
from physio_mae_jax.inference.recurrent.opening import open_recurrent_stream
from physio_mae_jax.inference.recurrent.stream import RecurrentStream
from physio_mae_jax.inference.signal_metadata import SignalMetadata
from physio_mae_jax.inference.streaming.stream import Stream, WindowEncoder
from physio_mae_jax.inference.window_batches import batch_bucket, stack_windows

if TYPE_CHECKING:
    from physio_mae_jax.inference.encoder import Encoder


def open_stream(
    encoder: "Encoder",
    mode: str,
    output: str,
    hop_seconds: object,
    lookahead_seconds: object,
    description: Mapping[str, object],
) -> Stream | RecurrentStream:
    """Open a stream; arguments as for ``Encoder.stream``.

    Raises:
        UserError: The mode, the output or an argument is unknown, or the description is incomplete.
    """
    unused = {
        "window": ("lookahead_seconds", lookahead_seconds),
        "recurrent": ("hop_seconds", hop_seconds),
    }
    if mode not in unused:
        raise ConfigError(f"mode is {mode!r}; choose 'window' or 'recurrent'.")
    name, value = unused[mode]
    if value is not None:
        raise ConfigError(f"{name} is {value!r}, but mode={mode!r} does not use it; leave it out.")
    if mode == "recurrent":
        return open_recurrent_stream(encoder, output, lookahead_seconds, description)
    return _open_window_stream(encoder, output, hop_seconds, description)


def _open_window_stream(
    encoder: "Encoder", output: str, hop_seconds: object, description: Mapping[str, object]
) -> Stream:
    programs = encoder.programs
    shapes = {
        "pooled": (programs.config.width,),
        "columns": (programs.config.num_columns, programs.config.width),
    }
    if output not in shapes:
        raise ConfigError(f"output is {output!r}; a stream gives {' or '.join(map(repr, shapes))}.")
    return Stream(
        window_encoder(programs, encoder.batch_size, cast(Output, output)),
        encoder.input,
        shapes[output],
        encoder.fingerprint,
        description=sequence_of(SignalMetadata, description),
        hop_seconds=hop_seconds,
    )


def window_encoder(programs: CompiledEncoder, batch_size: int, output: Output) -> WindowEncoder:
    """Return the function from one window to its output.

    Args:
        programs: Encoder.
        batch_size: Largest size of its batches.
        output: 'pooled' or 'columns'.
    """
    size = batch_bucket(1, batch_size, programs.mesh.size)

    def encode(window: dict[str, np.ndarray]) -> np.ndarray:
        # One window at a time: the size of a batch may change the last bit of a result.
        return np.asarray(programs.run(stack_windows([window], size), output))[0]

    return encode
