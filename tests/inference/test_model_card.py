"""Cards of models say what subjects and the hub ask for."""

import pytest

from tests.encoders import encoder


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.fixture
def saved(made, tmp_path):
    return made.save_pretrained(
        tmp_path / "shared", license="CC-BY-4.0", intended_use="Studies.", evaluation="AUROC 0.9"
    )


def test_the_card_says_what_subjects_and_the_hub_ask_for(saved):
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    for text in ("Subjects: 3, hash", "AUROC 0.9", "Studies.", "made_up: as recorded", "PPG"):
        assert text in card
