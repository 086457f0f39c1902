"""Names of classes, and those that are not unique."""

import pytest

from physio_mae_jax.data.labels import class_names
from physio_mae_jax.errors import ConfigError

COMMAS = {
    '"a, b",c': ["a, b", "c"],
    "a, b": ["a, b"],
    "c": ["c"],
    'c , "a, b"': ["c", "a, b"],
    "x,y": ["x", "y"],
    "": [],
    " , ": [],
}


@pytest.mark.parametrize("text", COMMAS)
def test_names_of_classes_may_hold_commas(text):
    assert class_names(text, ("a, b", "c")) == COMMAS[text]
    assert class_names(COMMAS[text], ("a, b", "c")) == COMMAS[text]


def test_classes_that_cannot_be_parted_are_rejected():
    with pytest.raises(ConfigError, match=r"labels\.classes=.* cannot be parsed"):
        class_names("a\nb", ("c",))
