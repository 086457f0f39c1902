"""Settings of calls on an encoder: what is out of range or of another type is named."""

import numpy as np
import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.inference import throughput
from physio_mae_jax.inference.arguments import is_missing, plain
from physio_mae_jax.inference.trained_model import TrainedModel
from tests.encoders import beats, encoder, write_run

GIVEN = {"sampling_rate_hz": 100, "channels": ["I", "II", "V1"]}


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overlap": np.nan}, "overlap is nan; it must be a number from 0 to below 1"),
        ({"overlap": "x"}, "overlap is 'x'; it must be a number"),
        ({"overlap": None}, "overlap is None; it must be a number"),
        ({"derive_leads": "yes"}, "derive_leads is 'yes'; it must be True or False"),
        ({"output": ["pooled"]}, r"output is \['pooled'\]; choose one of"),
        ({"output": np.array(["a", "b"])}, "choose one of pooled"),
        ({"num_threads": -5}, "num_threads is -5; it must be an integer from 0"),
        ({"num_threads": 2.5}, r"num_threads is 2\.5"),
        (
            {"overlaps": 0.5},
            "'overlaps' is not an argument of this call; choose from output, rows, overlap",
        ),
    ],
)
def test_settings_of_an_encoding_are_checked(made, changes, message):
    with pytest.raises(ConfigError, match=message):
        made.encode(beats(5, 100), **GIVEN | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_seconds": np.nan}, "start_seconds is nan; it must be a number from 0"),
        ({"start_seconds": "x"}, "start_seconds is 'x'"),
        ({"mask_ratio": np.nan}, "mask_ratio is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, r"seed is 1\.5; it must be an integer"),
        ({"masked_seconds": 5}, "masked_seconds is 5"),
        ({"masked_seconds": [(0,)]}, "has 1 numbers in an interval"),
        ({"masked_seconds": [("a", "b")]}, "masked_seconds is 'a'"),
        ({"rate": 100}, "'rate' is not an argument of this call"),
    ],
)
def test_settings_of_a_reconstruction_are_checked(made, changes, message):
    with pytest.raises(UserError, match=message):
        made.reconstruct(beats(5, 100), **GIVEN | changes)


@pytest.mark.parametrize("layer", ["x", 1.5, np.nan, [0]])
def test_a_layer_is_a_whole_number(made, layer):
    with pytest.raises(ConfigError, match=r"layer is .*an integer"):
        made.attention(beats(5, 100), layer=layer, **GIVEN)


@pytest.mark.parametrize("changes", [{"batch_size": "x"}, {"batch_size": 0}, {"num_devices": -1}])
def test_sizes_of_an_encoder_are_checked(made, changes):
    with pytest.raises(ConfigError, match=r"an integer from 1 to"):
        Encoder(made.trained, **changes)
    assert isinstance(made.trained, TrainedModel)


@pytest.mark.parametrize("path", [None, 5, b"run", ["run"], "~nobody-of-this-name/run"])
def test_a_path_is_text_or_a_path(path):
    for load in (Encoder.from_checkpoint, Encoder.from_pretrained):
        with pytest.raises(UserError, match=r"must be a path|is not a path|Give the path"):
            load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_channels": 0}, "num_channels is 0"),
        ({"num_channels": "x"}, "num_channels is 'x'"),
        ({"platforms": []}, "platforms is empty"),
        ({"platforms": None}, "platforms is None"),
        ({"platforms": ["gpu"]}, "platform 'gpu' is unknown"),
    ],
)
def test_settings_of_an_export_are_checked(made, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        made.export(tmp_path / "encoder.bin", **changes)


@pytest.mark.parametrize(
    "flag",
    [
        *("--seconds=nan", "--seconds=-1", "--seconds=1e12", "--recordings=0", "--repeats=0"),
        *("--sampling_rate_hz=nan", "--sampling_rate_hz=1e9", "--batch_size=0", "--channels="),
    ],
)
def test_flags_of_the_throughput_are_checked(tmp_path_factory, capsys, flag):
    run = write_run(tmp_path_factory.getbasetemp() / "measured")
    assert throughput.main([f"--run={run}", "--recordings=1", "--seconds=4", flag]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_values_are_unwrapped():
    for value in (np.array(3), np.int8(3), np.array(3, object), np.longdouble(3)):
        assert plain(value) == 3
        assert isinstance(plain(value), int | float)
    assert plain(np.array("II")) == plain(b"II") == plain(np.str_("II")) == "II"
    assert plain(np.ma.masked) is None
    assert [is_missing(value) for value in (None, np.nan, np.datetime64("NaT"), 0, "")] == [
        *(True, True, True, False, False)
    ]
