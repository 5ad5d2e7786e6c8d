"""config-linux.md, "Namespaces" and "Offset for time namespace"."""

import time

import pytest

from .words import changed, holder, mount_at, refused, set_namespace


def with_time(spec, offsets=None, path=None):
    """Gives SPEC a time namespace."""
    set_namespace(spec, "time", path)
    if offsets is not None:
        spec["linux"]["timeOffsets"] = offsets


def near(value, expected, slack=90):
    """Whether two times are the same, but for the time that a test takes."""
    return abs(value - expected) < slack


@pytest.mark.parametrize("offsets", [
    {"boottime": {"secs": 86400}, "monotonic": {"secs": 7200}},
    {"boottime": {"secs": 100000, "nanosecs": 500000000}},
    {"monotonic": {"secs": 1234567, "nanosecs": 999999999}}])
@pytest.mark.parametrize("userns", [False, True])
def test_offsets(creel, offsets, userns):
    """config-linux.md Time namespace: /linux/timeOffsets/boottime/secs,/linux/timeOffsets/monotonic/nanosecs: MUST:
    the clocks of the container are ahead by the offsets, of the others not."""
    report = creel.probe("timeOffsets", "clocks", userns=userns,
                         change=lambda spec: with_time(spec, offsets))
    for clock, number in (("monotonic", time.CLOCK_MONOTONIC), ("boottime", time.CLOCK_BOOTTIME)):
        wanted = offsets.get(clock, {})
        seen = report["timeOffsets"][clock]
        assert (seen["secs"], seen["nanosecs"]) == (wanted.get("secs", 0),
                                                    wanted.get("nanosecs", 0))
        assert near(report["clocks"][clock], time.clock_gettime(number) + wanted.get("secs", 0))
    assert near(report["clocks"]["realtime"], time.time())


def test_negative_offset(creel):
    """config-linux.md Time namespace: /linux/timeOffsets/monotonic/secs: MUST: an offset may be
    negative, as long as the clock stays positive."""
    if time.monotonic() < 60:
        pytest.skip("this host is too young")
    report = creel.probe("clocks", change=lambda spec: with_time(spec, {
        "monotonic": {"secs": -30}}))
    assert near(report["clocks"]["monotonic"], time.monotonic() - 30, 15)


def test_without_offsets(creel):
    """config-linux.md Time namespace: /linux/timeOffsets: MUST: a new time namespace without offsets
    has the host's clocks."""
    report = creel.probe("clocks", "namespaces", change=with_time)
    assert near(report["clocks"]["monotonic"], time.monotonic())


def test_exec(creel):
    """config-linux.md Time namespace: /linux/timeOffsets: MUST: a process of `exec` has the same
    clocks."""
    bundle = changed(creel, lambda spec: with_time(spec, {"boottime": {"secs": 500000}}),
                     "/bin/probe", "sleep")
    with creel.running(bundle) as name:
        clocks = creel.ok("exec", name, "/bin/probe", "sections", "clocks").json()["clocks"]
        assert near(clocks["boottime"], time.clock_gettime(time.CLOCK_BOOTTIME) + 500000)


def test_joined(creel):
    """config-linux.md Time namespace: /linux/namespaces/*/path: MUST: a time namespace can be joined
    with its offsets, by the first process and by `exec`."""
    with holder("time", offsets=["--boottime", "70000", "--monotonic", "80000"]) as pid:
        bundle = changed(creel, lambda spec: with_time(spec, path=f"/proc/{pid}/ns/time"),
                         "/bin/probe", "sleep")
        with creel.running(bundle) as name:
            clocks = creel.ok("exec", name, "/bin/probe", "sections", "clocks").json()["clocks"]
            assert near(clocks["monotonic"], time.monotonic() + 80000)
        report = creel.probe("clocks", change=lambda spec: with_time(
            spec, path=f"/proc/{pid}/ns/time"))
        assert near(report["clocks"]["boottime"], time.clock_gettime(time.CLOCK_BOOTTIME) + 70000)


def test_offsets_without_namespace(creel):
    """config-linux.md Time namespace: /linux/timeOffsets: MUST: offsets without a time namespace are
    an error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        timeOffsets={"boottime": {"secs": 1}})), "/linux/timeOffsets")


def test_offsets_of_joined(creel):
    """config-linux.md Time namespace: /linux/timeOffsets: MUST: offsets for a namespace that is
    joined are an error."""
    refused(creel, changed(creel, lambda spec: with_time(
        spec, {"boottime": {"secs": 1}}, "/proc/self/ns/time")), "/linux/timeOffsets")


@pytest.mark.parametrize("offsets, pointer", [
    ({"realtime": {"secs": 1}}, "/linux/timeOffsets/realtime"),
    ({"boottime": {"nanosecs": 1000000000}}, "/linux/timeOffsets/boottime/nanosecs"),
    ({"boottime": {"secs": "1"}}, "/linux/timeOffsets/boottime/secs")])
def test_offsets_malformed(creel, offsets, pointer):
    """config-linux.md Time namespace: /linux/timeOffsets/boottime/nanosecs: MUST: there are two clocks,
    and their offsets are numbers."""
    refused(creel, changed(creel, lambda spec: with_time(spec, offsets)), pointer)


def test_offset_impossible(creel):
    """config-linux.md Time namespace: /linux/timeOffsets/monotonic/secs: MUST: an offset that the
    kernel refuses is an error at its place."""
    refused(creel, changed(creel, lambda spec: with_time(spec, {
        "monotonic": {"secs": -(1 << 40)}})), "/linux/timeOffsets")


def test_uptime(creel):
    """config-linux.md Time namespace: /linux/timeOffsets/boottime/secs: MUST: /proc/uptime follows."""
    bundle = changed(creel, lambda spec: with_time(spec, {"boottime": {"secs": 900000}}),
                     "/bin/probe", "read", "/proc/uptime")
    result = creel.run_bundle(bundle)
    assert near(float(result.out.split()[0]),
                time.clock_gettime(time.CLOCK_BOOTTIME) + 900000), str(result)
    assert mount_at(creel.probe("mounts", change=with_time), "/proc")["type"] == "proc"
