"""Reports of classes with hostile names."""

import dataclasses

import pytest

from physio_mae_jax.evaluation.report import write_report
from tests.evaluation.evaluations import CONTEXT, evaluated
from tests.hostile_names import NASTY, is_harmless


@pytest.mark.parametrize("kind", ["multilabel", "multiclass", "regression"])
def test_a_card_of_hostile_classes(kind, tmp_path, monkeypatch):
    """The classes are renamed in what was evaluated, so that nothing is evaluated anew."""
    names = {
        f"class_{k}": name
        for k, name in enumerate((NASTY[0], "a\ud800", "x\x1b[31m\n# y", "心" * 400, "_"))
    }
    predictions, calibration, evaluations = evaluated(kind)

    def renamed(value):
        if isinstance(value, str):
            return names.get(value, value)
        if isinstance(value, dict):
            return {renamed(k): renamed(v) for k, v in value.items()}
        if isinstance(value, tuple | list):
            return type(value)(map(renamed, value))
        if dataclasses.is_dataclass(value):
            fields = {f.name: renamed(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **fields)
        return value

    path = write_report(
        tmp_path,
        title="x\x1b[31m\ny",
        evaluations={part: renamed(one) for part, one in evaluations.items()},
        predictions={"test": renamed(predictions["test"])},
        calibration=renamed(calibration),
        context=CONTEXT | {"command": "main --x=\x1b[2J\n# y", "seeds": {"a\ud800": "\u202e"}},
    )
    text = path.read_text(encoding="utf-8")
    assert is_harmless(text)
    assert "\n# y" not in text
    assert max(map(len, text.splitlines())) < 2000
    assert len(list((tmp_path / "plots").glob("*.png"))) == (2 if kind == "regression" else 4)
