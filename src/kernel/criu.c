/* CRIU as a child process: found, started, asked, watched, and ended when it does not answer. */
#include <creel/criu.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>
#include <creel/namespace.h>
#include <creel/process.h>
#include <creel/protobuf.h>

#include "syscalls.h"

#define ANSWER_MAX   65536
#define LOG_MAX	     ((size_t)64 << 20)
#define END_MS	     10000
#define SOCKET_FD    3
#define KEEP_MAX     32
#define CRIU_MESSAGE 6 /* NOTIFY of criu_req_type */

/* ---- the program ---- */

static int find(void)
{
	static const char *const paths[] = {
		"/usr/local/sbin/criu", "/usr/local/bin/criu", "/usr/sbin/criu",
		"/usr/bin/criu",	"/sbin/criu",	       "/bin/criu",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_PATH | O_CLOEXEC);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

int criu_find(struct error *err)
{
	int fd = find();

	if (fd >= 0)
		return fd;
	error_coded(err, CRL_LIBRARY, error_unsupported(err, "criu is not installed"));
	return error_hint(err, "checkpoint and restore are the work of CRIU: install the package "
			       "criu (creel looks in /usr/sbin, /usr/bin and below /usr/local)");
}

bool criu_is_there(void)
{
	auto_fd fd = find();

	return fd >= 0;
}

/* Out of the way of the numbers that will be given. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, CRIU_FIRST_FD + KEEP_MAX);
}

int criu_exec(int program, int peer, const int *keep, size_t n, struct error *err)
{
	char *argv[] = { (char *)"criu", (char *)"swrk", (char *)"3", NULL };
	char *env[] = { (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			NULL };
	int lifted[KEEP_MAX], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int socket = lift(peer), binary = lift(program);

	if (n > KEEP_MAX)
		return error_system(err, E2BIG, "cannot give so many descriptors to criu");
	if (null < 0 || socket < 0 || binary < 0)
		return error_system(err, errno, "cannot prepare the descriptors of criu");
	for (size_t i = 0; i < n; i++) {
		lifted[i] = lift(keep[i]);
		if (lifted[i] < 0)
			return error_system(err, errno, "cannot prepare the descriptors of criu");
	}
	for (int stream = 0; stream < 3; stream++)
		if (dup2(null, stream) < 0)
			return error_system(err, errno, "cannot prepare the streams of criu");
	if (dup2(socket, SOCKET_FD) < 0)
		return error_system(err, errno, "cannot prepare the socket of criu");
	for (size_t i = 0; i < n; i++)
		if (dup2(lifted[i], CRIU_FIRST_FD + (int)i) < 0)
			return error_system(err, errno, "cannot prepare the descriptors of criu");
	if (fd_cloexec_from(CRIU_FIRST_FD + (int)n, err) < 0)
		return -1;
	/* For --shell-job it may have to stay in our caller's job: ^Z stops us, who wait for it,
	 * and not it. */
	signal(SIGTSTP, SIG_IGN);
	process_reset_signals(UINT64_MAX & ~((uint64_t)1 << (SIGTSTP - 1)));
	execveat(binary, "", argv, env, AT_EMPTY_PATH);
	return error_system(err, errno, "cannot execute criu");
}

int criu_start(struct criu *criu, int cgroup, struct error *err)
{
	auto_fd program = criu_find(err);
	struct spawn spawn = { .cgroup = cgroup, .pidfd = &criu->pidfd };
	int ends[2];

	if (program < 0 || channel_pair(ends, err) < 0)
		return -1;
	criu->socket = ends[0];
	criu->peer = ends[1];
	criu->pid = process_spawn(&spawn, err);
	if (criu->pid < 0)
		return -1;
	if (criu->pid == 0) {
		struct error failed = { 0 };

		/* It does not die with us: killed half-way it would leave processes that are frozen
		 * and have its code in them.  Without our end of the socket it gives up by itself.
		 */
		if (process_new_session(&failed) == 0 &&
		    (cgroup < 0 || namespace_unshare(CLONE_NEWCGROUP, &failed) == 0))
			criu_exec(program, criu->peer, NULL, 0, &failed);
		_exit(127);
	}
	fd_close(&criu->peer);
	return 0;
}

void criu_close(struct criu *criu)
{
	struct error err = { 0 };
	int status;

	fd_close(&criu->socket);
	fd_close(&criu->peer);
	if (criu->pidfd < 0)
		return;
	/* Without a socket it has nothing left to do, but may be in the middle of it. */
	if (process_wait(criu->pidfd, END_MS, &status, &err) != 1) {
		if (process_signal(criu->pidfd, SIGKILL, &err) < 0 ||
		    process_wait(criu->pidfd, END_MS, &status, &err) < 0)
			error_ignore(&err, "it has been reaped already");
	}
	fd_close(&criu->pidfd);
}

/* ---- the conversation ---- */

/* Receives one message and the descriptor that came with it: its size, 0 at the end. */
static ssize_t receive(const struct criu *criu, void *data, size_t size, int *fd, int timeout_ms,
		       struct error *err)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { 0 };
	struct iovec part = { .iov_base = data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	int ready = fd_wait(criu->socket, POLLIN, timeout_ms, err);
	ssize_t got;

	*fd = -1;
	if (ready < 0)
		return -1;
	if (ready == 0) {
		error_system(err, ETIMEDOUT, "criu said nothing for %d seconds", timeout_ms / 1000);
		return error_hint(err, "--timeout says how long creel waits");
	}
	do
		got = recvmsg(criu->socket, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == ECONNRESET)
		return 0;
	if (got < 0)
		return error_system(err, errno, "cannot receive a message from criu");

	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	if ((size_t)got > size) {
		fd_close(fd);
		return error_system(err, EPROTO, "criu sent a message of %zd bytes", got);
	}
	return got;
}

