/* A build without libsystemd: whoever asks for the driver is told so. */
#include <creel/cgroup_systemd.h>

#include <creel/error.h>

static int refuse(struct error *err)
{
	error_coded(
	    err, CRL_LIBRARY,
	    error_unsupported(err, "this creel was built without the systemd cgroup driver"));
	return error_hint(err, "leave out --systemd-cgroup, or build with -Dsystemd=enabled "
			       "-Dstatic=false");
}

int systemd_start(const struct systemd_scope *scope, int timeout_ms, bool *asked, struct error *err)
{
	(void)scope, (void)timeout_ms;
	*asked = false;
	return refuse(err);
}

bool systemd_has_forgotten(const char *unit, int cgroup_root, const char *cgroup)
{
	(void)unit, (void)cgroup_root, (void)cgroup;
	return false;
}

int systemd_stop(const char *unit, int timeout_ms, struct error *err)
{
	(void)unit, (void)timeout_ms;
	return refuse(err);
}

int systemd_cgroup(const char *unit, int timeout_ms, char *path, size_t size, struct error *err)
{
	(void)unit, (void)timeout_ms, (void)path, (void)size;
	return refuse(err);
}

int systemd_set_properties(const char *unit, const struct systemd_property *properties, size_t n,
			   int timeout_ms, struct error *err)
{
	(void)unit, (void)properties, (void)n, (void)timeout_ms;
	return refuse(err);
}

int systemd_attach(const char *unit, const char *sub, pid_t pid, int timeout_ms, struct error *err)
{
	(void)unit, (void)sub, (void)pid, (void)timeout_ms;
	return refuse(err);
}
