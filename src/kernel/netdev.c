/* Network devices by rtnetlink: loopback up, and moving a device with its addresses into the
 * container. */
#include <creel/netdev.h>

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <creel/arena.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/text.h>

#include "syscalls.h"

/* The kernel sends at most this much of a dump at once: netlink(7), NLMSG_GOODSIZE. */
#define DUMP_SIZE     32768
#define REQUEST_SIZE  1024
#define ADDRESSES_MAX 4096
/* So many interface numbers are tried in the target before we give up. */
#define INDEX_TRIES 1024

struct request {
	struct nlmsghdr header;
	char body[REQUEST_SIZE];
};

struct address {
	struct address *next;
	struct nlmsghdr *message; /* RTM_NEWADDR as the kernel dumped it */
};

struct device {
	char name[IFNAMSIZ];
	int index;
	unsigned int flags; /* IFF_* */
};

/* A device and what it had before, for both directions of a move. */
struct move {
	struct device old;
	struct address *addresses;
	int home, home_socket;
	int target, target_socket;
};

int netdev_loopback_up(struct error *err)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	/* Any socket will do; this one is made fastest, and as fast as a netlink request.  It keeps
	 * its network namespace alive. */
	auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_system(err, errno, "cannot make a socket to bring lo up");
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return error_system(err, errno, "cannot bring lo up");
	return 0;
}

bool netdev_exists(const char *name)
{
	struct ifreq request = { 0 };
	auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(name) >= sizeof(request.ifr_name))
		return false;
	memcpy(request.ifr_name, name, strlen(name) + 1);
	return ioctl(fd, SIOCGIFINDEX, &request) == 0;
}

static int open_socket(struct error *err)
{
	const int on = 1;
	auto_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return error_system(err, errno, "cannot make a route netlink socket");
	/* The kernel's own words for a refusal, without our request repeated. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
		return error_system(err, errno, "cannot set up a route netlink socket");
	return take_fd(&fd);
}

/* Appends an attribute; requests are small and bounded by their builders, so a full one is a
 * defect, told by EMSGSIZE. */
static int add_attribute(struct request *request, unsigned short type, const void *data,
			 size_t size)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr *attribute = (struct rtattr *)((char *)request + at);

	if (at + RTA_SPACE(size) > sizeof(*request))
		return -1;
	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), data, size);
	request->header.nlmsg_len = (uint32_t)(at + RTA_SPACE(size));
	return 0;
}

static void start_request(struct request *request, uint16_t type, uint16_t flags, const void *head,
			  size_t size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = flags | NLM_F_REQUEST;
	request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	memcpy(request->body, head, size);
}

/* The kernel's sentence in an answer, as a hint. */
static void explain(const struct nlmsghdr *answer, struct error *err)
{
	const struct nlmsgerr *body = NLMSG_DATA(answer);
	const struct rtattr *attribute = (const struct rtattr *)(body + 1);
	int left = (int)answer->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*body));

	if (!(answer->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG)
			error_hint(err, "the kernel says: %.*s", (int)RTA_PAYLOAD(attribute),
				   (const char *)RTA_DATA(attribute));
}

