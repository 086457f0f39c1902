"""Evaluate an encoder on every labeled data set at hand: one table and one page."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from physio_mae_jax import atomic_files
from physio_mae_jax.commands import compare, retrieve
from physio_mae_jax.commands.compare import parse_axes, parse_list
from physio_mae_jax.commands.suite_trials import PlannedTasks, SuiteTask
from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.data.prepared import find_prepared
from physio_mae_jax.data.sets import parse_weighted_sets
from physio_mae_jax.errors import ConfigError, Interrupted, UserError
from physio_mae_jax.evaluation.results import plain
from physio_mae_jax.evaluation.retrieval import retrieve as run_retrieval
from physio_mae_jax.evaluation.suite.headline import Headline
from physio_mae_jax.evaluation.suite.page import render_page
from physio_mae_jax.evaluation.suite.results import SkippedTask, TaskResult, collect_results
from physio_mae_jax.evaluation.suite.retrieval_result import retrieval_result
from physio_mae_jax.evaluation.suite.text import render_suite
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.sweep import (
    check_workers,
    record_settings,
    run_pending,
    sweep_lock_arguments,
)
from physio_mae_jax.experiment.typed_config import ExperimentConfig, as_settings
from physio_mae_jax.preparation.registry import LAYOUTS
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.types import JsonMapping, Settings

_LOG = logging.getLogger(__name__)
_RETRIEVAL = "retrieval"
_RETRIEVAL_RESULTS = "retrieval.json"
_HINT = "remove the file and run the same command again."
# Of a task's section; the others are settings of a comparison.
_OWN = ("title", "note", "headline", "folds", "longest_window_seconds")
# Of the suite, and given to every comparison.
_SHARED = ("init_from", "models", "seeds")

lock_arguments = sweep_lock_arguments


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteConfig(ExperimentConfig):
    """Settings of a suite; ``configs/suite.py`` explains each.

    Attributes:
        requested: Names of the tasks to run.
        tasks: All comparisons, in order; those run earlier stay in the report.
        retrieval: Settings of the retrieval.
        retrieval_title: Its title.
    """

    num_workers: int
    worker: bool
    num_resamples: int
    requested: tuple[str, ...]
    tasks: tuple[SuiteTask, ...]
    retrieval: Settings
    retrieval_title: str


def read(config: Settings) -> SuiteConfig:
    """Parse a config; sections with a headline metric are tasks.

    Raises:
        ConfigError: A setting is invalid, or a task is unknown.
    """
    check_settings(config)
    settings = as_settings(config)
    sections = {n: v for n, v in settings.items() if isinstance(v, Mapping) and "headline" in v}
    names = parse_list("tasks", settings["tasks"], str)
    for name in names:
        if name not in sections:
            raise ConfigError(f"tasks must be among {', '.join(sections)}; got {name!r}.")
    if not settings["init_from"]:
        raise ConfigError("init_from is empty; name an encoder with --config.init_from=DIR.")
    own = {key: value for key, value in sections[_RETRIEVAL].items() if key not in _OWN}
    retrieval = {**own, "init_from": own["init_from"] or settings["init_from"]}
    retrieve.read(retrieval)
    in_order = dict.fromkeys([*names, *sections])
    return SuiteConfig(
        command=settings["command"],
        settings=settings,
        num_workers=settings["num_workers"],
        worker=settings["worker"],
        num_resamples=settings["evaluation"]["num_resamples"],
        requested=tuple(names),
        tasks=tuple(
            _read_task(name, sections[name], settings) for name in in_order if name != _RETRIEVAL
        ),
        retrieval=retrieval,
        retrieval_title=sections[_RETRIEVAL]["title"],
    )


def _read_task(name: str, section: JsonMapping, settings: JsonMapping) -> SuiteTask:
    """Parse a task: settings of its own, and those of its comparison."""
    check_settings({key: section[key] for key in _OWN}, "suite_task", name)
    own = {key: value for key, value in section.items() if key not in _OWN}
    shared = {key: settings[key] for key in _SHARED}
    compared = {**own, **shared, "command": "compare", "num_workers": 1, "worker": False}
    try:
        config = compare.read(compared)
        rows, fractions, seeds = parse_axes(config)
        return SuiteTask(
            name=name,
            title=section["title"],
            note=section["note"],
            headline=Headline.parse(section["headline"]),
            folds=section["folds"],
            longest_window_seconds=section["longest_window_seconds"],
            comparison=config,
            rows=tuple(rows),
            fractions=tuple(fractions),
            seeds=tuple(seeds),
        )
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def run(config: SuiteConfig, workdir: Path, *, strict: bool) -> None:
    """Run the pending trials and write the report."""
    evaluate_suite(build_suite(config, workdir, strict=strict))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuiteRun:
    """Everything a suite consists of.

    Attributes:
        workdir: Absolute path of the work folder.
        config: Settings.
        planned: Tasks whose data is at hand, planned on first use.
        absent: Tasks whose data is not.
        strict: Whether to raise if test data was used to pre-train the encoder.
    """

    workdir: Path
    config: SuiteConfig
    planned: PlannedTasks
    absent: tuple[SkippedTask, ...]
    strict: bool


def build_suite(config: SuiteConfig, workdir: Path, *, strict: bool) -> SuiteRun:
    """Find the data of the tasks, and record their settings; nothing is opened yet.

    Args:
        config: Settings.
        workdir: Work folder, created if absent.
        strict: Whether a trial fails if test data was used to pre-train the encoder.

    Raises:
        UserError: A setting is wrong, or the folder contains a task with other settings.
    """
    check_workers(config.num_workers)
    workdir = atomic_files.prepare_workdir(workdir)
    absent, present = [], []
    for task in config.tasks:
        is_requested = task.name in config.requested
        if not is_requested and not (workdir / task.name).is_dir():
            continue
        # Of a task without data too, so that later reports name it.
        atomic_files.prepare_workdir(workdir / task.name)
        data = task.comparison.data
        reason = _absence(data.sets, data.root) or _record(task, workdir / task.name, is_requested)
        if reason:
            absent.append(SkippedTask(name=task.name, title=task.title, reason=reason))
            _LOG.warning("%s is excluded: %s", task.title, reason)
        else:
            present.append(task)
    if _RETRIEVAL in config.requested:
        atomic_files.prepare_workdir(workdir / _RETRIEVAL)
    planned = PlannedTasks(
        workdir, present, config.requested, config.settings["init_from"], strict=strict
    )
    return SuiteRun(
        workdir=workdir, config=config, planned=planned, absent=tuple(absent), strict=strict
    )


def _record(task: SuiteTask, folder: Path, is_requested: bool) -> str:
    """Record the settings of a task; '' unless it was run earlier with other ones."""
    try:
        record_settings(task.identity, folder, ())
    except ConfigError as error:
        if is_requested:
            raise
        return str(error)
    return ""


def _absence(sets: str, folder: str) -> str:
    """Return what data is not in a folder and how to prepare it; '' if it is all at hand."""
    root = Path(folder).expanduser()
    for item in parse_weighted_sets(sets):
        if find_prepared(root, item.name) is None:
            return f"{item.name} is not prepared in {root}. {_how_to_prepare(item.name, root)}"
    return ""


def _how_to_prepare(name: str, root: Path) -> str:
    command = "python -m physio_mae_jax.prepare"
    base, _, variant = name.partition("/")
    if base not in LAYOUTS:
        return (
            f"{command} folder --name={name} --source=FOLDER --manifest=MANIFEST --out={root} "
            "(guides/data.md)"
        )
    variants = [variant] if variant else list(LAYOUTS[base])
    wanted = " or ".join(f"{base}/{one}" if one else base for one in variants)
    return f"{command} {wanted} --source=RAW_FOLDER --out={root} (--list says what to download)"


def evaluate_suite(run: SuiteRun) -> Sequence[TaskResult]:
    """Run the pending trials, then write suite.json, suite.md and suite.html.

    Raises:
        UserError: No task can be run, or trials failed; the report is written without them.
    """
    run.planned.announce()
    run_pending(run.workdir, run.planned.trials, run.config.num_workers)
    if run.config.worker:
        return ()
    results = [
        collect_results(task, num_resamples=run.config.num_resamples)
        for task in run.planned.folders()
    ]
    skipped = [*run.planned.skipped, *run.absent]
    if (run.workdir / _RETRIEVAL).is_dir():
        retrieved = _retrieve(run)
        if isinstance(retrieved, TaskResult):
            results.append(retrieved)
        else:
            skipped.append(retrieved)
    _write(run, results, skipped)
    if not any(result.cells for result in results):
        raise UserError(f"no task has a result; {run.workdir / 'suite.md'} says why.")
    run.planned.raise_on_failures()
    return results


def _retrieve(run: SuiteRun) -> TaskResult | SkippedTask:
    """Retrieve with a contrastive run, or say why not."""
    folder, title = run.workdir / _RETRIEVAL, run.config.retrieval_title
    config = retrieve.read(run.config.retrieval)
    raw = Path(config.data.root).expanduser() / config.data.sets
    # Without labels a folder that a manifest describes will do as well, see data.sets.
    if not raw.is_dir() and (reason := _absence(config.data.sets, config.data.root)):
        return SkippedTask(name=_RETRIEVAL, title=title, reason=reason)
    results = folder / _RETRIEVAL_RESULTS
    if not results.is_file() and _RETRIEVAL not in run.config.requested:
        return SkippedTask(name=_RETRIEVAL, title=title, reason="not done, and not requested.")
    try:
        built = retrieve.build_retrieval(config, folder, strict=run.strict)
        record_settings(config, folder, ())
        if not results.is_file():
            run_retrieval(built)
        content = check_types(dict, read_json(results, _HINT), str(results), _HINT)
    except Interrupted:
        raise
    except UserError as error:
        reason = f"{error} Another run is named by --config.{_RETRIEVAL}.init_from."
        return SkippedTask(name=_RETRIEVAL, title=title, reason=reason)
    return retrieval_result(_RETRIEVAL, title, content, f"{_RETRIEVAL}/retrieval.md")


def _write(run: SuiteRun, results: Sequence[TaskResult], skipped: Sequence[SkippedTask]) -> None:
    title = f"Evaluation of {run.config.settings['init_from']}"
    context = {**provenance(), "encoder": run.config.settings["init_from"]}
    content = {"title": title, "how": context, "tasks": results, "not_run": skipped}
    atomic_files.write_json(run.workdir / "suite.json", add_version(plain(content)))
    text = render_suite(title, results, skipped, context)
    atomic_files.write_text(run.workdir / "suite.md", text)
    page = render_page(title, results, skipped, context)
    atomic_files.write_text(run.workdir / "suite.html", page)
    _LOG.info("wrote the table to %s and the page to suite.html", run.workdir / "suite.md")
