/* Installs a ready seccomp filter and obtains the listener of its notifications. */
#include <creel/seccomp.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>

#include "syscalls.h"

static void explain(int errnum, const struct seccomp_program *program, struct error *err)
{
	switch (errnum) {
	case EACCES:
		error_hint(err,
			   "a filter needs CAP_SYS_ADMIN in the container's user namespace, or "
			   "process.noNewPrivileges");
		break;
	case EBUSY:
		error_hint(
		    err, "another filter of this process has a listener already; there can be one");
		break;
	case EINVAL:
		error_hint(err,
			   "the kernel knows only some of the filter's flags (0x%x), or refuses an "
			   "instruction of the program",
			   program->flags);
		break;
	case EFAULT:
		error_hint(err, "the filter's memory cannot be read; this is a defect of creel");
		break;
	case ENOMEM:
		error_hint(err, "all filters of one process may have 32768 instructions together");
		break;
	default:
		break;
	}
}

int seccomp_install(const struct seccomp_program *program, int *listener, struct error *err)
{
	const struct sock_fprog prog = {
		.len = (unsigned short)program->length,
		.filter = program->filter,
	};
	unsigned int flags = program->flags;
	long result;

	*listener = -1;
	if (program->length == 0)
		return 0;
	if (program->length > BPF_MAXINSNS) {
		error_coded(err, CRL_NO_SECCOMP,
			    error_unsupported(
				err, "the seccomp filter has %zu instructions, the kernel takes %d",
				program->length, BPF_MAXINSNS));
		return error_hint(err, "fewer rules with argument comparisons make it shorter");
	}

	if (program->notify)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	else /* Without a listener it means nothing, but is refused with EINVAL. */
		flags &= ~(unsigned int)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

	result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (result < 0) {
		int errnum = errno;

		error_coded(err, CRL_SECCOMP_LOAD,
			    error_system(err, errnum, "cannot install the seccomp filter"));
		explain(errnum, program, err);
		return error_call(err, "seccomp");
	}
	/* With TSYNC alone, a positive result is the thread that could not follow. */
	if (program->notify)
		*listener = (int)result;
	else if (result > 0)
		return error_coded(err, CRL_SECCOMP_LOAD,
				   error_system(err, ESRCH,
						"cannot install the seccomp filter in thread %ld",
						result));
	return 0;
}

bool seccomp_has_flag(unsigned int flag)
{
	/* This one is only known together with a listener. */
	unsigned int flags = flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
				 ? flag | SECCOMP_FILTER_FLAG_NEW_LISTENER
				 : flag;

	/* Flags are checked before the program is read, and there is none. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EFAULT;
}
