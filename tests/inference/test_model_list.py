"""The table of shipped models."""

from physio_mae_jax import Encoder
from tests.encoders import untrained
from tests.shipped import shipped_from, write_shipped


def test_the_list_says_size_input_and_license(tmp_path):
    write_shipped(tmp_path, "physio-small")
    write_shipped(tmp_path, "physio-tiny", untrained(width=16))
    with shipped_from(tmp_path):
        listed = Encoder.available()
        text = str(listed)
    assert [model.name for model in listed] == ["physio-tiny", "physio-small"]
    first = listed[0]
    assert (first.width, first.sampling_rate_hz, first.window_seconds) == (16, 100, 4)
    assert first.license == "CC-BY-4.0"
    assert 2 * first.num_parameters < first.file_bytes < 3 * first.num_parameters
    assert "4 s at 100 Hz" in text
    assert "PPG" in text


def test_every_shipped_model_states_its_license():
    for model in Encoder.available():
        assert model.license
        assert model.num_parameters > 1e5
