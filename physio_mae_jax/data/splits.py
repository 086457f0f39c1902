"""Splitting recordings by subject.

The split rule is one line::

    random=|0.1|0.2              10% of the subjects for validation, 20% for test
    fold=1-8|9|10                by an attribute of the recordings: values, ranges, commas
    fold=1-8|9|0.5               half of the subjects of fold 9 for test
    set=DS1|0.2|DS2 -shared      20% of the training subjects for validation; subjects with
                                 recordings in an earlier split are excluded from later ones
    subject=|0.2|S05             leave one subject out; an empty first split takes all others
    kfold=5:2                    five folds by subject: test on fold 2, validate on fold 3
    none                         all subjects for training
    leaky=|0.1|0.2               random windows regardless of subject, only for labeled tasks, to
                                 measure the optimistic bias of such splits

Several data sets: ``ptbxl: fold=1-8|9|10; mitbih: set=DS1|0.2|DS2 -shared; random=|0.1|``; the
last rule applies to all data sets that are not named. A rule may also be the path of a
``split.json`` that an earlier run wrote.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from physio_mae_jax.data.fingerprints import text_hash
from physio_mae_jax.data.format_version import check_version
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.sealed_json import add_seal, check_seal
from physio_mae_jax.data.source import RecordingInfo
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.printable import show

SPLITS = ("train", "validation", "test")
_SHOWN = 5
_LEAKY = "leaky"
_HINT = "see the rules in physio_mae_jax/data/splits.py, such as 'random=|0.1|0.1'."


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubjectSplits:
    """Which subjects belong to which split.

    Attributes:
        rule: Rule or file the split was made from.
        subjects: Subject keys (``RecordingInfo.subject_key``) of each of ``SPLITS``, sorted.
    """

    rule: str
    subjects: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for i, first in enumerate(SPLITS):
            for second in SPLITS[i + 1 :]:
                shared = sorted(set(self.subjects[first]) & set(self.subjects[second]))
                if shared:
                    raise DataError(
                        f"split {self.rule!r} puts {len(shared)} subjects both into {first} and "
                        f"into {second} ({', '.join(shared[:_SHOWN])}); a subject must be in one "
                        "split only. Change the rule or file."
                    )

    @property
    def hash(self) -> str:
        """Short hash of the splits; equal for equal splits, whatever the rule."""
        return text_hash(json.dumps({split: list(self.subjects[split]) for split in SPLITS}))

    def to_json(self) -> dict[str, object]:
        """Return the content of a ``split.json``."""
        splits = {split: list(self.subjects[split]) for split in SPLITS}
        return add_seal({"rule": self.rule, "subjects": splits, "hash": self.hash})

    def divide(
        self, recordings: Sequence[RecordingInfo], indices: Sequence[int]
    ) -> dict[str, list[int]]:
        """Return the indices of each split, in the given order; others belong to no split."""
        split_of = {key: split for split in SPLITS for key in self.subjects[split]}
        divided: dict[str, list[int]] = {split: [] for split in SPLITS}
        for index in indices:
            split = split_of.get(recordings[index].subject_key)
            if split is not None:
                divided[split].append(index)
        return divided


def make_split(
    recordings: Sequence[RecordingInfo], indices: Sequence[int], rule: str, seed: int
) -> SubjectSplits:
    """Divide the subjects of recordings.

    Args:
        recordings: All recordings of a source.
        indices: Recordings to divide; the result depends only on these, the rule and the seed.
        rule: Split rule or file, see the module's docstring.
        seed: Seed of random draws.

    Raises:
        ConfigError: the rule is invalid.
        DataError: a subject would be in two splits, a recording lacks the attribute, a listed
            value does not occur, or a split file was altered.
    """
    if rule.strip().endswith(".json"):
        return read_split(Path(rule.strip()))
    rules = _rules_by_data_set(rule)
    by_set: dict[str, list[RecordingInfo]] = {}
    for index in indices:
        by_set.setdefault(recordings[index].data_set, []).append(recordings[index])
    for name in rules:
        if name and name not in by_set:
            raise ConfigError(
                f"split {rule!r} names data set {name!r}; the data sets are {', '.join(by_set)}."
            )
    splits: dict[str, set[str]] = {split: set() for split in SPLITS}
    for name, infos in by_set.items():
        if name not in rules and "" not in rules:
            raise ConfigError(f"split {rule!r} has no rule for data set {name!r}; {_HINT}")
        for split, keys in _apply(rules.get(name, rules.get("", "")), infos, seed).items():
            splits[split] |= keys
    return SubjectSplits(
        rule=rule, subjects={split: tuple(sorted(splits[split])) for split in SPLITS}
    )


def read_split(path: Path) -> SubjectSplits:
    """Read a ``split.json``.

    Raises:
        DataError: it cannot be read, was altered after it was written, or its splits overlap.
    """
    hint = "give a split.json that a run wrote, or a rule."
    content = read_json(local_path(path, "split"), hint)
    check_version(content, f"split {path}")
    stored = check_types(_Stored, content, f"split {path}", hint)
    split = SubjectSplits(
        rule=stored["rule"], subjects=cast(Mapping[str, tuple[str, ...]], stored["subjects"])
    )
    if split.hash != stored["hash"]:
        raise DataError(
            f"split {path} was altered: its splits have the hash {split.hash}, the "
            f"file says {show(stored['hash'])}. Recreate it from the rule."
        )
    check_seal(content, f"split {path}", hint)
    return split


class _Subjects(TypedDict):
    """Subject keys of each of ``SPLITS``."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


