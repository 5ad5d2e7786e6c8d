/* Devices move with their addresses, refused ones stay as they were, and nobody ends up in a wrong
 * namespace. */
#include <creel/netdev.h>

#include "in_child.h"
#include <creel/fd.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int run(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static ino_t net_inode(void)
{
	struct stat status;

	check(stat("/proc/self/ns/net", &status) == 0);
	return status.st_ino;
}

/* Runs COMMAND in the namespace NS. */
static int run_in(int ns, const char *command)
{
	int status;
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0)
		_exit(setns(ns, CLONE_NEWNET) < 0 ? 254 : run(command));
	check(waitpid(pid, &status, 0) == pid);
	return WEXITSTATUS(status);
}

/* A new namespace to move into; we stay in one of our own, with the pair v0, v1 in it. */
static int set_up(void)
{
	int home;
	int target;

	if (unshare(CLONE_NEWNET) < 0)
		SKIP_BODY("no network namespaces here");
	target = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	check(target >= 0);
	check(unshare(CLONE_NEWNET) == 0);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	check(home >= 0);
	if (run("command -v ip >/dev/null") != 0)
		SKIP_BODY("needs ip(8)");
	if (run("ip link add v0 type veth peer name v1 2>/dev/null") != 0)
		SKIP_BODY("needs veth devices");
	close(home);
	return target;
}

static void loopback_body(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	struct error err = { 0 };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		SKIP_BODY("no network namespaces here");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP));
	check_ok(netdev_loopback_up(&err), &err);
	check(ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP));
}

static void test_loopback_comes_up(void **state)
{
	(void)state;
	in_child(loopback_body);
}

static void move_body(void)
{
	struct error err = { 0 };
	int target = set_up();
	ino_t before;

	check(run("ip addr add 10.1.2.3/24 brd + dev v0 label v0:web && "
		  "ip addr add 10.1.2.4/24 dev v0 && "
		  "ip addr add 10.9.0.1 peer 10.9.0.2 dev v0 metric 77 && "
		  "ip addr add 10.8.0.1/24 dev v0 noprefixroute && "
		  "ip addr add 169.254.7.7/16 dev v0 scope link && "
		  "ip addr add 10.7.0.1/24 dev v0 valid_lft 500 preferred_lft 400 && "
		  "ip link set v0 mtu 1400 address 02:00:00:00:00:07 && "
		  "ip link set v0 up && ip link set v1 up") == 0);
	bool ipv6 = run("ip addr add 2001:db8::7/64 dev v0 2>/dev/null") == 0;

	before = net_inode();
	check_ok(netdev_move("v0", target, "net1", &err), &err);
	check(net_inode() == before);
	check(run("ip link show dev v0 2>/dev/null") == 1);
	check(run_in(target, "ip link show dev net1 | grep -q 'UP' && "
			     "ip link show dev net1 | grep -q 'mtu 1400' && "
			     "ip link show dev net1 | grep -q 02:00:00:00:00:07") == 0);
	check(run_in(target,
		     "ip -4 -o addr show dev net1 | "
		     "grep -q 'inet 10.1.2.3/24 brd 10.1.2.255 scope global net1:web'") == 0);
	check(run_in(target, "ip -4 -o addr show dev net1 | "
			     "grep -q 'inet 10.1.2.4/24 scope global secondary net1'") == 0);
	check(run_in(target,
		     "ip -4 -o addr show dev net1 | "
		     "grep -q 'inet 10.9.0.1 peer 10.9.0.2/32 metric 77 scope global'") == 0);
	check(run_in(target, "ip -4 -o addr show dev net1 | "
			     "grep -q 'inet 10.8.0.1/24 scope global noprefixroute'") == 0);
	check(run_in(target, "ip -4 -o addr show dev net1 | grep -q '169.254\\|10.7.0'") == 1);
	if (ipv6)
		check(run_in(target, "ip -6 -o addr show dev net1 | "
				     "grep -q 'inet6 2001:db8::7/64 scope global'") == 0);
}

static void test_device_moves_with_its_addresses(void **state)
{
	(void)state;
	in_child(move_body);
}

