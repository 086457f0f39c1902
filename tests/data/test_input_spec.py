"""Changes of the sampling rate are described, with what the signal cannot have."""

from physio_mae_jax.data.input_spec import rate_note


def test_a_change_of_the_rate_is_described():
    assert rate_note(100, 100) == ""
    assert rate_note(500, 100) == "from 500 to 100 Hz"
    assert rate_note(50, 100) == (
        "from 50 to 100 Hz; it has no content above 25 Hz, but the model was trained on content up "
        "to 50 Hz"
    )
