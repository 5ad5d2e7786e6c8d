"""The fault sweeps of tests/fault where systemd and CRIU are: a sample of the system calls of what has to do with them is failed and
killed, for as long as a test may take, and every row of restore's table fails.  More of them, by hand, in this machine:

    tests/fault/run --full --stage sweep --tools $CREEL_FAULT_TOOLS --patience 40 --configs systemd
    tests/fault/run --full --stage sweep --tools $CREEL_FAULT_TOOLS --patience 40 --configs plain --operations checkpoint,restore
"""

import collections
import json
import os
import pathlib
import subprocess
import sys

import pytest

RUN = pathlib.Path(__file__).resolve().parent.parent / "fault" / "run"
SLOW = "40"     # seconds for a command that takes one on a machine that is not emulated


def sweep(directory, *words):
    """Runs a stage of the faults: the rows that were tried, none of which is bad."""
    tools = os.environ["CREEL_FAULT_TOOLS"]
    done = subprocess.run([sys.executable, "-B", RUN, "--workers", "1", "--tools", tools, "--keep", directory, "--patience", SLOW,
                           *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    rows = [json.loads(line) for path in directory.iterdir() if path.is_file() for line in path.read_text().splitlines()]
    return [row for row in rows if row["verdict"] not in ("time", "not begun", "not reached")]


def test_every_row_of_restore_can_fail(tmp_path):
    """The command fails, names the row, and leaves nothing."""
    rows = sweep(tmp_path, "--stage", "steps", "--faults", os.path.join(os.environ["CREEL_FAULT_TOOLS"], "creel-faults"),
                 "--configs", "plain", "--operations", "restore")
    assert [row for row in rows if row["verdict"] != "failed clean"] == []
    times = collections.Counter(row["at"].partition(":")[0] for row in rows)
    assert times["before"] and times["after"] and len(rows) >= 24, rows
    assert any("restoring the processes" in row["at"] for row in rows)


@pytest.mark.parametrize("config,operations,sample,minutes", [
    ("systemd", ("create", "run", "exec", "update", "delete-force"), 14, 1.5),
    ("plain", ("restore", "checkpoint"), 16, 1.5)])
def test_a_sample_of_the_sweep(tmp_path, config, operations, sample, minutes):
    """Nothing is lost and nothing is left: units, cgroups, processes, files."""
    rows = sweep(tmp_path, "--stage", "sweep", "--configs", config, "--operations", ",".join(operations), "--sample", str(sample),
                 "--deadline", str(minutes))
    # How many depends on the machine.
    assert len(rows) >= 4 and {"failed clean", "clean"} & {row["verdict"] for row in rows}, rows
