# Buildah, and skopeo and umoci by hand.  No daemon; the rlimits are lowered where the host cannot raise them.

setup()
{
	mkdir -p /etc/containers/containers.conf.d
	cp "$share/containers/creel.conf" /etc/containers/containers.conf.d/creel.conf
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "/run/buildah-test"\n' \
		"$([ "$CREEL_LAB" = full ] && echo /var/tmp/buildah || echo /tmp/buildah)" \
		> /etc/containers/storage.conf
	local box

	box=$(buildah from scratch)
	buildah add -q "$box" "$(make_archive)" /
	buildah commit -q "$box" localhost/box
	buildah rm "$box"
}

versions()
{
	buildah --version
	skopeo --version
	umoci --version
}

stripped=()
unlimited=.
if [ "$CREEL_LAB" = fast ]; then
	stripped=(--ulimit nofile=1000:1000 --ulimit nproc=1000:1000)
	unlimited='.process.rlimits = []'
fi

# from: a working container, with its name in $box
from()
{
	box=$(buildah from --network none "${stripped[@]}" localhost/box)
}

# run ARGUMENT... -- COMMAND...: in the working container
run()
{
	buildah run --isolation oci --network none "$@"
}

tidy()
{
	buildah rm -a >/dev/null
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
