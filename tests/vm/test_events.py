"""`events` and `stats`: what they say against the kernel's own files."""

import contextlib
import json
import os
import pathlib
import time

import harness
import limits
import openmetrics
from limits import MIB, read

MEMORY = {"limit": 32 * MIB, "swap": 48 * MIB}


def test_schema(creel):
    with limits.container(creel, memory=MEMORY, pids={"limit": 40},
                          hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MIB}],
                          cpu={"quota": 50000, "cpus": "0-1"}) as name:
        creel.ok("exec", name, "/bin/probe", "spin", "0.5")
        record = creel.ok("events", "--stats", name).json()
        assert list(record) == ["type", "id", "data"]
        assert (record["type"], record["id"]) == ("stats", name)
        data = record["data"]
        assert list(data) == ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt",
                              "network_interfaces"]
        assert data["network_interfaces"] is None and data["intel_rdt"] == {}
        usage = data["cpu"]["usage"]
        assert list(usage) == ["total", "kernel", "user"]
        assert 10 ** 8 < usage["total"] < 10 ** 10
        assert data["cpu"]["throttling"]["throttledPeriods"] > 0
        assert data["cpu"]["throttling"]["throttledTime"] > 0
        assert data["cpuset"]["cpus"] == [0, 1] and data["cpuset"]["mems"] == [0]
        memory = data["memory"]
        assert memory["usage"]["limit"] == 32 * MIB
        assert 0 < memory["usage"]["usage"] <= memory["usage"]["max"] <= 32 * MIB
        assert memory["swap"]["limit"] == 48 * MIB
        assert memory["kernel"] == memory["kernelTCP"] == {"limit": 0, "failcnt": 0}
        stat = dict(line.split() for line in read(name, "memory.stat").splitlines())
        assert set(memory["raw"]) == set(stat)
        assert all(isinstance(n, int) for n in memory["raw"].values())
        assert data["pids"] == {"current": 1, "limit": 40}
        assert data["hugetlb"]["2MB"] == {"failcnt": 0}
        for where in ("cpu", "memory", "blkio"):
            psi = data[where]["psi"]
            assert set(psi) == {"some", "full"}
            assert set(psi["some"]) == {"avg10", "avg60", "avg300", "total"}


def test_no_limit(creel):
    with limits.container(creel) as name:
        data = creel.ok("events", "--stats", name).json()["data"]
        assert data["memory"]["usage"]["limit"] == 2 ** 64 - 1
        assert "limit" not in data["pids"]


def test_io(creel):
    major, minor = limits.disk()

    def change(spec):
        spec["linux"]["devices"] = [{"path": "/dev/disk", "type": "b", "major": major,
                                     "minor": minor, "fileMode": 0o600}]
    allow = [{"allow": False, "access": "rwm"},
             {"allow": True, "type": "b", "major": major, "minor": minor, "access": "r"}]
    with limits.container(creel, change=change, devices=allow) as name:
        creel.run("exec", name, "/bin/busybox", "dd", "if=/dev/disk", "of=/dev/null", "bs=65536",
                  "count=16", "iflag=direct")
        io = creel.ok("events", "--stats", name).json()["data"]["blkio"]
        entry = {"major": major, "op": "Read", "value": MIB}
        entry.update({"minor": minor} if minor else {})
        assert entry in io["ioServiceBytesRecursive"], io
        assert any(e["op"] == "Read" and e["value"] >= 1 for e in io["ioServicedRecursive"])


def lines(result):
    return [json.loads(line) for line in result.out.splitlines()]


def test_interval_and_end(creel):
    with limits.container(creel) as name:
        events = creel.spawn("events", "--interval", "0.5s", name)
        harness.wait_until(lambda: len(lines(events.result)) >= 2, "two records")
        assert events.process.poll() is None
        creel.ok("kill", name, "KILL")
        begin = time.monotonic()
        assert events.wait().code == 0
        assert time.monotonic() - begin < 30
        assert events.result.err == ""
        assert {record["type"] for record in lines(events.result)} == {"stats"}


def watches(pid):
    """Whether a process has a memory.events open, and sleeps."""
    links = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(path))
    return any(link.endswith("/memory.events") for link in links) and harness.stat_fields(pid)[0] == "S"


def test_oom(creel):
    with limits.container(creel, memory={"limit": 16 * MIB, "swap": 16 * MIB}) as name:
        events = creel.spawn("events", "--interval", "1h", name)
        harness.wait_until(lambda: watches(events.pid), "it watches")
        creel.run("exec", name, "/bin/probe", "hog", str(64 * MIB))
        harness.wait_until(lambda: lines(events.result), "the notice")
        first = lines(events.result)[0]
        assert first["type"] == "oom" and first["id"] == name and "data" not in first
        assert first["oom"]["cgroup"] == f"/{name}" and first["oom"]["limit"] == 16 * MIB
        assert 15 * MIB < first["oom"]["peak"] <= 16 * MIB
        creel.run("exec", name, "/bin/probe", "hog", str(64 * MIB))
        harness.wait_until(lambda: len(lines(events.result)) == 2, "the second notice")
        creel.ok("kill", name, "KILL")
        assert events.wait().code == 0


def test_reader_that_goes_away(creel):
    with limits.container(creel) as name:
        events = creel.spawn("events", "--interval", "1h", name, stdout=-1)
        events.process.stdout.close()
        assert events.wait().code == 0


def test_stopped_and_wrong(creel):
    name = creel.id("vm")
    creel.ok("run", "--detach", "--bundle", limits.bundle(creel, name, "/bin/probe", "true").path,
             name)
    creel.wait_status(name, "stopped")
    creel.fails(f"container with id {name} is not running", "events", name)
    creel.fails(f"container with id {name} is not running", "events", "--stats", name)
    creel.fails("greater than 0", "events", "--interval", "0s", name)
    creel.ok("delete", name)


def test_stats(creel):
    with limits.container(creel, memory=MEMORY, pids={"limit": 40}) as one, \
            limits.container(creel) as two:
        table = creel.ok("stats").out.splitlines()
        assert table[0].split()[:5] == ["ID", "CPU", "MEMORY", "LIMIT", "PEAK"]
        rows = {row.split()[0]: row.split() for row in table[1:]}
        assert set(rows) == {one, two}
        assert rows[one][3] == "32.0M" and rows[two][3] == "max" and rows[one][5] == "1"
        assert creel.ok("stats", "--format", "json", one).json()[one]["pids"]["limit"] == 40
        text = creel.ok("stats", "--format", "openmetrics").out
        families = openmetrics.parse(text)
        assert len(families) > 20
        assert set(families["creel_memory_usage_bytes"].samples) == {f'id="{one}"', f'id="{two}"'}
        assert f'creel_memory_limit_bytes{{id="{one}"}} {32 * MIB}\n' in text
        assert f'creel_memory_limit_bytes{{id="{two}"}} +Inf\n' in text
        assert f'creel_pids_limit{{id="{two}"}} +Inf\n' in text
