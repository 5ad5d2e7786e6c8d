"""config-linux.md, "Network devices"."""

import json
import subprocess

import harness
import pytest

from .words import changed, drop_namespace, holder, refused, set_namespace


def ip(*words, pid=None):
    """Runs ip, in the network namespace of PID."""
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    done = subprocess.run([*enter, "ip", *map(str, words)], capture_output=True, text=True,
                          check=True)
    return done.stdout


@pytest.fixture
def device(creel):
    """Makes devices: a veth pair each, since every kernel has it; what stays is removed."""
    harness.require_program("ip")
    made = []

    def make(addresses=()):
        name = f"cr{creel.directory.name[-5:]}{len(made)}".replace("_", "x")
        ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        made.append(name)
        for address in addresses:
            ip("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        return name
    yield make
    for name in made:
        subprocess.run(["ip", "link", "del", f"{name}p"], capture_output=True, check=False)


def names(creel, devices, **more):
    """The devices of a container with netDevices DEVICES, by name."""
    report = creel.probe("network", change=lambda spec: spec["linux"].update(netDevices=devices),
                         **more)
    return {each["name"]: each for each in report["network"]}


def test_move(creel, device):
    """config-linux.md Network devices: /linux/netDevices: MUST: the device is in the container, under
    its own name, up, and no longer on the host."""
    name = device()
    bundle = changed(creel, lambda spec: spec["linux"].update(netDevices={name: {}}), "/bin/probe",
                     "sleep")
    with creel.running(bundle) as container:
        seen = creel.ok("exec", container, "/bin/probe", "sections", "network").json()["network"]
        found = {each["name"]: each for each in seen}
        assert "UP" in found[name]["flags"]
        assert name not in {link["ifname"] for link in json.loads(ip("-j", "link"))}


def test_rename(creel, device):
    """config-linux.md Network devices: /linux/netDevices/*/name: MUST: the device gets the new name
    in the container."""
    found = names(creel, {device(): {"name": "inner0"}})
    assert set(found) == {"lo", "inner0"} and "UP" in found["inner0"]["flags"]


def test_pattern(creel, device):
    """config-linux.md Network devices: /linux/netDevices/*/name: MUST: %d makes the kernel choose a
    free number."""
    found = names(creel, {device(): {"name": "eth%d"}, device(): {"name": "eth%d"}})
    assert set(found) == {"lo", "eth0", "eth1"}


def test_addresses(creel, device):
    """config-linux.md Network devices: /linux/netDevices: MUST: permanent global addresses of every
    family are kept."""
    name = device(["192.0.2.7/24", "198.51.100.9/32", "2001:db8::7/64"])
    found = names(creel, {name: {"name": "inner0"}})
    assert {"192.0.2.7", "198.51.100.9", "2001:db8::7"} <= set(found["inner0"]["addresses"])


def test_attributes(creel, device):
    """config-linux.md Network devices: /linux/netDevices: MUST: the device's attributes are kept."""
    name = device()
    ip("link", "set", name, "address", "02:00:00:00:12:34", "mtu", 1400)
    bundle = changed(creel, lambda spec: spec["linux"].update(netDevices={name: {}}), "/bin/probe",
                     "sleep")
    with creel.running(bundle) as container:
        link, = json.loads(ip("-j", "link", "show", "dev", name,
                              pid=creel.state(container)["pid"]))
        assert (link["address"], link["mtu"]) == ("02:00:00:00:12:34", 1400)


def test_absent(creel):
    """config-linux.md Network devices: /linux/netDevices: MUST: a device that is not there is an
    error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        netDevices={"nosuchdev0": {}})), "/linux/netDevices/nosuchdev0")


def test_name_taken(creel, device):
    """config-linux.md Network devices: /linux/netDevices/*/name: MUST: a name that exists in the
    container already is an error."""
    name = device()
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        netDevices={name: {"name": "lo"}})), f"/linux/netDevices/{name}")
    assert name in {link["ifname"] for link in json.loads(ip("-j", "link"))}


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "a b", "a:b", "sixteen-letters-", "a%sb"])
def test_bad_name(creel, bad):
    """config-linux.md Network devices: /linux/netDevices/*/name: MUST: a name that no device can have
    is an error."""
    refused(creel, changed(creel, lambda spec: spec["linux"].update(
        netDevices={"eth9": {"name": bad}})), "/linux/netDevices/eth9/name")


def test_without_namespace(creel):
    """config-linux.md Network devices: /linux/netDevices: MUST: without a network namespace there is
    nowhere to move to."""
    def change(spec):
        drop_namespace(spec, "network")
        spec["linux"]["netDevices"] = {"eth9": {}}
    refused(creel, changed(creel, change), "/linux/netDevices")


def test_joined_namespace(creel, device):
    """config-linux.md Network devices: /linux/netDevices: MUST: a joined network namespace takes the
    device, and the runtime does not move it back."""
    with holder("network") as pid:
        name = device()

        def change(spec):
            set_namespace(spec, "network", f"/proc/{pid}/ns/net")
            spec["linux"]["netDevices"] = {name: {"name": "stays0"}}
        assert creel.run_bundle(changed(creel, change)).code == 0
        assert "stays0" in {link["ifname"] for link in json.loads(ip("-j", "link", pid=pid))}


def test_userns(creel, device):
    """config-linux.md Network devices: /linux/netDevices: MUST: it works with a user namespace."""
    assert "inner0" in names(creel, {device(): {"name": "inner0"}}, userns=True)
