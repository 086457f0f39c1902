"""A synthetic cohort with ground truth, so that all programs run without downloads.

Each recording has twelve ECG leads, a PPG and one EEG channel of one subject. A subject keeps a
resting heart rate, a breathing rate, a pulse transit time, a heart axis and wave shapes over all
recordings; each recording has its own rhythm and noise. ``RHYTHMS`` lists the rhythms and
their fractions. Recordings are deterministic functions of ``CohortConfig.seed`` and of the subject
and recording numbers. Units: mV, arbitrary for the PPG, uV for
the EEG. The waveforms are those of ``signals.heart_simulator`` and ``signals.noise_simulator``.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from physio_mae_jax.data.fingerprints import identity_hash
from physio_mae_jax.data.formats.array_cache import ArrayCache
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.signals import heart_simulator as heart
from physio_mae_jax.signals import noise_simulator
from physio_mae_jax.signals.channels import TWELVE_LEADS

CHANNELS = (*TWELVE_LEADS, "PPG", "EEG")
# Fraction of the recordings with each rhythm.
RHYTHMS = {
    "sinus": 0.60,
    "atrial_fibrillation": 0.12,
    "ventricular_ectopy": 0.12,
    "bradycardia": 0.08,
    "tachycardia": 0.08,
}
# I and II are excluded: the four limb leads derived from them would drop out too.
_MAY_DROP_OUT = ("V1", "V2", "V3", "V4", "V5", "V6", "PPG")
# Independent streams of random numbers.
_SUBJECT, _RHYTHM, _BEATS, _NOISE, _DROPOUT = range(5)
_CACHE_BYTES = 256 * 1024**2
_MAX_RECORDINGS = 300_000
_MAX_SAMPLES = 20_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class CohortConfig:
    """Size and seed of a cohort.

    Attributes:
        num_subjects: Number of subjects.
        recordings_per_subject: Number of recordings of each subject.
        seconds: Length of a recording in seconds.
        sampling_rate_hz: Rate in Hz of all channels; a seed gives the same beats at every rate.
        seed: Seed of all random draws.
        noise_level: 1 for clinical noise and drop-outs, 0 for none.
    """

    num_subjects: int = 64
    recordings_per_subject: int = 2
    seconds: float = 60.0
    sampling_rate_hz: float = 100.0
    seed: int = 0
    noise_level: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "data.cohort")
        if self.num_subjects * self.recordings_per_subject > _MAX_RECORDINGS:
            raise ConfigError(
                f"data.cohort.num_subjects={self.num_subjects} with recordings_per_subject="
                f"{self.recordings_per_subject} exceeds the limit of {_MAX_RECORDINGS:,} "
                "recordings of a cohort; lower one of them."
            )
        if self.seconds * self.sampling_rate_hz > _MAX_SAMPLES:
            raise ConfigError(
                f"data.cohort.seconds={self.seconds:g} at sampling_rate_hz="
                f"{self.sampling_rate_hz:g} exceeds the limit of {_MAX_SAMPLES:,} samples of a "
                "recording; lower one of them."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingTruth:
    """Ground truth of a synthetic recording.

    Attributes:
        rhythm: Key of ``RHYTHMS``.
        heart_rate_bpm: 60 / mean RR interval of the beats within the recording.
        respiration_rate_hz: Breaths per second.
        pulse_transit_time_seconds: Time from an R peak to the foot of its pulse, where the tangent
            at the steepest rise meets the baseline.
        r_peak_seconds: [n] times of the peaks of the main ventricular wave.
        pulse_foot_seconds: [n] times of the feet of the pulses.
        beat_is_ectopic: [n] bool, True for premature ventricular beats.
        dropouts: (channel, start, stop) of flat intervals in seconds.
    """

    rhythm: str
    heart_rate_bpm: float
    respiration_rate_hz: float
    pulse_transit_time_seconds: float
    r_peak_seconds: np.ndarray
    pulse_foot_seconds: np.ndarray
    beat_is_ectopic: np.ndarray
    dropouts: tuple[tuple[str, float, float], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Subject:
    heart_rate_bpm: float
    respiration_rate_hz: float
    pulse_transit_time_seconds: float
    atrial: heart.DipoleWaves
    ventricular: heart.DipoleWaves
    ectopic: heart.DipoleWaves


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
    """Parts of a recording that do not depend on the sampling rate."""

    subject: _Subject
    respiration: heart.Respiration
    beats: heart.Beats
    truth: RecordingTruth


class SyntheticCohort:
    """A ``SignalSource`` that simulates its recordings when they are read."""

    def __init__(self, config: CohortConfig) -> None:
        self.config = config
        self.recordings = [
            RecordingInfo(
                record_id=f"synthetic_s{subject:03d}_r{recording}",
                subject_id=f"s{subject:03d}",
                channel_names=CHANNELS,
                sampling_rate_hz=config.sampling_rate_hz,
                num_samples=round(config.seconds * config.sampling_rate_hz),
                data_set="synthetic",
                units=(*["mV"] * len(TWELVE_LEADS), "", "uV"),
            )
            for subject in range(config.num_subjects)
            for recording in range(config.recordings_per_subject)
        ]
        self._cache = ArrayCache(_CACHE_BYTES)

    def block_hashes(self, index: int) -> Sequence[int]:
        """Return a hash of the settings and index of a recording, without simulating it."""
        return [identity_hash(f"{self.config}/{index}")]

    def read(self, index: int, start: int, stop: int) -> np.ndarray:
        """Return samples [start, stop) of a recording: float32 [14, stop - start].

        Raises:
            DataError: the interval is not inside the recording.
        """
        self.recordings[index].reject_outside(start, stop)
        return self._cache.get(index, lambda: self._render(index))[:, start:stop].copy()

    def truth(self, index: int) -> RecordingTruth:
        """Return the ground truth of a recording."""
        return self._plan(index).truth

    def __reduce__(self) -> tuple[type["SyntheticCohort"], tuple[CohortConfig]]:
        """Pickle only the config, which determines everything else."""
        return (SyntheticCohort, (self.config,))

    def _rng(self, index: int, stream: int) -> np.random.Generator:
        subject, recording = divmod(index, self.config.recordings_per_subject)
        key = (subject, 0 if stream == _SUBJECT else recording, stream)
        return np.random.default_rng([self.config.seed, *key])

    def _plan(self, index: int) -> _Plan:
        subject = _draw_subject(self._rng(index, _SUBJECT))
        rng = self._rng(index, _RHYTHM)
        rhythm = str(rng.choice(list(RHYTHMS), p=list(RHYTHMS.values())))
        respiration = heart.Respiration(
            rate_hz=subject.respiration_rate_hz, phase=rng.uniform(0, 2 * np.pi)
        )
        seconds = self.config.seconds
        beats = _draw_beats(self._rng(index, _BEATS), rhythm, subject, respiration, seconds)
        inside = (beats.r_peak_seconds >= 0) & (beats.r_peak_seconds < seconds)
        peaks = beats.r_peak_seconds[inside]
        dropouts: tuple[tuple[str, float, float], ...] = ()
        if self.config.noise_level > 0:
            dropouts = _draw_dropouts(self._rng(index, _DROPOUT), seconds)
        truth = RecordingTruth(
            rhythm=rhythm,
            heart_rate_bpm=float(60 / beats.rr_seconds[inside].mean()),
            respiration_rate_hz=subject.respiration_rate_hz,
            pulse_transit_time_seconds=subject.pulse_transit_time_seconds,
            r_peak_seconds=peaks,
            pulse_foot_seconds=peaks + subject.pulse_transit_time_seconds,
            beat_is_ectopic=beats.is_ectopic[inside],
            dropouts=dropouts,
        )
        return _Plan(subject=subject, respiration=respiration, beats=beats, truth=truth)

    def _render(self, index: int) -> np.ndarray:
        plan = self._plan(index)
        rate, level = self.config.sampling_rate_hz, self.config.noise_level
        length = self.recordings[index].num_samples
        rng = self._rng(index, _NOISE)
        breath = plan.respiration.at(np.arange(length) / rate)
        leads = heart.independent_leads(_dipole(plan, rng, length, rate)) * (1 + 0.04 * breath)
        leads += level * noise_simulator.electrode_noise(rng, len(leads), length, rate)
        leads += level * 0.03 * breath
        ppg = _pulse(plan, length, rate) * (1 + 0.08 * breath) + 0.10 * breath
        ppg += level * 0.5 * noise_simulator.motion_bursts(rng, length, rate, 1.0)
        ppg += level * 0.01 * rng.normal(size=length)
        eeg = noise_simulator.eeg(rng, length, rate)
        signals = np.concatenate([heart.twelve_leads(leads), ppg[None], eeg[None]])
        for channel, begin, end in plan.truth.dropouts:
            row, first = CHANNELS.index(channel), round(begin * rate)
            signals[row, first : round(end * rate)] = signals[row, first]
        return signals.astype(np.float32)


def _draw_subject(rng: np.random.Generator) -> _Subject:
    rotation = Rotation.from_euler("zyx", rng.normal(0, (12, 8, 8)), degrees=True)
    focus = heart.ECTOPIC_FOCI[rng.integers(len(heart.ECTOPIC_FOCI))]
    return _Subject(
        heart_rate_bpm=rng.uniform(55, 88),
        respiration_rate_hz=rng.uniform(0.15, 0.35),
        pulse_transit_time_seconds=rng.uniform(0.15, 0.35),
        atrial=heart.vary_waves(rng, heart.ATRIAL, rotation),
        ventricular=heart.vary_waves(rng, heart.VENTRICULAR, rotation),
        ectopic=heart.vary_waves(rng, focus, rotation),
    )


def _draw_beats(
    rng: np.random.Generator,
    rhythm: str,
    subject: _Subject,
    respiration: heart.Respiration,
    seconds: float,
) -> heart.Beats:
    rate_bpm = {
        "bradycardia": rng.uniform(38, 50),
        "tachycardia": rng.uniform(105, 140),
        "atrial_fibrillation": rng.uniform(75, 115),
    }.get(rhythm, subject.heart_rate_bpm)
    mean_rr = 60 / rate_bpm
    if rhythm == "atrial_fibrillation":
        times = heart.fibrillation_times(rng, seconds, mean_rr)
        return heart.make_beats(times, np.zeros(times.size, bool), mean_rr)
    # Respiratory modulation is weaker at high rates because of vagal withdrawal.
    depth = rng.uniform(0.03, 0.10) * min(1.0, 70 / rate_bpm) ** 2
    times = heart.sinus_times(
        rng, seconds, mean_rr, respiration, respiratory_depth=depth, slow_depth=0.6 * depth
    )
    ectopic = np.zeros(times.size, bool)
    if rhythm == "ventricular_ectopy":
        times, ectopic = heart.add_ectopic_beats(rng, times, seconds, fraction=0.12)
    return heart.make_beats(times, ectopic, mean_rr)


def _draw_dropouts(
    rng: np.random.Generator, seconds: float
) -> tuple[tuple[str, float, float], ...]:
    dropouts = []
    for _ in range(rng.poisson(0.4 * seconds / 60)):
        length = rng.uniform(0.5, min(3.0, seconds / 2))
        begin = rng.uniform(0, seconds - length)
        dropouts.append((str(rng.choice(_MAY_DROP_OUT)), float(begin), float(begin + length)))
    return tuple(dropouts)


def _dipole(plan: _Plan, rng: np.random.Generator, length: int, rate: float) -> np.ndarray:
    """Sum the dipoles [3, L] of atria and ventricles over all beats."""
    beats, subject = plan.beats, plan.subject
    peaks, rr = beats.r_peak_seconds, beats.repolarization_rr_seconds
    kinds = [(subject.ventricular, ~beats.is_ectopic), (subject.ectopic, beats.is_ectopic)]
    if plan.truth.rhythm != "atrial_fibrillation":
        kinds.append((subject.atrial, ~beats.is_ectopic))
    track = np.zeros((3, length))
    for waves, is_kind in kinds:
        ones = np.ones(int(is_kind.sum()))
        track += heart.dipole_track(waves, peaks[is_kind], rr[is_kind], ones, length, rate)
    if plan.truth.rhythm == "atrial_fibrillation":
        # f-waves are most visible in V1 and II, so they point to the front and the feet.
        waves_hz = noise_simulator.band_noise(rng, length, rate, (4.0, 9.0))
        track += 0.035 * np.array([[0.2], [0.7], [-0.9]]) * waves_hz
    return track


def _pulse(plan: _Plan, length: int, rate: float) -> np.ndarray:
    """Simulate the pulse [L]; a premature beat ejects less, the beat after its pause more."""
    beats = plan.beats
    filling = np.clip(beats.rr_seconds / beats.mean_rr_seconds, 0.4, 1.5)
    feet = beats.r_peak_seconds + plan.subject.pulse_transit_time_seconds
    return heart.pulse_wave(feet, beats.rr_seconds, filling**0.8, length, rate)
