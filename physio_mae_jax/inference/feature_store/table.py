"""Embeddings of recordings with their ids, labels and splits, as one table."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.types import JsonMapping, JsonObject

TEXTS = ("record_id", "subject_id", "data_set", "split")
LABEL = "label_"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FeatureTable:
    """Embeddings of recordings with their metadata.

    Attributes:
        embedding: [n, D] float32 embeddings.
        record_id, subject_id, data_set, split: [n] texts; split is '' if the data was not split.
        labels: Task -> [n, Y] int8, 1 for classes that apply, -1 for unknown labels.
        classes: Task -> class names [Y].
        model_spec: Specification of the encoder and its input.
    """

    embedding: np.ndarray
    record_id: np.ndarray
    subject_id: np.ndarray
    data_set: np.ndarray
    split: np.ndarray
    labels: Mapping[str, np.ndarray]
    classes: Mapping[str, Sequence[str]]
    model_spec: JsonMapping

    def __len__(self) -> int:
        return len(self.embedding)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the stored columns by name."""
        texts = {name: getattr(self, name) for name in TEXTS}
        labels = {f"{LABEL}{task}": values for task, values in self.labels.items()}
        return {"embedding": self.embedding, **texts, **labels}

    @classmethod
    def from_columns(cls, columns: Mapping[str, np.ndarray], about: JsonMapping) -> "FeatureTable":
        """Inverse of ``columns``, with 'classes' and 'model_spec' in ``about``."""
        labels = {
            name.removeprefix(LABEL): np.asarray(values, np.int8)
            for name, values in columns.items()
            if name.startswith(LABEL)
        }
        texts = {name: np.asarray(columns[name], str) for name in TEXTS}
        embedding = np.asarray(columns["embedding"], np.float32)
        return cls(embedding=embedding, labels=labels, **{**about, **texts})

    @classmethod
    def concatenate(cls, tables: Sequence["FeatureTable"]) -> "FeatureTable":
        """Concatenate tables with the same columns.

        Raises:
            DataError: their columns or classes differ.
        """
        members = [table.columns() for table in tables]
        for table, member in zip(tables, members, strict=True):
            if list(member) != list(members[0]) or dict(table.classes) != dict(tables[0].classes):
                raise DataError(
                    f"shards have different columns ({', '.join(member)}; {', '.join(members[0])}) "
                    "or classes; they come from different runs. Extract the features again."
                )
        columns = {
            name: np.concatenate([member[name] for member in members]) for name in members[0]
        }
        return cls.from_columns(columns, tables[0].about())

    def about(self) -> JsonObject:
        """Return the metadata shared by all rows."""
        return {"classes": dict(self.classes), "model_spec": dict(self.model_spec)}
