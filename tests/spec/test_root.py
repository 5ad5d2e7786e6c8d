"""config.md, "Root"."""

import json
import os

from .words import changed, mount_at, refused, run_shell, writable, write_raw


def test_absolute(creel):
    """config.md Root: /root/path: MUST: an absolute path is where the container's root comes from."""
    assert run_shell(creel, "cat /etc/passwd").startswith("root:x:0:0:")


def test_relative(creel):
    """config.md Root: /root/path: MUST: a relative path starts at the bundle, whatever the caller's
    working directory is."""
    bundle = creel.bundle("/bin/probe", "sections", "cwd")
    bundle.rootfs.rename(bundle.path / "inner")
    bundle.spec["root"]["path"] = "inner"
    write_raw(bundle)
    assert creel.run_bundle(bundle, cwd="/").json() == {"cwd": "/"}


def test_absent_directory(creel):
    """config.md Root: /root/path: MUST: a directory that does not exist is an error."""
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["root"]["path"] = str(bundle.path / "nowhere")
    write_raw(bundle)
    refused(creel, bundle, "/root/path", "nowhere")


def test_a_file(creel):
    """config.md Root: /root/path: MUST: the root has to be a directory."""
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["root"]["path"] = str(bundle.path / "config.json")
    write_raw(bundle)
    refused(creel, bundle, "/root/path")


def test_required(creel):
    """config.md Root: /root: MUST: on Linux the object is required, and its path."""
    refused(creel, changed(creel, lambda spec: None).write_text(json.dumps(
        {"ociVersion": "1.0.0", "process": {"cwd": "/", "args": ["x"],
                                            "user": {"uid": 0, "gid": 0}}})), "/root")
    bundle = creel.bundle("/bin/probe", "true")
    del bundle.spec["root"]["path"]
    refused(creel, write_raw(bundle), "/root/path")


def test_readonly(creel):
    """config.md Root: /root/readonly: MUST: true keeps the container from writing to its root."""
    bundle = creel.shell("echo x > /file; echo $?; mkdir /etc/new; echo $?")
    result = creel.run_bundle(bundle)
    assert result.out.split() == ["1", "1"], str(result)
    assert "Read-only file system" in result.err
    assert not (bundle.rootfs / "file").exists()
    report = creel.probe("mounts")
    assert "ro" in mount_at(report, "/")["options"]


def test_writable(creel):
    """config.md Root: /root/readonly: MUST: false, and no member at all, let the container write."""
    for change in (writable, lambda spec: spec["root"].pop("readonly")):
        bundle = changed(creel, change, "/bin/probe", "write", "/file", "text")
        assert creel.run_bundle(bundle).code == 0
        assert (bundle.rootfs / "file").read_text() == "text"


def test_readonly_is_the_root_only(creel):
    """config.md Root: /root/readonly: MUST: other mounts of the container stay as they are."""
    report = creel.probe("mounts")
    assert "rw" in mount_at(report, "/dev")["options"]
    assert "rw" in mount_at(report, "/proc")["options"]


def test_readonly_with_absent_mount_point(creel):
    """config.md Root: /root/readonly: MUST: mount points are made before the root is read-only."""
    bundle = changed(creel, lambda spec: spec["mounts"].append(
        {"destination": "/a/b/c", "type": "tmpfs", "source": "tmpfs"}),
        "/bin/probe", "write", "/a/b/c/file", "x")
    assert creel.run_bundle(bundle).code == 0
    assert os.listdir(bundle.rootfs / "a/b/c") == []


def test_host_root_unchanged(creel):
    """config.md Root: /root/readonly: MUST: the directory of the host itself stays writable."""
    bundle = creel.bundle("/bin/probe", "sleep")
    with creel.running(bundle):
        (bundle.rootfs / "host-file").write_text("x")
        assert (bundle.rootfs / "host-file").read_text() == "x"
