"""Drafting a manifest for a user's own files."""

from pathlib import Path

from physio_mae_jax.data.formats.discovery import find_candidates, require_folder
from physio_mae_jax.data.formats.drafting import (
    describe_formats,
    draft_from_candidates,
    format_draft,
)
from physio_mae_jax.data.formats.manifest import MANIFEST_NAME
from physio_mae_jax.errors import UserError


def write_draft(source: Path, manifest_path: Path | None = None) -> str:
    """Write a draft of a manifest for the files directly in a folder.

    Args:
        source: Folder of the recordings.
        manifest_path: Output path; defaults to ``manifest.json`` in the folder.

    Returns:
        A message with the path and the next steps.

    Raises:
        UserError: a manifest exists already, or it cannot be written.
        DataError: the folder contains no files of known formats.
    """
    path = (manifest_path or source / MANIFEST_NAME).expanduser().absolute()
    existing = f"{path} exists already and is not changed; edit it, or move it to write a draft."
    if path.exists():
        raise UserError(existing)
    candidates = find_candidates(require_folder(source))
    draft = draft_from_candidates(candidates)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(format_draft(draft) + "\n")
    except FileExistsError as error:
        raise UserError(existing) from error
    except OSError as error:
        raise UserError(
            f"the draft cannot be written to {path}: {error.strerror}. Name another file with "
            "--manifest."
        ) from error
    missing_fields = sorted(
        {
            key
            for entry in draft["recordings"]
            for key, value in entry.items()
            if _is_placeholder(value)
        }
    )
    todo = (
        f"Replace every '?' ({', '.join(missing_fields)}), check 'axes' and delete entries that "
        "are not recordings"
        if missing_fields
        else "Check that 'channels' lists only signals, no labels or codes"
        if any("channels" in entry for entry in draft["recordings"])
        else "The files describe themselves; nothing needs to be added"
    )
    return (
        f"recognized: {describe_formats(candidates)}\n"
        f"written: {path}\n{todo}. Add the subjects ('subject_pattern', 'subjects' or "
        "'subject_array') and labels, if any; physio_mae_jax/data/formats/manifest.py "
        "describes all fields. Then run the same command without --draft_manifest."
    )


def _is_placeholder(value: object) -> bool:
    return value == "?" or (isinstance(value, list) and "?" in value)
