"""Tables of embeddings as npz, parquet or array_record files, each written atomically."""

import errno
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from physio_mae_jax.atomic_files import atomic_write
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.feature_store.index import (
    HINT,
    INDEX_FILE,
    FeatureMetadata,
    FeatureShard,
    file_sha256,
    read_feature_metadata,
)
from physio_mae_jax.inference.feature_store.table import TEXTS_OF, FeatureTable
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import show

if TYPE_CHECKING:
    import pyarrow
    import tensorflow_datasets as tfds

# tfds names of the data set and split in array_record file names.
DATA_SET, SPLIT_NAME = "features", "recordings"
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class Format(NamedTuple):
    """File format of a table.

    Attributes:
        name: Function (index, count) -> file name.
        write: Function that writes a table to a path.
        read: Function that reads the columns from a path.
    """

    name: Callable[[int, int], str]
    write: Callable[[FeatureTable, Path], None]
    read: Callable[[Path, FeatureMetadata], dict[str, np.ndarray]]


def get_format(name: str) -> Format:
    """Return a format by its name; a ConfigError lists the available ones."""
    if name not in FORMATS:
        raise ConfigError(f"format is {name!r}; choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def write_table(table: FeatureTable, path: Path, kind: Format) -> None:
    """Write a table atomically: to a temporary file that is then renamed."""
    with atomic_write(path) as temporary:
        kind.write(table, temporary)


def _write_npz(table: FeatureTable, path: Path) -> None:
    columns: dict[str, Any] = table.columns()
    with path.open("wb") as file:
        np.savez(file, about=np.asarray(json.dumps(table.about())), **columns)


def _read_npz(path: Path, index: FeatureMetadata) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise DataError("it is compressed, but the extraction writes uncompressed files")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name != "about"}


def _write_parquet(table: FeatureTable, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name, values in table.columns().items():
        if values.ndim == 2:
            flat = pa.array(np.ascontiguousarray(values).ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        elif values.dtype.kind == "f":
            columns[name] = pa.array(values)
        else:
            columns[name] = pa.array(values.tolist(), pa.string())
    meta = {"physio_mae_jax": json.dumps(table.about())}
    full = pa.table(columns).replace_schema_metadata(meta)
    pq.write_table(full, path, write_page_checksum=True)


def _read_parquet(path: Path, index: FeatureMetadata) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        # Checked before decompression: a small file can claim any number of rows.
        if file.metadata.num_rows > path.stat().st_size:
            raise DataError(f"{file.metadata.num_rows} rows do not fit into a file of this size")
        found = file.read()
    return {name: _column_values(found.column(name)) for name in found.column_names}


def _column_values(column: "pyarrow.ChunkedArray") -> np.ndarray:
    """Return a column without Python objects for its numbers; raise if one of them is null."""
    import pyarrow as pa

    values = column.combine_chunks()
    if pa.types.is_fixed_size_list(values.type):
        flat = values.flatten().to_numpy(zero_copy_only=True)
        return flat.reshape(len(values), values.type.list_size)
    if pa.types.is_floating(values.type):
        return values.to_numpy(zero_copy_only=True)
    return np.asarray(values.to_pylist())


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
        # Raised by the writer if the disk is full or unavailable.
        matching = [number for number in _DISK_ERRORS if os.strerror(number) in str(error)]
        number = matching[0] if matching else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def _read_array_record(path: Path, index: FeatureMetadata) -> dict[str, np.ndarray]:
    from array_record.python import array_record_module

    # Not read from the folder: tfds would import any module named in features.json.
    spec = _tfds_features(index.empty_table())
    reader = array_record_module.ArrayRecordReader(str(path))
    try:
        rows = [spec.deserialize_example_np(row) for row in reader.read_all()]
    finally:
        reader.close()
    texts, columns = TEXTS_OF[index.about.rows], dict[str, np.ndarray]()
    for name in rows[0]:
        values = [row[name].decode() if name in texts else row[name] for row in rows]
        columns[name] = np.asarray(values)
    return columns


def describe_for_tfds(folder: Path, table: FeatureTable, shard_lengths: Sequence[int]) -> None:
    """Write the metadata that ``tfds.builder_from_directory`` needs to open array_record files.

    Args:
        folder: Folder of the files.
        table: Any of the tables; they share their columns.
        shard_lengths: Number of rows of each file, in file order.
    """
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=DATA_SET, split=SPLIT_NAME, filetype_suffix="array_record"
    )
    split = tfds.core.SplitInfo(
        name=SPLIT_NAME,
        shard_lengths=list(shard_lengths),
        num_bytes=sum(path.stat().st_size for path in folder.glob("*.array_record-*")),
        filename_template=template,
    )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=_tfds_features(table), split_infos=[split], check_data=False
    )


def _tfds_features(table: FeatureTable) -> "tfds.features.FeaturesDict":
    import tensorflow_datasets as tfds

    def feature(values: np.ndarray) -> object:
        if values.ndim == 1 and values.dtype.kind == "U":
            return tfds.features.Text()
        return tfds.features.Tensor(shape=values.shape[1:], dtype=values.dtype.type)

    return tfds.features.FeaturesDict(
        {name: feature(values) for name, values in table.columns().items()}
    )


def _plain(value: object) -> object:
    return str(value) if isinstance(value, np.str_) else value


def read_features(folder: str | Path) -> FeatureTable:
    """Read all tables of an extraction (``configs/features.py``) as one.

    Raises:
        DataError: the extraction is not complete, or a file is broken or was changed.
    """
    path = local_path(folder, "folder")
    index = read_feature_metadata(path)
    tables = [_read_shard(path, shard, index) for shard in index.shards if shard.num_rows]
    if not tables:
        raise DataError(f"{path} contains no embeddings: every recording was rejected.")
    return FeatureTable.concatenate(tables)


def _read_shard(folder: Path, shard: FeatureShard, index: FeatureMetadata) -> FeatureTable:
    path = folder / shard.file
    found = file_sha256(path)
    if found != shard.sha256:
        raise DataError(
            f"{path} is damaged or from another extraction: its SHA-256 is {found[:16]}…, but "
            f"{INDEX_FILE} has {shard.sha256[:16]}…; {HINT}"
        )
    try:
        columns = get_format(index.format).read(path, index)
        expected_shapes = {
            name: values.shape[1:] for name, values in index.empty_table().columns().items()
        }
        shapes = {name: values.shape for name, values in columns.items()}
        if shapes != {name: (shard.num_rows, *rest) for name, rest in expected_shapes.items()}:
            raise DataError(f"its columns {show(shapes)} do not match {INDEX_FILE}")
        return FeatureTable.from_columns(columns, vars(index.about))
    except Exception as error:  # numpy, zipfile, pyarrow and array_record raise many types
        raise DataError(
            f"{path} is broken ({type(error).__name__}: {str(error)[:200]}); remove it and run the "
            "extraction again."
        ) from error


FORMATS = {
    "npz": Format(lambda i, n: f"{DATA_SET}-{i:05d}-of-{n:05d}.npz", _write_npz, _read_npz),
    "parquet": Format(
        lambda i, n: f"{DATA_SET}-{i:05d}-of-{n:05d}.parquet", _write_parquet, _read_parquet
    ),
    "array_record": Format(
        lambda i, n: f"{DATA_SET}-{SPLIT_NAME}.array_record-{i:05d}-of-{n:05d}",
        _write_array_record,
        _read_array_record,
    ),
}
