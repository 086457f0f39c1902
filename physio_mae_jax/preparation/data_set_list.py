"""What can be prepared: variants, what to download, license and tasks of each data set.

``python -m physio_mae_jax.prepare --list`` prints it.
"""

import textwrap
from collections.abc import Callable, Mapping

from physio_mae_jax.preparation.recording import DatasetLayout
from physio_mae_jax.preparation.registry import LAYOUTS, training_defaults

_WIDTH = 100
_INDENT = " " * 13
_EPILOG = (
    "Sizes are roughly those of the files that are needed. URLs of physionet.org/files also work "
    "as --download=URL. 'folder' prepares your own files."
)


def describe_data_sets() -> str:
    """Describe every data set of ``LAYOUTS``, a paragraph each."""
    parts = [_describe(name, variants) for name, variants in LAYOUTS.items()]
    return "\n\n".join([*parts, "\n".join(textwrap.wrap(_EPILOG, _WIDTH))])


def _describe(name: str, variants: Mapping[str, Callable[[], DatasetLayout]]) -> str:
    layouts = {f"{name}/{v}" if v else name: make() for v, make in variants.items()}
    names = [f"{full} (default)" if i == 0 else full for i, full in enumerate(layouts)]
    default_task = training_defaults(name).task
    descriptions = dict.fromkeys(layout.description for layout in layouts.values())
    return "\n".join(
        [
            *textwrap.wrap(f"{name}: {' '.join(descriptions)}", _WIDTH, subsequent_indent="  "),
            *_field("variants", [", ".join(names)]),
            *_field("download", _by_variant(layouts, lambda one: [one.download or one.homepage])),
            *_field("license", _by_variant(layouts, lambda one: [one.license])),
            *_field("tasks", _by_variant(layouts, lambda one: _tasks(one, default_task))),
        ]
    )


def _tasks(layout: DatasetLayout, default: str) -> list[str]:
    """Return the tasks with their classes, or that there are none."""
    found = [
        f"{task.name}{' (default)' if task.name == default else ''}: {', '.join(task.classes)}"
        for task in layout.tasks
    ]
    if default.startswith("attribute:"):
        found.append(f"{default} (default): a number")
    return found or ["none"]


def _by_variant(
    layouts: Mapping[str, DatasetLayout], values_of: Callable[[DatasetLayout], list[str]]
) -> list[str]:
    """Return values that all variants share, else those of each with the names of its variants."""
    names_of: dict[tuple[str, ...], list[str]] = {}
    for name, layout in layouts.items():
        names_of.setdefault(tuple(values_of(layout)), []).append(name)
    if len(names_of) == 1:
        return list(next(iter(names_of)))
    return [
        f"[{', '.join(names)}] {value}" for values, names in names_of.items() for value in values
    ]


def _field(title: str, values: list[str]) -> list[str]:
    """Write values under a title, wrapped; URLs stay whole."""
    lines: list[str] = []
    for value in values:
        start = f"  {title if not lines else '':<11}"
        lines += textwrap.wrap(
            value,
            _WIDTH,
            initial_indent=start,
            subsequent_indent=f"{_INDENT}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines
