"""--trace FILE: a timeline of the steps of P, S and I in the JSON of trace events, which Perfetto reads."""

import json

import pytest

STAGE = "making the container's init"


def spans(path):
    """The events by role; the array needs no end, and a comma may stand before it."""
    events = json.loads(path.read_text().rstrip().rstrip(",") + "]")
    roles = {}
    for event in events:
        assert event["ph"] == "X" and event["ts"] > 0 and event["dur"] >= 0, event
        roles.setdefault(event["tid"], []).append(event["name"])
    return roles


@pytest.mark.parametrize("userns", [False, True])
def test_run(creel, tmp_path, userns):
    file = tmp_path / "trace"
    bundle = creel.bundle("/bin/probe", "exit", "0", userns=userns)
    creel.ok("--trace", file, "run", "--bundle", bundle.path, creel.id())
    roles = spans(file)
    assert {"making the state directory", "making the cgroup", "publishing the container"} <= set(roles["P"])
    assert {"mounting", "entering the root filesystem"} <= set(roles["I"])
    assert len(roles["I"]) == len(set(roles["I"])) > 10
    assert ("making the cgroup" in roles["P undo"]) and len(roles["P undo"]) > 3
    # Where all namespaces are simply new, P clones I itself.
    assert (STAGE in roles.get("S", ())) is userns


def test_exec(creel, tmp_path):
    file = tmp_path / "trace"
    with creel.running() as name:
        creel.ok("--trace", file, "exec", name, "/bin/probe", "exit", "0")
        roles = spans(file)
        assert "starting the stage" in roles["P"] and "joining the namespaces" in roles["S"]


def test_failure(creel, tmp_path):
    """What was undone is in it, too."""
    file = tmp_path / "trace"
    bundle = creel.bundle("/bin/no-such-program")
    creel.fails("no-such-program", "--trace", file, "run", "--bundle", bundle.path, creel.id())
    assert "making the state directory" in spans(file)["P undo"]


def test_file_that_cannot_be_made(creel, tmp_path):
    creel.fails("cannot open the trace file", "--trace", tmp_path / "none" / "trace", "list")
