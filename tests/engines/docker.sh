# Docker, configured by share/docker/daemon.json.
# tries: 2  (dockerd loses what a short process said about once in 300 times, with every runtime)

# daemon NAME ARGUMENT...: starts one more dockerd, with all its directories below /tmp/engines/NAME
daemon()
{
	local name=$1 home=/tmp/engines/$1

	shift
	mkdir -p "$home"
	# BuildKit runs plain runc from PATH.
	PATH=/tmp/engines/path:$PATH setsid dockerd --config-file "$share/docker/daemon.json" \
		--data-root "$data/$name" --exec-root "/run/docker-$name" --pidfile "$home/pid" \
		-H "unix://$home/sock" "$@" >> "$home/log" 2>&1 < /dev/null &
	SOON=60 soon docker -H "unix://$home/sock" version || { tail -n 20 "$home/log"; return 1; }
}

# daemon_stop NAME [SIGNAL]
daemon_stop()
{
	local pid

	pid=$(cat "/tmp/engines/$1/pid")
	kill "${2:--TERM}" "$pid"
	gone() { ! kill -0 "$pid"; }
	SOON=30 soon gone
	rm -f "/tmp/engines/$1/pid"
}

data=/tmp/docker
[ "$CREEL_LAB" = fast ] || data=/var/lib/docker-test
export DOCKER_HOST=unix:///tmp/engines/main/sock

setup()
{
	daemon main
	docker import "$(make_archive)" box
	docker network inspect other >/dev/null 2>&1 || docker network create other
	make_profile
}

versions()
{
	docker version --format 'dockerd {{.Server.Version}}'
	containerd --version | awk '{ print "containerd", $3 }'
}

run()
{
	docker run --rm --network none "$@"
}

# start NAME ARGUMENT...: in the background, with the name
start()
{
	docker run -d --network none --name "$@" >/dev/null
}

state()
{
	docker inspect --format "{{.State.$2}}" "$1"
}

# What containers are made of, whatever engine or runtime made it: processes, cgroups, mounts, namespaces, directories.
there_is()
{
	echo "processes:" $(ps -e -o comm= | grep -Ecx 'containerd-shim.*|docker-init|creel|runc|touch')
	echo "cgroups:" $(find /sys/fs/cgroup -type d -regex '.*[0-9a-f]\{64\}.*')
	echo "mounts:" $(awk '{ print $5 }' /proc/self/mountinfo | grep -Ec '[0-9a-f]{64}|/netns/')
	echo "network:" $(ls /run/docker/netns 2>/dev/null)
	echo "tasks:" $(find /run/docker-main /run/creel -name '*[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]' -type d 2>/dev/null)
}

roots()
{
	ls /run/docker-*/runtime-runc/moby/ /run/docker-*/runtime-creel/moby/ 2>/dev/null | grep -v : | grep . || true
}

tidy()
{
	local all name

	# What a case that failed has left running.
	for name in live remap; do
		[ ! -e "/tmp/engines/$name/pid" ] || daemon_stop "$name"
	done

	all=$(docker ps -aq)
	[ -z "$all" ] || docker rm -f $all >/dev/null
	empty() { [ -z "$(roots)" ]; }
	soon empty
}

# After a case that hangs: dockerd waits for ever for the terminal of a runtime that makes none.
recover()
{
	kill -KILL -- "-$(cat /tmp/engines/main/pid)"
	rm -f /tmp/engines/main/pid
	daemon main
	tidy
}

teardown()
{
	daemon_stop main
}

# buildkit DIRECTORY TAG: builds with dockerd's BuildKit through the API, as the command line needs a plugin for it
buildkit()
{
	tar -C "$1" -c . | python3 -c '
import http.client, json, socket, sys
connection = http.client.HTTPConnection("docker")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("POST", "/v1.45/build?version=2&t=" + sys.argv[2], sys.stdin.buffer.read(),
                   {"Content-Type": "application/x-tar"})
answer = connection.getresponse().read().decode(errors="replace")
print(answer[-3000:])
sys.exit("errorDetail" in answer or "\"message\"" in answer)
' "${DOCKER_HOST#unix://}" "$2"
}
