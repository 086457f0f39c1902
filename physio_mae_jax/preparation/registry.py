"""Every data set that can be prepared, by name and variant."""

import difflib
from collections.abc import Callable, Mapping

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.preparation.layouts.bidmc import Bidmc
from physio_mae_jax.preparation.layouts.bonn import Bonn
from physio_mae_jax.preparation.layouts.brugada import Brugada
from physio_mae_jax.preparation.layouts.challenge2021 import Challenge2021
from physio_mae_jax.preparation.layouts.cinc2011 import Cinc2011
from physio_mae_jax.preparation.layouts.cinc2015 import Cinc2015
from physio_mae_jax.preparation.layouts.cinc2017 import Cinc2017
from physio_mae_jax.preparation.layouts.eegmat import Eegmat
from physio_mae_jax.preparation.layouts.ludb import Ludb
from physio_mae_jax.preparation.layouts.mimic3 import Mimic3Waveform
from physio_mae_jax.preparation.layouts.mimic_perform import MimicPerform
from physio_mae_jax.preparation.layouts.mitbih import MitBih
from physio_mae_jax.preparation.layouts.ppg_rhythm import PpgRhythm
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl
from physio_mae_jax.preparation.layouts.sleep_edf import SleepEdf
from physio_mae_jax.preparation.layouts.stress_predict import StressPredict
from physio_mae_jax.preparation.layouts.wesad import Wesad
from physio_mae_jax.preparation.recording import DatasetLayout, TrainingDefaults

# The first variant of a data set is the default.
LAYOUTS: Mapping[str, Mapping[str, Callable[[], DatasetLayout]]] = {
    "ptbxl": {"100hz": PtbXl, "500hz": lambda: PtbXl(500)},
    "mitbih": {"": MitBih},
    "bidmc": {"csv": Bidmc, "wfdb": lambda: Bidmc("wfdb")},
    "mimic3": {"waveform": Mimic3Waveform, "perform": MimicPerform},
    "wesad": {
        "chest": Wesad,
        "wrist": lambda: Wesad("wrist"),
        "e4": lambda: Wesad("e4"),
        "npz": lambda: Wesad("npz"),
    },
    "stress_predict": {"npz": StressPredict, "e4": lambda: StressPredict("e4")},
    "cinc2017": {"": Cinc2017, "flac": lambda: Cinc2017("flac")},
    "cinc2011": {"wfdb": Cinc2011, "flac": lambda: Cinc2011("flac")},
    "cinc2015": {"wfdb": Cinc2015, "flac": lambda: Cinc2015("flac")},
    "ppg_rhythm": {"mat": PpgRhythm, "flac": lambda: PpgRhythm("flac")},
    "challenge2021": {"": Challenge2021},
    "ludb": {"": Ludb},
    "brugada": {"wfdb": Brugada, "flac": lambda: Brugada("flac")},
    "sleep_edf": {"": SleepEdf},
    "eegmat": {"edf": Eegmat, "flac": lambda: Eegmat("flac")},
    "bonn": {"npz": Bonn, "txt": lambda: Bonn("txt")},
}


def layout_of(name: str) -> DatasetLayout:
    """Return the layout of 'name' or 'name/variant'.

    Raises:
        ConfigError: there is none; the message names those that there are.
    """
    base, _, variant = name.partition("/")
    if base not in LAYOUTS:
        near = difflib.get_close_matches(base, LAYOUTS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"data set {base!r} is not known; choose one of {', '.join(LAYOUTS)}.{hint} "
            "'folder' prepares your own recordings."
        )
    variants = LAYOUTS[base]
    if variant and variant not in variants:
        known = ", ".join(f"{base}/{v}" for v in variants if v) or base
        raise ConfigError(f"data set {name!r} is not known; there is {known}.")
    return variants[variant or next(iter(variants))]()


def training_defaults(name: str) -> TrainingDefaults:
    """Return the settings of training that suit a data set: those of a variant with a task."""
    variants = [make().defaults for make in LAYOUTS[name].values()]
    return next((defaults for defaults in variants if defaults.task), variants[0])
