# What the scripts of the laboratory share; sourced by bash.
set -euo pipefail

lab_name=tests/lab/${0##*/}
lab=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd -P)
checkout=$(cd "$lab/../.." && pwd -P)
cache=${CREEL_LAB_CACHE:-/var/cache/creel-lab}

die()
{
	echo "$lab_name: $*" >&2
	exit 125
}

# need PROGRAM PACKAGE ...: fails with the command that installs what is missing
need()
{
	local missing=()

	while [ $# -gt 0 ]; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("$2")
		shift 2
	done
	[ ${#missing[@]} -eq 0 ] || die "a tool is missing; run: apt-get install ${missing[*]}"
}

need_root()
{
	[ "$(id -u)" -eq 0 ] || die "the laboratory needs root"
}

# The cached tree belongs to exactly this recipe.
lab_key()
{
	(cd "$lab" && find tree image recipe -type f -print0 | LC_ALL=C sort -z |
		xargs -0 sha256sum) | sha256sum | cut -c1-16
}
