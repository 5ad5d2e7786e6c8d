#!/usr/bin/python3
"""Turns the docstrings of the tests into COVERAGE.md: requirement, test, where it runs.

A docstring is "CHAPTER: SUBJECT: LEVEL: the requirement", more than once where a test proves more
than one.  SUBJECT is a list of JSON pointers, mount options, operations or names, with commas;
LEVEL is MUST, SHOULD, MAY, or `creel` for what the specification leaves to the runtime.
"""

import ast
import pathlib
import re
import sys
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
FILE = HERE / "COVERAGE.md"
ENTRY = re.compile(r"(?:^| )((?:config|config-linux|runtime|runtime-linux|features|features-linux|"
                   r"bundle)\.md[^:]*|choice): ([^:]+): (MUST|SHOULD|MAY|creel): ")

# Every subject of the specification that has a MUST or a SHOULD: each needs a test.
REQUIRED = """
/ociVersion /root /root/path /root/readonly /mounts /mounts/*/destination /mounts/*/type
/mounts/*/source /mounts/*/options /mounts/*/uidMappings /mounts/*/gidMappings
options/defaults options/ro options/rw options/suid options/nosuid options/dev options/nodev
options/exec options/noexec options/sync options/async options/dirsync options/atime
options/noatime options/diratime options/nodiratime options/relatime options/norelatime
options/strictatime options/nostrictatime options/iversion options/noiversion options/lazytime
options/nolazytime options/silent options/loud options/remount options/bind options/rbind
options/private options/rprivate options/shared options/rshared options/slave options/rslave
options/unbindable options/runbindable options/nosymfollow options/symfollow options/rro
options/rrw options/rnosuid options/rsuid options/rnodev options/rdev options/rnoexec
options/rexec options/rnodiratime options/rdiratime options/rnoatime options/ratime
options/rrelatime options/rnorelatime options/rstrictatime options/rnostrictatime
options/rnosymfollow options/rsymfollow options/idmap options/ridmap options/tmpcopyup
options/mand options/nomand
/process /process/terminal /process/consoleSize/height /process/consoleSize/width /process/cwd
/process/env /process/args /process/commandLine /process/user/uid /process/user/gid
/process/user/umask /process/user/additionalGids /process/capabilities/bounding
/process/capabilities/effective /process/capabilities/inheritable
/process/capabilities/permitted /process/capabilities/ambient /process/rlimits/*/type
/process/rlimits/*/soft /process/rlimits/*/hard /process/noNewPrivileges /process/oomScoreAdj
/process/apparmorProfile /process/selinuxLabel /process/scheduler/policy
/process/scheduler/nice /process/scheduler/priority /process/scheduler/flags
/process/scheduler/runtime /process/scheduler/deadline /process/scheduler/period
/process/ioPriority/class /process/ioPriority/priority /process/execCPUAffinity/initial
/process/execCPUAffinity/final /hostname /domainname /annotations
/hooks/prestart /hooks/createRuntime /hooks/createContainer /hooks/startContainer
/hooks/poststart /hooks/poststop /hooks/*/*/path /hooks/*/*/args /hooks/*/*/env
/hooks/*/*/timeout
/linux/namespaces /linux/namespaces/*/type /linux/namespaces/*/path
/linux/uidMappings /linux/gidMappings /linux/uidMappings/*/containerID
/linux/uidMappings/*/hostID /linux/uidMappings/*/size /linux/timeOffsets
/linux/timeOffsets/boottime/secs /linux/timeOffsets/monotonic/secs
/linux/timeOffsets/boottime/nanosecs /linux/devices/*/type /linux/devices/*/path
/linux/devices/*/major /linux/devices/*/minor /linux/devices/*/fileMode /linux/devices/*/uid
/linux/devices/*/gid /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx
/dev/console /dev/fd /dev/stdin /dev/stdout /dev/stderr /proc /sys /dev/pts /dev/shm
/linux/netDevices /linux/netDevices/*/name /linux/cgroupsPath
/linux/resources /linux/resources/devices/*/allow /linux/resources/devices/*/type
/linux/resources/devices/*/major /linux/resources/devices/*/minor
/linux/resources/devices/*/access /linux/resources/memory/limit
/linux/resources/memory/reservation /linux/resources/memory/swap
/linux/resources/memory/kernel /linux/resources/memory/kernelTCP
/linux/resources/memory/swappiness /linux/resources/memory/disableOOMKiller
/linux/resources/memory/useHierarchy /linux/resources/memory/checkBeforeUpdate
/linux/resources/cpu/shares /linux/resources/cpu/quota /linux/resources/cpu/burst
/linux/resources/cpu/period /linux/resources/cpu/realtimeRuntime
/linux/resources/cpu/realtimePeriod /linux/resources/cpu/cpus /linux/resources/cpu/mems
/linux/resources/cpu/idle /linux/resources/blockIO/weight /linux/resources/blockIO/leafWeight
/linux/resources/blockIO/weightDevice /linux/resources/blockIO/throttleReadBpsDevice
/linux/resources/blockIO/throttleWriteBpsDevice
/linux/resources/blockIO/throttleReadIOPSDevice
/linux/resources/blockIO/throttleWriteIOPSDevice /linux/resources/hugepageLimits/*/pageSize
/linux/resources/hugepageLimits/*/limit /linux/resources/network/classID
/linux/resources/network/priorities /linux/resources/pids/limit
/linux/resources/rdma/*/hcaHandles /linux/resources/rdma/*/hcaObjects
/linux/resources/unified /linux/intelRdt /linux/intelRdt/closID /linux/intelRdt/schemata
/linux/intelRdt/l3CacheSchema /linux/intelRdt/memBwSchema /linux/intelRdt/enableMonitoring
/linux/memoryPolicy/mode /linux/memoryPolicy/nodes /linux/memoryPolicy/flags /linux/sysctl
/linux/seccomp /linux/seccomp/defaultAction /linux/seccomp/defaultErrnoRet
/linux/seccomp/architectures /linux/seccomp/flags /linux/seccomp/listenerPath
/linux/seccomp/listenerMetadata /linux/seccomp/syscalls/*/names
/linux/seccomp/syscalls/*/action /linux/seccomp/syscalls/*/errnoRet
/linux/seccomp/syscalls/*/args/*/index /linux/seccomp/syscalls/*/args/*/value
/linux/seccomp/syscalls/*/args/*/valueTwo /linux/seccomp/syscalls/*/args/*/op
/linux/rootfsPropagation /linux/maskedPaths /linux/readonlyPaths /linux/mountLabel
/linux/personality/domain /linux/personality/flags
/vm /windows /solaris /zos /freebsd config.json
create start state kill delete state/ociVersion state/id state/status state/pid state/bundle
state/annotations features features/ociVersionMin features/ociVersionMax features/hooks
features/mountOptions features/linux/namespaces features/linux/capabilities
features/linux/cgroup features/linux/seccomp/actions features/linux/seccomp/operators
features/linux/seccomp/archs features/linux/seccomp/knownFlags
features/linux/seccomp/supportedFlags features/linux/apparmor features/linux/selinux
features/linux/memoryPolicy/modes features/linux/memoryPolicy/flags features/linux/intelRdt
features/linux/mountExtensions/idmap features/linux/netDevices features/annotations
features/potentiallyUnsafeConfigAnnotations
""".split() + [
    "umask", "unknown capability", "absent capabilities", "duplicate rlimit", "device path taken",
    "memory.swap of 0", "pids.limit of 0", "huge page limits", "resources of version 1",
    "poststop hook error", "status and pid in hooks", "state root", "kill without a pid namespace",
    "exec --cap", "cgroup of the payload", "default log level", "errnoRet on the wrong action",
    "target of ioPriority", "check of ociVersion"]