static ssize_t receive(int fd, void *buffer, size_t size, struct error *err)
{
	ssize_t n;

	do
		n = recv(fd, buffer, size, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_system(err, errno, "cannot read from the route netlink socket");
	if ((size_t)n > size || (size_t)n < sizeof(struct nlmsghdr))
		return error_system(err, EBADMSG, "cannot read from the route netlink socket");
	return n;
}

static int send_request(int fd, const struct request *request, struct error *err)
{
	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return error_system(err, errno, "cannot write to the route netlink socket");
	return 0;
}

/*
 * Sends REQUEST and waits for its answer: an acknowledgement or, for a question, the object, which
 * is left in ANSWER. A refusal is an error that says WHAT could not be done.
 */
static int talk(int fd, struct request *request, void *answer, size_t size, const char *what,
		struct error *err)
{
	const struct nlmsghdr *header = answer;
	const struct nlmsgerr *body;

	if (send_request(fd, request, err) < 0)
		return -1;
	if (receive(fd, answer, size, err) < 0)
		return -1;
	if (header->nlmsg_type != NLMSG_ERROR)
		return 0;
	body = NLMSG_DATA(header);
	if (body->error == 0)
		return 0;
	error_system(err, -body->error, "cannot %s", what);
	explain(header, err);
	return -1;
}

/* The same when only success matters. */
static int tell(int fd, struct request *request, const char *what, struct error *err)
{
	_Alignas(struct nlmsghdr) char answer[REQUEST_SIZE];

	request->header.nlmsg_flags |= NLM_F_ACK;
	return talk(fd, request, answer, sizeof(answer), what, err);
}

/* Reads a link by its NAME, or by INDEX when NAME is NULL. */
static int read_link(int fd, const char *name, int index, struct device *device, struct error *err)
{
	const struct ifinfomsg head = { .ifi_index = index };
	struct request request;
	_Alignas(struct nlmsghdr) char answer[DUMP_SIZE];
	const struct nlmsghdr *header = (struct nlmsghdr *)answer;
	const struct ifinfomsg *link = NLMSG_DATA(header);
	const struct rtattr *attribute = IFLA_RTA(link);
	int left;

	start_request(&request, RTM_GETLINK, 0, &head, sizeof(head));
	if (name && add_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1) < 0)
		return error_coded(
		    err, CRL_NET_DEVICE,
		    error_system(err, EMSGSIZE, "cannot look for the network device %s", name));
	if (talk(fd, &request, answer, sizeof(answer), "find the network device", err) < 0)
		return -1;
	if (header->nlmsg_type != RTM_NEWLINK)
		return error_coded(err, CRL_NET_DEVICE,
				   error_system(err, EBADMSG, "cannot find the network device"));

	*device = (struct device){ .index = link->ifi_index, .flags = link->ifi_flags };
	left = (int)IFLA_PAYLOAD(header);
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == IFLA_IFNAME)
			snprintf(device->name, sizeof(device->name), "%s",
				 (const char *)RTA_DATA(attribute));
	return 0;
}

/* IFA_FLAGS has 32 bits, of which the old field holds the first eight. */
static uint32_t address_flags(const struct nlmsghdr *message)
{
	const struct ifaddrmsg *head = NLMSG_DATA(message);
	const struct rtattr *attribute = IFA_RTA(head);
	int left = (int)IFA_PAYLOAD(message);
	uint32_t flags = head->ifa_flags;

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == IFA_FLAGS && RTA_PAYLOAD(attribute) >= sizeof(flags))
			memcpy(&flags, RTA_DATA(attribute), sizeof(flags));
	return flags;
}

/* What the spec wants to be kept: permanent addresses of global scope, of any family
 * (config-linux.md, "Network Devices"). */
static bool is_kept(const struct nlmsghdr *message, int index)
{
	const struct ifaddrmsg *head = NLMSG_DATA(message);

	return message->nlmsg_type == RTM_NEWADDR && (int)head->ifa_index == index &&
	       head->ifa_scope == RT_SCOPE_UNIVERSE && (address_flags(message) & IFA_F_PERMANENT);
}

/* Takes one packet of the dump.  1: it was the last one; 0: more to come. */
static int take_addresses(struct arena *arena, const struct nlmsghdr *message, ssize_t n, int index,
			  struct address ***end, size_t *count, struct error *err)
{
	unsigned int left = (unsigned int)n;

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			return error_system(err, EAGAIN, "cannot list addresses while they change");
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *body = NLMSG_DATA(message);

			return error_system(err, -body->error, "cannot list addresses");
		}
		if (!is_kept(message, index))
			continue;
		if (++*count > ADDRESSES_MAX)
			return error_coded(
			    err, CRL_NET_DEVICE,
			    error_unsupported(err, "the network device has over %d addresses",
					      ADDRESSES_MAX));

		struct address *address = arena_alloc(arena, sizeof(*address));

		address->message = arena_copy(arena, message, message->nlmsg_len);
		**end = address;
		*end = &address->next;
	}
	return 0;
}

/* Lists the addresses of INDEX that are to be kept, in the kernel's order: the first of a subnet is
 * its primary one. */
