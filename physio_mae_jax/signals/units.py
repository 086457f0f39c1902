"""Physical units of signals: canonical spellings, and exact conversions within a quantity.

'' means an unknown unit: the unit in a file may be empty, a placeholder ('n/a', 'a.u.'), ADC
counts, or contain a character lost in encoding ('?V' may be mV or µV).
"""

import functools
import re
import unicodedata

COUNTS = "adu"
_PREFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3}  # decimal exponents
_PREFIX_TERMS = {"nano": "n", "micro": "u", "milli": "m", "": "", "kilo": "k"}
_EXPONENTS = {f"{prefix}V": exponent for prefix, exponent in _PREFIXES.items()}
# Quantities whose units differ only by a factor, as decimal exponents of a common one.
_QUANTITIES = (
    _EXPONENTS,
    {"uS": -6, "mS": -3, "S": 0},
    {"mg": -3, "g": 0},
    {"ms": -3, "s": 0},
)
# Lower-case spellings without spaces -> canonical unit.
_UNITS = {
    **{"mmhg": "mmHg", "mm[hg]": "mmHg", "cmh2o": "cmH2O", "kpa": "kPa"},
    **{"degc": "degC", "°c": "degC", "celsius": "degC", "c": "degC", "degreecelsius": "degC"},
    **{"degreescelsius": "degC", "deg.c": "degC", "degf": "degF", "°f": "degF"},
    **{"fahrenheit": "degF", "k": "K", "kelvin": "K"},
    **{"us": "uS", "usiemens": "uS", "microsiemens": "uS", "usie": "uS"},
    **{"%": "%", "percent": "%", "pct": "%", "g": "g", "mg": "mg", "bpm": "bpm", "hz": "Hz"},
    **{"ohm": "Ohm", "ohms": "Ohm", "ω": "Ohm", "l/min": "l/min", "ml": "ml", "l": "l"},
    **{"ms": "ms", "s": "s", "sec": "s", "mv/s": "mV/s", "uv/s": "uV/s"},
    **{"rad/s": "rad/s", "deg/s": "deg/s", "dps": "deg/s", "m/s^2": "m/s^2", "m/s2": "m/s^2"},
    **{"m/s²": "m/s^2", "m/s/s": "m/s^2", "na": "nA", "ua": "uA", "ma": "mA"},
}
for _word, _prefix in _PREFIX_TERMS.items():
    for _volt in ("v", "volt", "volts"):
        _UNITS[_word + _volt] = f"{_prefix}V"
        _UNITS[_prefix + _volt] = f"{_prefix}V"
# Placeholders in place of a unit.
_NO_UNIT = frozenset(
    {
        *("", "-", "--", "?", "n/a", "na", "n.a.", "none", "null", "nan", "<na>", "unknown"),
        *("unk", "undefined", "unspecified", "notknown", "a.u.", "au", "a.u", "arb", "arb."),
        *("arbitrary", "arbitraryunits", "arb.units", "nu", "nd", "pm", "mv/nu", "normalized"),
        *("normalised", "dimensionless", "unitless", "1", "x", "raw", "scalar", "unit", "units"),
        *("nounit", "missing", "tbd", "[]", "()"),
    }
)
_COUNTS = frozenset({"adu", "adus", "count", "counts", "lsb", "bit", "bits", "digit", "digits"})
# A character lost in front of V: µ written as '.', '?', or the replacement character.
_LOST_PREFIX = re.compile(r"[.?�\x00-\x1f\x80-\x9f]+v(?:olts?)?")


@functools.lru_cache(maxsize=1024)
def canonical_unit(unit: str) -> str:
    """Return the canonical spelling of a unit.

    '' for a placeholder; an unknown unit is returned stripped.
    """
    stripped = _repair_encoding(unit).strip().strip("\"'[](){}").strip()
    key = stripped.lower().replace("µ", "u").replace("μ", "u").replace(" ", "")
    if key in _NO_UNIT or _LOST_PREFIX.fullmatch(key):
        # 'NA' means not available; only 'nA' is nanoampere.
        return "nA" if stripped == "nA" else ""
    if key in _COUNTS:
        return COUNTS
    # Siemens and seconds, mega and milli differ only by case.
    if stripped in ("mS", "S", "MV"):
        return stripped
    return _UNITS.get(key, stripped)


@functools.lru_cache(maxsize=1024)
def is_known_unit(unit: str) -> bool:
    """Return whether a text is a known unit."""
    key = (
        _repair_encoding(unit).strip().lower().replace("µ", "u").replace("μ", "u").replace(" ", "")
    )
    return key in _UNITS


def is_unclear_unit(unit: str) -> bool:
    """Return whether a text is an unrecognized unit, such as '?V'."""
    stripped = unit.strip()
    canonical = canonical_unit(stripped)
    if is_known_unit(stripped) or canonical == COUNTS or not stripped:
        return False
    return bool(canonical) or _LOST_PREFIX.fullmatch(stripped.lower()) is not None


def is_voltage(unit: str) -> bool:
    """Return whether a unit, in its canonical spelling, is a voltage."""
    return unit in _EXPONENTS


def unit_factor(unit: str, target: str) -> float | None:
    """Return the factor that converts ``unit`` to ``target``; None if they are incompatible.

    Both are in their canonical spelling, and neither is ''.
    """
    if unit == target:
        return 1.0
    for exponents in _QUANTITIES:
        if unit in exponents and target in exponents:
            return 10.0 ** (exponents[unit] - exponents[target])
    return None


def _repair_encoding(unit: str) -> str:
    """Repair 'µ' and '°' in UTF-8 or Shift JIS text decoded as Latin-1, once or twice."""
    text = unicodedata.normalize("NFC", unit).replace("\x83\xca", "µ")
    for _ in range(2):
        if "Â" not in text and "Î" not in text and "Ã" not in text:
            break
        for encoding in ("latin-1", "cp1252"):
            try:
                text = text.encode(encoding).decode("utf-8")
                break
            except UnicodeError:
                continue
    return text
