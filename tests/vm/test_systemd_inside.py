"""systemd as process 1 of a container: it makes cgroups below the container's own and moves there, so that exec, kill and delete
meet a cgroup that may hold no process itself.  The root filesystem is the laboratory's, with an upper layer."""

import contextlib
import pathlib

import bundles
import harness
import limits
import pytest

# What would boot slowly, has no device here, or would switch the laboratory off.
MASKED = """
    apparmor.service console-getty.service containerd.service creel-lab.service
    dev-hugepages.mount dev-mqueue.mount docker.service docker.socket e2scrub_reap.service
    getty.target kmod-static-nodes.service ldconfig.service modprobe@.service
    netavark-dhcp-proxy.service netavark-dhcp-proxy.socket podman.socket proc-sys-fs-binfmt_misc.automount
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount
    sys-kernel-tracing.mount systemd-logind.service systemd-modules-load.service
    systemd-networkd.service systemd-sysctl.service systemd-sysusers.service
    systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service
    systemd-tpm2-setup-early.service systemd-tpm2-setup.service systemd-udev-trigger.service
    systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service timers.target
""".split()

CAPABILITIES = [f"CAP_{name}" for name in """CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE
    SETFCAP SETGID SETPCAP SETUID SYS_CHROOT AUDIT_WRITE MKNOD NET_RAW""".split()]
BOOT = 150      # seconds, for an emulated processor


