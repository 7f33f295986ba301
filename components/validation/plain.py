"""The same judgement without Great Expectations, for the hundreds of runs of a mutation test.

In: verdicts and measures. Out: the entries that `suites` reports. A test holds both to agree.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from components.validation.checks import Measure, Verdict


class Judge(Protocol):
    """Who turns verdicts and measures into report entries."""

    def rows(self, table: str, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
        """Return one entry a row-level check."""
        ...

    def numbers(
        self, measures: Mapping[str, Sequence[Measure]], phase: str
    ) -> dict[str, list[dict[str, Any]]]:
        """Return one entry a measure, by table."""
        ...


def row_entry(verdict: Verdict, passed: bool, failed_rows: int) -> dict[str, Any]:
    """Word the result of a row-level check."""
    return {
        "name": verdict.name,
        "about": verdict.about,
        "level": "row",
        "severity": "quarantine",
        "passed": passed,
        "failed_rows": failed_rows,
    }


def number_entry(measure: Measure, passed: bool, observed: float | None) -> dict[str, Any]:
    """Word the result of a table-level measure."""
    entry: dict[str, Any] = {
        "name": measure.name,
        "about": measure.about,
        "level": "table",
        "severity": measure.severity,
        "passed": passed,
        "observed": observed,
        "low": measure.low,
        "high": measure.high,
    }
    if not passed:
        entry["sample"] = [str(value) for value in measure.sample]
    return entry


class PlainJudge:
    """Judges by the numbers themselves."""

    def rows(self, table: str, verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
        """Return one entry a row-level check."""
        entries = []
        for verdict in verdicts:
            failed = int(len(verdict.ok) - verdict.ok.sum())
            entries.append(row_entry(verdict, failed == 0, failed))
        return entries

    def numbers(
        self, measures: Mapping[str, Sequence[Measure]], phase: str
    ) -> dict[str, list[dict[str, Any]]]:
        """Return one entry a measure, by table."""
        return {
            table: [number_entry(m, m.passed, m.value) for m in ofs]
            for table, ofs in measures.items()
        }
