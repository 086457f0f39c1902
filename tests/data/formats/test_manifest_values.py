"""Values of a manifest are rejected with their key."""

import pytest

from physio_mae_jax.data.formats.manifest import parse_manifest
from physio_mae_jax.errors import DataError

ENTRY = {"file": "a.npz"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "must be a JSON object"),
        ({}, "'recordings' must be a list"),
        ({"recordings": [ENTRY], "sampling_rate": 5}, "Did you mean 'sampling_rate_hz'"),
        ({"recordings": [{"flie": "a.npz"}]}, "entry 0: unknown key 'flie'.*'file'"),
        ({"recordings": ["a.npz"]}, "entry 0 must be an object"),
        ({"recordings": [{"file": "/etc/a.npz"}]}, "relative to the folder"),
        ({"recordings": [{"file": "../a.npz"}]}, "stay inside"),
        ({"recordings": [{**ENTRY, "sampling_rate_hz": "?"}]}, "above 0, found '\\?'"),
        ({"recordings": [{**ENTRY, "sampling_rate_hz": -1}]}, "found -1"),
        ({"recordings": [{**ENTRY, "channels": ["?"]}]}, "'\\?' in 'channels'"),
        ({"recordings": [{**ENTRY, "axes": ["time"]}]}, "record, channel, sample"),
        ({"recordings": [{**ENTRY, "subject_pattern": "("}]}, "is not valid"),
        ({"recordings": [{**ENTRY, "subject_pattern": "a"}]}, "has 0 groups"),
        ({"recordings": [{**ENTRY, "subject": "a", "subjects": {}}]}, "subject twice"),
    ],
)
def test_manifest_mistakes_are_named(content: object, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s)M.*{message}"):
        parse_manifest(content, "M")
