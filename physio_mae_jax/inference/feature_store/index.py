"""Metadata of a folder of embedding tables, stored in its ``index.json``.

It contains hashes of itself (``data.sealed_json``) and of every file, so changed or truncated
copies are detected when the tables are read.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.data.regular_file import check_file_name, open_regular
from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.errors import DataError
from physio_mae_jax.inference.feature_store.table import (
    LABEL,
    SECONDS_OF,
    TEXTS_OF,
    FeatureTable,
)
from physio_mae_jax.types import JsonMapping

INDEX_FILE = "index.json"
HINT = "copy the folder again, or rerun the feature extraction, which resumes where it stopped."
_Count = Annotated[int, Between(0)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureShard:
    """One file of embeddings.

    Attributes:
        file: File name; the file does not exist if no recording could be encoded.
        num_rows: Number of rows of its table.
        sha256: SHA-256 of the file; '' if there is none.
    """

    file: str
    num_rows: _Count
    sha256: str

    def __post_init__(self) -> None:
        check_file_name(self.file)


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """Metadata shared by all rows.

    Attributes:
        classes: Class names of each task.
        model_spec: Specification of the encoder and its input.
        rows: What a row is of, see ``FeatureTable``.
    """

    classes: Mapping[str, Sequence[str]]
    model_spec: JsonMapping
    rows: Literal["recording", "window"] = "recording"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureMetadata:
    """Metadata of a folder of embedding tables.

    Attributes:
        format: File format, one of ``feature_store.files.FORMATS``.
        about: Shared metadata, see ``FeatureTable.about``.
        embedding_size: Embedding dimension D.
        encoder: 'origin' and 'fingerprint' of the encoder.
        settings: Settings of the extraction.
        data: Prepared data set -> content hash.
        num_rows: Total number of rows.
        shards: Files in the order of their recordings.
        rejected: Recording -> reason why it has no row.
    """

    format: str
    about: About
    embedding_size: Annotated[int, Between(1, 1_000_000)]
    encoder: Mapping[str, str]
    settings: JsonMapping
    data: Mapping[str, str]
    num_rows: _Count
    shards: tuple[FeatureShard, ...]
    rejected: Mapping[str, str]

    def __post_init__(self) -> None:
        num_stored = sum(shard.num_rows for shard in self.shards)
        if num_stored != self.num_rows:
            raise DataError(f"num_rows is {self.num_rows}, but its shards have {num_stored}")

    def empty_table(self) -> FeatureTable:
        """Return an empty table with the columns of the stored tables."""
        sizes = {f"{LABEL}{task}": len(names) for task, names in self.about.classes.items()}
        return FeatureTable.from_columns(
            {
                "embedding": np.zeros((0, self.embedding_size), np.float32),
                **{name: np.zeros(0, str) for name in TEXTS_OF[self.about.rows]},
                **{name: np.zeros(0) for name in SECONDS_OF[self.about.rows]},
                **{name: np.zeros((0, size), np.int8) for name, size in sizes.items()},
            },
            vars(self.about),
        )


def read_feature_metadata(folder: Path) -> FeatureMetadata:
    """Read the metadata of a folder of embedding tables.

    Raises:
        DataError: the index is missing, broken or was changed.
    """
    path = folder / INDEX_FILE
    return check_types(FeatureMetadata, read_sealed(path, HINT), str(path), HINT)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file; raises a DataError if it cannot be read."""
    with open_regular(path, HINT) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
