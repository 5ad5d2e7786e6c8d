"""config-linux.md, "Sysctl"."""

import pathlib

import pytest

from .words import changed, drop_namespace, probe_command, refused

VALUES = {"kernel.msgmax": "12345", "kernel.msgmnb": "54321", "kernel.msgmni": "77",
          "kernel.sem": "250\t32000\t100\t127", "kernel.shmall": "99999", "kernel.shmmax": "88888",
          "kernel.shmmni": "55", "kernel.shm_rmid_forced": "1", "fs.mqueue.queues_max": "33",
          "net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0\t5",
          "kernel.domainname": "a.domain"}


def path(key):
    """Its file."""
    return "/proc/sys/" + key.replace(".", "/")


@pytest.mark.parametrize("userns", [False, True])
@pytest.mark.parametrize("key", VALUES)
def test_set(creel, key, userns):
    """config-linux.md Sysctl: /linux/sysctl: MUST: the parameter has its value in the container, and
    the host's stays."""
    if userns and key in ("kernel.domainname",):
        pytest.skip("the kernel refuses this one in a user namespace")
    before = pathlib.Path(path(key)).read_text()
    result = probe_command(creel, "read", path(key), userns=userns,
                           change=lambda spec: spec["linux"].update(sysctl={key: VALUES[key]}))
    assert result.out.strip() == VALUES[key]
    assert pathlib.Path(path(key)).read_text() == before


def test_slashes(creel):
    """config-linux.md Sysctl: /linux/sysctl: creel: the form with slashes means the same, and keeps
    the dots of a device."""
    result = probe_command(creel, "read", path("net.ipv4.ip_forward"), change=lambda spec:
                           spec["linux"].update(sysctl={"net/ipv4/ip_forward": "1"}))
    assert result.out == "1\n"


@pytest.mark.parametrize("key, kind", [
    ("kernel.msgmax", "ipc"), ("fs.mqueue.queues_max", "ipc"), ("net.ipv4.ip_forward", "network"),
    ("kernel.domainname", "uts")])
def test_without_namespace(creel, key, kind):
    """config-linux.md Sysctl: /linux/sysctl: MUST: a parameter whose namespace is the host's is an
    error."""
    def change(spec):
        drop_namespace(spec, kind)
        if kind == "uts":
            spec.pop("hostname")
        if kind == "network":
            spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "sysfs"]
        spec["linux"]["sysctl"] = {key: "1"}
    refused(creel, changed(creel, change), f"/linux/sysctl/{key}")


@pytest.mark.parametrize("key", ["kernel.hostname", "vm.swappiness", "kernel.panic",
                                 "net.ipv4.../x", "../../etc/passwd", "net..x", ""])
def test_refused(creel, key):
    """config-linux.md Sysctl: /linux/sysctl: MUST: what belongs to no namespace, and what is no
    key, is an error."""
    result = creel.fails("", "create", "--bundle", changed(
        creel, lambda spec: spec["linux"].update(sysctl={key: "1"})).path, creel.id())
    assert result.error["pointer"].startswith("/linux/sysctl")


def test_absent(creel):
    """config-linux.md Sysctl: /linux/sysctl: MUST: a parameter that the kernel does not have is an
    error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        sysctl={"net.ipv4.nosuch": "1"})), "/linux/sysctl/net.ipv4.nosuch")


def test_value(creel):
    """config-linux.md Sysctl: /linux/sysctl: MUST: a value that the kernel does not take is an
    error; values are strings."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        sysctl={"kernel.msgmax": "many"})), "/linux/sysctl/kernel.msgmax")
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        sysctl={"kernel.msgmax": 5})), "/linux/sysctl/kernel.msgmax")


def test_readonly_proc_sys(creel):
    """config-linux.md Sysctl: /linux/sysctl: MUST: they are set before /proc/sys is read-only, and
    the container cannot change them."""
    result = probe_command(creel, "write", path("net.ipv4.ip_forward"), "0", code=1,
                           change=lambda spec: spec["linux"].update(
                               sysctl={"net.ipv4.ip_forward": "1"}))
    assert "errno 30" in result.err
