"""A gate's verdict for programs: JSON, and the JUnit XML that continuous integration reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from boxlist.reports.comparison_text import printable
from boxlist.reports.gate.texts import line_text

if TYPE_CHECKING:
    from boxlist.reports.gate.verdicts import GateResult, Line

SCHEMA = 1
VERDICTS = {0: "pass", 1: "fail", 3: "cannot tell"}
_SUITE = "boxlist gate"


def to_json(result: GateResult) -> dict[str, Any]:
    """The verdict, where it comes from, and every line; undefined figures are null."""
    baseline = result.baseline
    return {
        "schema": SCHEMA,
        "verdict": VERDICTS[result.exit_status],
        "exit_status": result.exit_status,
        "gate": str(result.plan.path),
        "baseline": None if baseline is None else {"name": baseline.name, "path": str(baseline.path)},
        "run": {"name": result.run.name, "path": str(result.run.path)},
        "seed": result.plan.seed,
        "lines": [_line(line) for line in result.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    """A line's fields; `pictures` only where images share some."""
    return {name: value for name, value in asdict(line).items() if name != "pictures" or value is not None}


def to_junit(result: GateResult) -> str:
    """A test case a line; what cannot be told is skipped, with the reason."""
    suite = ET.Element(
        "testsuite",
        name=_SUITE,
        tests=str(len(result.lines)),
        failures=str(result.count("fail")),
        errors="0",
        skipped=str(result.count("cannot tell")),
    )
    for line in result.lines:
        case = ET.SubElement(suite, "testcase", classname=printable(line.task), name=f"{line.metric} {line.rule}")
        text = printable(line_text(line))
        if line.verdict == "fail":
            ET.SubElement(case, "failure", message=text).text = text
        elif line.verdict == "cannot tell":
            ET.SubElement(case, "skipped", message=f"cannot tell: {text}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"
