"""COVERAGE.md says what the tests prove, and nothing of the specification is left out."""

from . import coverage


def test_up_to_date():
    """COVERAGE.md is what coverage.py writes."""
    rows, _, _ = coverage.collect()
    assert coverage.FILE.read_text(encoding="utf-8") == coverage.document(rows), (
        "run tests/spec/coverage.py")


def test_every_test_names_its_requirement():
    """Each test says what it proves."""
    assert coverage.collect()[1] == []


def test_nothing_is_left_out():
    """Each subject of the specification has a test."""
    assert coverage.collect()[2] == []
