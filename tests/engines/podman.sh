# Podman as root, configured by share/containers/creel.conf.

setup()
{
	mkdir -p /etc/containers/containers.conf.d
	cp "$share/containers/creel.conf" /etc/containers/containers.conf.d/creel.conf
	if [ "$CREEL_LAB" = fast ]; then
		# There is no pids controller: strip Podman's default of pids-limit.
		printf '[containers]\npids_limit = 0\n[engine]\ncgroup_manager = "cgroupfs"\n' \
			> /etc/containers/containers.conf.d/fast.conf
	fi
	printf '[containers]\ninit_path = "/usr/bin/catatonit"\n' \
		> /etc/containers/containers.conf.d/init.conf
	printf '[storage]\ndriver = "overlay"\ngraphroot = "/var/tmp/podman"\nrunroot = "/run/podman-test"\n' \
		> /etc/containers/storage.conf
	if [ "$CREEL_LAB" = fast ]; then
		sed -i s,/var/tmp/podman,/tmp/podman, /etc/containers/storage.conf
	fi
	grep -q ^containers: /etc/subuid || {
		echo containers:200000:400000 >> /etc/subuid
		echo containers:200000:400000 >> /etc/subgid
	}
	podman import -q "$(make_archive)" localhost/box
	make_profile
}

versions()
{
	podman --version
	conmon --version | head -n 1
}

# Podman's timers of health checks need systemd.
podman()
{
	DISABLE_HC_SYSTEMD=true command podman "$@"
}

run()
{
	podman run --rm --network none "$@"
}

# start NAME ARGUMENT...: in the background, with the name
start()
{
	podman run -d --network none --name "$@" >/dev/null
}

state()
{
	podman inspect --format "{{.State.$2}}" "$1"
}

tidy()
{
	podman pod rm -fa -t 0 >/dev/null
	podman rm -fa -t 0 >/dev/null
	podman volume prune -f >/dev/null
	[ -z "$(ls /run/creel/ 2>/dev/null)" ] || { echo "left in /run/creel:"; ls /run/creel; return 1; }
}

# After a case that hangs.
recover()
{
	:
}

teardown()
{
	:
}
