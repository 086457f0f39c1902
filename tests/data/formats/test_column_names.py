"""Columns are classified by their names."""

import pytest

from physio_mae_jax.data.formats.column_names import classify_columns

TIMES = (
    "time|t|T|ts|sec|secs|seconds|seconds_elapsed|elapsed_s|Elapsed time|datetime|date|clock|epoch|"
    "unix_timestamp|LocalTimestamp|Shimmer_40AC_Timestamp_Unix_CAL|hh:mm:ss|hh:mm:ss.mmm|Time [s]|"
    "time_ms|Time (ms)|timestamp_us|t_ms|t [ns]|time stamp|TimeStamp|Timestamp (Formatted)|millis|"
    "Phone timestamp|sensor timestamp [ns]|time_of_day|Zeit [s]|时间|Timestamp[µs]|Time/s|minutes"
)
INDICES = (
    "sample|sample number|sample #|Sample Index|index|idx|n|frame|counter|row|Unnamed: 0|packet|"
    "seq|nSeq|packet_id|#|SampleNumber|No."
)
LABELS = (
    "label|class|rhythm_code|annotation|target|event|marker|subject|PatientID|id|record|age|sex|"
    "fold|ECG_label|eeg_marker|subject_id|trigger"
)
CHANNELS = "II|'MLII'|\"V1\"|ECG (mV)|II [uV]|PLETH|EDA|SpO2|I|V|TEMP (°C)|EDA [uS]|acc x|ABP"
OTHERS = "timer|TIMEX|T (degC)|perfusion_index|value|S|Accel|HR|batt|min|i"


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (TIMES, {"time"}),
        (INDICES, {"index"}),
        (LABELS, {"label"}),
        (CHANNELS, {"channel"}),
        (OTHERS, {"likely", "unknown"}),
    ],
)
def test_kinds_of_names(names: str, kinds: set[str]) -> None:
    for name in names.split("|"):
        (column,) = classify_columns([name])
        assert column.kind in kinds, name


def test_quotes_and_units_are_no_part_of_a_name() -> None:
    columns = classify_columns(
        ["'MLII'", "ECG (mV)", "V5 [uV]", "x (raw)", "PPG (mV)", "PPG (adu)"]
    )
    assert [(c.name, c.unit) for c in columns] == [
        *(("MLII", ""), ("ECG", "mV"), ("V5", "uV"), ("x (raw)", "")),
        # Two columns that differ by their unit alone keep it.
        *(("PPG (mV)", "mV"), ("PPG (adu)", "adu")),
    ]
