"""Embeddings of recordings, or of their windows, with ids, labels and splits, as one table."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from physio_mae_jax.errors import DataError
from physio_mae_jax.types import JsonMapping, JsonObject

TEXTS = ("record_id", "subject_id", "data_set", "split")
LABEL = "label_"
# Columns of texts and of seconds, by what a row is of, see ``FeatureTable``.
TEXTS_OF: Mapping[str, tuple[str, ...]] = {
    "recording": TEXTS,
    "window": (*TEXTS, "start_time", "rejected"),
}
SECONDS_OF: Mapping[str, tuple[str, ...]] = {
    "recording": (),
    "window": ("start_seconds", "end_seconds"),
}
_NO_SECONDS, _NO_TEXTS = np.zeros(0), np.zeros(0, str)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FeatureTable:
    """Embeddings of recordings, or of their windows, with their metadata.

    Attributes:
        embedding: [n, D] float32 embeddings; NaN in rows of rejected windows.
        record_id, subject_id, data_set, split: [n] texts; split is '' if the data was not split.
        labels: Task -> [n, Y] int8, 1 for classes that apply, -1 for unknown labels.
        classes: Task -> class names [Y].
        model_spec: Specification of the encoder and its input.
        rows: What a row is of, 'recording' or 'window'. The following columns are empty unless it
            is a window, see ``inference.window_rows.WindowTimes``.
        start_seconds, end_seconds: [n] float64, from the start of the recording.
        start_time: [n] texts, ISO 8601; '' where the file states no start.
        rejected: [n] texts: '' for an embedding, else why there is none: 'gap' or 'flat'.
    """

    embedding: np.ndarray
    record_id: np.ndarray
    subject_id: np.ndarray
    data_set: np.ndarray
    split: np.ndarray
    labels: Mapping[str, np.ndarray]
    classes: Mapping[str, Sequence[str]]
    model_spec: JsonMapping
    rows: str = "recording"
    start_seconds: np.ndarray = dataclasses.field(default_factory=lambda: _NO_SECONDS)
    end_seconds: np.ndarray = dataclasses.field(default_factory=lambda: _NO_SECONDS)
    start_time: np.ndarray = dataclasses.field(default_factory=lambda: _NO_TEXTS)
    rejected: np.ndarray = dataclasses.field(default_factory=lambda: _NO_TEXTS)

    def __len__(self) -> int:
        return len(self.embedding)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the stored columns by name."""
        names = (*TEXTS_OF[self.rows], *SECONDS_OF[self.rows])
        others = {name: getattr(self, name) for name in names}
        labels = {f"{LABEL}{task}": values for task, values in self.labels.items()}
        return {"embedding": self.embedding, **others, **labels}

    @classmethod
    def from_columns(cls, columns: Mapping[str, np.ndarray], about: JsonMapping) -> "FeatureTable":
        """Inverse of ``columns``, with 'classes', 'model_spec' and 'rows' in ``about``."""
        labels = {
            name.removeprefix(LABEL): np.asarray(values, np.int8)
            for name, values in columns.items()
            if name.startswith(LABEL)
        }
        rows = about.get("rows", "recording")
        texts = {name: np.asarray(columns[name], str) for name in TEXTS_OF[rows]}
        seconds = {name: np.asarray(columns[name], np.float64) for name in SECONDS_OF[rows]}
        embedding = np.asarray(columns["embedding"], np.float32)
        return cls(embedding=embedding, labels=labels, **{**about, **texts, **seconds})

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
        about = {"classes": dict(self.classes), "model_spec": dict(self.model_spec)}
        return about if self.rows == "recording" else about | {"rows": self.rows}
