/*
 * The network namespace takes the kernel as long as all the other namespaces and mounts together.
 * Where P clones I itself, P makes it while I is at work on the mounts, on the other core, and I
 * joins it before the first mount that shows a network.  P is in it for that moment, and nothing
 * else is.
 */
#include <creel/create.h>

#include <sched.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/namespace.h>
#include <creel/netdev.h>

#include "create_parts.h"

uint64_t create_late_flags(const struct create *create)
{
	uint64_t flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;

	if (create_needs_stage(create))
		return 0;
	/* In a user namespace we may have no right to go back.  And devices are moved into what
	 * /proc says of I, which must be there by then. */
	if (!create->runtime->facts.in_userns && create->plan.net_devices_n == 0)
		flags |= CLONE_NEWNET;
	return create->plan.namespaces.create & flags;
}

static bool is_late(const struct create *create)
{
	return create_late_flags(create) & CLONE_NEWNET;
}

/* I can have it at once; what is in it is only for what runs later. */
static int hand_over(struct create *create, struct error *err)
{
	/* Not left open: it would keep the namespace alive for as long as a `run` lasts. */
	auto_fd made = namespace_open_own(create->runtime->procfs, CLONE_NEWNET, err);

	if (made < 0)
		return create_explain_namespace(create, CLONE_NEWNET, err);
	if (message_pass(create->channel, MESSAGE_NETWORK, made, err) < 0)
		return -1;
	return netdev_loopback_up(err);
}

/* In between P is in the container's: whatever goes wrong, it must not go on there. */
static int make_and_return(struct create *create, int ours, struct error *err)
{
	const uint64_t flag = CLONE_NEWNET;
	struct error lost = { 0 };

	if (namespace_unshare(CLONE_NEWNET, err) < 0)
		return create_explain_namespace(create, CLONE_NEWNET, err);

	int result = hand_over(create, err);

	if (namespace_join(&ours, &flag, 1, &lost) < 0) {
		*err = lost;
		return error_while(err, "cannot leave the container's network namespace");
	}
	return result;
}

int create_make_network(struct create *create, struct error *err)
{
	if (!is_late(create))
		return 0;

	auto_left_fd ours = namespace_open_own(create->runtime->procfs, CLONE_NEWNET, err);

	return ours < 0 ? -1 : make_and_return(create, ours, err);
}

int create_join_network(const struct create *create, int channel, struct error *err)
{
	const uint64_t flag = CLONE_NEWNET;
	auto_left_fd made = -1;

	if (!is_late(create))
		return 0;
	if (message_expect_fd(channel, MESSAGE_NETWORK, -1, &made, err) < 0)
		return -1;
	return namespace_join(&made, &flag, 1, err);
}
