"""Where the specification, runc and crun disagree, or the specification leaves a choice: one test for
each choice that creel made."""

import json
import os

import harness
import pytest

from .words import changed, drop_namespace, refused
from .test_cgroups import cgroup_of, limited
from .test_hooks import finish, hook, log_bundle


def test_umask(creel):
    """choice: umask: creel: an unset mask is 0022, as engines expect, not the caller's."""
    old = os.umask(0o077)
    try:
        assert creel.probe("umask")["umask"] == "0022"
    finally:
        os.umask(old)


def test_unknown_capability(creel):
    """choice: unknown capability: SHOULD: it is a warning, and the container runs."""
    result = creel.run_bundle(changed(creel, lambda spec: spec["process"].update(
        capabilities={"bounding": ["CAP_NO_SUCH", "CAP_KILL"]})))
    assert result.code == 0 and "CAP_NO_SUCH" in result.err


def test_absent_capabilities(creel):
    """choice: absent capabilities: creel: without the object the program has none."""
    report = creel.probe("capabilities", change=lambda spec: spec["process"].pop("capabilities"))
    assert set(report["capabilities"].values()) == {"0" * 16}


def test_duplicate_rlimit(creel):
    """choice: duplicate rlimit: MUST: a type that is listed twice is an error."""
    limit = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
    refused(creel, changed(creel, lambda spec: spec["process"].update(rlimits=[limit, limit])),
            "/process/rlimits/1/type")


def test_device_path_taken(creel):
    """choice: device path taken: MUST: something else at the path of a device is an error."""
    bundle = creel.bundle("/bin/probe", "true")
    (bundle.rootfs / "node").write_text("x")
    bundle.spec["linux"]["devices"] = [{"path": "/node", "type": "c", "major": 1, "minor": 3}]
    refused(creel, bundle.write(), "/linux/devices/0")


@pytest.mark.controller("memory")
def test_swap_zero(creel):
    """choice: memory.swap of 0: creel: it means unset, as in runc."""
    with creel.running(limited(creel, {"memory": {"limit": 1 << 26, "swap": 0}})) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        assert (directory / "memory.swap.max").read_text().strip() == "max"


@pytest.mark.controller("pids")
def test_pids_zero(creel):
    """choice: pids.limit of 0: creel: it is written as it is."""
    with creel.running(limited(creel, {"pids": {"limit": 0}})) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        assert (directory / "pids.max").read_text().strip() == "0"


@pytest.mark.controller("hugetlb")
def test_hugetlb_both(creel):
    """choice: huge page limits: creel: usage and reservation are both limited."""
    with creel.running(limited(creel, {"hugepageLimits": [
            {"pageSize": "2MB", "limit": 2 << 20}]})) as name:
        directory = cgroup_of(creel.state(name)["pid"])
        assert (directory / "hugetlb.2MB.max").read_text().strip() == str(2 << 20)
        assert (directory / "hugetlb.2MB.rsvd.max").read_text().strip() == str(2 << 20)


def test_version_one_resources(creel):
    """choice: resources of version 1: creel: kernel memory and swappiness, which engines send, are
    no error; network classes are."""
    bundle = limited(creel, {"memory": {"kernel": 1 << 26, "swappiness": 60}}, "/bin/probe", "true")
    assert creel.run_bundle(bundle).code == 0
    refused(creel, limited(creel, {"network": {"classID": 5}}), "/linux/resources/network/classID")


def test_poststop_failure(creel):
    """choice: poststop hook error: MUST: a warning, and the deletion goes on."""
    name = creel.create(changed(creel, lambda spec: spec.update(
        hooks={"poststop": [hook("exit 1")]})))
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    result = creel.run("delete", name)
    assert result.code == 0 and "warning" in result.err
    assert creel.run("state", name).code != 0


