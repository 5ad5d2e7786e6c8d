"""runtime.md, "State"."""

import datetime
import json
import os

import pytest

from .words import changed

MEMBERS = {"ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations",
           "owner"}


def test_members(creel):
    """runtime.md State: state/ociVersion,state/id,state/status,state/pid,state/bundle: MUST: all of
    them are there, and right."""
    bundle = changed(creel, lambda spec: spec.update(annotations={"org.example": "x", "empty": ""}),
                     "/bin/probe", "sleep")
    with creel.running(bundle) as name:
        state = creel.state(name)
        assert set(state) <= MEMBERS
        assert state["ociVersion"].startswith("1.") and state["id"] == name
        assert state["status"] == "running" and state["bundle"] == str(bundle.path)
        assert os.stat(f"/proc/{state['pid']}/ns/pid").st_ino != os.stat(
            "/proc/self/ns/pid").st_ino
        assert state["annotations"] == {"org.example": "x", "empty": ""}


def test_statuses(creel):
    """runtime.md State: state/status: MUST: it says created, running and stopped when they are
    true."""
    name = creel.create(creel.bundle("/bin/probe", "sleep"))
    assert creel.status(name) == "created"
    creel.ok("start", name)
    assert creel.status(name) == "running"
    creel.ok("kill", name, "KILL")
    creel.wait_status(name, "stopped")
    assert creel.state(name)["pid"] == 0
    creel.ok("delete", name)


def test_paused(creel):
    """runtime.md State: state/status: MAY: a paused container has a status of its own."""
    with creel.running() as name:
        creel.ok("pause", name)
        assert creel.status(name) == "paused"
        creel.ok("resume", name)
        assert creel.status(name) == "running"


def test_bundle_is_absolute(creel):
    """runtime.md State: state/bundle: MUST: the path is absolute, however it was given."""
    bundle = creel.bundle("/bin/probe", "sleep")
    name = creel.id()
    creel.ok("create", "--bundle", bundle.path.name, name, cwd=bundle.path.parent)
    assert creel.state(name)["bundle"] == str(bundle.path)
    assert os.path.isabs(creel.state(name)["rootfs"])
    creel.ok("delete", "--force", name)


def test_created(creel):
    """runtime.md State: state/created: creel: the time is in RFC 3339, UTC."""
    with creel.running() as name:
        text = creel.state(name)["created"]
        assert text.endswith("Z")
        then = datetime.datetime.fromisoformat(text[:19] + "+00:00")
        assert abs((datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()) < 30


def test_annotations_absent(creel):
    """runtime.md State: state/annotations: MAY: without annotations the member is absent or empty."""
    with creel.running() as name:
        assert not creel.state(name).get("annotations")


def test_output_alone(creel):
    """runtime.md Query State: state: MUST: the state is all that is printed."""
    with creel.running() as name:
        result = creel.ok("state", name)
        assert json.loads(result.out) and result.err == ""


@pytest.mark.parametrize("started", [False, True])
def test_pid_of_namespace_of_runtime(creel, started):
    """runtime.md State: state/pid: MUST: for created and running containers it is the process as
    the runtime sees it."""
    with creel.running(started=started) as name:
        pid = creel.state(name)["pid"]
        text = open(f"/proc/{pid}/status", encoding="utf-8").read()
        assert f"NSpid:\t{pid}\t1\n" in text
