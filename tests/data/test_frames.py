"""Frames of a caller: their columns, and values that are missing."""

import numpy as np
import pandas as pd
import pyarrow
import pytest

from physio_mae_jax.errors import DataError
from tests.inference.input_signals import LEADS, SIGNAL, read

FRAME = pd.DataFrame(SIGNAL.T, columns=LEADS)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_na_of_a_frame_is_missing(backend):
    frame = FRAME.convert_dtypes(dtype_backend=backend)
    np.testing.assert_allclose(read(frame, channels=None)[0], SIGNAL, atol=1e-6)
    frame.iloc[7, 1] = pd.NA
    found, info = read(frame, channels=None)
    assert np.isnan(found[1, 7])
    assert info.gaps == ((1, 7, 8),)


def test_nullable_integers_are_counts_with_and_without_na():
    frame = (FRAME * 1000).round().astype("Int64")
    for missing in (False, True):
        if missing:
            frame.iloc[3, 0] = pd.NA
        with pytest.raises(DataError, match=r"\(ADU\)"):
            read(frame, channels=None)
        found = read(frame, channels=None, units="adu")[0]
        assert np.isnan(found).sum() == missing


def test_a_table_and_a_series_are_frames():
    table = pyarrow.Table.from_pandas(FRAME)
    np.testing.assert_allclose(read(table, channels=None)[0], SIGNAL, atol=1e-6)
    series = FRAME["II"]
    np.testing.assert_allclose(read(series, channels=None)[0], SIGNAL[1:2], atol=1e-6)
    assert read(FRAME.set_axis([" I", "II ", "V1"], axis=1))[1].channel_names == tuple(LEADS)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.set_axis(["I", "II", "I"], axis=1), "2 columns of the frame are named 'I'"),
        (FRAME.assign(label="x"), "column 'label' must be real"),
        (FRAME.assign(when=pd.Timestamp(0)), "column 'when' must .* got datetime64"),
        (FRAME.astype("category"), "column 'I' must .* got category"),
        (FRAME.set_axis(["I", "II", np.nan], axis=1), "column 3 of the frame has no name"),
        (FRAME.set_axis(pd.MultiIndex.from_product([["a"], LEADS]), axis=1), "multi-level names"),
        (FRAME[[]], "has no columns"),
    ],
)
def test_columns_that_cannot_be_told_are_named(frame, message):
    with pytest.raises(DataError, match=message):
        read(frame, channels=None)
    if "named 'I'" in message:
        read(frame.iloc[:, 1:], channels=["II", "I"])