static int send_bytes(const struct criu *criu, const void *data, size_t size, struct error *err)
{
	ssize_t sent;

	do
		sent = send(criu->socket, data, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? error_system(err, errno, "cannot send a request to criu") : 0;
}

static int acknowledge(const struct criu *criu, struct arena *arena, bool success,
		       struct error *err)
{
	struct protobuf message = { .arena = arena };

	protobuf_number(&message, 1, CRIU_MESSAGE);
	protobuf_number(&message, 3, success);
	return send_bytes(criu, message.data, message.size, err);
}

/* How it ended, when it ended without an answer. */
static int explain_end(const struct criu *criu, struct error *err)
{
	char name[32];
	int status = 0;

	if (process_wait(criu->pidfd, 1000, &status, err) != 1)
		return error_system(err, ECONNRESET, "criu stopped answering");
	if (WIFSIGNALED(status))
		return error_system(err, 0, "criu was killed by %s",
				    process_signal_name(WTERMSIG(status), name, sizeof(name)));
	return error_system(err, 0, "criu ended with code %d before it answered",
			    WEXITSTATUS(status));
}

static int add_log(struct arena *arena, const struct criu_request *request, const char *log_path,
		   const char *said, struct error *err)
{
	struct error unread = { 0 };
	const char *text =
	    file_read(arena, request->work, request->log_file, LOG_MAX, NULL, &unread);
	const char *errors = text ? criu_first_errors(arena, text) : "";
	char clean[400];

	if (!text)
		error_ignore(&unread, "what criu said itself must do");
	if (!errors[0] && said)
		errors = said;
	error_clean_text(clean, sizeof(clean), errors);
	if (clean[0]) {
		char *what = arena_strdup(arena, err->what);

		snprintf(err->what, sizeof(err->what), "%s: %s", what, clean);
	}
	if (text && !err->hint[0])
		error_hint(err, "the whole log is %s/%s", log_path, request->log_file);
	return error_code(err, CRL_CRIU);
}

enum served {
	SERVED_BROKEN = -1,
	SERVED_MORE,
	SERVED_ANSWER,
	SERVED_REFUSED, /* by us: it was told, and undoes what it did */
};

static enum served serve(struct criu *criu, struct arena *arena, criu_notify *notify,
			 void *argument, int timeout_ms, struct criu_answer *answer,
			 struct error *err)
{
	unsigned char *data = arena_alloc(arena, ANSWER_MAX);
	struct error broken = { 0 };
	auto_fd fd = -1;
	ssize_t got = receive(criu, data, ANSWER_MAX, &fd, timeout_ms, err);

	if (got <= 0) {
		if (got == 0)
			explain_end(criu, err);
		return SERVED_BROKEN;
	}
	if (criu_decode(arena, data, (size_t)got, answer, err) < 0)
		return SERVED_BROKEN;
	if (answer->type != CRIU_MESSAGE)
		return SERVED_ANSWER;
	log_debug("criu: %s, process %d", answer->script ? answer->script : "?", answer->pid);
	if (notify && notify(argument, answer, &fd, err) < 0) {
		if (acknowledge(criu, arena, false, &broken) < 0)
			error_ignore(&broken, "why we refuse matters more");
		return SERVED_REFUSED;
	}
	return acknowledge(criu, arena, true, err) < 0 ? SERVED_BROKEN : SERVED_MORE;
}

/* So that it is done with undoing when we say that it failed. */
static void drain(struct criu *criu, struct arena *arena)
{
	struct criu_answer answer;
	struct error err = { 0 };

	while (serve(criu, arena, NULL, NULL, END_MS, &answer, &err) == SERVED_MORE)
		continue;
}

int criu_call(struct criu *criu, struct arena *arena, const struct criu_request *request,
	      criu_notify *notify, void *argument, int timeout_ms, const char *log_path,
	      struct criu_answer *answer, struct error *err)
{
	enum served served = SERVED_MORE;
	size_t size;
	const void *data = criu_encode(arena, request, &size);

	if (send_bytes(criu, data, size, err) < 0)
		return -1;
	while (served == SERVED_MORE)
		served = serve(criu, arena, notify, argument, timeout_ms, answer, err);
	if (served == SERVED_REFUSED) {
		drain(criu, arena);
		return -1;
	}
	if (served == SERVED_BROKEN)
		return add_log(arena, request, log_path, NULL, err);
	if (answer->success)
		return 0;
	error_system(err, answer->errnum > 0 ? answer->errnum : 0, "criu could not do it");
	return add_log(arena, request, log_path, answer->message, err);
}

/* ---- its log ---- */

/* "(00.012345)   42: Error (criu/tty.c:1023): tty: No peer": what is behind the second ": ". */
static const char *error_of_line(const char *line, size_t size, size_t *length)
{
	static const char mark[] = "Error (";
	const char *found = memmem(line, size, mark, strlen(mark));
	const char *end;

	if (!found)
		return NULL;
	end = memmem(found, size - (size_t)(found - line), "): ", 3);
	if (!end)
		return NULL;
	end += 3;
	*length = size - (size_t)(end - line);
	return end;
}

char *criu_first_errors(struct arena *arena, const char *text)
{
	char *joined = arena_strdup(arena, "");
	int found = 0;

	while (*text && found < 3) {
		size_t size = strcspn(text, "\n"), length = 0;
		const char *said = error_of_line(text, size, &length);

		if (said) {
			joined = text_format(arena, "%s%s%.*s", joined, found ? "; " : "",
					     (int)length, said);
			found++;
		}
		text += size + (text[size] == '\n');
	}
	return joined;
}
