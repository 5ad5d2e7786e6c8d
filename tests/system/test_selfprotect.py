"""The binary on the host cannot be reached from a container (CVE-2019-5736, SECURITY W-10)."""

import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess

import bundles
import pytest
from harness import wait_until

# Tries everything on what /proc/PID/exe of all visible processes lead to, as long as it lives.
PAYLOAD = """
trap 'exit 0' TERM
attack()
{
  target=$(readlink /proc/self/fd/9)
  case $target in /bin/busybox|/bin/probe) return;; esac
  (echo overwritten > /proc/self/fd/9) 2>/dev/null && echo "$target" >> /tmp/written
  (: >> /proc/self/fd/9) 2>/dev/null && echo "$target" >> /tmp/written
  chmod 04777 /proc/self/fd/9 2>/dev/null && echo "$target" >> /tmp/changed
  touch /proc/self/fd/9 2>/dev/null && echo "$target" >> /tmp/changed
}
while :; do
  for exe in /proc/[0-9]*/exe; do
    { attack 9< $exe; } 2>/dev/null
  done
  [ -e /tmp/ready ] || : > /tmp/ready
done
"""


@pytest.fixture
def copy(creel):
    """creel works with a copy of the binary that the test may lose."""
    path = creel.directory / "creel"
    shutil.copy2(creel.binary, path)
    path.chmod(0o755)
    creel.binary = str(path)
    return path


def facts(path):
    """Digest and mode."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), oct(path.stat().st_mode), \
        path.stat().st_uid, path.stat().st_nlink


def privileged(bundle):
    """A container with all rights, which no runtime can protect itself from by permissions."""
    spec = bundle.spec
    numbers, ours = bundles.CAPABILITY_NUMBERS, bundles._bounding_set()
    every = [f"CAP_{name}" for name in numbers if ours >> numbers[name] & 1]
    spec["process"]["capabilities"] = {name: every for name in
                                       ("bounding", "effective", "permitted")}
    spec["process"]["noNewPrivileges"] = False
    spec["root"]["readonly"] = False
    spec["linux"]["maskedPaths"] = spec["linux"]["readonlyPaths"] = []
    return bundle.write()


def test_exe_cannot_be_written_while_exec_runs(creel, copy):
    before = facts(copy)
    rootfs = creel.rootfs()
    (rootfs / "bin/evil").write_text("#!/proc/self/exe\n")
    (rootfs / "bin/evil").chmod(0o755)
    (rootfs / "bin/link").symlink_to("/proc/self/exe")
    bundle = privileged(creel.shell(PAYLOAD, rootfs=rootfs))
    with creel.running(bundle) as name:
        wait_until((rootfs / "tmp/ready").exists, "the payload runs")
        for number in range(60):
            program = ("/bin/evil", "/bin/true", "/bin/link", "/proc/self/exe")[number % 4]
            if program == "/bin/true":
                program = "/bin/probe"
                assert creel.run("exec", name, program, "true").code == 0
            else:
                result = creel.run("exec", name, program, "--version")
                assert result.code != 0, f"{program}: {result}"
                assert "creel version" not in result.out
    assert facts(copy) == before
    assert not (rootfs / "tmp/written").exists(), (rootfs / "tmp/written").read_text()
    assert not (rootfs / "tmp/changed").exists(), (rootfs / "tmp/changed").read_text()


@pytest.mark.parametrize("args", [["/proc/self/exe"], ["/proc/self/exe", "--version"],
                                  ["/bin/evil"], ["/bin/link"], ["/proc/1/exe"]])
def test_own_executable_as_the_program(creel, copy, args):
    before = facts(copy)
    rootfs = creel.rootfs()
    (rootfs / "bin/evil").write_text("#!/proc/self/exe\n")
    (rootfs / "bin/evil").chmod(0o755)
    (rootfs / "bin/link").symlink_to("/proc/self/exe")
    bundle = privileged(creel.bundle(*args, rootfs=rootfs))
    result = creel.run_bundle(bundle)
    assert result.code != 0, str(result)
    assert "creel version" not in result.out
    assert facts(copy) == before


def test_library_path_tricks_have_no_effect(creel, copy):
    """The dynamic loader of the host's creel reads nothing that the container has written."""
    rootfs = creel.rootfs()
    for name in ("libc.so.6", "libseccomp.so.2", "libyajl.so.2"):
        for directory in ("lib", "lib64", "usr/lib"):
            (rootfs / directory).mkdir(parents=True, exist_ok=True)
            (rootfs / directory / name).write_bytes(b"not a library")
    (rootfs / "etc/ld.so.preload").write_text("/lib/libc.so.6\n")
    bundle = creel.bundle("/bin/probe", "sleep", rootfs=rootfs)
    with creel.running(bundle) as name:
        assert creel.run("exec", name, "/bin/probe", "true").code == 0
        assert creel.run("exec", "--env", "LD_PRELOAD=/lib/libc.so.6", name,
                         "/bin/probe", "true").code == 0


