# What the cases of all engines share.  It is read before each case by bash with -eu and pipefail.
share=$(dirname "${BASH_SOURCE[0]}")/../../share
calls=/tmp/engines/calls

# same WANT GOT: says what differs
same()
{
	[ "$1" = "$2" ] || { printf 'wanted: %s\n   got: %s\n' "$1" "$2"; return 1; }
}

# has TEXT PART...: each PART occurs in TEXT
has()
{
	local text=$1 part

	shift
	for part; do
		[[ $text == *"$part"* ]] || { printf 'no "%s" in: %s\n' "$part" "$text"; return 1; }
	done
}

# fails STATUS COMMAND...: COMMAND ends with STATUS; what it said is in $said
fails()
{
	local want=$1 status=0

	shift
	said=$("$@" 2>&1) || status=$?
	[ "$status" = "$want" ] || { echo "status $status, wanted $want: $said"; return 1; }
}

# refused COMMAND...: COMMAND fails, with any status
refused()
{
	! said=$("$@" 2>&1) || { echo "succeeded: $*: $said"; return 1; }
}

# soon COMMAND...: COMMAND succeeds within some seconds
soon()
{
	local end=$((SECONDS + ${SOON:-30}))

	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || { echo "never: $*"; "$@"; return 1; }
		sleep 0.05
	done
}

# again TIMES COMMAND...: COMMAND succeeds in one of TIMES runs; when not in the first, the results say so
again()
{
	local times=$1 run

	shift
	for ((run = 1; run <= times; run++)); do
		if "$@"; then
			[ "$run" = 1 ] || echo "run $run of at most $times" >> /tmp/engines/notes
			return 0
		fi
	done
	echo "in none of $times runs: $*"
	return 1
}

# prints PART COMMAND...: COMMAND prints PART
prints()
{
	local part=$1

	shift
	has "$("$@" 2>&1)" "$part"
}

# on_pty COMMAND...: its output on a terminal of 40 rows and 132 columns, without carriage returns
on_pty()
{
	python3 - "$@" <<'PYTHON'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 132, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
output = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    output += data
sys.stdout.write(output.replace(b"\r", b"").decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
}

# What a container says of its terminal, when its size has come: engines set that after the start.
sized='i=0; until test "$(stty size)" = "40 132" || test $i = 200; do i=$((i+1)); sleep 0.1; done; tty; stty size'

# group PID FILE: FILE of the cgroup that PID is in
group()
{
	cat "/sys/fs/cgroup$(sed -n s/^0:://p "/proc/$1/cgroup")/$2"
}

# readers ID PATTERN PID: a reader of the files finds the container's cgroup
readers()
{
	python3 "$share/../tests/engines/cgroups.py" "$@"
}

# with_notify COMMAND...: runs COMMAND with a NOTIFY_SOCKET, and prints what came there before it ended
with_notify()
{
	python3 - "$@" <<'PYTHON'
import os, socket, subprocess, sys
path = os.environ.get("NOTIFY", "/tmp/engines/notify")
if os.path.exists(path):
    os.unlink(path)
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
receiver.settimeout(120)
subprocess.run(sys.argv[1:], env={**os.environ, "NOTIFY_SOCKET": path}, check=True,
               stdout=subprocess.DEVNULL)
while True:
    message = receiver.recv(4096).decode()
    print(message)
    if "READY=1" in message:
        break
PYTHON
}

# A root filesystem of busybox and of the shared libraries' links, so that a bound /usr works in it.
make_rootfs()
{
	local root=$1 name

	mkdir -p "$root"/{bin,etc,root,tmp,usr,var,home/user,data}
	chmod 1777 "$root/tmp"
	cp /bin/busybox "$root/bin/busybox"
	for name in $(busybox --list); do
		[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
	done
	ln -s usr/lib "$root/lib"
	ln -s usr/lib64 "$root/lib64"
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1234:1234::/home/user:/bin/sh\n' > "$root/etc/passwd"
	printf 'root:x:0:\nuser:x:1234:\nextra:x:4321:user\n' > "$root/etc/group"
	printf 'not a program' > "$root/bin/plain"
	printf '\177ELFbroken' > "$root/bin/broken"
	chmod 755 "$root/bin/broken"
	echo kept > "$root/data/file"
}

# The same as an archive; printed is its path.
make_archive()
{
	[ -e /tmp/engines/box.tar ] || {
		make_rootfs /tmp/engines/box
		tar -C /tmp/engines/box -cf /tmp/engines/box.tar .
	}
	echo /tmp/engines/box.tar
}

# A seccomp profile for engines that denies one call, mkdir, with an errno that nothing else gives.
make_profile()
{
	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],
		"action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}' > /tmp/engines/seccomp.json
	echo /tmp/engines/seccomp.json
}