@pytest.fixture
def rootfs(creel):
    """The laboratory's own files below a layer that masks the slow units."""
    layers = creel.directory / "layers"
    units = layers / "upper/etc/systemd/system"
    units.mkdir(parents=True)
    for path in (layers / "work", layers / "root"):
        path.mkdir()
    for name in MASKED:
        (units / name).symlink_to("/dev/null")
    (layers / "upper/etc/fstab").write_text("")
    (layers / "upper/etc/hostname").write_text("inside\n")
    (layers / "upper/probe").write_bytes(pathlib.Path(creel.programs["/bin/probe"]).read_bytes())
    (layers / "upper/probe").chmod(0o755)
    harness.mount("overlay", layers / "root", "overlay", 0,
                  f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work")
    yield layers / "root"
    harness.unmount(layers / "root")


def spec():
    """What podman's --systemd=always asks for, about."""
    result = bundles.default_spec(("/usr/lib/systemd/systemd", "--show-status=no",
                                   "--unit=multi-user.target"))
    result["root"]["readonly"] = False
    process = result["process"]
    process["noNewPrivileges"] = False
    process["env"].append("container=oci")
    process["capabilities"] = {name: CAPABILITIES
                               for name in ("bounding", "effective", "permitted")}
    del process["rlimits"]
    for mount in result["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"] = ["nosuid", "noexec", "nodev", "rw"]
    for path in ("/run", "/run/lock", "/tmp"):
        result["mounts"].append({"destination": path, "type": "tmpfs", "source": "tmpfs",
                                 "options": ["nosuid", "nodev", "mode=755", "size=65536k"]})
    return result


def inside(creel, name, *args):
    """What a program that joins the container prints, whatever its exit code is."""
    return creel.run("exec", name, *args, timeout=BOOT).out.strip()


def is_up(creel, name):
    """The state of systemd when it has booted; at once when it does not listen yet."""
    state = inside(creel, name, "systemctl", "is-system-running", "--wait")
    return state in ("running", "degraded") and state


@contextlib.contextmanager
def booted(creel, driver, rootfs):
    """A container with a systemd that has booted; its name, and the directory of its cgroup."""
    name = creel.id("inside")
    bundle = creel.bundle(spec=spec(), rootfs=rootfs)
    path, options = f"/{name}", ()
    if driver == "systemd":
        path, options = f"system.slice:creel:{name}", ("--systemd-cgroup",)
    bundle.spec["linux"]["cgroupsPath"] = path
    bundle.write()
    creel.ok(*options, "create", "--bundle", bundle.path, name)
    try:
        cgroup = limits.CGROUPS / pathlib.Path(
            f"/proc/{creel.state(name)['pid']}/cgroup").read_text().strip()[4:]
        creel.ok("start", name)
        try:
            state = harness.wait_until(lambda: is_up(creel, name), "systemd has booted", BOOT)
        except AssertionError as error:
            raise AssertionError(inside(creel, name, "systemctl", "list-jobs")) from error
        assert state == "running", inside(creel, name, "systemctl", "--failed", "--no-legend")
        yield name, cgroup
    finally:
        creel.ok("delete", "--force", name)


def members(cgroup):
    """The processes of a cgroup and of all below it."""
    return [int(pid) for file in cgroup.rglob("cgroup.procs") for pid in file.read_text().split()]


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_systemd_inside(creel, rootfs, driver):
    with booted(creel, driver, rootfs) as (name, cgroup):
        # systemd has taken its cgroup: nobody is in the top, which passes controllers on.
        assert "memory" in (cgroup / "cgroup.subtree_control").read_text().split()
        assert (cgroup / "cgroup.procs").read_text() == ""
        assert (cgroup / "init.scope").is_dir()

        # No process may enter the top any more; who joins lands beside process 1.
        assert inside(creel, name, "/probe", "read", "/proc/self/cgroup") == "0::/init.scope"
        assert inside(creel, name, "/probe", "read", "/proc/1/comm") == "systemd"
        for number in range(3):
            assert creel.run("exec", name, "/probe", "exit", str(number)).code == number

        # A service is a cgroup of its own, with limits.
        creel.ok("exec", name, "systemd-run", "--quiet", "--unit=sleeper",
                 "--property=TasksMax=7", "/probe", "sleep", timeout=60)
        sleeper = cgroup / "system.slice/sleeper.service"
        assert (sleeper / "pids.max").read_text() == "7\n"
        pids = creel.ok("ps", "--format", "json", name).json()
        assert set(map(int, (sleeper / "cgroup.procs").read_text().split())) <= set(pids)
        assert creel.state(name)["pid"] in pids

        # Everything in every cgroup is paused, resumed, and killed.
        creel.ok("pause", name)
        assert "frozen 1" in (sleeper / "cgroup.events").read_text()
        creel.ok("resume", name)
        harness.wait_until(lambda: "frozen 0" in (sleeper / "cgroup.events").read_text(), "thawed")
        assert len(members(cgroup)) > 2
        creel.ok("kill", "--all", name, "KILL")
        creel.wait_status(name, "stopped")
        harness.wait_until(lambda: not members(cgroup), "nothing is alive")
        creel.ok("delete", name)
        assert not cgroup.exists()


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_delete_of_a_living_systemd(creel, rootfs, driver):
    with booted(creel, driver, rootfs) as (name, cgroup):
        creel.ok("exec", name, "systemd-run", "--quiet", "--unit=sleeper", "/probe", "sleep",
                 timeout=60)
        creel.ok("delete", "--force", name)
        assert not cgroup.exists()


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_owner_of_a_delegated_cgroup(creel, driver):
    """With a user namespace and a writable cgroup the container's root owns what the kernel lists, and no limit."""
    bundle = creel.bundle("/bin/probe", "sleep", userns=True)
    name = creel.id("inside")
    for mount in bundle.spec["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"] = ["nosuid", "noexec", "nodev", "rw"]
    bundle.spec["linux"]["cgroupsPath"] = f"/{name}"
    options = ()
    if driver == "systemd":
        bundle.spec["linux"]["cgroupsPath"] = f"system.slice:creel:{name}"
        options = ("--systemd-cgroup",)
    bundle.write()
    creel.ok(*options, "create", "--bundle", bundle.path, name)
    try:
        cgroup = limits.CGROUPS / pathlib.Path(
            f"/proc/{creel.state(name)['pid']}/cgroup").read_text().strip()[4:]
        listed = pathlib.Path("/sys/kernel/cgroup/delegate").read_text().split()
        owners = {path.name: path.stat().st_uid for path in cgroup.iterdir() if path.is_file()}
        assert cgroup.stat().st_uid == harness.MAPPED
        assert {file for file, uid in owners.items() if uid == harness.MAPPED} == \
            set(listed) & set(owners)
        assert {"cgroup.procs", "cgroup.subtree_control"} <= set(listed)
        assert owners["memory.max"] == 0
    finally:
        creel.ok("delete", "--force", name)
