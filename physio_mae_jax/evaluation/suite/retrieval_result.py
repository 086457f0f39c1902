"""Retrieval between PPG and ECG as a task of the suite."""

from physio_mae_jax.data.contamination import ContaminationReport
from physio_mae_jax.evaluation.beat_retrieval import PEAKS_NOTE
from physio_mae_jax.evaluation.bootstrap import Estimate
from physio_mae_jax.evaluation.suite.results import SuiteCell, TaskResult
from physio_mae_jax.types import JsonMapping, JsonObject

_POOL = "all"  # candidates: every window, of the same subject too
_SECOND_POOL = "across"  # the match, and the windows of other subjects
_HEADLINE = "recall@1"
_MORE = ("recall@5", "recall@10", "median_rank")


def retrieval_result(name: str, title: str, results: JsonObject, report: str) -> TaskResult:
    """Return the rows of both directions: trained, untrained, by beat times, and by chance.

    Args:
        name, title: Name of its folder, and title.
        results: Content of retrieval.json.
        report: Path of retrieval.md, relative to the suite's folder.
    """
    contamination = ContaminationReport(
        **{k: v for k, v in results["contamination"].items() if k != "line"}
    )
    clean = contamination.is_uncontaminated
    cells: list[SuiteCell] = []
    for direction in (key for key in results["pretrained"] if " to " in key):
        for row, encoder, prefix in (
            ("trained", "pretrained", ""),
            ("untrained", "random", ""),
            ("peaks", "peaks", ""),
            ("chance", "pretrained", "chance_"),
        ):
            if encoder not in results:  # written before this baseline, or not pulse and ECG
                continue
            found: JsonMapping = results[encoder][direction][_POOL]
            across: JsonMapping = results[encoder][direction][_SECOND_POOL]
            cells.append(
                SuiteCell(
                    row=f"{direction}, {row}",
                    fraction=1.0,
                    mean=Estimate(found[prefix + _HEADLINE]),
                    difference=None,
                    values={},
                    more={
                        **{name.replace("_", " "): found[prefix + name] for name in _MORE},
                        f"{_HEADLINE} across subjects": across[prefix + _HEADLINE],
                    },
                    contaminated=row == "trained" and not clean,
                    reports=(report,),
                )
            )
    return TaskResult(
        name=name,
        title=title,
        metric=_HEADLINE,
        protocol=f"run {results['run']}, split {results['split']!r}",
        num_instances=results["num_windows"],
        num_subjects=results["num_subjects"],
        cells=tuple(cells),
        contamination="" if clean else results["contamination"]["line"],
        notes=(
            "Candidates are all windows, of the same subject too; 'across subjects' excludes the "
            "other windows of the same subject. No labels are used, and the interval over "
            "subjects is not estimated.",
            *((f"peaks: {PEAKS_NOTE}",) if "peaks" in results else ()),
        ),
        labeled=False,
    )
