#!/usr/bin/python3
"""A client of the CRI that needs nothing but Python: enough of HTTP/2, gRPC and protobuf to run pods in containerd.

usage: cri.py SOCKET COMMAND [ARGUMENT]...
  info                      what the plugin says of itself, its configuration among it
  run-pod NAME [--shared-pid] [--userns]
  run [--memory BYTES] POD NAME COMMAND...   creates and starts a container
  update CONTAINER BYTES    sets its limit of memory
  exec CONTAINER COMMAND... prints its output and ends as it did
  status|stats|stop CONTAINER
  remove-pod POD
"""

import os
import socket
import struct
import sys

IMAGE = "docker.io/library/box:1"
HANDLER = "creel"
POD, CONTAINER = 0, 1
STATES = ("created", "running", "exited", "unknown")


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One protobuf field: an int is a varint, a dict a message, a list repeats."""
    if isinstance(value, list):
        return b"".join(field(number, item) for item in value)
    if isinstance(value, bool) or isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, dict):
        value = message(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(fields):
    """A protobuf message out of {number: value}."""
    return b"".join(field(number, value) for number, value in fields.items())


def parse(data):
    """{number: [values]} of a protobuf message; what is not a varint stays bytes."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            value = number()
        else:
            size = {1: 8, 5: 4}.get(kind) or number()
            value = data[at:at + size]
            at += size
        fields.setdefault(key >> 3, []).append(value)
    return fields


def literal(name, value):
    """A header that no table remembers, without Huffman's code."""
    def text(string):
        assert len(string) < 127
        return bytes([len(string)]) + string.encode()
    return b"\0" + text(name) + text(value)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("the server hung up")
        data += part
    return data


def call(path, method, request, service="RuntimeService"):
    """The fields of the answer.  The headers of the answer are compressed: an answer without data is an error."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(path)
    body = message(request)
    headers = b"".join(literal(*pair) for pair in (
        (":method", "POST"), (":scheme", "http"), (":path", f"/runtime.v1.{service}/{method}"),
        (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, headers) +
                       frame(0, 1, 1, b"\0" + struct.pack(">I", len(body)) + body))
    answer, trailers = b"", b""
    while True:
        head = read_exactly(connection, 9)
        payload = read_exactly(connection, struct.unpack(">I", b"\0" + head[:3])[0])
        kind, flags = head[3], head[4]
        if kind == 4 and not flags & 1:
            connection.sendall(frame(4, 1, 0))
        elif kind == 6 and not flags & 1:
            connection.sendall(frame(6, 1, 0, payload))
        elif kind == 0:
            answer += payload
        elif kind == 1:
            trailers = payload
        elif kind in (3, 7):
            raise OSError(f"{method}: the server broke the stream off: {payload!r}")
        if kind in (0, 1) and flags & 1:
            break
    connection.close()
    if len(answer) < 5:
        sys.exit(f"{method} failed: {trailers.decode(errors='replace')}")
    return parse(answer[5:])


def namespaces(shared_pid, userns):
    """NamespaceOption."""
    mapping = {1: 200000, 2: 0, 3: 65536}
    options = {1: POD, 2: POD if shared_pid else CONTAINER, 3: POD}
    if userns:
        options[5] = {1: POD, 2: [mapping], 3: [mapping]}
    return options


def pod_config(name, shared_pid, userns):
    """PodSandboxConfig, with the cgroup that kubelet would have made."""
    parent = f"pods-{name}.slice" if os.environ.get("CREEL_LAB") == "full" else f"/pods-{name}"
    return {1: {1: name, 2: f"uid-{name}", 3: "default"}, 2: name,
            8: {1: parent, 2: {1: namespaces(shared_pid, userns)}}}


def run_pod(path, name, *options):
    config = pod_config(name, "--shared-pid" in options, "--userns" in options)
    identity = call(path, "RunPodSandbox", {1: config, 2: HANDLER})[1][0].decode()
    with open(f"/tmp/engines/pod-{identity}", "w") as note:
        note.write(" ".join((name, *options)))
    print(identity)


def run(path, *words):
    limits = {}
    if words[0] == "--memory":
        limits = {1: {4: int(words[1])}}
        words = words[2:]
    pod, name, *command = words
    with open(f"/tmp/engines/pod-{pod}") as note:
        pod_name, *options = note.read().split()
    shared_pid, userns = "--shared-pid" in options, "--userns" in options
    config = {1: {1: name}, 2: {1: IMAGE}, 3: command,
              15: {**limits, 2: {3: namespaces(shared_pid, userns)}}}
    identity = call(path, "CreateContainer",
                    {1: pod, 2: config, 3: pod_config(pod_name, shared_pid, userns)})[1][0].decode()
    call(path, "StartContainer", {1: identity})
    print(identity)


def execute(path, container, *command):
    answer = call(path, "ExecSync", {1: container, 2: list(command), 3: 20})
    sys.stdout.write(b"".join(answer.get(1, [])).decode())
    sys.stderr.write(b"".join(answer.get(2, [])).decode())
    sys.exit(answer.get(3, [0])[0])


def status(path, container):
    answer = parse(call(path, "ContainerStatus", {1: container})[1][0])
    print(STATES[answer.get(3, [0])[0]])


def stats(path, container):
    """The memory in use, as ContainerStats tells it."""
    memory = parse(parse(call(path, "ContainerStats", {1: container})[1][0])[3][0])
    print(parse(memory[2][0])[1][0])


def update(path, container, limit):
    call(path, "UpdateContainerResources", {1: container, 2: {4: int(limit)}})


def stop(path, container):
    call(path, "StopContainer", {1: container, 2: 0})


def remove_pod(path, pod):
    call(path, "StopPodSandbox", {1: pod})
    call(path, "RemovePodSandbox", {1: pod})
    os.unlink(f"/tmp/engines/pod-{pod}")


def info(path):
    for pair in call(path, "Status", {1: True})[2]:
        print(parse(pair)[2][0].decode())


COMMANDS = {"info": info, "run-pod": run_pod, "run": run, "exec": execute, "status": status,
            "stats": stats, "update": update, "stop": stop, "remove-pod": remove_pod}

if __name__ == "__main__":
    COMMANDS[sys.argv[2]](sys.argv[1], *sys.argv[3:])
