"""ECG and PPG simulator: beat times, a cardiac dipole projected on twelve leads, and pulse waves.

All components are functions of continuous time that are sampled last, so a seed gives the same
subject at any sampling rate. Beat times follow the integral pulse frequency model (Mateo & Laguna
2000, IEEE TBME 47:985); waves are Gaussians in time around each beat (McSharry et al. 2003, IEEE
TBME 50:289), here of a dipole vector (Sameni et al. 2007, EURASIP J. Adv. Signal Process. 43407).

Letters: L samples, n beats, k waves. Vectors are in Frank's frame: X left, Y feet, Z back.
Not modelled: ST changes, conduction blocks, retrograde P waves, pulse shapes that change with age.
"""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

INDEPENDENT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

# Frank vector -> INDEPENDENT_LEADS: Dower, Machado & Osborne 1980, Clin. Cardiol. 3:87.
_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# I, II -> III, aVR, aVL, aVF: Einthoven's law and Goldberger's augmented leads.
_LIMB = np.array([[-1.0, 1.0], [-0.5, -0.5], [1.0, -0.5], [-0.5, 1.0]])

# The pulse: seconds after its systolic wave at an RR of 1 s, width in seconds, height.
_SYSTOLIC_WIDTH_SECONDS = 0.075
_LATER_PULSE_WAVES = ((0.17, 0.09, 0.36), (0.34, 0.075, 0.30), (0.50, 0.17, 0.16))
# Maximum extent of a wave in seconds: beats this far outside a recording still contribute.
MARGIN_SECONDS = 3.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DipoleWaves:
    """The waves of one kind of beat.

    Attributes:
        moments: [k, 3] peak dipole of each wave, in mV (already scaled as ``_DOWER`` expects).
        centers_seconds: [k] time of each wave after the R peak, at an RR interval of 1 s.
        widths_seconds: [k] standard deviation of each Gaussian, at an RR interval of 1 s.
        rr_exponents: [k] times scale with RR to this power: 0.5 is Bazett's law, 0 is fixed.
    """

    moments: np.ndarray
    centers_seconds: np.ndarray
    widths_seconds: np.ndarray
    rr_exponents: np.ndarray


def _waves(*rows: tuple[tuple[float, float, float], float, float, float]) -> DipoleWaves:
    moments, centers, widths, exponents = (np.array(column) for column in zip(*rows, strict=True))
    return DipoleWaves(
        moments=moments, centers_seconds=centers, widths_seconds=widths, rr_exponents=exponents
    )