class _Stored(TypedDict):
    """The content of a ``split.json``."""

    format_version: str
    rule: str
    subjects: _Subjects
    hash: str
    seal: Mapping[str, str]


def is_leaking(rule: str) -> bool:
    """Return whether a rule divides instances instead of subjects, see ``divide_leaking``."""
    return rule.strip().partition("=")[0].strip() == _LEAKY


def divide_leaking(num_instances: int, rule: str, seed: int) -> dict[str, np.ndarray]:
    """Divide instances at random regardless of subject by a rule ``leaky=|validation|test``.

    Returns:
        Ascending instance indices of each split.

    Raises:
        ConfigError: the rule is invalid.
    """
    names = [str(index) for index in range(num_instances)]
    slots = [slot.strip() for slot in rule.partition("=")[2].split("|")]
    if len(slots) != len(SPLITS) or not all(slots[1:]):
        raise ConfigError(f"split rule {rule!r} is invalid; write leaky=|0.1|0.2.")
    splits = _random(slots, names, rule, seed)
    return {
        split: np.sort(np.asarray([int(n) for n in splits[split]], np.int64)) for split in SPLITS
    }


def _rules_by_data_set(text: str) -> dict[str, str]:
    rules = {}
    for item in filter(None, (split.strip() for split in text.split(";"))):
        name, colon, rest = item.partition(":")
        # 'kfold=5:2' has a colon too, but after its equals sign.
        named = bool(colon) and "=" not in name
        rules[name.strip() if named else ""] = (rest if named else item).strip()
    if not rules:
        raise ConfigError(f"the split rule is empty; {_HINT}")
    return rules


def _apply(rule: str, infos: Sequence[RecordingInfo], seed: int) -> dict[str, set[str]]:
    """Divide the subjects of one data set by one rule."""
    drop_shared = rule.endswith("-shared")
    name, equals, rest = rule.removesuffix("-shared").strip().partition("=")
    name = name.strip()
    keys = sorted({info.subject_key for info in infos})
    if rule == "none":
        return {"train": set(keys)}
    if len(keys) < 2:
        raise DataError(
            f"the data has {len(keys)} subject ({', '.join(keys)}), so none can be used for "
            "validation or test; add "
            "recordings of other subjects, give each recording its subject in the manifest, or "
            "train on everything with the split rule 'none'."
        )
    if name == _LEAKY:
        raise ConfigError(
            f"split rule {rule!r} divides windows, not subjects; it is available only for "
            "fine-tuning and evaluation of labeled windows, to measure its optimistic bias."
        )
    if equals and name == "kfold":
        return _k_folds(rest, keys, rule, seed)
    slots = [slot.strip() for slot in rest.split("|")]
    if not equals or len(slots) != len(SPLITS):
        raise ConfigError(f"split rule {rule!r} is invalid; {_HINT}")
    if name == "random":
        return _random(slots, keys, rule, seed)
    return _by_attribute(name, slots, infos, rule, seed, drop_shared)


def _random(slots: Sequence[str], keys: Sequence[str], rule: str, seed: int) -> dict[str, set[str]]:
    fractions = [_parse_fraction(slot, rule) if slot else 0.0 for slot in slots[1:]]
    if slots[0] or sum(fractions) >= 1:
        raise ConfigError(
            f"split rule {rule!r} must give the fractions of validation and test, which sum to "
            "less than 1, such as random=|0.1|0.2."
        )
    drawn = [keys[i] for i in np.random.default_rng(seed).permutation(len(keys))]
    splits, used = {}, 0
    for split, fraction in zip(SPLITS[1:], fractions, strict=True):
        # At least one subject per requested split, and at least one left for training.
        count = min(max(1, round(len(keys) * fraction)), len(keys) - 1 - used) if fraction else 0
        splits[split] = set(drawn[used : used + count])
        used += count
    return {"train": set(drawn[used:]), **splits}


