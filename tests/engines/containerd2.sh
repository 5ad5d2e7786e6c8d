# containerd 2 of the next Debian, with its CRI plugin configured by share/containerd/config-v3.toml.
# cases: containerd
# tries: 2
# fast: ^(?!CRI,\s(pod|the\ssame))
# short: ^CRI,\s(pod|stats)
# Without disable_cgroup, which containerd 1 had, each pod has a weight of the processor: the fast laboratory lacks
# that controller.  So pods are for the full one, whose short run does them alone.

PATH=/opt/containerd-2/usr/bin:$PATH
[ -x /opt/containerd-2/usr/bin/containerd ] || {
	echo "the laboratory's tree has no containerd 2: it could not be downloaded when the tree was built"
	exit 1
}
. "$share/../tests/engines/containerd.sh"
config=config-v3.toml

cri_config()
{
	cat <<-TOML
		[plugins."io.containerd.cri.v1.images".pinned_images]
		  sandbox = "docker.io/library/pause:1"
		[plugins."io.containerd.cri.v1.runtime"]
		  disable_apparmor = $1
		  restrict_oom_score_adj = true
		[plugins."io.containerd.cri.v1.runtime".cni]
		  bin_dirs = ["/tmp/engines/cni"]
		  conf_dir = "/tmp/engines/cni"
	TOML
}
