"""Recordings alike share a plan of their channels, which says what is there."""

from physio_mae_jax.data.channel_plan import ChannelPlanner, KnownChannels
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.signals.channels import (
    channel_id,
)


def test_recordings_alike_share_a_plan_and_say_what_they_lack():
    planner = ChannelPlanner("I,III,PPG")
    info = RecordingInfo(
        record_id="r",
        subject_id="s",
        channel_names=("I", "II"),
        sampling_rate_hz=100.0,
        num_samples=10,
    )
    plan = planner.plan(info)
    assert plan.missing == ("PPG",)
    assert plan.ids.tolist() == [channel_id("I"), channel_id("III"), channel_id("PPG")]
    assert planner.plan(info) is plan


def info(*names, units=()):
    return RecordingInfo(
        record_id="r",
        subject_id="s",
        channel_names=names,
        sampling_rate_hz=100.0,
        num_samples=10,
        units=units,
    )


def test_a_model_knows_channels_by_the_names_of_its_contract():
    earlier = KnownChannels(("Fp1", "C3", "II"), {"Fp1": "uV"}).plan(info("II", "EEG C3", "Fp1"))
    assert earlier.channels == ("EEG_C3", "EEG_FP1", "II")
    assert earlier.ids.tolist() == [0, 0, 2]
    now = KnownChannels(("EEG_FP1", "EEG_C3", "II")).plan(info("II", "EEG C3", "Fp1"))
    assert now.ids.tolist() == [channel_id(name) for name in now.channels]


def test_a_plan_tells_what_is_there():
    plan = ChannelPlanner("II,Fp1,PPG").plan(info("ii", "EEG FP1-REF"))
    assert plan.present[0] == ("II", "EEG_FP1")
    assert plan.present[1].tolist() == [channel_id("II"), channel_id("EEG_FP1")]
