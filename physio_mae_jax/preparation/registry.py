"""Registry of the data sets that can be prepared, by name and variant."""

import difflib
from collections.abc import Callable, Mapping

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.preparation.layouts.bidmc import Bidmc
from physio_mae_jax.preparation.layouts.bonn import Bonn
from physio_mae_jax.preparation.layouts.cinc2017 import Cinc2017
from physio_mae_jax.preparation.layouts.mimic3 import Mimic3Waveform
from physio_mae_jax.preparation.layouts.mimic_perform import MimicPerform
from physio_mae_jax.preparation.layouts.mitbih import MitBih
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
    "wesad": {"chest": Wesad, "wrist": lambda: Wesad("wrist"), "e4": lambda: Wesad("e4")},
    "stress_predict": {"npz": StressPredict, "e4": lambda: StressPredict("e4")},
    "cinc2017": {"": Cinc2017},
    "sleep_edf": {"": SleepEdf},
    "bonn": {"npz": Bonn, "txt": lambda: Bonn("txt")},
}


def get_layout(name: str) -> DatasetLayout:
    """Return the layout of 'name' or 'name/variant'.

    Raises:
        ConfigError: there is none; the message lists the available ones.
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
        raise ConfigError(f"data set {name!r} is not known; available: {known}.")
    return variants[variant or next(iter(variants))]()


def training_defaults(name: str) -> TrainingDefaults:
    """Return the default training settings of a data set, preferring variants with a task."""
    variants = [make().defaults for make in LAYOUTS[name].values()]
    return next((defaults for defaults in variants if defaults.task), variants[0])
