/* A SEQPACKET socket pair between two processes of creel: one record and at most one descriptor a
 * message. */
#pragma once

#include <creel/compiler.h>
#include <stddef.h>

struct error;

int channel_pair(int ends[2], struct error *err) must_check;
/* Sends SIZE bytes and, if FD is not -1, a copy of FD.  Never raises SIGPIPE. */
int channel_send(int channel, const void *record, size_t size, int fd,
		 struct error *err) must_check;
/*
 * Receives one record of exactly SIZE bytes: 1; 0 is end of file, the other side is gone; -1 an
 * error (EPROTO: a record of another size; ETIMEDOUT after TIMEOUT_MS >= 0).  *FD (may be NULL)
 * receives the descriptor that came along or -1.
 */
int channel_receive(int channel, void *record, size_t size, int *fd, int timeout_ms,
		    struct error *err) must_check;
