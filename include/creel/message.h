/*
 * The protocol between P (the command), S (the stage) and I (the container's init), over one
 *SEQPACKET pair that all three share; `start` speaks the last part of it over start.sock.
 *
 *	P                               S                            I
 *	clone3(INTO_CGROUP) ----------> waits (systemd: adoption)
 *	GO ---------------------------> joins, unshares
 *	     <----------- NEED_MAPS     (only for a new user namespace)
 *	MAPS_DONE --------------------> joins the rest
 *	                                clone3(CLONE_PARENT) ------> starts
 *	     <------------------------- _exit(0) -------------- INIT sets up the root
 *	limits                                                       ...
 *	     <---------------------------------------- MOUNTED       (only when P has something to
 *do then) hooks; HOOKS_DONE -----------------------------------------> pivot ... identity
 *	     <---------------------------------------- READY
 *	state "created"; COMMIT -----------------------------------> lives on without P, closes the
 *channel
 *
 *	start: START ----------------------------------------------> startContainer hooks
 *	(`run` without hooks sends START as soon as the limits are set: it waits in the channel for
 *	I, which does not say READY then)
 *	     <---------------------------------------- EXEC          execve
 *	     end of file: it worked; ERROR: it did not
 *
 * Where I joins a pid namespace S does all up to the user's rights itself, in I's name, and I is
 * born then (birth.c): a second INIT, which P answers with GO when it has taken it in.
 *
 * Where nothing is joined and neither a user nor a time namespace is made there is no S: P clones I
 *itself, makes its network namespace meanwhile, and sends it as NETWORK. LOG, CONSOLE, LISTENER,
 *HOOKS and ERROR may come from S or I at any time.  End of file anywhere else means that the other
 *side died; nobody ever blocks on a dead peer.  S and I never write to stderr: P is the only voice.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/error.h>
#include <stdbool.h>
#include <sys/types.h>

enum message_kind {
	MESSAGE_GO,
	MESSAGE_NEED_MAPS,
	MESSAGE_MAPS_DONE,
	MESSAGE_INIT, /* NUMBER: pid of I, as P sees it; from I itself, and only when S cloned it */
	MESSAGE_NETWORK, /* with the network namespace; only when there is no S (network.c) */
	MESSAGE_MOUNTED,
	MESSAGE_HOOKS_DONE,
	MESSAGE_READY,
	MESSAGE_COMMIT, /* NUMBER: 1 when limits are left to the process (become_program()) */
	MESSAGE_START,	/* the same, over the channel; over start.sock COMMIT has said it */
	MESSAGE_EXEC,
	MESSAGE_LOG,	  /* NUMBER: level; ERROR.what: text */
	MESSAGE_CONSOLE,  /* with the pty's master */
	MESSAGE_LISTENER, /* NUMBER: the seccomp listener's descriptor in I, for pidfd_getfd(2) */
	MESSAGE_HOOKS,	  /* NUMBER: 1 the container's hooks begin to run, 0 they ended */
	MESSAGE_ERROR,
};

struct message {
	enum message_kind kind;
	int number;
	struct error error;
};

int message_send(int channel, enum message_kind kind, int number, int fd,
		 struct error *err) must_check;
/* Tells a child to go on.  That it has ended is no error here: why it has waits to be received. One
 * that has not, and was not told, finds the channel at its end. */
int message_tell(int channel, enum message_kind kind, int number, struct error *err) must_check;
/* The same, with the descriptor FD. */
int message_pass(int channel, enum message_kind kind, int fd, struct error *err) must_check;
/* Sends ERR; the last thing that a dying S or I says, so trouble is ignored. */
void message_send_error(int channel, const struct error *err);
/* 1 received, 0 end of file, -1 error.  *FD as channel_receive().  Kinds are known ones and texts
 * end, whoever sent them: anything else is EPROTO. */
int message_receive(int channel, struct message *message, int *fd, int timeout_ms,
		    struct error *err) must_check;
/* Waits for exactly KIND; end of file or anything else is an error. */
int message_expect(int channel, enum message_kind kind, int timeout_ms,
		   struct error *err) must_check;
/* The same; *NUMBER is the message's. */
int message_expect_number(int channel, enum message_kind kind, int timeout_ms, int *number,
			  struct error *err) must_check;
/* The same; *FD is the descriptor that has to come with it. */
int message_expect_fd(int channel, enum message_kind kind, int timeout_ms, int *fd,
		      struct error *err) must_check;
/*
 * How long the other side may be silent: TIMEOUT_MS (of --timeout) when it is not negative; else
 * without end while HOOKS run, which are the user's and have timeouts of their own, and a minute
 * where only the kernel is at work.
 */
int message_patience(int timeout_ms, bool hooks) must_check;
/* From now on the log of this process goes to CHANNEL as LOG messages. */
void message_log_to(int *channel);
