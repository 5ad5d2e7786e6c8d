#!/usr/bin/python3
"""Makes one table of the results of tests/engines/engines.py, and JUnit's file.

A case fails when creel fails it and the control does not, or when it passes with a runtime that does nothing. One that the
control fails as well is skipped: the host or the engine cannot do it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

NOTHING = "nothing"


def verdict(row):
    """How a row is told in the table."""
    if row is None:
        return "-"
    return "passes" if row["ok"] else "fails"


def collect(paths):
    """{engine: {runtime: results}}"""
    engines = {}
    for path in paths:
        results = json.loads(pathlib.Path(path).read_text())
        results["rows"] = {row["case"]: row for row in results["rows"]}
        engines.setdefault(results["engine"], {})[results["runtime"]] = results
    return engines


def control_of(runtimes):
    """The name of the runtime that creel is compared with."""
    return next((name for name in runtimes if name not in ("creel", NOTHING)), None)


def judge(name, creel, control, nothing):
    """(kind, text) of a case: kind is None, "failure" or "skipped"."""
    if nothing and nothing["ok"]:
        return "failure", f"{name} passes with a runtime that does nothing"
    if creel["ok"]:
        return None, ""
    text = f"{creel['reason']}\n{creel['output']}"
    if control and not control["ok"]:
        return "skipped", f"the control fails, too: {control['reason']}\n{control['output']}\n{text}"
    return "failure", text


def today():
    return subprocess.run(["date", "-u", "+%Y-%m-%d"], capture_output=True, text=True,
                          check=True).stdout.strip()


def again(runtimes):
    """One line on what did not pass at once: a case that may be tried again would hide what fails now and then."""
    notes = [f"{row['case']}, {name}: {row['note']}" for name, results in runtimes.items() if name != NOTHING
             for row in results["rows"].values() if row["ok"] and row.get("note")]
    return f"Not at once: {'. '.join(notes)}." if notes else "All of these at once, with no second try."


def markdown(engines):
    """The tables, engine by engine."""
    lines = []
    for engine, runtimes in sorted(engines.items()):
        creel = runtimes["creel"]
        control = control_of(runtimes)
        versions = ", ".join(line for line in creel["versions"] if line)
        lines += [f"### {engine} ({creel['lab']} laboratory)", "",
                  f"{versions}; {today()}", "",
                  f"| case | creel | {control or 'control'} |", "|---|---|---|"]
        for name, row in creel["rows"].items():
            other = runtimes[control]["rows"].get(name) if control else None
            lines.append(f"| {name.replace('|', '&#124;')} | {verdict(row)} | {verdict(other)} |")
        passed = sum(row["ok"] for row in creel["rows"].values())
        summary = f"creel: {passed} of {len(creel['rows'])}"
        for name, results in runtimes.items():
            if name != "creel":
                count = sum(row["ok"] for row in results["rows"].values())
                what = "a runtime that does nothing" if name == NOTHING else name
                summary += f"; {what}: {count} of {len(results['rows'])}"
        lines += ["", summary + ".", "", again(runtimes), ""]
    return "\n".join(lines)


def put_into(document, lab, table):
    """Replaces what DOCUMENT has between the marks of the laboratory."""
    path = pathlib.Path(document)
    text = path.read_text()
    begin, end = f"<!-- results: {lab} -->\n", f"<!-- end: {lab} -->"
    head, rest = text.split(begin)
    path.write_text(f"{head}{begin}\n{table}\n{end}{rest.split(end)[1]}")


def main():
    """0 when creel passes all that its control passes, and doing nothing passes nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--junit", required=True)
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--docs", help="a document to put the tables into")
    parser.add_argument("results", nargs="+")
    options = parser.parse_args()
    engines = collect(options.results)
    suite = ElementTree.Element("testsuite", name="engines")
    failures = 0
    for engine, runtimes in sorted(engines.items()):
        if "creel" not in runtimes:
            continue
        control = control_of(runtimes)
        for name, row in runtimes["creel"]["rows"].items():
            kind, text = judge(name, row,
                               runtimes[control]["rows"].get(name) if control else None,
                               runtimes.get(NOTHING, {"rows": {}})["rows"].get(name))
            case = ElementTree.SubElement(suite, "testcase", classname=f"engines.{engine}",
                                          name=name, time=str(row["seconds"]))
            if kind:
                clean = "".join(c for c in text if c in "\n\t" or " " <= c)
                ElementTree.SubElement(case, kind, message=clean.split("\n")[0]).text = clean
                print(f"{kind.upper()} {engine}: {name}: {clean}")
            failures += kind == "failure"
    ElementTree.ElementTree(suite).write(options.junit)
    usable = {name: runtimes for name, runtimes in engines.items() if "creel" in runtimes}
    table = markdown(usable)
    pathlib.Path(options.markdown).write_text(table)
    print(table)
    if options.docs and usable:
        put_into(options.docs, next(iter(usable.values()))["creel"]["lab"], table)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