static void exists_body(void)
{
	struct error err = { 0 };
	int target = set_up();
	ino_t before = net_inode();

	check(run("ip addr add 10.1.2.3/24 dev v0 && ip link set v0 up && ip link set v1 up") == 0);
	check(run_in(target, "ip link add net1 type veth peer name net2") == 0);
	check(netdev_move("v0", target, "net1", &err) < 0);
	check(err.errnum == EEXIST && strstr(err.what, "v0") && strstr(err.hint, "net1"));
	check(net_inode() == before);
	check(run("ip link show dev v0 | grep -q '[<,]UP'") == 0);
	check(run("ip -o addr show dev v0 | grep -q 10.1.2.3/24") == 0);
}

static void test_refused_device_stays_as_it_was(void **state)
{
	(void)state;
	in_child(exists_body);
}

/* The kernel renames after the move: a name that it refuses finds the device on the other side. */
static void renamed_badly_body(void)
{
	struct error err = { 0 };
	int target = set_up();

	check(run("ip addr add 10.1.2.3/24 dev v0 label v0:a && ip link set v0 up && "
		  "ip link set v1 up") == 0);
	check(netdev_move("v0", target, "a/b", &err) < 0);
	check(err.errnum == EINVAL);
	check(run("ip link show dev v0 | grep -q '[<,]UP'") == 0);
	check(run("ip -o addr show dev v0 | grep -q '10.1.2.3/24 .*v0:a'") == 0);
	check(run_in(target, "ip link show dev v0 2>/dev/null") == 1);
}

static void test_device_that_cannot_be_renamed_comes_home(void **state)
{
	(void)state;
	in_child(renamed_badly_body);
}

static void template_body(void)
{
	struct error err = { 0 };
	int target = set_up();

	check(run_in(target, "ip link add net0 type veth peer name net2") == 0);
	check_ok(netdev_move("v0", target, "net%d", &err), &err);
	check(run_in(target, "ip link show dev net1 | grep -q '[<,]UP'") == 0);
}

static void test_template_takes_a_free_name(void **state)
{
	(void)state;
	in_child(template_body);
}

static void missing_body(void)
{
	struct error err = { 0 };
	int target = set_up();
	auto_fd wrong = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	ino_t before = net_inode();

	check(netdev_move("nothing", target, "net1", &err) < 0);
	check(err.errnum == ENODEV && strstr(err.what, "nothing"));
	check(netdev_move("v0", wrong, "net1", &err) < 0);
	check(err.errnum == EINVAL);
	check(net_inode() == before);
	check(run("ip link show dev v0 >/dev/null") == 0);
}

static void test_missing_device_and_wrong_namespace_are_errors(void **state)
{
	(void)state;
	in_child(missing_body);
}

/* An address that the other side refuses: the device comes back with what it had. */
static void undo_body(void)
{
	struct error err = { 0 };
	int target = set_up();

	if (run("ip addr add 2001:db8::7/64 dev v0 nodad 2>/dev/null") != 0)
		SKIP_BODY("needs IPv6");
	check(run("ip addr add 10.1.2.3/24 dev v0 && ip link set v0 up && ip link set v1 up") == 0);
	if (run_in(target, "echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/default/disable_ipv6") != 0)
		SKIP_BODY("needs a writable /proc/sys/net");
	check(netdev_move("v0", target, "net1", &err) < 0);
	check(strstr(err.what, "cannot add an address again"));
	check(run("ip link show dev v0 | grep -q '[<,]UP'") == 0);
	check(run("ip -o addr show dev v0 | grep -q 10.1.2.3/24") == 0);
	check(run("ip -o addr show dev v0 | grep -q 2001:db8::7/64") == 0);
	check(run_in(target, "ip link show dev net1 2>/dev/null") == 1);
}

static void test_half_moved_device_comes_home(void **state)
{
	(void)state;
	in_child(undo_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback_comes_up),
		cmocka_unit_test(test_device_moves_with_its_addresses),
		cmocka_unit_test(test_refused_device_stays_as_it_was),
		cmocka_unit_test(test_device_that_cannot_be_renamed_comes_home),
		cmocka_unit_test(test_template_takes_a_free_name),
		cmocka_unit_test(test_missing_device_and_wrong_namespace_are_errors),
		cmocka_unit_test(test_half_moved_device_comes_home),
	};

	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
