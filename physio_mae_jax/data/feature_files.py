"""Tables of embeddings as files: npz, parquet or array_record, each written whole or not at all."""

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physio_mae_jax.data.feature_table import TEXTS, FeatureTable
from physio_mae_jax.errors import ConfigError, DataError

# What tfds calls the parts of a folder of array_record files.
DATA_SET, PART = "features", "recordings"
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class Format(NamedTuple):
    """How a table becomes a file and back.

    Attributes:
        name: of the files, from number and count.
        write: a table to a path.
        read: it back from a path, with ``FeatureTable.about``.
    """

    name: Callable[[int, int], str]
    write: Callable[[FeatureTable, Path], None]
    read: Callable[[Path, Mapping[str, Any]], FeatureTable]


def format_of(name: str) -> Format:
    """Return a format by its name; a ConfigError lists them."""
    if name not in FORMATS:
        raise ConfigError(f"format is {name!r}; choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def write_table(table: FeatureTable, path: Path, kind: Format) -> None:
    """Write a table beside its place and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        kind.write(table, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_npz(table: FeatureTable, path: Path) -> None:
    columns: dict[str, Any] = table.columns()
    with path.open("wb") as file:
        np.savez(file, about=np.asarray(json.dumps(table.about())), **columns)


def _read_npz(path: Path, about: Mapping[str, Any]) -> FeatureTable:
    with np.load(path, allow_pickle=False) as archive:
        return FeatureTable.of({n: archive[n] for n in archive.files if n != "about"}, about)


def _write_parquet(table: FeatureTable, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name, values in table.columns().items():
        if values.ndim == 2:
            flat = pa.array(np.ascontiguousarray(values).ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        else:
            columns[name] = pa.array(values.tolist(), pa.string())
    meta = {"physio_mae_jax": json.dumps(table.about())}
    pq.write_table(pa.table(columns).replace_schema_metadata(meta), path)


def _read_parquet(path: Path, about: Mapping[str, Any]) -> FeatureTable:
    import pyarrow.parquet as pq

    found = pq.read_table(path)
    columns = {name: np.asarray(found.column(name).to_pylist()) for name in found.column_names}
    return FeatureTable.of(columns, about)


def _write_array_record(table: FeatureTable, path: Path) -> None:
    from array_record.python import array_record_module
    from tensorflow_datasets.core import example_serializer

    spec = _tfds_features(table)
    serializer = example_serializer.ExampleSerializer(spec.get_serialized_info())
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    columns = table.columns()
    try:
        try:
            for row in range(len(table)):
                example = {name: _plain(values[row]) for name, values in columns.items()}
                writer.write(serializer.serialize_example(spec.encode_example(example)))
        finally:
            writer.close()
    except RuntimeError as error:
        # What the writer raises where the disk is full or gone.
        told = [number for number in _DISK_ERRORS if os.strerror(number) in str(error)]
        number = told[0] if told else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def _read_array_record(path: Path, about: Mapping[str, Any]) -> FeatureTable:
    import tensorflow_datasets as tfds
    from array_record.python import array_record_module

    spec = tfds.features.FeaturesDict.from_config(str(path.parent))
    reader = array_record_module.ArrayRecordReader(str(path))
    rows = [spec.deserialize_example_np(row) for row in reader.read_all()]
    reader.close()
    columns: dict[str, np.ndarray] = {}
    for name in rows[0]:
        values = [row[name].decode() if name in TEXTS else row[name] for row in rows]
        columns[name] = np.asarray(values)
    return FeatureTable.of(columns, about)


def describe_for_tfds(folder: Path, table: FeatureTable, shard_lengths: Sequence[int]) -> None:
    """Write what lets ``tfds.builder_from_directory`` open a folder of array_record files.

    Args:
        folder: of the files.
        table: any of them.
        shard_lengths: rows of each file, in their order.
    """
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=DATA_SET, split=PART, filetype_suffix="array_record"
    )
    split = tfds.core.SplitInfo(
        name=PART,
        shard_lengths=list(shard_lengths),
        num_bytes=sum(path.stat().st_size for path in folder.glob("*.array_record-*")),
        filename_template=template,
    )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=_tfds_features(table), split_infos=[split], check_data=False
    )


def _tfds_features(table: FeatureTable) -> Any:
    import tensorflow_datasets as tfds

    def feature(values: np.ndarray) -> Any:
        if values.ndim == 1:
            return tfds.features.Text()
        return tfds.features.Tensor(shape=values.shape[1:], dtype=values.dtype.type)

    return tfds.features.FeaturesDict(
        {name: feature(values) for name, values in table.columns().items()}
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, np.str_) else value


def read_index(folder: Path) -> dict[str, Any]:
    """Read the index of a folder of tables.

    Raises:
        DataError: there is none, or it is broken.
    """
    path = folder / INDEX_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); run the extraction of features again, it goes on "
            "where it was."
        ) from error


def read_features(folder: str | Path) -> FeatureTable:
    """Read all tables of an extraction (``configs/features.py``) as one.

    Raises:
        DataError: it is not finished, or a file is broken.
    """
    place = Path(folder).expanduser()
    index = read_index(place)
    kind, about = format_of(index["format"]), index["about"]
    tables = []
    for shard in index["shards"]:
        try:
            if shard["num_rows"]:
                tables.append(kind.read(place / shard["file"], about))
        except Exception as error:  # of numpy, zipfile, pyarrow, array_record: a dozen kinds
            raise DataError(
                f"{place / shard['file']} is broken ({type(error).__name__}: "
                f"{str(error)[:200]}); remove it and run the extraction again."
            ) from error
    if not tables:
        raise DataError(f"{place} holds no embeddings: every recording was rejected.")
    return FeatureTable.joined(tables)


INDEX_FILE = "index.json"
FORMATS = {
    "npz": Format(lambda i, n: f"{DATA_SET}-{i:05d}-of-{n:05d}.npz", _write_npz, _read_npz),
    "parquet": Format(
        lambda i, n: f"{DATA_SET}-{i:05d}-of-{n:05d}.parquet", _write_parquet, _read_parquet
    ),
    "array_record": Format(
        lambda i, n: f"{DATA_SET}-{PART}.array_record-{i:05d}-of-{n:05d}",
        _write_array_record,
        _read_array_record,
    ),
}
