/* The seccomp agent gets the state, the pid and the listener in one message, one connection a
 * process. */
#include <creel/seccomp_agent.h>

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/json.h>
#include <creel/oci_config.h>

int seccomp_agent_pass(struct arena *arena, const struct seccomp_agent *agent, int number,
		       struct error *err)
{
	char *names[] = { (char *)"seccompFd", NULL };
	const struct oci_container_process_state process = {
		.oci_version = (char *)OCI_VERSION,
		.fds = { names, 1 },
		.pid = { .set = true, .value = (uint64_t)agent->pid },
		.metadata = (char *)agent->metadata,
		.state = (struct oci_state *)agent->state,
	};
	/* Not by SCM_RIGHTS from the process itself: its filter may already stop sendmsg(2) and
	 * wait for the agent. */
	auto_fd listener = (int)syscall(SYS_pidfd_getfd, agent->pidfd, number, 0);
	struct json_writer *w = json_writer_new(arena, 0);
	const char *text;
	size_t size;

	if (listener < 0)
		return error_coded(
		    err, CRL_SECCOMP_LOAD,
		    error_system(err, errno,
				 "cannot take the seccomp listener from the container"));
	schema_encode(&oci_container_process_state_schema, &process, w);
	text = json_writer_text(w, &size);

	auto_fd socket = fd_connect(agent->path, err);

	if (socket >= 0 && fd_send(socket, listener, text, size, err) == 0)
		return 0;
	error_while(err, "handing the seccomp listener to its agent");
	error_hint(err, "the agent must listen at listenerPath before the container is created");
	error_code(err, CRL_SECCOMP_LOAD);
	return error_at(err, "/linux/seccomp/listenerPath");
}
