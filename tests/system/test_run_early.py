"""`run` sends START before its init asks for it, unless P has still something to say to it: both ways end the same."""

import pytest

LIMITS = [{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 30}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
# A hook that does nothing makes P wait for I.
HOOK = {"createRuntime": [{"path": "/bin/true"}]}


def bundle_of(creel, args, late, **process):
    bundle = creel.bundle(*args, rlimits=LIMITS, **process)
    if late:
        bundle.spec["hooks"] = HOOK
        bundle.write()
    return bundle


SECTIONS = ("env,cwd,uid,gid,groups,umask,capabilities,noNewPrivs,seccomp,dumpable,rlimits,oomScoreAdj,process,signals,"
            "scheduler,affinity,cgroup,network")


def test_the_program_sees_the_same(creel):
    seen = [creel.run_bundle(bundle_of(creel, ("/bin/probe", "sections", SECTIONS), late), name="same").json()
            for late in (False, True)]
    assert set(seen[0]) == set(SECTIONS.split(","))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("late", (False, True))
def test_the_limits_are_set_before_the_program(creel, late):
    bundle = bundle_of(creel, ("/bin/sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c"), late)
    assert creel.run_bundle(bundle).out.split() == ["20", "30", "0"]


@pytest.mark.parametrize("late", (False, True))
def test_the_pid_file_is_there_before_the_program(creel, tmp_path, late):
    file = tmp_path / "pid"
    bundle = bundle_of(creel, ("/bin/sh", "-c", "cat /out/pid"), late)
    bundle.spec["mounts"].append({"destination": "/out", "type": "bind", "source": str(tmp_path), "options": ["bind"]})
    bundle.write()
    out = creel.run_bundle(bundle, "--pid-file", str(file)).out
    assert out.isdigit() and out == file.read_text()


@pytest.mark.parametrize("late", (False, True))
def test_a_failure_after_start_leaves_nothing(creel, tmp_path, late):
    file = tmp_path / "pid"
    bundle = bundle_of(creel, ("/bin/nowhere",), late)
    result = creel.run_bundle(bundle, "--pid-file", str(file))
    assert result.code == 1 and "/process/args" in result.err
    assert not file.exists() and creel.ids() == []
