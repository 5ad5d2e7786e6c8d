"""The situations of tests/system/test_situations.py that need a machine with every controller, AppArmor and systemd.

Number 27, device rules that a reload of systemd resets, is test_device_rules_survive_a_reload in tests/system/test_systemd.py; 11, a CRIU
that fails, is test_tcp in test_checkpoint.py."""

import contextlib
import os
import pathlib
import subprocess
import sys

import limits
import pytest
from situations import told

CONFINED = "creel-lab-outer"
PROFILE = f"""profile {CONFINED} flags=(attach_disconnected) {{
  file,
  capability,
  network,
  mount,
  umount,
  pivot_root,
  signal,
  ptrace,
  unix,
  deny /proc/sys/net/** w,
}}
"""


@contextlib.contextmanager
def profile(text):
    """A profile of the kernel while the block lasts."""
    parser = ["apparmor_parser", "--skip-cache"]
    subprocess.run([*parser, "--replace"], input=text, text=True, check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run([*parser, "--remove"], input=text, text=True, check=True, timeout=60)


def failed(creel, bundle, *options, name=None):
    """The result of a run that fails and leaves nothing."""
    result = creel.run("run", "--bundle", bundle.path, *options, name or creel.id(), log=True)
    assert result.code != 0, str(result)
    assert not creel.root.exists() or os.listdir(creel.root) == []
    return result


needs_apparmor = pytest.mark.skipif(not pathlib.Path("/sys/kernel/security/apparmor").is_dir(),
                                    reason="needs AppArmor")


@needs_apparmor
def test_02_an_outer_profile_denies_a_sysctl(creel):
    """As LXC's and Incus's do."""
    bundle = creel.bundle("/bin/probe", "true")
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0"}
    bundle.write()
    enter = ("import os, sys\n"
             f"open('/proc/self/attr/apparmor/exec', 'w').write('exec {CONFINED}')\n"
             "os.execvp(sys.argv[1], sys.argv[1:])\n")
    creel.prefix = [sys.executable, "-c", enter]
    with profile(PROFILE):
        result = failed(creel, bundle)
    record = told(result, 5403, "net.ipv4.ip_unprivileged_port_start",
                  pointer="/linux/sysctl/net.ipv4.ip_unprivileged_port_start", bundle=bundle,
                  engines=["permission denied"])
    assert CONFINED in record["hint"], record


@needs_apparmor
def test_20_a_profile_that_is_not_loaded(creel):
    """podman looks for the name of the file between backquotes."""
    bundle = creel.bundle("/bin/probe", "true", apparmorProfile="creel-lab-nobody")
    record = told(failed(creel, bundle), 5405, "creel-lab-nobody", "`/proc/", "/attr/",
                  pointer="/process/apparmorProfile", bundle=bundle,
                  engines=["no such file or directory"])
    assert record["errno"], record


def test_05_no_user_manager(creel):
    uid = 4321
    creel.prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                    "--inh-caps=-all", "env", "-u", "XDG_RUNTIME_DIR", "-u",
                    "DBUS_SESSION_BUS_ADDRESS"]
    creel.directory.chmod(0o777)
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, uid, uid)
    bundle = creel.bundle("/bin/probe", "true", rootless=True)
    for name in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][name][0]["hostID"] = uid
    creel.options = ["--systemd-cgroup"]
    record = told(failed(creel, bundle.write()), 3004, "the user's systemd cannot be reached",
                  "XDG_RUNTIME_DIR")
    assert "enable-linger" in record["hint"], record


def test_07_a_controller_that_is_not_delegated(creel):
    """The user's manager has some controllers, and cannot give others."""
    slices = limits.CGROUPS / "user.slice/user-1000.slice/user@1000.service"
    subprocess.run(["nsenter", "--mount=/proc/1/ns/mnt", "systemctl", "start", "user@1000.service"],
                   check=True, timeout=60)
    if "cpuset" in (slices / "cgroup.controllers").read_text().split():
        pytest.skip("cpuset is delegated here")
    creel.prefix = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "--inh-caps=-all",
                    "env", "XDG_RUNTIME_DIR=/run/user/1000"]
    creel.directory.chmod(0o777)
    creel.root.mkdir(mode=0o700)
    os.chown(creel.root, 1000, 1000)
    bundle = creel.bundle("/bin/probe", "true", rootless=True)
    bundle.spec["linux"]["resources"] = {"cpu": {"cpus": "0"}}
    creel.options = ["--systemd-cgroup"]
    record = told(failed(creel, bundle.write()), 3001, "cpuset",
                  pointer="/linux/resources/cpu/cpus", bundle=bundle)
    assert "Delegate" in record["hint"], record


@pytest.mark.parametrize("limit", [1, 65536])
def test_13_a_memory_limit_that_is_too_low(creel, limit):
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, "/bin/probe", "true", memory={"limit": limit})
    told(failed(creel, bundle, name=name), 5206, "OOM-killed", f"/{name}",
         pointer="/linux/resources/memory/limit", bundle=bundle)


def test_14_one_process(creel):
    """The limit is for the program: what sets the container up needs more, and does not count."""
    result, _ = limits.run(creel, "/bin/probe", "true", pids={"limit": 1})
    assert (result.code, result.err) == (0, ""), str(result)


def test_14_no_room_for_an_exec(creel):
    with limits.container(creel, pids={"limit": 1}) as name:
        result = creel.run("exec", name, "/bin/probe", "true", log=True)
    assert result.code == 255, str(result)
    record = result.error
    assert record["code"] == "CRL-5207", record
    assert "pids.max of the cgroup is 1" in record["msg"], record
    assert record["pointer"] == "/linux/resources/pids/limit", record


def test_21_a_limit_that_the_kernel_refuses(creel):
    name = creel.id("vm")
    bundle = limits.bundle(creel, name, "/bin/probe", "true", cpu={"cpus": "0-4095"})
    record = told(failed(creel, bundle, name=name), 5204, "cpuset.cpus",
                  pointer="/linux/resources/cpu/cpus", bundle=bundle)
    assert "CPUs" in record["hint"], record
