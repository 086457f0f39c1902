"""Layouts of data sets in several forms: as published, and as a copy that is not published."""

import dataclasses
from typing import ClassVar

from physio_mae_jax.preparation.recording import DatasetLayout

COLLECTED_COPY = "a collected copy, which is not published"


@dataclasses.dataclass(frozen=True)
class SeveralForms(DatasetLayout):
    """Layout of a data set whose ``form`` is the variant of its preparation.

    A subclass sets the default of ``form`` and, where they differ, the class attributes.

    Attributes:
        form: Form of the source, such as 'wfdb' or 'flac'.
        collected_form: Form that is a collected copy; '' if there is none.
        published_download: What to download of the other forms; '' for ``homepage``.
        source_filters: Processing of the samples by the source.
        collected_filters: Further processing of the collected copy; '' if there is none.
    """

    form: str = ""

    collected_form: ClassVar[str] = ""
    published_download: ClassVar[str] = ""
    source_filters: ClassVar[str] = "as recorded"
    collected_filters: ClassVar[str] = ""

    @property
    def is_collected(self) -> bool:
        """Whether the form is the collected copy."""
        return bool(self.collected_form) and self.form == self.collected_form

    @property
    def variant(self) -> str:
        """The form."""
        return self.form

    @property
    def download(self) -> str:
        """What to download; a collected copy is not published."""
        if self.is_collected:
            return COLLECTED_COPY
        return self.published_download or self.homepage

    @property
    def filters(self) -> str:
        """Processing by the source, and by those who collected the copy."""
        if self.is_collected and self.collected_filters:
            return f"{self.source_filters}; {self.collected_filters}"
        return self.source_filters
