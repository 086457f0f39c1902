"""Split rules of the folds of a cross-validation by subject."""

import re
from collections.abc import Sequence

from physio_mae_jax.errors import ConfigError, DataError

SUBJECTS = "subjects"
# A split rule would parse other names as a range, a list or a fraction.
_PLAIN = re.compile(r"(?!\d+-\d+$)(?!0?\.\d+$)[\w.+-]+")


def one_subject_rule(subject: str, validation_share: float) -> str:
    """Return the split rule that tests one subject and validates on a fraction of the others.

    Raises:
        DataError: A split rule cannot name this subject.
    """
    if not _PLAIN.fullmatch(subject):
        raise DataError(
            f"subject {subject!r} cannot be written in a split rule; prepare the data with "
            "names made of letters, digits, '_', '.', '+' and '-'."
        )
    return f"subject=|{validation_share:g}|{subject}"


def fold_rules(
    folds: str, rule: str, subjects: Sequence[str], validation_share: float
) -> list[str]:
    """Return the split rule of each fold.

    Args:
        folds: '' for a single split by ``rule``, a number of folds, or 'subjects' for a fold per
            subject.
        rule: Split rule of a single split.
        subjects: Ids of the subjects that 'subjects' excludes.
        validation_share: Fraction of the other subjects that 'subjects' validates on.

    Raises:
        ConfigError: ``folds`` is none of these.
        DataError: There are too few subjects to leave one out, or one cannot be named in a rule.
    """
    if not folds:
        return [rule]
    if folds == SUBJECTS:
        if len(subjects) < 3:
            raise DataError(
                "leaving subjects out needs labels of at least 3 subjects, one each for test, "
                f"validation and training; got {len(subjects)}."
            )
        return [one_subject_rule(subject, validation_share) for subject in subjects]
    if not re.fullmatch(r"[1-9]\d{0,3}", folds, re.ASCII) or int(folds) < 3:
        raise ConfigError(
            f"folds is {folds!r}; it must be '' for the single split of data.split_rule, a number "
            f"of folds from 3, such as '5', or {SUBJECTS!r}."
        )
    return [f"kfold={folds}:{index}" for index in range(int(folds))]