# Right atrium (anterior) before left atrium (posterior): a biphasic P wave in V1.
ATRIAL = _waves(
    ((0.045, 0.060, -0.050), -0.170, 0.018, 0.5),
    ((0.060, 0.065, 0.045), -0.142, 0.019, 0.5),
)
# Septum (right, front), free walls (left, down), base (up, back); then T, rising slower than it
# falls.
VENTRICULAR = _waves(
    ((-0.12, 0.02, -0.19), -0.026, 0.009, 0.0),
    ((1.05, 0.85, 0.48), 0.000, 0.011, 0.0),
    ((-0.17, -0.16, 0.46), 0.026, 0.011, 0.0),
    ((0.14, 0.10, -0.06), 0.215, 0.055, 0.5),
    ((0.24, 0.17, -0.11), 0.270, 0.034, 0.5),
)
# Ectopic foci: wide QRS with discordant T wave. Right ventricular outflow tract; left ventricular
# apex.
ECTOPIC_FOCI = (
    _waves(
        ((0.35, 0.95, 0.20), -0.030, 0.026, 0.0),
        ((0.60, 1.00, 0.65), 0.010, 0.028, 0.0),
        ((-0.30, -0.50, -0.22), 0.270, 0.060, 0.5),
    ),
    _waves(
        ((-0.20, -0.70, -0.50), -0.030, 0.028, 0.0),
        ((-0.75, -0.65, -0.70), 0.012, 0.029, 0.0),
        ((0.32, 0.42, 0.28), 0.270, 0.060, 0.5),
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Respiration:
    """Breathing as a sine: ``rate_hz`` in Hz, ``phase`` in radians at time 0."""

    rate_hz: float
    phase: float

    def at(self, times_seconds: np.ndarray) -> np.ndarray:
        """Return the breathing phase, -1 to 1 (1 is full inspiration), at times in seconds."""
        return np.sin(2 * np.pi * self.rate_hz * times_seconds + self.phase)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beats:
    """Beats in time order.

    Attributes:
        r_peak_seconds: [n] peak of the main ventricular wave, in seconds from the first sample.
        rr_seconds: [n] interval before each beat, in seconds.
        is_ectopic: [n] True for a premature ventricular beat.
        mean_rr_seconds: typical interval of the recording, in seconds.
    """

    r_peak_seconds: np.ndarray
    rr_seconds: np.ndarray
    is_ectopic: np.ndarray
    mean_rr_seconds: float

    @property
    def repolarization_rr_seconds(self) -> np.ndarray:
        """RR interval [n] that determines QT, which adapts only partly within a beat."""
        return np.sqrt(self.rr_seconds * self.mean_rr_seconds)


def make_beats(times_seconds: np.ndarray, is_ectopic: np.ndarray, mean_rr_seconds: float) -> Beats:
    """Build beats from R times [n + 1] and flags [n + 1].

    The first one only starts the first RR.
    """
    return Beats(
        r_peak_seconds=times_seconds[1:],
        rr_seconds=np.diff(times_seconds),
        is_ectopic=is_ectopic[1:],
        mean_rr_seconds=mean_rr_seconds,
    )


def sinus_times(
    rng: np.random.Generator,
    seconds: float,
    mean_rr_seconds: float,
    respiration: Respiration,
    *,
    respiratory_depth: float,
    slow_depth: float,
) -> np.ndarray:
    """Draw the R times of a sinus rhythm: a beat whenever the integral of the rate passes 1.

    The rate is (1 + respiratory_depth * breath + slow_depth * sin(0.1 Hz)) / mean_rr_seconds
    (Mateo & Laguna 2000); 0.4 % of RR is added to each time as jitter.

    Returns:
        Increasing times in seconds, from about -3 to ``seconds`` + 3.
    """
    grid = np.arange(-MARGIN_SECONDS, seconds + MARGIN_SECONDS, 0.02)
    slow = Respiration(rate_hz=0.1, phase=rng.uniform(0, 2 * np.pi))
    rate = 1 + respiratory_depth * respiration.at(grid) + slow_depth * slow.at(grid)
    phase = rng.uniform() + np.cumsum(rate) * 0.02 / mean_rr_seconds
    times = np.interp(np.arange(np.ceil(phase[0]), phase[-1]), phase, grid)
    return times + rng.normal(0, 0.004 * mean_rr_seconds, times.size)


def fibrillation_times(
    rng: np.random.Generator, seconds: float, mean_rr_seconds: float
) -> np.ndarray:
    """Draw R times of atrial fibrillation: independent log-normal intervals, none below 0.34 s.

    The intervals vary by about 22 % and are not correlated, as in Tateno & Glass 2001 (Med. Biol.
    Eng. Comput. 39:664). Returns increasing times in seconds, from -3 to past ``seconds`` + 3.
    """
    count = int(2 * (seconds + 2 * MARGIN_SECONDS) / mean_rr_seconds) + 10
    intervals = np.maximum(mean_rr_seconds * np.exp(rng.normal(-0.024, 0.22, count)), 0.34)
    times = np.cumsum(intervals) - MARGIN_SECONDS
    return times[times < seconds + MARGIN_SECONDS]


def add_ectopic_beats(
    rng: np.random.Generator, times_seconds: np.ndarray, seconds: float, fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Make about ``fraction`` of the beats premature, at 0.58 to 0.72 of their interval.

    The sinus node is not reset, so the next beat is on time (a full compensatory pause). Ectopic
    beats are never consecutive, and at least one is within the recording.

    Returns:
        (times [n] in seconds, flags [n]).
    """
    chosen = rng.uniform(size=times_seconds.size) < fraction
    coupling = rng.uniform(0.58, 0.72, times_seconds.size)
    chosen[0] = False
    chosen[1:] &= ~chosen[:-1]
    if not np.any(chosen & (times_seconds > 0) & (times_seconds < seconds)):
        middle = int(np.searchsorted(times_seconds, seconds / 2))
        chosen[middle - 1 : middle + 2] = (False, True, False)
    times = times_seconds.copy()
    previous = np.flatnonzero(chosen) - 1
    times[chosen] = times[previous] + coupling[chosen] * np.diff(times_seconds)[previous]
    return times, chosen


def vary_waves(
    rng: np.random.Generator, waves: DipoleWaves, rotation: Rotation, spread: float = 0.12
) -> DipoleWaves:
    """Vary the waves for one subject: heights, times, widths and the orientation of the heart.

    Args:
        rotation: Orientation of the heart in the chest, shared by all waves of one subject.
        spread: Standard deviation of log height; half of it for times and widths.
    """
    heights, centers, widths = np.exp(rng.normal(0, spread, (3, waves.centers_seconds.size)))
    return dataclasses.replace(
        waves,
        moments=rotation.apply(waves.moments * heights[:, None]),
        centers_seconds=waves.centers_seconds * np.sqrt(centers),
        widths_seconds=waves.widths_seconds * np.sqrt(widths),
    )


def gaussian_train(
    centers_seconds: np.ndarray,
    widths_seconds: np.ndarray,
    heights: np.ndarray,
    num_samples: int,
    sampling_rate_hz: float,
) -> np.ndarray:
    """Sum Gaussians height * exp(-(t - center)^2 / (2 width^2)), truncated at 5 widths.

    Args:
        centers_seconds: [n] from the first sample; may lie outside the recording.
        widths_seconds: [n] standard deviations in seconds.
        heights: [A, n] peak heights, one row for each output.

    Returns:
        float64 [A, L].
    """
    reach = int(np.ceil(5 * np.max(widths_seconds, initial=0) * sampling_rate_hz))
    nearest = np.rint(centers_seconds * sampling_rate_hz).astype(int)
    samples = nearest[:, None] + np.arange(-reach, reach + 1)
    distance = (samples / sampling_rate_hz - centers_seconds[:, None]) / widths_seconds[:, None]
    inside = (samples >= 0) & (samples < num_samples)
    bumps, samples = np.exp(-0.5 * distance**2), samples[inside]
    return np.stack(
        [np.bincount(samples, (row[:, None] * bumps)[inside], num_samples) for row in heights]
    )


def dipole_track(
    waves: DipoleWaves,
    r_peak_seconds: np.ndarray,
    rr_seconds: np.ndarray,
    gains: np.ndarray,
    num_samples: int,
    sampling_rate_hz: float,
) -> np.ndarray:
    """Draw the dipole of beats of one kind: float64 [3, L] in mV (Sameni et al. 2007).

    Args:
        r_peak_seconds, rr_seconds, gains: [n] R time, scaling RR interval, height of each beat.
    """
    track = np.zeros((3, num_samples))
    for moment, center, width, exponent in zip(
        waves.moments, waves.centers_seconds, waves.widths_seconds, waves.rr_exponents, strict=True
    ):
        time_scale = rr_seconds**exponent
        track += gaussian_train(
            r_peak_seconds + center * time_scale,
            width * time_scale,
            moment[:, None] * gains,
            num_samples,
            sampling_rate_hz,
        )
    return track


def independent_leads(dipole: np.ndarray) -> np.ndarray:
    """Project a dipole [3, L] in mV on ``INDEPENDENT_LEADS``: [8, L] in mV (Dower et al. 1980)."""
    return _DOWER @ dipole


def twelve_leads(independent: np.ndarray) -> np.ndarray:
    """Complete ``INDEPENDENT_LEADS`` [8, L] to ``channels.TWELVE_LEADS`` [12, L].

    III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2. Recorders compute these
    four leads from two measured ones, so noise must be added before this step.
    """
    limb = independent[:2]
    return np.concatenate([limb, _LIMB @ limb, independent[2:]])


def pulse_wave(
    pulse_foot_seconds: np.ndarray,
    rr_seconds: np.ndarray,
    heights: np.ndarray,
    num_samples: int,
    sampling_rate_hz: float,
) -> np.ndarray:
    """Draw the pulse of each beat: systolic wave, shoulder, dicrotic wave, run-off.

    The foot is the intersection of the steepest tangent of the systolic wave with the baseline,
    for a Gaussian exactly two widths before its peak. Hence the systolic peak is 0.15 s and the
    steepest rise 0.075 s after the foot in every beat; the later waves scale with
    sqrt(RR).

    Args:
        pulse_foot_seconds, rr_seconds, heights: [n]; heights are in arbitrary units.

    Returns:
        float64 [L].
    """
    systolic = pulse_foot_seconds + 2 * _SYSTOLIC_WIDTH_SECONDS
    time_scale = np.sqrt(rr_seconds)
    widths = np.full_like(systolic, _SYSTOLIC_WIDTH_SECONDS)
    pulse = gaussian_train(systolic, widths, heights[None], num_samples, sampling_rate_hz)
    for delay, width, height in _LATER_PULSE_WAVES:
        centers, scaled = systolic + delay * time_scale, height * heights[None]
        pulse += gaussian_train(centers, width * time_scale, scaled, num_samples, sampling_rate_hz)
    return pulse[0]