@dataclass
class Row:
    """One requirement and the test that proves it."""
    chapter: str
    subjects: list
    level: str
    text: str
    test: str
    where: str


def subjects_of(text):
    """The subjects of an entry; "options/ro,rw" are two options."""
    subjects, prefix = [], ""
    for part in re.split(r",\s*", text.replace("{kind}", "*")):
        if part.startswith("options/"):
            prefix = "options/"
        elif "/" in part or " " in part or not prefix:
            prefix = ""
        else:
            part = prefix + part
        subjects.append(part)
    return subjects


def where_of(function):
    """Which machine can run the test: that of a mark, or any."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == (
                "pytest.mark.controller"):
            name = ast.literal_eval(decorator.args[0])
            return "host, VM" if name == "hugetlb" else f"VM ({name})"
    return "host, VM"


def rows_of(path):
    """The rows of one file, and the names of tests that have none."""
    rows, silent = [], []
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
            continue
        test = f"{path.name}::{function.name}"
        text = " ".join((ast.get_docstring(function) or "").split())
        found = list(ENTRY.finditer(text))
        if not found:
            silent.append(test)
        for entry, after in zip(found, [*found[1:], None]):
            end = after.start() if after else len(text)
            rows.append(Row(entry[1], subjects_of(entry[2]), entry[3], text[entry.end():end].strip(),
                            test, where_of(function)))
    return rows, silent


def collect():
    """All rows, the tests without one, and the subjects without a test."""
    rows, silent = [], []
    for path in sorted(HERE.glob("test_*.py")):
        if path.name == "test_coverage.py":
            continue
        more, quiet = rows_of(path)
        rows += more
        silent += quiet
    known = {subject for row in rows for subject in row.subjects}
    return rows, silent, [name for name in REQUIRED if name not in known]


def document(rows):
    """COVERAGE.md."""
    lines = ["# What of the specification is proven, and by which test", "",
             "Written by `tests/spec/coverage.py` from the docstrings of the tests; do not edit.  "
             "\"VM\" names the controller", "of cgroup2 that the test needs: hosts that have it run "
             "the test as well.  `creel` marks what the", "specification leaves to the runtime.", ""]
    counts = {level: sum(row.level == level for row in rows) for level in
              ("MUST", "SHOULD", "MAY", "creel")}
    lines += [f"{len(rows)} requirements: " + ", ".join(
        f"{count} {level}" for level, count in counts.items()) + f".  {len(REQUIRED)} subjects of "
        "the specification, each with a test.", ""]
    for name in dict.fromkeys(row.test.split("::")[0] for row in rows):
        lines += [f"## {name}", "", "| chapter | subject | level | requirement | test | where |",
                  "|---|---|---|---|---|---|"]
        for row in rows:
            if row.test.split("::")[0] != name:
                continue
            subject = " ".join(f"`{subject}`" for subject in row.subjects)
            text = row.text.replace("|", "\\|")
            lines.append(f"| {row.chapter} | {subject} | {row.level} | {text} | "
                         f"{row.test.split('::')[1]} | {row.where} |")
        lines.append("")
    return "\n".join(lines)


def main():
    """Writes COVERAGE.md; fails when something has no test."""
    rows, silent, missing = collect()
    FILE.write_text(document(rows), encoding="utf-8")
    for test in silent:
        print(f"{test} names no requirement")
    for name in missing:
        print(f"{name} has no test")
    print(f"{len(rows)} requirements, {len(missing)} subjects without a test")
    return 1 if silent or missing else 0


if __name__ == "__main__":
    sys.exit(main())
