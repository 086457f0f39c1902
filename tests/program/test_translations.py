"""Pages in Chinese have the headings, code, tables and links of the English ones."""

import re

import pytest

from tests.guides import (
    CHINESE,
    PAGES,
    anchors_of,
    blocks_of,
    code_spans,
    headings_of,
    links_of,
    name_of,
    tables_of,
)

PAIRS = [
    pytest.param(page.with_name(page.name.replace(CHINESE, ".md")), page, id=name_of(page))
    for page in PAGES
    if page.name.endswith(CHINESE)
]
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def without_comments(code):
    return [line.partition("# ")[0].rstrip() for line in code.splitlines()]


def facts_of(row):
    """Return what translation must not change: inline code and numbers."""
    text = " ".join(row)
    return sorted(code_spans(text)), sorted(_NUMBER.findall(re.sub(r"`[^`]*`", "", text)))


def english_target(link):
    return link.partition("#")[0].replace(CHINESE, ".md")


def test_first_page_and_most_used_guides_are_translated():
    names = {param.id.rpartition("/")[2] for param in PAIRS}
    pages = ("README", "data", "embeddings", "fine_tuning", "first_classifier")
    assert names == {f"{name}{CHINESE}" for name in pages}


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_headings_are_as_many_and_of_the_same_levels(english, chinese):
    levels = [[level for level, _ in headings_of(page)] for page in (english, chinese)]
    assert levels[0] == levels[1]
    assert len(anchors_of(english)) == len(headings_of(english)), "two headings have one anchor"


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_code_is_the_same_but_for_comments(english, chinese):
    pages = [
        [(block.language, block.file, without_comments(block.code)) for block in blocks_of(page)]
        for page in (english, chinese)
    ]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_tables_hold_the_same_code_and_numbers(english, chinese):
    ours, theirs = tables_of(english), tables_of(chinese)
    assert [[len(row) for row in table] for table in ours] == [
        [len(row) for row in table] for table in theirs
    ]
    for our, their in zip(ours, theirs, strict=True):
        for row, translated in zip(our, their, strict=True):
            assert facts_of(row) == facts_of(translated), (row, translated)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_links_lead_to_the_same_pages(english, chinese):
    between = {english.name, chinese.name}
    targets = [
        sorted(english_target(link) for link in links_of(page) if link not in between)
        for page in (english, chinese)
    ]
    assert targets[0] == targets[1]
