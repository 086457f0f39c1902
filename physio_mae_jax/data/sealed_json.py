"""JSON files with hashes of their fields, which detect changes.

Such a file contains its format version and, under ``"seal"``, a hash of each field. It detects disk
errors, truncated copies and accidental edits. It is not a signature: a deliberate change can
recompute the hashes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from physio_mae_jax.data.format_version import VERSION_KEY, add_version, check_version
from physio_mae_jax.data.json_reader import MAX_BYTES, read_json
from physio_mae_jax.errors import DataError
from physio_mae_jax.printable import show
from physio_mae_jax.types import JsonObject

SEAL = "seal"


def add_seal(content: Mapping[str, object]) -> JsonObject:
    """Add the format version and the seal to the content of a file."""
    content = add_version(content)
    return {**content, SEAL: {name: _hash(value) for name, value in content.items()}}


def read_sealed(path: Path, hint: str, max_bytes: int = MAX_BYTES) -> JsonObject:
    """Read a file written with ``add_seal``; see ``json_reader.read_json``.

    Returns:
        The content without its version and seal.

    Raises:
        DataError: the file has another version, a field was changed, added or removed after it
            was written, or there is no seal; the message names the field.
    """
    return check_seal(read_json(path, hint, max_bytes), str(path), hint)


def check_seal(content: object, where: str, hint: str) -> JsonObject:
    """Check the seal of decoded JSON and return the other fields.

    Raises as ``read_sealed`` does.
    """
    fields = content if isinstance(content, dict) else {}
    seal = fields.get(SEAL)
    if not isinstance(seal, dict) or VERSION_KEY not in seal:
        check_version(content, where)
    if not isinstance(seal, dict):
        raise DataError(
            f"{where} has no hashes of its content under {SEAL!r}, which this version of the "
            f"program requires; {hint}"
        )
    rest = {name: value for name, value in fields.items() if name != SEAL}
    for name in {**rest, **seal}:
        if name not in rest:
            raise DataError(
                f"{where} was changed after it was written: {show(name)} was removed; {hint}"
            )
        if seal.get(name) != _hash(rest[name]):
            raise DataError(
                f"{where} was changed after it was written: {show(name)} does not match its "
                f"hash; {hint}"
            )
    return check_version(rest, where)


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
