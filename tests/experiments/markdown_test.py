"""Cells of printed tables stand as they were written."""

from experiments.lib import markdown


def test_cells_that_look_like_numbers_stay():
    header, rule, first, second = markdown.table(
        ["setting", "score"], [["0.10", "1,200"], ["", "1e5"]]
    ).splitlines()
    assert header == "| setting   | score   |" and set(rule) == set("|-")
    assert first == "| 0.10      | 1,200   |"
    assert second == "|           | 1e5     |"
