#!/usr/bin/python3
"""Runs the cases of one engine in a laboratory, with one runtime below it, and writes what came of each.

The runtime lies at /usr/bin/creel, where the files of share/ expect it, behind a script that notes each call: a case counts
only when the engine really called the runtime.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
WORK = pathlib.Path("/tmp/engines")
CALLS = WORK / "calls"
NOTES = WORK / "notes"  # what prelude.sh's "again" says
NOTHING = "nothing"
HEADER = re.compile(r"^(\S.*?)(?: \[(fast|full|both)\])?:$")

WRAPPER = """#!/bin/sh
# Notes the call and becomes the runtime.
echo "$*" >> {calls}
exec {runtime} "$@"
"""


def read_cases(path, lab, chosen):
    """[(name, script)] of the cases in PATH that this laboratory can run, or that are chosen for the full one."""
    cases = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("\t"):
            cases[-1][2].append(line[1:])
            continue
        match = HEADER.match(line)
        if not match:
            sys.exit(f"{path}:{number}: neither the head of a case nor indented")
        cases.append((match[1], match[2], []))
    return [(name, "\n".join(script)) for name, only, script in cases
            if only in (lab, "both") or (only is None and not chosen)]


def install(runtime):
    """Puts the runtime where engines look for it: by its configured path, and as plain runc in PATH for BuildKit."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "path").mkdir(parents=True)
    WORK.chmod(0o1777)
    CALLS.write_text("")
    CALLS.chmod(0o666)
    for place in (pathlib.Path("/usr/bin/creel"), WORK / "path" / "runc"):
        place.write_text(WRAPPER.format(calls=CALLS, runtime=runtime))
        place.chmod(0o755)


def says(script, name):
    """What an engine's script says in a line "# name: value"."""
    match = re.search(rf"^# {name}: (\S+)", script, re.M)
    return match[1] if match else None


def setting(name):
    """The same of the engine that runs."""
    return says((WORK / "engine.sh").read_text(), name)


def cases_of(engine, script, lab, chosen):
    """The cases of ENGINE in this laboratory: one that shares them with another engine says itself which of them it does where."""
    own = says(script, "short" if chosen else lab)
    source = HERE / f"{says(script, 'cases') or engine}.cases"
    return [case for case in read_cases(source, lab, chosen and not own) if re.search(own or "", case[0])]


def started(since):
    """True when a container was made by the runtime after byte SINCE of its calls."""
    text = CALLS.read_text()[since:]
    return bool(re.search(r"(^| )(create|run|restore) ", text, re.M))


def bash(script, log, seconds):
    """The exit status of SCRIPT after the engine's prelude, or None when it took too long."""
    command = ["bash", "-eu", "-o", "pipefail", "-c", '. "$1"; . "$2"\neval "$3"', "case",
               str(HERE / "prelude.sh"), str(WORK / "engine.sh"), script]
    if setting("user"):
        # What conmon is left in the user's service has to go with it: tidy up in there.
        command[5] = '. "$1"; . "$2"; set +e; (set -e; eval "$3"); status=$?; tidy; exit $status'
        command.insert(0, "as-user")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             start_new_session=True, cwd=WORK)
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return None


def run_case(name, script, seconds):
    """One row of the table."""
    start = time.monotonic()
    since = CALLS.stat().st_size
    NOTES.unlink(missing_ok=True)
    with open(WORK / "case.log", "w+b") as log:
        status = bash(script, log, seconds)
        reason = ""
        if status is None:
            reason = f"not finished after {seconds} seconds"
        elif status != 0:
            reason = f"status {status}"
        elif not started(since):
            reason = "the engine did not call the runtime"
        log.flush()
        output = (WORK / "case.log").read_bytes()[-3000:].decode(errors="replace")
        tidy = bash("tidy", log, seconds)
        if tidy is None:
            bash("recover", log, 60)
        if tidy != 0 and not reason:
            reason = f"tidying up afterwards: status {tidy}"
            output = (WORK / "case.log").read_bytes()[-3000:].decode(errors="replace")
    note = NOTES.read_text().strip() if NOTES.exists() else ""
    return {"case": name, "ok": not reason, "reason": reason, "output": output if reason else "", "note": note,
            "seconds": round(time.monotonic() - start, 2)}


def write_results(options, lab, rows):
    """Leaves what is known so far for report.py."""
    pathlib.Path(options.results).write_text(json.dumps({
        "engine": options.engine, "runtime": options.name, "lab": lab, "rows": rows,
        "versions": (WORK / "version.log").read_text().split("\n"),
        "calls": CALLS.read_text().count("\n")}, indent=1))


def main():
    """0 when all cases ran, whatever came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run only cases whose name matches this")
    parser.add_argument("--chosen", action="store_true", help="only what needs the full laboratory, or is marked [both]")
    parser.add_argument("--failed-in", metavar="RESULTS", help="only what fails there")
    parser.add_argument("--seconds", type=int, default=30, help="the longest that a case may take")
    parser.add_argument("engine")
    parser.add_argument("name", help="what the runtime is called in the table")
    parser.add_argument("runtime", help="the path of its binary")
    parser.add_argument("results", help="the file to write")
    options = parser.parse_args()
    lab = os.environ.get("CREEL_LAB")
    if lab not in ("fast", "full"):
        sys.exit("engines.py runs in a laboratory only: use tests/engines/run")
    install(options.runtime)
    shutil.copy(HERE / f"{options.engine}.sh", WORK / "engine.sh")
    tries = int(setting("tries") or 1) if options.name != NOTHING else 1
    script = (WORK / "engine.sh").read_text()
    cases = [case for case in cases_of(options.engine, script, lab, options.chosen)
             if re.search(options.only, case[0])]
    if options.failed_in:
        failed = {row["case"] for row in json.loads(pathlib.Path(options.failed_in).read_text())["rows"]
                  if not row["ok"]}
        cases = [case for case in cases if case[0] in failed]
        if not cases:
            return 0
    rows = []
    with open(WORK / "setup.log", "w+b") as log:
        status = bash("setup", log, 180)
    if status != 0:
        print((WORK / "setup.log").read_text(errors="replace")[-4000:], file=sys.stderr)
        sys.exit(f"cannot set {options.engine} up: status {status}")
    with open(WORK / "version.log", "w+b") as log:
        bash("versions", log, 60)
    for name, script in cases:
        for attempt in range(tries):
            row = run_case(name, script, options.seconds)
            if row["ok"]:
                break
            if options.name != NOTHING:
                print(f"{name}: {row['reason']}\n{row['output']}", flush=True, file=sys.stderr)
        if attempt:
            row["note"] = "; ".join(filter(None, [row["note"], f"try {attempt + 1} of {tries}"]))
        rows.append(row)
        print(f"{options.engine:10} {options.name:6} {'ok  ' if row['ok'] else 'FAIL'} "
              f"{row['seconds']:6.2f} s  {name}  {row['reason']}{row['note'] and '  (' + row['note'] + ')'}", flush=True)
        # After each case: the laboratory may be out of time before the next.
        write_results(options, lab, rows)
    with open(WORK / "end.log", "w+b") as log:
        bash("teardown", log, 60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
