"""A process that not even SIGKILL ends: it waits in the kernel, without a wait that can be interrupted, for a filesystem that does not
answer.  No command hangs for it; each says which process it is and where it waits; and when the filesystem answers again, all is well."""

import contextlib
import os
import pathlib
import re

import pytest
from harness import wait_until

import fuse

SECONDS = 2


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def dead_disk(creel):
    """A running container whose init was killed while its filesystem does not answer: its name, its pid, the filesystem."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/fuse")
    backing, place = creel.directory / "backing", creel.directory / "disk"
    backing.mkdir()
    place.mkdir()
    (backing / "file").write_text("")
    disk = fuse.Mount(backing, place)
    disk.serve()
    try:
        bundle = creel.shell("exec 3>>/mnt/file; exec sleep 1000")
        bundle.spec["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(place), "options": ["bind"]})
        name = creel.create(bundle.write())
        creel.ok("start", name)
        pid = creel.state(name)["pid"]
        wait_until(lambda: pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "its program runs")
        disk.stop()
        try:
            # To close the file it asks the filesystem, and that is a wait that no signal ends.
            creel.ok("kill", name, "KILL")
            wait_until(lambda: state_of(pid) == "D", "it waits in the kernel")
            yield name, pid, disk
        finally:
            disk.go_on()
            wait_until(lambda: creel.status(name) == "stopped" if name in creel.ids() else True, "it ends at last")
            creel.ok("delete", "--force", name)
    finally:
        with contextlib.suppress(OSError):
            disk.end()


def test_nobody_waits_for_ever_for_what_cannot_be_killed(creel, dead_disk):
    name, pid, disk = dead_disk
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
