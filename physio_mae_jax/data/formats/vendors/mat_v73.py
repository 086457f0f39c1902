"""MATLAB files of version 7.3 (``save -v7.3``), which are HDF5: by h5py, an optional dependency.

MATLAB stores the axes of an array in reverse. Only arrays in the file itself are read:
links to other files, external storage and virtual datasets are ignored.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.data.formats.file_facts import (
    FileFacts,
    FileRecords,
    UnreadableError,
    name_file_in_errors,
)
from physio_mae_jax.data.formats.manifest import ManifestEntry
from physio_mae_jax.data.formats.memory import check_memory
from physio_mae_jax.data.formats.reader import Reader, read_loaded
from physio_mae_jax.data.formats.vendors.mat_variables import (
    Content,
    Variable,
    describe,
    squeezed,
)
from physio_mae_jax.data.formats.vendors.vendor_format import Head, VendorFormat
from physio_mae_jax.errors import DataError

if TYPE_CHECKING:
    import h5py

_NAME = "MATLAB v7.3"
_EXPECTED = "variables as MATLAB saves them (-v7.3)"
_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, MemoryError)
_MAX_VARIABLES = 10_000
_MAX_TEXTS = 4096
_LONGEST_TEXT = 1000


def _is_v73(head: Head) -> bool:
    if head.path.with_suffix(".hea").exists():
        return False
    return head.data.startswith(b"MATLAB 7.3 MAT-file") and b"\x89HDF\r\n\x1a\n" in head.data[:2048]


def _h5py(path: Path) -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{path} is a MATLAB file of version 7.3, which is read by h5py, and h5py is not "
            'installed. Install it by pip install "physio_mae_jax[mat73]", or save the file in '
            "MATLAB with save(file, ..., '-v7')."
        ) from error
    return h5py


def _datasets(h5py: ModuleType, file: "h5py.File") -> dict[str, "h5py.Dataset"]:
    """Return the arrays that are stored in the file itself."""
    found = {}
    for name in list(file)[:_MAX_VARIABLES]:
        if name.startswith("#") or not isinstance(file.get(name, getlink=True), h5py.HardLink):
            continue
        item = file[name]
        if isinstance(item, h5py.Dataset) and item.external is None and not item.is_virtual:
            found[name] = item
    return found


def _variables(datasets: Mapping[str, "h5py.Dataset"]) -> dict[str, Variable]:
    variables = {}
    for name, item in datasets.items():
        matlab = item.attrs.get("MATLAB_class", b"")
        kind = matlab.decode("latin-1") if isinstance(matlab, bytes) else str(matlab)
        if kind in ("char", "cell"):
            kind = "text"
        elif item.dtype.kind in "iuf" and "MATLAB_empty" not in item.attrs:
            kind = "numeric"
        variables[name] = Variable(tuple(reversed(item.shape)), kind or str(item.dtype))
    return variables


def _texts(h5py: ModuleType, file: "h5py.File", item: "h5py.Dataset") -> tuple[str, ...]:
    """Read a char matrix, a text for each row, or a cell array of texts."""
    if item.dtype.kind == "u" and item.dtype.itemsize == 2 and item.size <= _MAX_TEXTS * 64:
        # Reversed axes: a row of the matrix is a column here.
        return tuple(_joined(row) for row in np.atleast_2d(item[()].T))
    if item.dtype != h5py.ref_dtype or item.size > _MAX_TEXTS:
        return ()
    texts = []
    for reference in item[()].T.ravel():
        cell = file[reference] if reference else None
        if not isinstance(cell, h5py.Dataset) or cell.dtype.kind != "u":
            return ()
        if cell.size > _LONGEST_TEXT or cell.external is not None:
            return ()
        texts.append(_joined(cell[()]))
    return tuple(texts)


def _joined(codes: np.ndarray) -> str:
    return "".join(map(chr, codes.ravel().tolist())).strip()


def _probe(path: Path, entry: ManifestEntry) -> FileFacts:
    """Describe a MATLAB file, see ``mat_variables``.

    Raises:
        UnreadableError: the file is broken.
        DataError: h5py is not installed, or the file has no signal, or one that is too large.
    """
    h5py = _h5py(path)
    with name_file_in_errors(path, _EXPECTED, _ERRORS), h5py.File(path, "r") as file:
        datasets = _datasets(h5py, file)
        content = Content(
            _variables(datasets),
            number=lambda name: float(datasets[name][()].ravel()[0]),
            texts=lambda name: _texts(h5py, file, datasets[name]),
        )
        facts = describe(path, entry, content, _NAME)
        if facts.member is not None:
            _check(path, facts.member, datasets[facts.member])
        return facts


def _check(path: Path, name: str, item: "h5py.Dataset") -> None:
    check_memory(f"{path}, variable {name!r}", item.nbytes, item.id.get_storage_size())


def _load(records: FileRecords) -> np.ndarray:
    h5py, name = _h5py(records.path), records.member
    assert name is not None
    with (
        name_file_in_errors(records.path, _EXPECTED, _ERRORS),
        h5py.File(records.path, "r") as file,
    ):
        item = _datasets(h5py, file)[name]
        _check(records.path, name, item)
        if item.dtype.kind not in "iuf":
            raise UnreadableError(
                f"{records.path} changed: variable {name!r} is not an array of numbers."
            )
        values = item[()].T
        return values.reshape(squeezed(values.shape))


MAT_V73 = VendorFormat(_NAME, (".mat",), _is_v73, Reader(_probe, _load, read_loaded))