def test_processes_of_creel_are_not_dumpable(creel, copy):
    """While it waits for start, the init gives nothing of itself away to another container."""
    with creel.running(creel.bundle("/bin/probe", "sleep"), started=False) as name:
        pid = creel.state(name)["pid"]
        exe = os.readlink(f"/proc/{pid}/exe")
        with open(f"/proc/{pid}/exe", "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
        assert stat.S_ISREG(mode)
        with pytest.raises(OSError):
            with open(f"/proc/{pid}/exe", "r+b"):
                pass
        assert exe


def test_binary_on_a_path_that_only_root_can_read(creel, copy):
    copy.chmod(0o700)
    result = creel.run_bundle(creel.bundle("/bin/probe", "true", user={"uid": 5, "gid": 5}))
    assert (result.code, result.err) == (0, "")


def test_deleted_binary(creel, copy):
    """A package upgrade replaces the file while a container waits for start."""
    name = creel.create(creel.bundle("/bin/probe", "exit", "0"))
    other = copy.with_name("new")
    shutil.copy2(copy, other)
    other.rename(copy)
    creel.ok("start", name)
    creel.wait_status(name, "stopped")
    creel.ok("delete", name)


def relocated_pages(program):
    """The whole pages of PT_GNU_RELRO, from where the program begins in memory."""
    said = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
    address, size = (int(n, 16) for n in re.search(r"GNU_RELRO\s+0x\w+ 0x(\w+) 0x\w+ 0x\w+ 0x(\w+)", said).groups())
    return address & ~0xfff, (address + size) & ~0xfff


@pytest.mark.parametrize("command", ["events", "exec"])
def test_what_was_relocated_is_read_only(creel, command):
    """In a program that only looks, and in one that has moved to the read-only clone of itself."""
    words = ["/bin/probe", "sleep"] if command == "exec" else []
    with creel.running(creel.bundle("/bin/probe", "sleep")) as name, creel.spawn(command, name, *words) as process:
        proc = pathlib.Path(f"/proc/{process.pid}")

        def waits():
            """It has come to where it stays."""
            state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
            children = (proc / f"task/{process.pid}/children").read_text()
            return state == "S" and (proc / "cmdline").read_text().startswith(creel.binary) and (children or not words)
        wait_until(waits, f"{command} waits")
        maps = (proc / "maps").read_text()
    found = re.findall(r"^(\w+)-(\w+) (\S+) (\w+) \S+ (\d+)", maps, re.M)
    inode = str(os.stat(creel.binary).st_ino)
    base = min(int(start, 16) for start, _, _, offset, node in found if node == inode and int(offset, 16) == 0)
    first, end = relocated_pages(creel.binary)
    rights = [mode for start, stop, mode, _, _ in found
              if int(start, 16) < base + end and int(stop, 16) > base + first]
    assert rights and not [mode for mode in rights if "w" in mode], maps
