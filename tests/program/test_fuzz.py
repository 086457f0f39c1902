"""A few inputs of every fuzzing target; ``python -m tests.fuzz`` tries thousands."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import Limits, run_target, try_case
from tests.fuzz_targets import TARGETS, Target

# Those that load a model take longer for each input.
FEW = {"shared model": 10, "checkpoint": 10, "encode": 25, "torch import": 25}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the warnings of hundreds of inputs out of the report of a failure."""
    logger = logging.getLogger("physio_mae_jax")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("default")
def test_every_input_is_accepted_or_rejected_by_name(target: str, tmp_path: Path) -> None:
    state = TARGETS[target].make(tmp_path)
    for case in range(FEW.get(target, 40)):
        outcome = try_case(target, state, 0, case, Limits())
        assert outcome.kind in ("accepted", "named"), outcome


def _broken(state: None, rng: object, folder: Path) -> None:
    raise KeyError("a raw exception")


def test_raw_exceptions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "broken", Target(lambda folder: None, _broken))
    outcome = try_case("broken", None, 0, 0, Limits())
    assert outcome.kind == "raw"
    assert "KeyError" in outcome.detail


def test_the_same_seed_gives_the_same_outcomes() -> None:
    first, again = (run_target("checksum list", range(20), 3, Limits()) for _ in range(2))
    assert first == again
    assert len(first) == 20
