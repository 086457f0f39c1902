"""Reading the notes of WFDB annotations, which ``wfdb_record.read_annotations`` omits.

Format: G. B. Moody, WFDB Applications Guide, annot(5), MIT format,
https://physionet.org/physiotools/wag/annot-5.htm.
"""

from pathlib import Path

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.regular_file import read_regular

# Pseudo-annotation codes: the data that follows belongs to the previous annotation.
_SKIP, _NUMBER, _SUBTYPE, _CHANNEL, _NOTE = 59, 60, 61, 62, 63
# Advances the time without an annotation.
_TIME_ONLY = 0
_FILE_NOTE_PREFIX = "##"
_MAX_BYTES = 2**28


def read_notes(path: Path) -> list[tuple[int, str]]:
    """Read an annotation file: (sample, note) of each annotation, '' if it has no note.

    Raises:
        DataError: the file cannot be read, is too large, or is truncated.
    """
    data = read_regular(path, "copy it again.", _MAX_BYTES)
    notes: list[tuple[int, str]] = []
    sample = position = 0
    while position + 2 <= len(data):
        word = int.from_bytes(data[position : position + 2], "little")
        code, value = word >> 10, word & 1023
        position += 2
        if word == 0:
            # Notes of the file itself, such as '## time resolution: 125', have no position.
            return [(s, note) for s, note in notes if not note.startswith(_FILE_NOTE_PREFIX)]
        if code == _SKIP:
            high, low = data[position : position + 2], data[position + 2 : position + 4]
            sample += int.from_bytes(low + high, "little", signed=True)
            position += 4
        elif code == _NOTE and notes:
            text = data[position : position + value].decode("latin-1").rstrip("\0").strip()
            notes[-1] = (notes[-1][0], text)
            position += value + value % 2
        elif code not in (_NUMBER, _SUBTYPE, _CHANNEL, _NOTE):
            sample += value
            if code != _TIME_ONLY:
                notes.append((sample, ""))
    raise UnreadableError(
        f"{path} has {len(notes)} annotations but no end marker; it is truncated. Copy it again."
    )
