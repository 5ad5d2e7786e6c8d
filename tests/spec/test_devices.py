"""config-linux.md, "Devices" and "Default Devices", and runtime-linux.md, "Dev symbolic links"."""

import os
import stat

import pytest

from .words import (add_mount, changed, holder, mount_at, mounted, refused, run_shell,
                    set_namespace, writable)

DEFAULTS = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9",
            "tty": "5:0"}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
         "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}


def nodes(report):
    """The entries of /dev by name."""
    return {entry["name"]: entry for entry in report["dev"]}


def device(path, kind="c", major=1, minor=3, **more):
    """A device as the spec writes it."""
    return {"path": path, "type": kind, "major": major, "minor": minor, **more}


def with_devices(creel, *devices, **more):
    """What the container sees in /dev with DEVICES."""
    return nodes(creel.probe("dev", change=lambda spec: spec["linux"].update(
        devices=list(devices)), **more))


@pytest.mark.parametrize("userns", [False, True])
def test_defaults(creel, userns):
    """config-linux.md Default Devices: /dev/null,/dev/zero,/dev/full,/dev/random,/dev/urandom,/dev/tty: MUST:
    they are there, the right ones, for everybody, with a user namespace too."""
    found = nodes(creel.probe("dev", userns=userns))
    for name, number in DEFAULTS.items():
        assert found[name]["type"] == "char" and found[name]["rdev"] == number
        assert found[name]["mode"] == "0666"


@pytest.mark.parametrize("userns", [False, True])
def test_defaults_work(creel, userns):
    """config-linux.md Default Devices: /dev/null,/dev/zero,/dev/full,/dev/urandom: MUST: they can be
    used."""
    out = run_shell(creel, "echo x > /dev/null && head -c 4 /dev/zero | od -An -tx1; "
                    "echo x > /dev/full 2>/dev/null; echo $?; head -c 9 /dev/urandom | wc -c",
                    userns=userns)
    assert out.split() == ["00", "00", "00", "00", "1", "9"]


def test_ptmx(creel):
    """config-linux.md Default Devices: /dev/ptmx: MUST: it leads to the container's own devpts."""
    found = nodes(creel.probe("dev"))
    assert found["ptmx"]["type"] == "symlink" and found["ptmx"]["link"] == "pts/ptmx"
    assert found["pts/ptmx"]["rdev"] == "5:2"


def test_console(creel):
    """config-linux.md Default Devices: /dev/console: MUST: with a terminal it is there, without it
    is not."""
    assert "console" not in nodes(creel.probe("dev"))


def test_links(creel):
    """runtime-linux.md Dev symbolic links: /dev/fd,/dev/stdin,/dev/stdout,/dev/stderr: MUST: the
    links are there, and lead to the process's own descriptors."""
    found = nodes(creel.probe("dev"))
    for name, target in LINKS.items():
        assert (found[name]["type"], found[name]["link"]) == ("symlink", target)


def test_links_without_proc(creel):
    """runtime-linux.md Dev symbolic links: /dev/fd: MUST: without a /proc there is nothing to lead
    to, and no link."""
    def change(spec):
        spec["mounts"] = [m for m in spec["mounts"] if m["destination"] != "/proc"]
        spec["linux"].update(maskedPaths=[], readonlyPaths=[])
    found = nodes(creel.probe("dev", change=change))
    assert "fd" not in found and "stdin" not in found


@pytest.mark.parametrize("kind, seen", [("c", "char"), ("u", "char"), ("b", "block"),
                                        ("p", "fifo")])
def test_kinds(creel, kind, seen):
    """config-linux.md Devices: /linux/devices/*/type,/linux/devices/*/path,/linux/devices/*/major,/linux/devices/*/minor: MUST:
    every kind of node is made, with its numbers."""
    found = with_devices(creel, device("/dev/mine", kind, 7, 5))["mine"]
    assert found["type"] == seen
    if kind != "p":
        assert found["rdev"] == "7:5"


def test_fifo_without_numbers(creel):
    """config-linux.md Devices: /linux/devices/*/major: MUST: a fifo needs no numbers."""
    assert with_devices(creel, {"path": "/dev/f", "type": "p"})["f"]["type"] == "fifo"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o777, 0, 0o1666])
def test_mode(creel, mode):
    """config-linux.md Devices: /linux/devices/*/fileMode,/linux/devices/*/uid,/linux/devices/*/gid: MUST: mode
    and owner are as given, whatever the umask is."""
    old = os.umask(0o077)
    try:
        found = with_devices(creel, device("/dev/mine", fileMode=mode, uid=12, gid=34))["mine"]
    finally:
        os.umask(old)
    assert (found["mode"], found["uid"], found["gid"]) == (f"{mode:04o}", 12, 34)


