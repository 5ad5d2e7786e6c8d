"""Every attack against creel, and for each the proof that its oracles can see a success: the same
attack on a runtime of Debian trixie that it succeeds against, or a planted success."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import world as w  # noqa: E402

import descriptors  # noqa: E402, F401
import facilities  # noqa: E402, F401
import hostilefs  # noqa: E402
import identity  # noqa: E402, F401
import paths  # noqa: E402, F401

PEERS = [(attack, peer) for attack in w.ATTACKS for peer in attack.peers]
PLANTS = [attack for attack in w.ATTACKS if not attack.peers]


@pytest.fixture(scope="module")
def hostile(apart):
    """The programs of the attacks."""
    return w.build(apart / "attack-programs")


@pytest.fixture
def world(apart, binary, hostile, request):
    """A world with creel, or with the plant of the test's attack."""
    plant = getattr(request, "param", None)
    place = pathlib.Path(tempfile.mkdtemp(prefix="w", dir=apart))
    place.chmod(0o755)      # for the root of a user namespace
    made = w.World(binary, place / "w", hostile, plant)
    yield made
    made.close()
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("attack", w.ATTACKS, ids=lambda attack: attack.id)
def test_attack(request, world, attack):
    """creel lets nobody out."""
    if attack.limit:
        request.applymarker(pytest.mark.xfail(reason=attack.limit, strict=True))
    hits = attack.run(world)
    assert not hits, "\n".join([attack.function.__doc__, *hits, *map(str, world.results[-5:])])


@pytest.mark.parametrize("userns", [False, True])
def test_world_works(world, userns):
    """The bundle that attacks start from runs: a refusal of everything would prove nothing."""
    result = world.run(world.spec("/bin/busybox", "echo", "hello", userns=userns))
    assert (result.code, result.out) == (0, "hello\n"), str(result)
    assert not world.check()


def test_filesystem_works(world):
    """The filesystem that hostile ones are made of is one that containers run from."""
    spec = hostilefs.spec_of(world)
    world.arm()
    with hostilefs.served(world, hostilefs.honest):
        result = world.run(spec)
    assert (result.code, result.out) == (0, "hello\n"), str(result)
    assert not world.check()


@pytest.mark.parametrize("world, attack", [(attack.plant, attack) for attack in PLANTS],
                         ids=[attack.id for attack in PLANTS], indirect=["world"])
def test_planted_success_is_seen(world, attack):
    """The oracles of the attack see a success that was planted."""
    assert attack.run(world, leaks=False), f"{attack.id} cannot fail"


@pytest.fixture(scope="module")
def control(apart, hostile):
    """The hits of the control group."""
    directory = apart / "control"
    directory.mkdir()
    for inside, outside in hostile.items():
        shutil.copy(outside, directory / pathlib.Path(inside).name)
    done = in_lab(directory, "control.py", directory)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def in_lab(directory, script, *words):
    """Runs a script of this directory in the fast laboratory, with DIRECTORY."""
    done = subprocess.run([HERE.parent / "lab" / "fast", "--bind", directory, "--timeout", "900",
                           "python3", HERE / script, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode == 125:
        pytest.skip(f"there is no fast lab: {done.stderr.strip()}")
    return done


@pytest.mark.parametrize("attack, peer", PEERS, ids=[f"{attack.id}-{peer}" for attack, peer in PEERS])
def test_control_is_hit(control, attack, peer):
    """A runtime that is known to be vulnerable is seen to be."""
    assert control[f"{attack.id} {peer}"], f"{peer} was not hit: the attack proves nothing"


@pytest.mark.parametrize("peer", ["/usr/bin/crun", "/usr/sbin/runc"])
def test_farm_is_hit(apart, hostile, control, peer):
    """The farm finds what CVE-2026-41579 and CVE-2026-47766 are."""
    assert control
    done = in_lab(apart / "control", "farm.py", "--runtime", peer, "--programs", apart / "control",
                  "--paths", "/dev", "--quick", "--expect-hits")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("peer", ["/usr/bin/crun", "/usr/sbin/runc"])
def test_interleaver_is_hit(apart, hostile, control, peer):
    """The interleaver finds the window before the devices of /dev are made."""
    assert control
    directory = apart / "control-interleave"
    if not directory.exists():
        shutil.copytree(apart / "control", directory)
        w.bundles.compile_static(directory / "interleave", HERE / "interleave.c")
    done = in_lab(directory, "interleave.py", "--runtime", peer, "--programs", directory,
                  "--configs", "bare", "--components", "dev", "--limit", "100", "--expect-hits")
    assert done.returncode == 0, done.stdout + done.stderr