static int list_addresses(struct arena *arena, int fd, int index, struct address **addresses,
			  struct error *err)
{
	const struct ifaddrmsg head = { .ifa_family = AF_UNSPEC };
	char *buffer = arena_alloc(arena, DUMP_SIZE);
	struct address **end = addresses;
	struct request request;
	size_t count = 0;
	int done = 0;

	*addresses = NULL;
	start_request(&request, RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head));
	if (send_request(fd, &request, err) < 0)
		return -1;
	while (done == 0) {
		ssize_t n = receive(fd, buffer, DUMP_SIZE, err);

		if (n < 0)
			return -1;
		done =
		    take_addresses(arena, (struct nlmsghdr *)buffer, n, index, &end, &count, err);
	}
	return done < 0 ? -1 : 0;
}

/* A label is the device's name or begins with it ("eth0:1"); it follows the new name, as far as
 * that leaves room. */
static int add_label(struct request *request, const char *label, const char *old, const char *new)
{
	char text[IFNAMSIZ];
	const char *suffix = text_starts_with(label, old) ? label + strlen(old) : NULL;
	int length;

	if (!suffix || suffix[0] != ':')
		return 0;
	length = snprintf(text, sizeof(text), "%s%s", new, suffix);
	if (length < 0 || (size_t)length >= sizeof(text))
		return 0;
	return add_attribute(request, IFA_LABEL, text, (size_t)length + 1);
}

static int add_address(int fd, const struct nlmsghdr *message, const char *old,
		       const struct device *device, struct error *err)
{
	struct ifaddrmsg head = *(const struct ifaddrmsg *)NLMSG_DATA(message);
	const struct rtattr *attribute = IFA_RTA(NLMSG_DATA(message));
	int left = (int)IFA_PAYLOAD(message);
	struct request request;

	head.ifa_index = (unsigned int)device->index;
	start_request(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		int added = attribute->rta_type == IFA_LABEL
				? add_label(&request, RTA_DATA(attribute), old, device->name)
				: add_attribute(&request, attribute->rta_type, RTA_DATA(attribute),
						RTA_PAYLOAD(attribute));

		if (added < 0)
			return error_system(err, EMSGSIZE, "cannot keep an address");
	}
	return tell(fd, &request, "add an address again", err);
}

static int bring_up(int fd, int index, struct error *err)
{
	const struct ifinfomsg head = {
		.ifi_index = index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP,
	};
	struct request request;

	start_request(&request, RTM_NEWLINK, 0, &head, sizeof(head));
	return tell(fd, &request, "bring the network device up", err);
}

/* Gives the device INDEX its addresses again and brings it up when UP. */
static int settle(int fd, const struct move *move, int index, bool up, struct error *err)
{
	struct device device;

	if (read_link(fd, NULL, index, &device, err) < 0)
		return -1;
	for (const struct address *a = move->addresses; a; a = a->next)
		if (add_address(fd, a->message, move->old.name, &device, err) < 0)
			return -1;
	return up ? bring_up(fd, index, err) : 0;
}

/*
 * Moves the device INDEX of the namespace of FD into the namespace NS under NAME and the interface
 * number NEW_INDEX.  The number is asked for, since it is the only way to know afterwards which
 * device it is when the kernel chooses the name.
 *
 * It is not taken down before: the kernel does that itself, but only after it has checked the
 * number and the right to move, so that a device refused for them stays as it was.
 */
static int send_away(int fd, int index, int ns, const char *name, int new_index, struct error *err)
{
	const struct ifinfomsg head = { .ifi_index = index };
	const uint32_t ns_fd = (uint32_t)ns;
	struct request request;

	start_request(&request, RTM_NEWLINK, 0, &head, sizeof(head));
	if (add_attribute(&request, IFLA_NET_NS_FD, &ns_fd, sizeof(ns_fd)) < 0 ||
	    add_attribute(&request, IFLA_NEW_IFINDEX, &new_index, sizeof(new_index)) < 0 ||
	    add_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1) < 0)
		return error_coded(err, CRL_NET_DEVICE,
				   error_system(err, EMSGSIZE, "cannot move the network device"));
	return tell(fd, &request, "move the network device", err);
}

