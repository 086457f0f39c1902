"""Units of signals: one spelling each, and exact conversions between those of one quantity."""

# Spellings of one unit -> ours. 'NU' (normalised units) and the like name no unit.
_UNITS = {
    "mv": "mV",
    "millivolt": "mV",
    "uv": "uV",
    "µv": "uV",
    "μv": "uV",
    "microvolt": "uV",
    "v": "V",
    "mmhg": "mmHg",
    "degc": "degC",
    "°c": "degC",
    "us": "uS",
    "µs": "uS",
    "μs": "uS",
    "%": "%",
    "nu": "",
    "nd": "",
    "pm": "",
    "adu": "adu",
    "g": "g",
    "": "",
}
_VOLTS = {"uV": -6, "mV": -3, "V": 0}  # decimal exponents


def canonical_unit(unit: str) -> str:
    """Return the usual spelling of a unit; one not known here is returned stripped."""
    stripped = unit.strip()
    return _UNITS.get(stripped.lower(), stripped)


def unit_factor(unit: str, wanted: str) -> float | None:
    """Return what ``unit`` is multiplied by to become ``wanted``; None where nothing is right."""
    if unit == wanted:
        return 1.0
    if unit in _VOLTS and wanted in _VOLTS:
        return 10.0 ** (_VOLTS[unit] - _VOLTS[wanted])
    return None
