"""What the program has after execve, in all combinations of no_new_privs, seccomp, uid, capabilities and user namespace, by start and
by exec; and of AppArmor where it is there.  SELinux: tests/vm/selinux.py."""

import os
import pathlib
import subprocess

import credentials
import pytest

PROFILE = "creel-credentials"


def test_matrix(creel):
    """Without labels; the boot with labels does the same with them."""
    if os.environ.get("CREEL_LAB") == "full":
        pytest.skip("the same with a label")
    count, wrong = credentials.check(creel)
    assert count == 2 * 72
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not pathlib.Path("/sys/kernel/security/apparmor").is_dir(),
                    reason="needs AppArmor: tests/vm/run")
def test_matrix_with_apparmor(creel):
    text = f"profile {PROFILE} flags=(attach_disconnected) {{ file, capability, network, signal, ptrace, unix, }}\n"
    parser = ["apparmor_parser", "--skip-cache"]
    subprocess.run([*parser, "--replace"], input=text, text=True, check=True, timeout=60)
    try:
        count, wrong = credentials.check(creel, ("apparmorProfile", PROFILE, f"{PROFILE} (enforce)"))
    finally:
        subprocess.run([*parser, "--remove"], input=text, text=True, check=True, timeout=60)
    assert count == 2 * 72
    assert not wrong, "\n".join(wrong)


def test_model_is_not_trivial():
    """The model tells apart what the matrix is about: each axis changes what is expected."""
    kernel = credentials.Kernel([f"CAP_{n}" for n in range(41)])
    kernel.mask = lambda names: hash(tuple(names)) & 0xffff if names else 0
    cases = {credentials.name(case): str(credentials.expected(case, kernel, None))
             for case in credentials.combinations() if not case["userns"] and case["seccomp"] != "notify"}
    assert len(set(cases.values())) == 2 * 2 * 2 * 3