def test_hook_status(creel):
    """choice: status and pid in hooks: creel: creating and the host's pid for the runtime's hooks,
    created and the container's for startContainer."""

    bundle, directory = log_bundle(creel, "createRuntime", "createContainer", "startContainer")
    name = creel.create(bundle)
    pid = creel.state(name)["pid"]
    creel.ok("start", name)
    finish(creel, name)
    seen = {kind: json.loads((directory / f"{kind}.state").read_text()) for kind in
            ("createRuntime", "createContainer", "startContainer")}
    assert [(s["status"], s["pid"]) for s in seen.values()] == [
        ("creating", pid), ("creating", 1), ("created", 1)]


def test_root_directory(creel):
    """choice: state root: creel: real root uses /run/creel whatever XDG_RUNTIME_DIR and USER say."""
    if harness.cgroup_root() is None or os.geteuid() != 0:
        pytest.skip("needs root")
    runtime = creel.directory / "xdg"
    runtime.mkdir()
    creel.run("list", root=False, env={"XDG_RUNTIME_DIR": runtime, "USER": "somebody"})
    assert os.listdir(runtime) == []


def test_kill_without_pid_namespace(creel):
    """choice: kill without a pid namespace: creel: KILL takes the whole cgroup."""
    bundle = creel.shell("sleep 1000 & exec sleep 1000")
    drop_namespace(bundle.spec, "pid")
    name = creel.create(bundle.write())
    creel.ok("start", name)
    directory = cgroup_of(creel.state(name)["pid"])
    harness.wait_until(lambda: len((directory / "cgroup.procs").read_text().split()) == 2, "two")
    creel.ok("kill", name, "KILL")
    harness.wait_until(lambda: not (directory / "cgroup.procs").read_text().split(), "none")
    creel.ok("delete", name)


def test_exec_cap_adds(creel):
    """choice: exec --cap: creel: it adds to the container's capabilities."""
    bundle = creel.bundle("/bin/probe", "sleep", capabilities={
        name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")})
    with creel.running(bundle) as name:
        report = creel.ok("exec", "--cap", "CAP_CHOWN", name, "/bin/probe", "sections",
                          "capabilities").json()["capabilities"]
        assert report["effective"] == f"{1 << 5 | 1:016x}"


def test_payload_cgroup(creel):
    """choice: cgroup of the payload: creel: the program is in the cgroup itself, not in one below."""
    name = creel.known(f"spec-{creel.directory.name}")
    bundle = changed(creel, lambda spec: spec["linux"].update(cgroupsPath=f"/{name}"),
                     "/bin/probe", "sleep")
    with creel.running(bundle) as container:
        assert cgroup_of(creel.state(container)["pid"]) == harness.cgroup_root() / name


def test_log_level(creel):
    """choice: default log level: creel: the log has errors only."""
    result = creel.run("run", "--bundle", changed(creel, lambda spec: spec["process"].update(
        capabilities={"bounding": ["CAP_NO_SUCH"]})).path, creel.id(), log=True)
    assert result.code == 0 and not [r for r in result.log if r["level"] != "error"], result.log


def test_errno_on_wrong_action(creel):
    """choice: errnoRet on the wrong action: MUST: it is an error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}]})),
        "/linux/seccomp/syscalls/0/errnoRet")


def test_io_priority_target(creel):
    """choice: target of ioPriority: creel: the process group has it, so that children do too."""
    bundle = creel.bundle("/bin/busybox", "sh", "-c", "/bin/probe sections ioPriority",
                          ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 3})
    assert creel.run_bundle(bundle).json()["ioPriority"] == {
        "class": "IOPRIO_CLASS_BE", "priority": 3}


def test_version_check(creel):
    """choice: check of ociVersion: creel: the major has to be the same, a higher minor is a
    warning."""
    result = creel.run_bundle(changed(creel, lambda spec: spec.update(ociVersion="1.99.0")))
    assert result.code == 0 and "1.99.0" in result.err, str(result)
    refused(creel, changed(creel, lambda spec: spec.update(ociVersion="2.0.0")), "/ociVersion")
