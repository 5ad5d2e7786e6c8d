"""`creel check` where there is everything: controllers, systemd, AppArmor, a disk.  What it calls an
error create refuses, and what create does it does not call one."""

import os
import pathlib
import subprocess
import sys

import bundles
import harness
import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "system"))

# Here all of them run as they are: no error may be found.
from test_check import test_real_configurations  # noqa: E402, F401 pylint: disable=unused-import

ROOT = pathlib.Path("/sys/fs/cgroup")
PROFILE = "creel-check-profile"


def check(creel, bundle, *options, before=()):
    """The report about a bundle."""
    result = creel.run(*before, "check", "--bundle", bundle.path, "--format", "json", *options)
    assert result.err == "", str(result)
    return result.json()


def errors(report):
    return [finding for finding in report["findings"] if finding["severity"] == "error"]


def limited(creel, resources, **linux):
    spec = bundles.default_spec()
    spec["linux"]["resources"] = resources
    spec["linux"].update(linux)
    return creel.bundle("/bin/probe", "true", spec=spec)


@pytest.mark.parametrize("before", [(), ("--systemd-cgroup",)], ids=["cgroupfs", "systemd"])
def test_limits_that_can_be_had(creel, before):
    resources = {"memory": {"limit": 100 << 20, "swap": 200 << 20}, "pids": {"limit": 100},
                 "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
                 "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}
    bundle = limited(creel, resources)
    assert errors(check(creel, bundle, before=before)) == []
    result = creel.run(*before, "run", "--bundle", bundle.path, creel.id())
    assert result.code == 0, str(result)


@pytest.mark.parametrize("resources,pointer,code", [
    ({"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]},
     "/linux/resources/hugepageLimits/0", "CRL-3002"),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 250, "minor": 77, "rate": 1}]}},
     "/linux/resources/blockIO/throttleReadBpsDevice/0", "CRL-5204"),
    ({"unified": {"memory.hihg": "max"}}, "/linux/resources/unified/memory.hihg", "CRL-3002"),
], ids=["pages", "disk", "file"])
def test_limits_of_what_does_not_exist(creel, resources, pointer, code):
    bundle = limited(creel, resources)
    finding, = errors(check(creel, bundle))
    assert (finding["pointer"], finding["code"]) == (pointer, code)
    result = creel.run_bundle(bundle, log=True)
    assert result.code == 1 and result.error["pointer"] == pointer, str(result)


@pytest.mark.parametrize("name,limit", [("memory", 100 << 20), ("pids", 10)])
def test_a_parent_that_holds_processes(creel, name, limit):
    """pids can be enabled there, which makes a thread domain that no container can be born in."""
    parent = ROOT / f"creel-check-{os.getpid()}"
    parent.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        (parent / "cgroup.procs").write_text(str(sleeper.pid))
        bundle = limited(creel, {name: {"limit": limit}}, cgroupsPath=f"/{parent.name}/inner")
        finding, = errors(check(creel, bundle))
        assert finding["code"] == "CRL-5202"
        assert finding["pointer"] == f"/linux/resources/{name}/limit"
        result = creel.run_bundle(bundle, log=True)
        assert result.code == 1, str(result)
        if name == "memory":
            assert result.error["pointer"] == finding["pointer"], result.error
    finally:
        sleeper.kill()
        sleeper.wait()
        parent.rmdir()


def test_delegation(creel):
    """A user may limit what systemd gave him, and nothing else."""
    given = ROOT / f"creel-given-{os.getpid()}"
    given.mkdir()
    try:
        spec = bundles.default_spec(rootless=True)
        spec["linux"]["resources"] = {"pids": {"limit": 10}}
        spec["linux"]["cgroupsPath"] = f"/{given.name}/web"
        bundle = creel.bundle("/bin/probe", "true", spec=spec,
                              rootfs=creel.rootfs(harness.USER))
        for path in (bundle.path, bundle.path / "config.json"):
            os.chown(path, harness.USER, harness.USER)
        report = check(creel, bundle, "--rootless")
        assert {finding["code"] for finding in errors(report)} == {"CRL-5203"}
        (ROOT / "cgroup.subtree_control").write_text("+pids")
        for name in (".", "cgroup.procs", "cgroup.subtree_control"):
            os.chown(given / name, harness.USER, harness.USER)
        assert errors(check(creel, bundle, "--rootless")) == []
    finally:
        given.rmdir()


@pytest.mark.skipif(not pathlib.Path("/sys/kernel/security/apparmor").is_dir(),
                    reason="needs AppArmor: tests/vm/run")
def test_apparmor(creel):
    bundle = creel.bundle("/bin/probe", "true", apparmorProfile=PROFILE)
    finding, = errors(check(creel, bundle))
    assert finding["pointer"] == "/process/apparmorProfile"
    assert creel.run_bundle(bundle).code != 0
    text = f"profile {PROFILE} flags=(attach_disconnected) {{\nfile, capability, network, signal,\n}}\n"
    parser = ["apparmor_parser", "--skip-cache"]
    subprocess.run([*parser, "--replace"], input=text, text=True, check=True, timeout=60)
    try:
        assert errors(check(creel, bundle)) == []
        assert creel.run_bundle(bundle).code == 0
    finally:
        subprocess.run([*parser, "--remove"], input=text, text=True, check=True, timeout=60)


def test_host(creel):
    rows = {(row["group"], row["name"]): row
            for row in creel.run("check", "--host", "--format", "json").json()}
    for row in (("cgroups", "controllers"), ("cgroups", "systemd"), ("cgroups", "device filter"),
                ("security", "seccomp"), ("security", "raising limits"), ("namespaces", "kinds")):
        assert rows[row]["status"] == "works", rows[row]
    if pathlib.Path("/sys/kernel/security/apparmor").is_dir():
        assert rows["security", "AppArmor"]["status"] == "works"
