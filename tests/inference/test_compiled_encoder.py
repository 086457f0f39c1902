"""Programs of an encoder: one for each shape, on all devices, with the same result."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from physio_mae_jax import Encoder
from tests.encoders import beats, encoder, untrained

LEADS = ["I", "II", "V1"]
ALIKE = functools.partial(np.testing.assert_allclose, atol=2e-5, rtol=0)


@pytest.fixture(scope="module")
def made():
    return encoder()


def test_a_model_trained_with_fused_attention_is_used_where_there_is_none():
    trained = untrained(compute_dtype="bfloat16", width=32, num_heads=2)
    signal = beats(10, 100)
    embeddings = []
    for changes in ({}, {"attention_implementation": "fused", "unroll_layers": True}):
        model = dataclasses.replace(trained.model_spec.model, **changes)
        model_spec = dataclasses.replace(trained.model_spec, model=model)
        one = Encoder(trained._replace(model_spec=model_spec), num_devices=1)
        given = {"sampling_rate_hz": 100, "channels": LEADS}
        embeddings.append(one.encode(signal, **given))
        one.reconstruct(signal, **given)
    np.testing.assert_array_equal(*embeddings)


def test_nothing_is_compiled_twice():
    made = encoder()
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(name) if "backend_compile" in name else None
    )
    try:
        for seconds in (4, 5, 9, 12, 30):
            made.encode(beats(seconds, 100), sampling_rate_hz=100, channels=LEADS)
        assert made.num_compilations == 5  # batches of 1, 2, 4, 8 and 16 windows
        made.encode(beats(30, 250)[:2], sampling_rate_hz=250, channels=LEADS[:2])
        assert made.num_compilations == 6
        before = len(compiled)
        for rate_hz in (100, 500):
            made.encode([beats(6, rate_hz)] * 7, sampling_rate_hz=rate_hz, channels=LEADS)
        assert made.num_compilations == 6
        assert len(compiled) == before
    finally:
        jax.monitoring.clear_event_listeners()


def test_batches_are_split_over_all_devices_and_that_changes_nothing(made):
    spread = Encoder(made.trained, batch_size=16)
    assert spread.programs.mesh.size == 8
    arguments = {"sampling_rate_hz": 100, "channels": LEADS}
    signal = beats(30, 100)
    ALIKE(spread.encode(signal, **arguments), made.encode(signal, **arguments))
    batch = {
        "signal": np.zeros((16, 3, 400), np.float32),
        "channel_mask": np.ones((16, 3), bool),
        "channel_ids": np.ones((16, 3), np.int32),
        "column_weight": np.ones((16, 20), np.float32),
    }
    assert len(spread.programs.run(batch, "pooled").sharding.device_set) == 8
