# containerd with its own client, and its CRI plugin configured by share/containerd/config-v2.toml.
# tries: 2  (ctr itself loses what a short process said about once in 300 times, with every runtime)

export CONTAINERD_ADDRESS=/tmp/engines/containerd.sock
config=config-v2.toml

# Starts containerd.  With --uidmap, ctr forgets --runc-binary, and plain runc from PATH is run.
daemon()
{
	PATH=/tmp/engines/path:$PATH setsid containerd --config /tmp/engines/containerd.toml \
		>> /tmp/engines/containerd.log 2>&1 < /dev/null &
	echo $! > /tmp/engines/containerd.pid
	soon ctr version || { tail /tmp/engines/containerd.log; return 1; }
}

# A network for pods: the least that a CNI plugin can be.
make_cni()
{
	mkdir -p /tmp/engines/cni
	cat > /tmp/engines/cni/lab <<-'PLUGIN'
		#!/bin/sh
		config=$(cat)
		case $CNI_COMMAND in
		VERSION)
			echo '{"cniVersion": "0.3.1", "supportedVersions": ["0.3.1", "0.4.0", "1.0.0"]}' ;;
		ADD)
			nsenter --net="$CNI_NETNS" ip link set lo up
			[ "$CNI_IFNAME" = lo ] || nsenter --net="$CNI_NETNS" sh -c "
				ip link add $CNI_IFNAME type veth peer name peer
				ip addr add 10.9.8.7/24 dev $CNI_IFNAME
				ip link set $CNI_IFNAME up"
			version=$(echo "$config" | sed 's/.*"cniVersion": *"\([^"]*\)".*/\1/')
			printf '{"cniVersion": "%s", "interfaces": [{"name": "%s", "sandbox": "%s"}],' \
				"$version" "$CNI_IFNAME" "$CNI_NETNS"
			printf '"ips": [{"version": "4", "interface": 0, "address": "10.9.8.7/24"}]}' ;;
		esac
	PLUGIN
	chmod 755 /tmp/engines/cni/lab
	ln -s lab /tmp/engines/cni/loopback
	echo '{"cniVersion": "0.3.1", "name": "lab", "type": "lab"}' > /tmp/engines/cni/lab.conf
}

# What the laboratory adds to the plugin's configuration, beside the file of share/.
cri_config()
{
	cat <<-TOML
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "docker.io/library/pause:1"
		  disable_apparmor = $1
		  restrict_oom_score_adj = true
		  disable_cgroup = $1
		[plugins."io.containerd.grpc.v1.cri".cni]
		  bin_dir = "/tmp/engines/cni"
		  conf_dir = "/tmp/engines/cni"
	TOML
}

setup()
{
	local full=true

	[ "$CREEL_LAB" = full ] || full=false
	make_cni
	{
		grep -m 1 ^version "$share/containerd/$config"
		echo 'root = "/tmp/engines/root"'
		echo 'state = "/run/containerd-test"'
		printf '[grpc]\n  address = "%s"\n' "$CONTAINERD_ADDRESS"
		grep -v ^version "$share/containerd/$config" |
			sed "s/SystemdCgroup = true/SystemdCgroup = $full/"
		cri_config "$([ $full = true ] && echo false || echo true)"
	} > /tmp/engines/containerd.toml
	daemon
	ctr images import "$(make_image docker.io/library/box:1 "$(make_archive)" sh)"
	mkdir -p /tmp/engines/pause
	cp /usr/bin/catatonit /tmp/engines/pause/pause
	tar -C /tmp/engines/pause -cf /tmp/engines/pause.tar .
	ctr -n k8s.io images import "$(make_image docker.io/library/box:1 "$(make_archive)" sh)"
	ctr -n k8s.io images import "$(make_image docker.io/library/pause:1 /tmp/engines/pause.tar /pause -P)"
	make_profile
}

# make_image NAME LAYER COMMAND...: an OCI archive of one layer; printed is its path
make_image()
{
	python3 - "$@" <<'PYTHON'
import hashlib, io, json, sys, tarfile
name, layer, command = sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3:]
path = f"/tmp/engines/{name.split('/')[-1].split(':')[0]}-image.tar"
blobs = {}
def blob(data, kind):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}",
            "size": len(data)}
rootfs = blob(layer, "layer.v1.tar")
config = blob({"architecture": "amd64", "os": "linux",
               "config": {"Cmd": command, "Env": ["PATH=/bin:/usr/bin"]},
               "rootfs": {"type": "layers", "diff_ids": [rootfs["digest"]]}}, "config.v1+json")
manifest = blob({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                 "config": config, "layers": [rootfs]}, "manifest.v1+json")
manifest["annotations"] = {"io.containerd.image.name": name,
                           "org.opencontainers.image.ref.name": name.split(":")[-1]}
with tarfile.open(path, "w") as archive:
    def add(name, data):
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
    for digest, data in blobs.items():
        add(f"blobs/sha256/{digest}", data)
print(path)
PYTHON
}

versions()
{
	containerd --version | awk '{ print "containerd", $3 }'
}

box=docker.io/library/box:1

# There is no cpu controller in the fast laboratory: strip the shares that ctr asks for by default.
stripped=()
[ "$CREEL_LAB" = full ] || stripped=(--cpu-shares 0)

# run ARGUMENT... NAME COMMAND...: with the image before the name, as ctr wants it
run()
{
	local options=()

	while [[ $1 == --* ]]; do
		options+=("$1")
		shift
	done
	ctr run --runc-binary /usr/bin/creel "${stripped[@]}" "${options[@]}" "$box" "$@"
}

cri()
{
	python3 "$share/../tests/engines/cri.py" "$CONTAINERD_ADDRESS" "$@" || {
		local status=$?

		# The plugin's answer is compressed; its log is not.
		[ "$1" = exec ] || grep level=error /tmp/engines/containerd.log | tail -n 1 >&2
		return $status
	}
}

tidy()
{
	local id

	for id in $(ls /tmp/engines | sed -n s/^pod-//p); do
		cri remove-pod "$id"
	done

	for id in $(ctr task ls -q); do
		ctr task resume "$id" 2>/dev/null || true
		ctr task rm -f "$id" >/dev/null
	done
	for id in $(ctr container ls -q); do
		ctr container rm "$id"
	done
	[ -z "$(ls /run/containerd/runc/*/ 2>/dev/null | grep -v : | grep .)" ] ||
		{ echo "left:"; ls /run/containerd/runc/*; return 1; }
}

# After a case that hangs.
recover()
{
	:
}

teardown()
{
	kill "$(cat /tmp/engines/containerd.pid)"
}
