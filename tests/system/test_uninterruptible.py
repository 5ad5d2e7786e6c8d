"""A process that not even SIGKILL ends: it waits in the kernel, without a wait that can be interrupted, for a filesystem that does not
answer.  No command hangs for it; each says which process it is and where it waits; and when the filesystem answers again, all is well."""

import contextlib
import os
import pathlib
import re

import harness
import pytest
from harness import wait_until

import fuse

SECONDS = 2


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def disk(creel):
    """A filesystem that can be stopped; it goes on at the end."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/fuse")
    backing, place = creel.directory / "backing", creel.directory / "disk"
    backing.mkdir()
    place.mkdir()
    (backing / "file").write_text("")
    mount = fuse.Mount(backing, place)
    mount.serve()
    try:
        yield mount
    finally:
        with contextlib.suppress(ProcessLookupError):
            mount.go_on()
        with contextlib.suppress(OSError):
            mount.end()


@pytest.fixture
def dead(creel, disk):
    """A running container whose init was killed while its filesystem does not answer: its name, its pid."""
    bundle = creel.shell("exec 3>>/mnt/file; exec sleep 1000")
    bundle.spec["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(disk.target), "options": ["bind"]})
    name = creel.create(bundle.write())
    try:
        creel.ok("start", name)
        pid = creel.state(name)["pid"]
        wait_until(lambda: pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "its program runs")
        disk.stop()
        # To close the file it asks the filesystem, and that is a wait that no signal ends.
        creel.ok("kill", name, "KILL")
        wait_until(lambda: state_of(pid) == "D", "it waits in the kernel")
        yield name, pid
    finally:
        disk.go_on()
        wait_until(lambda: name not in creel.ids() or creel.status(name) == "stopped", "it ends at last")
        creel.ok("delete", "--force", name)


def test_nobody_waits_for_ever_for_what_cannot_be_killed(creel, dead, disk):
    name, pid = dead
    assert creel.status(name) == "running"
    assert name in creel.ids()
    creel.options = ["--timeout", f"{SECONDS}s"]
    waited = creel.run("kill", "--wait", name, "KILL")
    creel.options = []
    assert waited.code == 1
    assert re.search(rf"process {pid}, sleep \(\w*request\w*\), has not ended {SECONDS}000 ms after signal 9", waited.err), str(waited)
    frozen = creel.run("pause", name)
    assert frozen.code == 1 and re.search(rf"not frozen: {pid} sleep \(", frozen.err), str(frozen)
    assert creel.status(name) == "running"
    deleted = creel.run("delete", "--force", name)
    assert deleted.code == 1
    assert re.search(rf"container init still running: process {pid}, sleep \(\w*request\w*\), has not ended", deleted.err), str(deleted)
    disk.go_on()
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)
    assert name not in creel.ids()


def test_a_hook_that_cannot_be_killed(creel, disk):
    """When its time is over, so is that of create, which says where the hook waits, and leaves nothing."""
    hook = creel.directory / "hook"
    hook.write_text(f"#!/bin/sh\nexec 3>>{disk.target}/file\necho open\nkill -STOP {disk.server}\nexec sleep 1000\n")
    hook.chmod(0o755)
    bundle = creel.bundle("/bin/probe", "sleep")
    bundle.spec["hooks"] = {"createRuntime": [{"path": str(hook), "timeout": SECONDS}]}
    name = creel.id()
    result = creel.run("create", "--bundle", bundle.write().path, name)
    assert result.code == 1
    assert re.search(rf"createRuntime hook #0: `{hook}` ran past its timeout of {SECONDS} s and process \d+, sleep \(\w*request\w*\), "
                     "has not ended", result.err), str(result)
    assert name not in creel.ids()
    pid = int(re.search(r"process (\d+), sleep", result.err)[1])
    assert state_of(pid) == "D"
    disk.go_on()
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or state_of(pid) == "Z", "the hook ends at last")


def test_a_ps_that_does_not_answer(creel):
    """Another program that reads what it likes, and may wait there."""
    ps = creel.directory / "ps"
    ps.write_text("#!/bin/sh\nexec sleep 1000\n")
    ps.chmod(0o755)
    place = os.path.realpath("/usr/bin/ps")
    with creel.running() as name:
        harness.mount(ps, place, None, harness.MS_BIND)
        try:
            creel.options = ["--timeout", f"{SECONDS}s"]
            result = creel.run("ps", name)
            creel.options = []
        finally:
            harness.unmount(place)
        assert result.code == 1
        assert re.search(rf"process \d+, sleep \([^)]+\), did not answer in {SECONDS}000 ms", result.err), str(result)
        assert "sleep" in creel.ok("ps", name).out