def test_mode_absent(creel):
    """config-linux.md Devices: /linux/devices/*/fileMode: creel: without a mode it is 0666."""
    assert with_devices(creel, device("/dev/mine"))["mine"]["mode"] == "0666"


def test_mode_with_type(creel):
    """config-linux.md Devices: /linux/devices/*/fileMode: creel: engines send the type bits too."""
    found = with_devices(creel, device("/dev/mine", fileMode=stat.S_IFCHR | 0o620))["mine"]
    assert found["mode"] == "0620"


def test_listed_default(creel):
    """config-linux.md Default Devices: /linux/devices: MUST: a default device that is listed is made
    as the list says."""
    found = with_devices(creel, device("/dev/null", fileMode=0o600, uid=3))["null"]
    assert (found["mode"], found["uid"], found["rdev"]) == ("0600", 3, "1:3")


def test_anywhere(creel):
    """config-linux.md Devices: /linux/devices/*/path: MUST: the path may lie anywhere, and its
    directories are made."""
    bundle = changed(creel, lambda spec: (writable(spec), spec["linux"].update(
        devices=[device("/opt/deep/null")])), "/bin/probe", "stat", "/opt/deep/null")
    assert creel.run_bundle(bundle).json()["rdev"] == "1:3"


@pytest.mark.parametrize("make", ["file", "directory", "other"])
def test_path_taken(creel, make):
    """config-linux.md Devices: /linux/devices/*/path: MUST: a path at which something else lies is an
    error."""
    bundle = creel.bundle("/bin/probe", "true")
    path = bundle.rootfs / "opt-node"
    if make == "file":
        path.write_text("x")
    elif make == "directory":
        path.mkdir()
    else:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    bundle.spec["linux"]["devices"] = [device("/opt-node")]
    refused(creel, bundle.write(), "/linux/devices/0")


def test_path_taken_by_itself(creel):
    """config-linux.md Devices: /linux/devices/*/path: MUST: the same device at the path is fine."""
    bundle = creel.bundle("/bin/probe", "stat", "/opt-node")
    os.mknod(bundle.rootfs / "opt-node", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    bundle.spec["linux"]["devices"] = [device("/opt-node")]
    result = creel.run_bundle(bundle.write())
    assert result.code == 0 and result.json()["rdev"] == "1:3", str(result)


@pytest.mark.parametrize("value, member", [
    ({"type": "x"}, "type"), ({"type": ""}, "type"), ({"path": "dev/x"}, "path"),
    ({"major": None}, "major"), ({"minor": None}, "minor"), ({"type": None}, "type"),
    ({"path": None}, "path")])
def test_malformed(creel, value, member):
    """config-linux.md Devices: /linux/devices/*/type,/linux/devices/*/path,/linux/devices/*/major,/linux/devices/*/minor: MUST:
    a known type, an absolute path and numbers are required."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        devices=[{**device("/dev/x"), **value}])), f"/linux/devices/0/{member}")


def test_userns_binds(creel):
    """config-linux.md Devices: /linux/devices: MUST: in a user namespace, where nodes cannot be
    made, the host's node of the same path is there and works."""
    report = creel.probe("dev", "mounts", userns=True)
    assert mounted(report, "/dev/null")
    assert mount_at(report, "/dev/null")["options"]
    assert nodes(report)["null"]["rdev"] == "1:3"


def test_userns_own_device(creel):
    """config-linux.md Devices: /linux/devices: MUST: a listed device works in a user namespace as
    well."""
    found = with_devices(creel, device("/dev/kmsg", major=1, minor=11), userns=True)
    assert found["kmsg"]["rdev"] == "1:11"


def test_joined_userns(creel):
    """config-linux.md Default Devices: /dev/null: MUST: in a joined user namespace too."""
    with holder("user") as pid:
        def change(spec):
            set_namespace(spec, "user", f"/proc/{pid}/ns/user")
            spec["mounts"][2]["options"].remove("gid=5")
        assert nodes(creel.probe("dev", change=change))["null"]["rdev"] == "1:3"


def test_bound_dev(creel):
    """config-linux.md Default Devices: /dev/null: creel: a /dev that is bound from the host is left
    as it is."""
    source = creel.directory / "their-dev"
    source.mkdir()

    def change(spec):
        spec["mounts"] = [m for m in spec["mounts"] if not m["destination"].startswith("/dev")]
        add_mount(spec, "/dev", "none", source, ["rbind"])
    assert creel.probe("dev", change=change)["dev"] == []
    assert os.listdir(source) == []


def test_readonly_dev(creel):
    """config.md Mounts: options/ro: MUST: a read-only /dev has all nodes, and takes no more."""
    def change(spec):
        spec["mounts"][1]["options"].append("ro")
    report = creel.probe("dev", "mounts", change=change)
    assert set(DEFAULTS) <= set(nodes(report))
    assert "ro" in mount_at(report, "/dev")["options"]