/* Takes the device back as it was, when it could not be made ready on the other side. */
static void bring_home(const struct move *move, int index)
{
	const struct device *old = &move->old;
	struct error err = { 0 };

	if (send_away(move->target_socket, index, move->home, old->name, old->index, &err) == 0 &&
	    settle(move->home_socket, move, old->index, old->flags & IFF_UP, &err) == 0)
		return;
	log_warning("cannot bring the network device %s back: %s", old->name, err.what);
	error_ignore(&err, "the first error is the one to tell");
}

/* A network device that has NAME in the container is not ours to disturb. */
static int check_free(const struct move *move, const char *name, struct error *err)
{
	struct error none = { 0 };
	struct device other;

	if (text_ends_with(name, "%d"))
		return 0;
	if (read_link(move->target_socket, name, 0, &other, &none) < 0) {
		if (none.errnum != ENODEV) {
			*err = none;
			return -1;
		}
		error_ignore(&none, "the name is free, as it should be");
		return 0;
	}
	error_coded(err, CRL_NET_DEVICE,
		    error_system(err, EEXIST, "cannot move the network device"));
	return error_hint(err, "a network device %s exists in the container already", name);
}

static bool is_at_home(const struct move *move)
{
	struct error err = { 0 };
	struct device device;

	if (read_link(move->home_socket, NULL, move->old.index, &device, &err) == 0)
		return true;
	error_ignore(&err, "the question is whether it is there");
	return false;
}

/* Moves it to the first interface number from its own upwards that is free there; returns that
 * number. */
static int send_to_target(const struct move *move, const char *name, struct error *err)
{
	int index = move->old.index;

	if (check_free(move, name, err) < 0)
		return -1;
	for (int tries = 0; tries < INDEX_TRIES; tries++, index++) {
		if (send_away(move->home_socket, move->old.index, move->target, name, index, err) ==
		    0)
			return index;
		if (err->errnum != EBUSY)
			break;
	}
	/*
	 * The kernel moves first and renames then, unless the old name is taken over there: when
	 * the new name was taken since we looked, the device is on the other side already.
	 */
	if (!is_at_home(move))
		bring_home(move, index);
	return -1;
}

/*
 * Makes a route netlink socket in the network namespace TARGET; a socket stays in the namespace
 * that it was made in. HOME is entered once before, so that coming back is known to be allowed
 * before we go.
 */
static int open_socket_in(int target, int home, struct error *err)
{
	if (setns(home, CLONE_NEWNET) < 0)
		return error_system(err, errno, "cannot enter our own network namespace");
	if (setns(target, CLONE_NEWNET) < 0)
		return error_system(err, errno, "cannot enter the container's network namespace");

	auto_fd fd = open_socket(err);

	if (setns(home, CLONE_NEWNET) < 0)
		return error_system(err, errno, "cannot return to our own network namespace");
	return take_fd(&fd);
}

static int move_device(struct move *move, const char *new_name, struct error *err)
{
	int index = send_to_target(move, new_name, err);

	if (index < 0)
		return -1;
	if (settle(move->target_socket, move, index, true, err) < 0) {
		bring_home(move, index);
		return -1;
	}
	return 0;
}

int netdev_move(const char *name, int target, const char *new_name, struct error *err)
{
	auto_arena arena = { 0 };
	struct move move = { .target = target };
	auto_fd home_socket = open_socket(err);

	if (home_socket < 0)
		return -1;

	/* The namespace that the socket is in, which needs no /proc. */
	auto_fd home = ioctl(home_socket, SIOCGSKNS);

	if (home < 0) {
		error_coded(
		    err, CRL_NET_DEVICE,
		    error_system(err, errno,
				 "cannot move network devices out of this network namespace"));
		return error_hint(err, "it needs CAP_NET_ADMIN in the user namespace that owns it");
	}

	auto_fd target_socket = open_socket_in(target, home, err);

	if (target_socket < 0)
		return -1;
	move.home = home;
	move.home_socket = home_socket;
	move.target_socket = target_socket;

	if (read_link(home_socket, name, 0, &move.old, err) < 0 ||
	    list_addresses(&arena, home_socket, move.old.index, &move.addresses, err) < 0 ||
	    move_device(&move, new_name, err) < 0)
		return error_while(err, "moving the network device %s as %s", name, new_name);
	return 0;
}
