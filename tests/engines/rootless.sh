# Podman as an ordinary user with a systemd of his own (full laboratory only).
# user: creel

setup()
{
	mkdir -p ~/.config/containers/containers.conf.d
	cp "$share/containers/creel.conf" ~/.config/containers/containers.conf.d/creel.conf
	printf '[containers]\ninit_path = "/usr/bin/catatonit"\n' \
		> ~/.config/containers/containers.conf.d/init.conf
	podman import -q "$(make_archive)" localhost/box
	make_profile
}

versions()
{
	podman --version
	conmon --version | head -n 1
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
	[ -z "$(ls "$XDG_RUNTIME_DIR/creel" 2>/dev/null)" ] ||
		{ echo "left in $XDG_RUNTIME_DIR/creel:"; ls "$XDG_RUNTIME_DIR/creel"; return 1; }
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
