"""Records of what was trained on, as strangers may write them."""

import numpy as np
import pytest

from physio_mae_jax.data.contamination import TrainingProvenance, check_contamination
from physio_mae_jax.errors import DataError
from tests.factories import ArraySource


def test_who_was_trained_on_is_unknown_where_nothing_is_said(caplog):
    source = ArraySource([np.random.default_rng(0).normal(size=(2, 3000))], ("II", "PPG"))
    known = TrainingProvenance.from_recordings(source, [0])
    for content in (
        known.to_json() | {"subjects": ""},
        known.to_json() | {"blocks": ""},
        known.to_json() | {"is_complete": False, "subjects": "", "blocks": ""},
        TrainingProvenance.unknown().to_json(),
    ):
        record = TrainingProvenance.from_json(content, "a.json", "copy it.")
        assert not record.is_complete
        assert not known.merge(record).is_complete
        other = ArraySource([np.random.default_rng(1).normal(size=(2, 3000))], ("II", "PPG"))
        other.recordings[0] = other.recordings[0].__class__(
            **{**vars(other.recordings[0]), "subject_id": "somebody"}
        )
        report = check_contamination(record, other, [0], strict=False)
        assert not report.is_uncontaminated
        with pytest.raises(DataError, match=r"CONTAMINATION UNKNOWN.*omit --strict"):
            check_contamination(record, other, [0], strict=True)
    assert "it may have seen these 1 subjects" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subjects": "%%%"}, "subjects must be hashes in base64"),
        ({"subjects": "AAAA"}, "subjects must be hashes in base64"),
        ({"subjects": 3}, "subjects is 3, where a text"),
        ({"blocks": "AAAAAAAAAAAAAAAAAAAAAA=="}, "blocks must be ascending hashes"),
        ({"is_complete": "yes"}, "is_complete is 'yes'"),
        ({"other": 1}, "unknown key 'other'"),
    ],
)
def test_hashes_that_are_none_are_named(changes, message):
    content = TrainingProvenance.unknown().to_json() | changes
    with pytest.raises(DataError, match=rf"a\.json.*{message}.*copy it\."):
        TrainingProvenance.from_json(content, "a.json", "copy it.")