def _k_folds(text: str, keys: Sequence[str], rule: str, seed: int) -> dict[str, set[str]]:
    match = re.fullmatch(r"\s*(\d{1,9})\s*:\s*(\d{1,9})\s*", text, re.ASCII)
    count, chosen = (int(match[1]), int(match[2])) if match else (0, 0)
    if len(keys) < 3:
        raise ConfigError(
            f"split rule {rule!r} needs at least 3 subjects, one for each split; there are "
            f"{len(keys)}. With two subjects use random=|0.5|."
        )
    if count < 3 or chosen >= count or count > len(keys):
        raise ConfigError(
            f"split rule {rule!r} must be kfold=K:i with 3 ≤ K ≤ {len(keys)} (subjects) and "
            "0 ≤ i ≤ K - 1."
        )
    order = np.random.default_rng(seed).permutation(len(keys))
    fold_of = {keys[i]: position % count for position, i in enumerate(order)}
    validated = (chosen + 1) % count
    return {
        "train": {key for key, fold in fold_of.items() if fold not in (chosen, validated)},
        "validation": {key for key, fold in fold_of.items() if fold == validated},
        "test": {key for key, fold in fold_of.items() if fold == chosen},
    }


def _by_attribute(
    name: str,
    slots: Sequence[str],
    infos: Sequence[RecordingInfo],
    rule: str,
    seed: int,
    drop_shared: bool,
) -> dict[str, set[str]]:
    values = [_attribute(info, name, rule) for info in infos]
    listed = [set() if _is_fraction(slot) else _expand(slot, len(set(values))) for slot in slots]
    for value in sorted(set().union(*listed) - set(values)):
        raise DataError(
            f"split rule {rule!r} lists {name} {value!r}, which no recording has; available: "
            f"{', '.join(sorted(set(values))[:20])}."
        )
    if not slots[0]:
        listed[0] = set(values) - listed[1] - listed[2]
    splits = {
        split: {
            info.subject_key for info, v in zip(infos, values, strict=True) if v in allowed_values
        }
        for split, allowed_values in zip(SPLITS, listed, strict=True)
    }
    if drop_shared:
        splits["validation"] -= splits["train"]
        splits["test"] -= splits["train"] | splits["validation"]
    for before, split, slot in zip(SPLITS, SPLITS[1:], slots[1:], strict=False):
        if _is_fraction(slot):
            if len(splits[before]) < 2:
                raise DataError(
                    f"split rule {rule!r} draws {split} from {before}, which has "
                    f"{len(splits[before])} subjects; at least two are needed."
                )
            drawn = _random(["", slot, ""], sorted(splits[before]), rule, seed)
            splits |= {before: drawn["train"], split: drawn["validation"]}
    return splits


def _attribute(info: RecordingInfo, name: str, rule: str) -> str:
    if name == "subject":
        return info.subject_id
    if name not in info.attributes:
        known = ", ".join(["subject", *info.attributes])
        raise DataError(
            f"split rule {rule!r}: recording {info.record_id} of {info.data_set or 'the data'} has "
            f"no attribute {name!r}; it has {known}."
        )
    return str(info.attributes[name])


def _expand(text: str, num_known: int) -> set[str]:
    """Parse '1-8,10' as a set of values.

    A range longer than the known values is truncated: its first values suffice to find a missing
        one.
    """
    values: set[str] = set()
    for item in filter(None, (split.strip() for split in text.split(","))):
        span = re.fullmatch(r"(\d{1,18})-(\d{1,18})", item, re.ASCII)
        if span is None:
            values.add(item)
            continue
        first, last = int(span[1]), int(span[2])
        values |= {str(n) for n in range(first, min(last, first + num_known) + 1)}
    return values


def _is_fraction(text: str) -> bool:
    return bool(re.fullmatch(r"0?\.\d+", text))


def _parse_fraction(text: str, rule: str) -> float:
    if not _is_fraction(text) or float(text) <= 0:
        raise ConfigError(f"split rule {rule!r}: fractions must be between 0 and 1; got {text!r}.")
    return float(text)
