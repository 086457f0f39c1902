"""Samples of a device by LSL, of an outlet of this process."""

import json
import sys
import threading
import time
import uuid

import numpy as np
import pytest

from physio_mae_jax import stream
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.streaming import lsl_input
from physio_mae_jax.inference.streaming.lsl_input import LslInput
from tests.encoders import beats, encoder

RATE_HZ = 100.0


@pytest.fixture(autouse=True)
def _search_briefly(monkeypatch):
    """Outlets of this process answer at once."""
    monkeypatch.setattr(lsl_input, "_SEARCH_SECONDS", 1.0)


@pytest.fixture(scope="module")
def pylsl():
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the extra lsl: {error}")
    return pylsl


@pytest.fixture
def outlet(pylsl):
    """Return a function that opens an outlet with a name of its own."""

    def opened(labels=("II", "PPG"), units=("mV", ""), rate_hz=RATE_HZ, form="float32", count=2):
        name = f"test-{uuid.uuid4().hex[:8]}"
        info = pylsl.StreamInfo(name, "ECG", count, rate_hz, form, name)
        if labels:
            info.set_channel_labels(list(labels))
        if units:
            info.set_channel_units(list(units))
        return name, pylsl.StreamOutlet(info, max_buffered=600)

    return opened


def send(outlet, values, first):
    """Send samples [2, n] at once, the first of them at sample ``first`` of the clock."""
    for index, sample in enumerate(values.T):
        outlet.push_sample(sample.tolist(), 1000.0 + (first + index) / RATE_HZ)


def received(device):
    """Take pieces until the device is silent."""
    found = []
    with pytest.raises(DataError, match=r"sent no sample for 1 s; check that"):
        found.extend(device.pieces())
    return np.concatenate(found, axis=1)


def test_samples_arrive_with_their_gaps(outlet):
    name, source = outlet()
    device = LslInput(name=name, timeout_seconds=1.0)
    assert device.description == {
        "sampling_rate_hz": RATE_HZ,
        "channels": ["II", "PPG"],
        "units": ["mV", ""],
    }
    values = beats(9, RATE_HZ, leads=2).astype(np.float32)
    send(source, values[:, :400], 0)
    send(source, values[:, 500:], 500)
    wanted = values.copy()
    wanted[:, 400:500] = np.nan
    found = received(device)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)


def test_a_slow_reader_is_an_error_before_samples_are_lost(outlet):
    name, source = outlet()
    device = LslInput(name=name, timeout_seconds=1.0, buffer_seconds=5)
    values = np.random.default_rng(0).normal(size=(2, 400)).astype(np.float32)
    send(source, values, 0)
    np.testing.assert_array_equal(received(device), values)
    pieces = device.pieces()
    for number in range(1, 4):  # 12 s, of which 5 s are kept
        send(source, values, 400 * number)
    limit = time.monotonic() + 10
    while not device._inlet.samples_available() >= 490:
        assert time.monotonic() < limit
    with pytest.raises(DataError, match=r"5 s of the LSL stream .* wait to be encoded"):
        next(pieces)


@pytest.mark.parametrize(
    ("form", "given", "message"),
    [
        ({}, {"sampling_rate_hz": 250.0}, "has 100 Hz, but --sampling_rate_hz=250 is given"),
        ({"rate_hz": 0.0}, {}, "has no regular sampling rate"),
        ({"form": "string"}, {}, "holds text"),
        ({"labels": ()}, {}, "has 2 channels, and names none; give the name of each"),
        ({}, {"channels": "II"}, "has 2 channels, and names II; give"),
        ({}, {"channels": "PPG,II"}, "has the channels II, PPG, but --channels=PPG,II"),
        ({}, {"units": "uV"}, r"has the units .*mV.*, but --units=uV is given"),
        ({"form": "int16"}, {}, "looks like ADC counts"),
    ],
)
def test_what_differs_from_the_stream_is_named(outlet, form, given, message):
    name, _source = outlet(**form)
    with pytest.raises(DataError, match=message):
        LslInput(name=name, given=given)


def test_what_the_stream_does_not_state_may_be_given(outlet):
    name, _source = outlet(labels=(), units=(), form="int16")
    given = {"channels": "II, PPG", "units": "mV", "sampling_rate_hz": 100.0, "gain": 1000.0}
    device = LslInput(name=name, given=given)
    assert device.description == {
        "sampling_rate_hz": 100.0,
        "channels": ["II", "PPG"],
        "units": ["mV", "mV"],
        "gain": 1000.0,
    }


def test_a_stream_is_chosen_by_name_and_type(outlet):
    name, _source = outlet()
    other, _other = outlet()
    assert LslInput(name=name, kind="ECG").name == name
    with pytest.raises(ConfigError, match=f"no LSL stream fits name='nobody'; .*{name}"):
        LslInput(name="nobody")
    with pytest.raises(ConfigError, match=f"LSL streams fit type='ECG'; .*{other}"):
        LslInput(kind="ECG")


def test_the_command_encodes_what_a_device_sends(outlet, tmp_path, capsys):
    encoder().save_pretrained(tmp_path / "made")
    name, source = outlet()
    values = beats(9, RATE_HZ, leads=2).astype(np.float32)

    def send_when_read():
        assert source.wait_for_consumers(60)
        send(source, values, 0)

    thread = threading.Thread(target=send_when_read)
    thread.start()
    arguments = [f"--model={tmp_path / 'made'}", "--input=lsl", f"--lsl_name={name}"]
    assert stream.main([*arguments, "--hop_seconds=2", "--lsl_timeout_seconds=3"]) == 2
    thread.join()
    said = capsys.readouterr()
    assert "sent no sample for 3 s" in said.err
    rows = [json.loads(line) for line in said.out.splitlines()]
    given = {"sampling_rate_hz": 100, "channels": ["II", "PPG"], "rows": "window"}
    wanted = encoder().encode(values, units=["mV", ""], **given)[0]
    assert [row["start_seconds"] for row in rows] == [0, 2, 4]
    np.testing.assert_allclose([row["embedding"] for row in rows], wanted[:3], atol=1e-5)
    assert stream.main([*arguments, "--lsl_gap_seconds=0"]) == 2
    assert "--lsl_gap_seconds is 0" in capsys.readouterr().err


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(UserError, match=r'pip install "physio_mae_jax\[lsl\]"'):
        lsl_input.LslInput()
