"""One subject has one name, however files write it; what says that there is no value is none."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physio_mae_jax.data.formats.folder import open_folder
from physio_mae_jax.data.subjects import group_similar_names, is_missing, subject_name
from physio_mae_jax.errors import DataError


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((1, 1.0, "1", "1.0", " 1 ", "1.", b"1", np.int64(1), np.float32(1)), "1"),
        (("001", " 001 ", b"001 ", "001.0"), "001"),
        ((12345678901234567890.0,), "12345678901234567168"),
        (("p\u00e9", b"p\xc3\xa9", b"p\xe9", "pe\u0301"), "p\u00e9"),
        (("1.5", 1.5), "1.5"),
        ((-1.0, "-1.0"), "-1"),
    ],
)
def test_one_subject_has_one_name(values, name):
    assert {subject_name(v.item() if isinstance(v, np.generic) else v) for v in values} == {name}


@pytest.mark.parametrize(
    "value", [None, float("nan"), "nan", "NaN", " None ", "<NA>", "null", "N/A", "", " ", b"nan"]
)
def test_what_names_nobody_is_none(value):
    assert subject_name(value) is None


def test_text_that_is_a_value_is_none_of_these():
    assert not any(map(is_missing, ("no", "NORM", "0", 0, False, "none of these", "nana")))


@given(st.text(max_size=20) | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_name_is_its_own(value):
    name = subject_name(value)
    assert name is None or subject_name(name) == name


def test_names_that_differ_in_zeros_or_case_are_alike():
    assert group_similar_names(["1", "001", "2", "p1", "P01", "10", "1.05", "1.5"]) == [
        ("1", "001"),
        ("p1", "P01"),
    ]


def write(folder, name, subjects):
    signal = np.random.default_rng(0).normal(size=(len(subjects), 1, 200)).astype(np.float32)
    np.savez(
        folder / f"{name}.npz",
        X=signal,
        channels=np.array(["II"]),
        fs=100,
        subject=np.asarray(subjects),
    )


def test_files_of_one_subject_are_of_one_person(tmp_path):
    write(tmp_path, "a", [1, 2])
    write(tmp_path, "b", [1.0, 2.0])
    write(tmp_path, "c", [" 1 ", "2.0"])
    write(tmp_path, "d", [b"1", b"2"])
    assert {r.subject_id for r in open_folder(tmp_path).recordings} == {"1", "2"}


def test_subjects_spelled_nearly_alike_are_reported(tmp_path, caplog):
    write(tmp_path, "a", ["1", "2"])
    write(tmp_path, "b", ["001", "3"])
    with caplog.at_level(logging.WARNING):
        assert len({r.subject_id for r in open_folder(tmp_path).recordings}) == 4
    assert "'1' and '001' differ in leading zeros or case" in caplog.text


@pytest.mark.parametrize("value", ["nan", "NULL", " <NA> ", np.nan])
def test_a_record_of_nobody_is_rejected(tmp_path, value):
    write(tmp_path, "a", [value])
    with pytest.raises(DataError, match=r"record 0 has no subject \(found"):
        open_folder(tmp_path)
