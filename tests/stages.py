"""Runs the stages of the tests, those in virtual machines beside those of the host, and adds up their results.

Each stage is a command that leaves JUnit files; a stage that ends badly without a failed test in them counts as one failure, so
that nothing that breaks early can look like success.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

TOP = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
# The static program has another C library: the suites of this host try it, those with systemd the other one.
STATIC = "build-static"
UNSTEADY_LIMIT = 4      # tests that fail once and pass when their stage runs again, in the whole run


@dataclass
class Stage:
    """One row of the table: what it proves, how it runs, and how long it may take."""
    name: str
    commands: list
    minutes: int
    results: list = field(default_factory=list)
    needs_root: bool = False
    machine: bool = False  # in a virtual machine: it runs beside those of the host
    again: bool = True     # what fails in it may be an accident of timing; a compiler has none


def meson_stage(name, directory, *options, minutes=20, test_args=()):
    """Configures a build directory, builds it, runs its unit tests and lints."""
    build = TOP / directory
    setup = ["meson", "setup", str(build), *options]
    if build.is_dir():
        setup.insert(2, "--reconfigure")
    return Stage(
        name,
        [setup, ["ninja", "-C", str(build)],
         ["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs", "-t", "10", *test_args]],
        minutes,
        [build / "meson-logs" / "testlog.junit.xml"],
        again=False,
    )


def pytest_stage(name, directory, minutes, *arguments, creel="build/creel"):
    """Runs the pytest files of a directory on this host, against CREEL."""
    result = TOP / "build" / "results" / f"{name}.xml"
    # What takes five minutes hangs: the log says where.
    command = ["env", f"CREEL={TOP / creel}", PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider",
               "-o", "faulthandler_timeout=300",
               f"--junitxml={result}", *arguments, str(TOP / "tests" / directory)]
    return Stage(name, [command], minutes, [result], needs_root=True)


def script_stage(name, minutes, *command):
    """Runs a script of tests/ that is one test by itself."""
    return Stage(name, [[str(TOP / "tests" / command[0]), *command[1:]]], minutes, needs_root=True)


def fuzz_stage(name, minutes, seconds):
    """Runs every fuzz target, two at a time and the same way each time; campaigns are for `tests/fuzz/run` itself."""
    result = TOP / "build" / "results" / f"{name}.xml"
    command = [str(TOP / "tests" / "fuzz" / "run"), str(seconds), "--seed", "1",
               "--runs", "100000", "--results", str(result)]
    return Stage(name, [command], minutes, [result], again=False)


def analysis_stage(name, minutes):
    """Static analysis of src/, as build/ compiles it."""
    result = TOP / "build" / "results" / f"{name}.xml"
    command = [str(TOP / "tests" / "analysis" / "run"), "--results", str(result)]
    return Stage(name, [command], minutes, [result], needs_root=True, again=False)


def vm_stage(name, minutes, *arguments):
    """Runs what needs every controller and systemd, in one boot of a virtual machine."""
    result = TOP / "build" / "results" / name / "full-lab.xml"
    command = [str(TOP / "tests" / "vm" / "run"), "--results", str(result.parent), *arguments]
    return Stage(name, [command], minutes, [result], needs_root=True, machine=True)


def engines_stage(name, minutes):
    """Runs the engines with build/creel, with their usual runtime, and with one that does nothing."""
    results = TOP / "build" / "results" / name
    return Stage(name, [[str(TOP / "tests" / "engines" / "run"), "--results", str(results)]],
                 minutes, [results / "junit.xml"], needs_root=True)


def engines_vm_stage(name, minutes):
    """Runs the engines where controllers, systemd and AppArmor are, with build/creel."""
    results = TOP / "build" / "results" / name
    command = [str(TOP / "tests" / "engines" / "full"), "--timeout", str(minutes * 60 - 60),
               "--results", str(results)]
    return Stage(name, [command], minutes, [results / "junit.xml"], needs_root=True, machine=True)


def stages(options):
    """The table."""
    return [
        meson_stage("build", "build", "-Dwerror=true"),
        meson_stage("static", STATIC, "-Dwerror=true", "-Dstatic=true", test_args=("--suite", "lint")),
        meson_stage("sanitizers", "build-asan", "-Db_sanitize=address,undefined",
                    "-Db_lundef=false", test_args=("--suite", "unit")),
        analysis_stage("analysis", 25),
        script_stage("install", 10, "install"),
        fuzz_stage("fuzz", 15, options.fuzz_seconds),
        pytest_stage("attacks", "attacks", 20, creel=f"{STATIC}/creel"),
        script_stage("farm", 10, "attacks/farm.py", "--quick"),
        script_stage("interleave", 20, "attacks/interleave.py", "--limit", "5000"),
        script_stage("trace", 10, "attacks/trace_lint.py"),
        script_stage("faults", 20, "fault/run", "--quick", "--deadline", "12"),
        script_stage("many", 10, "fault/many.py"),
        pytest_stage("system", "system", 30, creel=f"{STATIC}/creel"),
        pytest_stage("spec", "spec", 20, creel=f"{STATIC}/creel"),
        script_stage("fast-lab", 10, "spec/differential.py"),
        pytest_stage("docs", "docs", 10),
        pytest_stage("package", "package", 15),
        engines_stage("engines", 20),
        vm_stage("full-lab", 28),
        vm_stage("spec-vm", 20, "-m", "controller", "tests/spec"),
        Stage("attacks-vm", [[str(TOP / "tests" / "attacks" / "in-vm")]], 28, needs_root=True, machine=True),
        vm_stage("selinux-lab", 15, "--selinux"),
        engines_vm_stage("engines-vm", 25),
    ]


def read_results(paths):
    """(passed, failed, skipped, names of the failed) of JUnit files."""
    counts = [0, 0, 0]
    failures = []
    for path in paths:
        if not path.exists():
            continue
        # meson copies what a test printed as it is, and XML has no control characters.
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "?", path.read_text(errors="replace"))
        for case in ElementTree.fromstring(text.encode()).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                counts[1] += 1
                failures.append(f'{case.get("classname", "")}::{case.get("name")}')
            elif case.find("skipped") is not None:
                counts[2] += 1
            else:
                counts[0] += 1
    return *counts, failures


def tree_of(top):
    """The pids of a process and of all that it has started and that did not lose its parent."""
    children = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            children.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found = [top]
    for pid in found:
        found += children.get(pid, [])
    return found


def end_tree(process):
    """Ends what is out of time, with all that it has started: interrupted, pytest and Python say where they are."""
    everything = tree_of(process.pid)
    for number, seconds in ((signal.SIGINT, 30), (signal.SIGTERM, 15), (signal.SIGKILL, 0)):
        for pid in everything:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            process.poll()
            everything = [pid for pid in everything if os.path.exists(f"/proc/{pid}")]
            if not everything:
                return
            time.sleep(0.1)


def run_command(command, log, minutes):
    """True when COMMAND ended with 0 in time; its output goes to LOG."""
    log.write(f"$ {shlex.join(command)}\n".encode())
    log.flush()
    # What a shell has started in the background ignores SIGINT, and so would what that starts.
    with subprocess.Popen(["env", "--default-signal=INT", *command], cwd=TOP, stdin=subprocess.DEVNULL,
                          stdout=log, stderr=log) as process:
        try:
            return process.wait(minutes * 60) == 0
        except subprocess.TimeoutExpired:
            log.write(f"\nnot finished after {minutes} minutes\n".encode())
            log.flush()
            end_tree(process)
            return False


@dataclass
class Attempt:
    """What one run of a stage came to."""
    passed: int
    failed: int
    skipped: int
    failures: list
    log: pathlib.Path


def attempt_stage(stage, path):
    """Runs the commands of a stage and reads what they left."""
    for result in stage.results:
        result.unlink(missing_ok=True)
    with open(path, "wb") as log:
        good = all(run_command(command, log, stage.minutes) for command in stage.commands)
    passed, failed, skipped, failures = read_results(stage.results)
    if not stage.results and good:
        passed = 1
    if not good and failed == 0:
        failed = 1
        failures.append(f"{stage.name} itself")
    return Attempt(passed, failed, skipped, failures, path)


def print_failures(word, failures, log):
    """Names them, with the end of the log that tells of them."""
    lines = [f"    {word} {name}" for name in failures]
    lines += [f"    | {line}" for line in log.read_text(errors="replace").splitlines()[-60:]]
    print("\n".join(lines), flush=True)


def run_stage(stage, logs):
    """Runs one stage; returns (passed, failed, skipped, unsteady).

    When a few tests fail, the stage runs once more, and what fails then has failed.  When nothing does, those that had are
    unsteady: they are named, with their log, and the run as a whole puts up with UNSTEADY_LIMIT of them.
    """
    start = time.monotonic()
    attempt = attempt_stage(stage, logs / f"{stage.name}.log")
    unsteady = []
    if stage.again and 0 < attempt.failed <= UNSTEADY_LIMIT:
        first, attempt = attempt, attempt_stage(stage, logs / f"{stage.name}-again.log")
        unsteady = [] if attempt.failed else first.failures
        print_failures("UNSTEADY" if unsteady else "FAILED FIRST", first.failures, first.log)
    print(f"{stage.name:12} {attempt.passed:5} passed {attempt.failed:4} failed {attempt.skipped:4} skipped "
          f"{time.monotonic() - start:7.1f} s", flush=True)
    if attempt.failed:
        print_failures("FAILED", attempt.failures, attempt.log)
    return attempt.passed, attempt.failed, attempt.skipped, len(unsteady)


def run_lane(table, logs):
    """Runs stages one after the other; returns the sum of their results."""
    return [sum(counts) for counts in zip(*(run_stage(stage, logs) for stage in table))] or [0, 0, 0, 0]


def run_table(table, logs):
    """What is not built cannot be tested; then a machine, which has one processor, runs beside the host's stages."""
    lanes = [[stage for stage in table[1:] if stage.machine is machine] for machine in (False, True)]
    totals = [run_lane(table[:1], logs)]
    if totals[0][1] == 0:
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            totals += pool.map(lambda lane: run_lane(lane, logs), lanes)
    return [sum(counts) for counts in zip(*totals)]


def main():
    """Runs the table, or the stages that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fuzz-seconds", type=int, default=60)
    parser.add_argument("--execs", metavar="SEQUENTIAL,PARALLEL",
                        help="other numbers than 10000,1000 for tests/system/test_exec_many.py")
    parser.add_argument("--list", action="store_true", help="print the stages and exit")
    parser.add_argument("stage", nargs="*", help="run only these")
    options = parser.parse_args()
    if options.execs:
        os.environ["CREEL_EXECS"] = options.execs
    # Containers inherit how nice their creator is, and tests say what they expect.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    table = stages(options)
    if options.list:
        print("\n".join(stage.name for stage in table))
        return 0
    logs = TOP / "build" / "results"
    if logs.exists():
        shutil.rmtree(logs)
    logs.mkdir(parents=True)
    totals = run_table([stage for stage in table if not options.stage or stage.name in options.stage], logs)
    passed, failed, skipped, unsteady = totals
    if unsteady:
        print(f"{unsteady} unsteady, {UNSTEADY_LIMIT} at most")
    if unsteady > UNSTEADY_LIMIT:
        failed += unsteady
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
