"""Many containers at once, and commands that race for one."""

import os
import signal
import threading
import time

import harness
import pytest
from harness import is_alive, wait_until

MANY = 50


def test_fifty_containers_at_once(creel):
    bundle = creel.bundle("/bin/probe", "sleep")
    names = [creel.id() for _ in range(MANY)]

    def all_at_once(*words, tail=()):
        running = [creel.spawn(*words, name, *tail, log=True) for name in names]
        for command in running:
            result = command.wait(120)
            assert (result.code, result.err, result.log) == (0, "", []), str(result)

    all_at_once("create", "--bundle", bundle.path)
    assert sorted(creel.ids()) == sorted(names)
    all_at_once("start")
    pids = [item["pid"] for item in creel.ok("list", "--format", "json").json()]
    assert len(set(pids)) == MANY and all(map(is_alive, pids))
    all_at_once("kill", tail=["KILL"])
    wait_until(lambda: not any(map(is_alive, pids)), "all die")
    all_at_once("delete")
    assert creel.ids() == []


def test_fifty_runs_at_once(creel):
    bundle = creel.bundle("/bin/probe", "exit", "7")
    running = [creel.spawn("run", "--bundle", bundle.path, creel.id()) for _ in range(MANY)]
    for command in running:
        result = command.wait(120)
        assert (result.code, result.err) == (7, ""), str(result)
    assert creel.ids() == []


@pytest.mark.parametrize("attempt", range(5))
def test_one_id_has_one_winner(creel, attempt):
    bundle = creel.bundle("/bin/probe", "sleep")
    name = creel.id()
    running = [creel.spawn("create", "--bundle", bundle.path, name) for _ in range(8)]
    results = [command.wait() for command in running]
    winners = [result for result in results if result.code == 0]
    assert len(winners) == 1, "\n".join(map(str, results))
    for result in results:
        if result.code:
            assert result.code == 1
            assert "container with given ID already exists" in result.err
    assert creel.status(name) == "created"
    creel.ok("start", name)
    creel.ok("delete", "--force", name)


@pytest.mark.parametrize("attempt", range(10))
def test_delete_against_start(creel, attempt):
    name = creel.create(creel.bundle("/bin/probe", "sleep"))
    start = creel.spawn("start", name)
    time.sleep(attempt * 0.001)
    delete = creel.spawn("delete", "--force", name)
    start, delete = start.wait(), delete.wait()
    assert (delete.code, delete.err) == (0, ""), str(delete)
    assert start.code in (0, 1), str(start)
    assert creel.ids() == []


@pytest.mark.parametrize("attempt", range(10))
def test_delete_against_create(creel, attempt):
    name = creel.id()
    bundle = creel.bundle("/bin/probe", "sleep")
    create = creel.spawn("create", "--bundle", bundle.path, name)
    time.sleep(attempt * 0.002)
    delete = creel.spawn("delete", "--force", name)
    create, delete = create.wait(), delete.wait()
    assert (delete.code, delete.err) == (0, ""), str(delete)
    if create.code == 0:
        creel.ok("delete", "--force", name)
    assert creel.ids() == []


def test_two_starts(creel):
    for _ in range(5):
        name = creel.create(creel.bundle("/bin/probe", "sleep"))
        results = [c.wait() for c in [creel.spawn("start", name) for _ in range(4)]]
        assert sorted(r.code for r in results) == [0, 1, 1, 1], "\n".join(map(str, results))
        creel.ok("delete", "--force", name)


def test_eight_deletes(creel):
    name = creel.create(creel.bundle("/bin/probe", "sleep"))
    creel.ok("start", name)
    for command in [creel.spawn("delete", "--force", name) for _ in range(8)]:
        result = command.wait()
        assert (result.code, result.err) == (0, ""), str(result)


def test_state_while_others_work(creel):
    """Readers never see half a state."""
    bundle = creel.bundle("/bin/probe", "sleep")
    name = creel.id()
    seen, stop, trouble = set(), threading.Event(), []

    def look():
        while not stop.is_set():
            for words in (("state", name), ("list", "--format", "json")):
                result = creel.run(*words)
                if result.code == 0:
                    document = result.json()
                    seen.add(document["status"] if words[0] == "state" else "list")
                elif "does not exist" not in result.err:
                    trouble.append(str(result))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(15):
            creel.create(bundle, name=name)
            creel.ok("start", name)
            creel.ok("delete", "--force", name)
    finally:
        stop.set()
        thread.join()
    assert not trouble, trouble[:3]
    assert seen <= {"creating", "created", "running", "stopped", "list"}


@pytest.mark.parametrize("after", [0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.02])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_create_that_is_killed_leaves_what_delete_removes(creel, after, number):
    name = creel.id()
    bundle = creel.bundle("/bin/probe", "sleep")
    with creel.spawn("create", "--bundle", bundle.path, name) as create:
        time.sleep(after)
        create.process.send_signal(number)
        create.wait()
    creel.ok("delete", "--force", name)
    assert creel.ids() == []


def test_caller_that_goes_away_does_not_take_the_container_along(creel):
    """PR_SET_PDEATHSIG ends with create."""
    name = creel.create(creel.bundle("/bin/probe", "sleep"))
    time.sleep(0.1)
    assert creel.status(name) == "created"
    creel.ok("start", name)
    assert creel.status(name) == "running"
    creel.ok("delete", "--force", name)


def test_a_hundred_lives(creel):
    before = len(os.listdir("/proc/self/fd"))
    bundle = creel.bundle("/bin/probe", "true")
    for _ in range(100):
        result = creel.run_bundle(bundle)
        assert (result.code, result.err) == (0, "")
    assert len(os.listdir("/proc/self/fd")) == before
    assert not harness.descendants()
