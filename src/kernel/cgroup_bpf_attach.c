/* Device programs and the kernel: loading, attaching and replacing.  Ours are known by their name.
 */
#include <creel/cgroup_bpf.h>

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>

#include "syscalls.h"

#define PROGRAM_NAME "creel_dev"

enum {
	/* BPF_CGROUP_MAX_PROGS of the kernel. */
	ATTACHED_MAX = 64,
	VERIFIER_LOG_SIZE = 4096,
};

/*
 * The kernel writes results back into it, since Linux 6.17 also where a shorter one would end. ROOM
 * comes first because an initialiser clears only the first member of a union.
 */
union attributes {
	char room[256];
	union bpf_attr bpf;
};

/* The programs of ours on one cgroup. */
struct attached {
	int fds[ATTACHED_MAX];
	size_t n;
};

static void close_attached(struct attached *attached)
{
	while (attached->n > 0)
		fd_close(&attached->fds[--attached->n]);
}

#define auto_attached cleanup_with(close_attached) struct attached

static int call_bpf(int command, union attributes *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static uint64_t pointer(const void *to)
{
	return (uintptr_t)to;
}

static int load_once(const struct bpf_insn *program, size_t length, char *log, size_t log_size)
{
	union attributes attributes = { .room = { 0 } };

	attributes.bpf.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attributes.bpf.expected_attach_type = BPF_CGROUP_DEVICE;
	attributes.bpf.insns = pointer(program);
	attributes.bpf.insn_cnt = (uint32_t)length;
	attributes.bpf.license = pointer("Apache-2.0");
	attributes.bpf.log_level = log ? 1 : 0;
	attributes.bpf.log_buf = pointer(log);
	attributes.bpf.log_size = (uint32_t)log_size;
	memcpy(attributes.bpf.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	return call_bpf(BPF_PROG_LOAD, &attributes);
}

/* What a refusal of bpf(2) means: that this kernel or this place has none of it, or something about
 * our program. */
static int refused(int errnum, struct error *err)
{
	error_call(err, "bpf");
	error_at(err, "/linux/resources/devices");
	return error_code(err, errnum == EPERM || errnum == ENOSYS || errnum == EINVAL
				   ? CRL_NO_CGROUP_BPF
				   : CRL_DEVICE_PROGRAM);
}

static int explain_permission(struct error *err)
{
	return error_hint(
	    err, "it takes CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, in the initial user "
		 "namespace; without them, leave linux.resources.devices out");
}

static int load(const struct bpf_insn *program, size_t length, struct error *err)
{
	char log[VERIFIER_LOG_SIZE] = "";
	int fd = load_once(program, length, NULL, 0);
	int errnum = errno;

	if (fd >= 0)
		return fd;
	error_system(err, errnum, "cannot load the device rules as a program of %zu instructions",
		     length);
	refused(errnum, err);
	switch (errnum) {
	case EPERM:
		return explain_permission(err);
	case E2BIG:
		return error_hint(
		    err, "the kernel takes no program of this size; use fewer device rules");
	case EINVAL:
	case EACCES:
		/* The verifier only talks when it is asked, which makes it slow. */
		fd = load_once(program, length, log, sizeof(log));
		fd_close(&fd);
		log_debug("the verifier says: %s", log);
		return error_hint(err, "the kernel needs CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF");
	default:
		return -1;
	}
}

/* Whether the program PROG is ours; its id in *ID. */
static bool is_ours(int prog, uint32_t *id)
{
	union attributes attributes = { .room = { 0 } };
	struct bpf_prog_info info = { 0 };

	attributes.bpf.info.bpf_fd = (uint32_t)prog;
	attributes.bpf.info.info_len = sizeof(info);
	attributes.bpf.info.info = pointer(&info);
	*id = 0;
	if (call_bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) < 0)
		return false;
	*id = info.id;
	return !strncmp(info.name, PROGRAM_NAME, sizeof(info.name));
}

static int query(int cgroup, uint32_t ids[ATTACHED_MAX], size_t *n, struct error *err)
{
	union attributes attributes = { .room = { 0 } };

	attributes.bpf.query.target_fd = (uint32_t)cgroup;
	attributes.bpf.query.attach_type = BPF_CGROUP_DEVICE;
	attributes.bpf.query.prog_ids = pointer(ids);
	attributes.bpf.query.prog_cnt = ATTACHED_MAX;
	if (call_bpf(BPF_PROG_QUERY, &attributes) < 0) {
		int errnum = errno;

		error_system(err, errnum, "cannot ask for the device programs of the cgroup");
		refused(errnum, err);
		if (errnum == EPERM)
			return explain_permission(err);
		if (errnum == EINVAL)
			return error_hint(err, "the kernel needs CONFIG_CGROUP_BPF");
		return -1;
	}
	*n = attributes.bpf.query.prog_cnt;
	return 0;
}

static int find_ours(int cgroup, struct attached *ours, struct error *err)
{
	uint32_t ids[ATTACHED_MAX];
	size_t n = 0;

	if (query(cgroup, ids, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n && i < ATTACHED_MAX; i++) {
		union attributes attributes = { .room = { 0 } };
		uint32_t id;

		attributes.bpf.prog_id = ids[i];
		auto_fd prog = call_bpf(BPF_PROG_GET_FD_BY_ID, &attributes);

		/* One that is detached meanwhile is gone; one that we may not open is not ours. */
		if (prog >= 0 && is_ours(prog, &id))
			ours->fds[ours->n++] = take_fd(&prog);
	}
	return 0;
}

static int attach(int cgroup, int prog, int replace, struct error *err)
{
	union attributes attributes = { .room = { 0 } };

	attributes.bpf.target_fd = (uint32_t)cgroup;
	attributes.bpf.attach_bpf_fd = (uint32_t)prog;
	attributes.bpf.attach_type = BPF_CGROUP_DEVICE;
	attributes.bpf.attach_flags = BPF_F_ALLOW_MULTI;
	if (replace >= 0) {
		attributes.bpf.attach_flags |= BPF_F_REPLACE;
		attributes.bpf.replace_bpf_fd = (uint32_t)replace;
	}
	if (call_bpf(BPF_PROG_ATTACH, &attributes) < 0) {
		int errnum = errno;

		error_system(err, errnum, "cannot attach the device rules to the cgroup");
		refused(errnum, err);
		if (errnum == EPERM)
			return error_hint(
			    err, "another program on the cgroup or on a parent admits no second "
				 "one, or CAP_NET_ADMIN is missing");
		if (errnum == EINVAL)
			return error_hint(err, "the kernel needs CONFIG_CGROUP_BPF");
		if (errnum == E2BIG)
			return error_hint(err, "%d programs are attached to the cgroup",
					  ATTACHED_MAX);
		return -1;
	}
	return 0;
}

static int detach(int cgroup, int prog, struct error *err)
{
	union attributes attributes = { .room = { 0 } };

	attributes.bpf.target_fd = (uint32_t)cgroup;
	attributes.bpf.attach_bpf_fd = (uint32_t)prog;
	attributes.bpf.attach_type = BPF_CGROUP_DEVICE;
	if (call_bpf(BPF_PROG_DETACH, &attributes) < 0) {
		int errnum = errno;

		/* It is gone already. */
		if (errnum == ENOENT)
			return 0;
		error_system(err, errnum, "cannot remove the old device rules from the cgroup");
		return error_call(err, "bpf");
	}
	return 0;
}

/* Nobody notices a filter that is not there: so we look.  Where there was none one is ours. */
static int verify(int cgroup, int prog, bool fresh, struct error *err)
{
	uint32_t ids[ATTACHED_MAX], id;
	size_t n = 0;

	if (query(cgroup, ids, &n, err) < 0)
		return -1;
	if (fresh && n == 1)
		return 0;
	(void)is_ours(prog, &id);
	for (size_t i = 0; i < n && i < ATTACHED_MAX; i++) {
		if (ids[i] == id)
			return 0;
	}
	return error_system(err, EPROTO,
			    "the device rules are not in force after they were attached");
}

int device_program_attach(int fd, const struct bpf_insn *program, size_t length, bool fresh,
			  struct error *err)
{
	auto_attached ours = { .n = 0 };
	auto_left_fd prog = load(program, length, err);

	if (prog < 0 || (!fresh && find_ours(fd, &ours, err) < 0))
		return -1;
	if (attach(fd, prog, ours.n == 1 ? ours.fds[0] : -1, err) < 0)
		return -1;
	/* The new one is in force: programs are asked all together, and one refusal is enough. */
	for (size_t i = 0; ours.n > 1 && i < ours.n; i++) {
		if (detach(fd, ours.fds[i], err) < 0)
			return -1;
	}
	return verify(fd, prog, fresh, err);
}
