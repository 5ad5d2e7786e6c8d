/* A pty: opened on the container's devpts, bound on its console, sent out; raw mode and window size
 * on the outside. */
#include <creel/terminal.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>

#include "syscalls.h"

/* The device numbers of /dev/ptmx and of every slave: Documentation/admin-guide/devices.txt. */
#define PTMX_MAJOR  5
#define PTMX_MINOR  2
#define SLAVE_MAJOR 136

static bool is_on_devpts(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC;
}

static bool is_device(int fd, unsigned int major, unsigned int minor)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
	       major(status.st_rdev) == major && minor(status.st_rdev) == minor;
}

static bool is_slave(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
	       major(status.st_rdev) == SLAVE_MAJOR;
}

/*
 * Opens the multiplexer of the container's devpts.  It is looked at before it is opened, since
 * opening alone makes some devices act, and a hostile rootfs may have put any of them here.
 */
static int open_multiplexer(int root, struct error *err)
{
	auto_fd directory = inroot_open_real(root, "dev/pts", O_PATH | O_DIRECTORY, err);

	if (directory < 0 || !is_on_devpts(directory)) {
		error_coded(
		    err, CRL_TERMINAL,
		    error_config_at(err, "/process/terminal",
				    "a terminal needs a devpts at /dev/pts, and there is none"));
		return error_hint(
		    err, "add a mount of type devpts at /dev/pts, with the options newinstance and "
			 "ptmxmode=0666");
	}

	auto_fd node = inroot_open_real(directory, "ptmx", O_PATH, err);

	if (node < 0)
		return -1;
	if (!is_on_devpts(node) || !is_device(node, PTMX_MAJOR, PTMX_MINOR))
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, EPROTO, "/dev/pts/ptmx is not a pty multiplexer"));

	int master = inroot_open_real(directory, "ptmx", O_RDWR | O_NOCTTY, err);

	if (master < 0 && err->errnum == EACCES)
		error_hint(err, "mount the devpts with the option ptmxmode=0666");
	return master;
}

int terminal_open(int root, uint16_t height, uint16_t width, struct terminal *terminal,
		  struct error *err)
{
	const struct winsize size = { .ws_row = height, .ws_col = width };
	int locked = 0;
	auto_fd master = open_multiplexer(root, err);

	if (master < 0)
		return -1;
	if (ioctl(master, TIOCSPTLCK, &locked) < 0)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot unlock the terminal"));

	/* By the master's descriptor, so that no name can lead elsewhere (CVE-2025-52565). */
	auto_fd slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot open the container's side of the terminal"));
	if (!is_on_devpts(slave) || !is_slave(slave))
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, EPROTO, "the container's side of the terminal is no pty"));
	if ((height || width) && ioctl(master, TIOCSWINSZ, &size) < 0)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot set the size of the terminal"));

	terminal->master = take_fd(&master);
	terminal->slave = take_fd(&slave);
	return 0;
}

/*
 * Opens dev/console as a mount point, made as an empty file where it is missing.  O_EXCL creates it
 * without following a link that a rootfs has there (CVE-2019-14271 and its kind).
 */
static int open_console(int root, struct error *err)
{
	struct stat status;
	auto_fd directory = inroot_open_real(root, "dev", O_PATH | O_DIRECTORY, err);

	if (directory < 0)
		return error_while(err, "making /dev/console");

	auto_fd made =
	    openat(directory, "console",
		   O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_NOCTTY | O_CLOEXEC, 0600);

	/* A read-only /dev that has one is fine. */
	if (made < 0 && errno != EEXIST && errno != EROFS)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot make /dev/console"));

	auto_fd console = openat(directory, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (console < 0)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot open /dev/console"));
	if (fstat(console, &status) < 0)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot examine /dev/console"));
	if (S_ISLNK(status.st_mode)) {
		error_coded(err, CRL_TERMINAL,
			    error_system(err, ELOOP, "/dev/console is a symbolic link"));
		return error_hint(err,
				  "remove it from the root filesystem, or mount a tmpfs at /dev");
	}
	if (S_ISDIR(status.st_mode))
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, EISDIR, "/dev/console is a directory"));
	return take_fd(&console);
}

int terminal_bind_console(int root, int slave, struct error *err)
{
	struct stat wanted;
	struct stat status;
	auto_fd console = open_console(root, err);

	if (console < 0)
		return -1;

	auto_fd tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot clone the mount of the terminal"));
	if (move_mount(tree, "", console, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot mount the terminal on /dev/console"));

	/* Whatever was raced: what the container sees there now is this terminal, or we stop. */
	auto_fd now = inroot_open_real(root, "dev/console", O_PATH, err);

	if (now < 0)
		return -1;
	if (fstat(slave, &wanted) < 0 || fstat(now, &status) < 0)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot examine /dev/console"));
	if (!S_ISCHR(status.st_mode) || status.st_rdev != wanted.st_rdev || !is_on_devpts(now))
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, EPROTO, "/dev/console is not the container's terminal"));
	return 0;
}

int terminal_control(int slave, struct error *err)
{
	/* EPERM: we lead a session already. */
	if (setsid() < 0 && errno != EPERM)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot start a session"));
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot make the terminal the controlling one"));
	return 0;
}

int terminal_take(int slave, uid_t uid, struct error *err)
{
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return error_coded(err, CRL_TERMINAL,
					   error_system(err, errno,
							"cannot use the terminal as descriptor %d",
							fd));
	/* The group stays devpts' own (gid=5), which is what write(1) and wall(1) rely on. */
	if (fchown(slave, uid, (gid_t)-1) < 0 && errno != EROFS && errno != EPERM)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot give the terminal to uid %u", uid));
	return 0;
}

int terminal_send(const char *socket, int master, struct error *err)
{
	unsigned int number;
	char name[32];
	int length;
	auto_fd connection = fd_connect(socket, err);

	if (connection < 0)
		return error_while(err, "sending the terminal to its console socket");
	if (ioctl(master, TIOCGPTN, &number) < 0)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot send a terminal that is no pty master"));
	/* Receivers read less than 4096 bytes of name, and only show it. */
	length = snprintf(name, sizeof(name), "/dev/pts/%u", number);
	if (fd_send(connection, master, name, (size_t)length, err) < 0)
		return error_while(err, "sending the terminal to its console socket");
	return 0;
}

int terminal_raw(int fd, struct termios *saved, struct error *err)
{
	struct termios raw;

	if (tcgetattr(fd, saved) < 0)
		return error_coded(
		    err, CRL_TERMINAL,
		    error_system(err, errno, "cannot read the settings of the terminal"));
	raw = *saved;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw) < 0)
		return error_coded(err, CRL_TERMINAL,
				   error_system(err, errno, "cannot make the terminal raw"));
	return 0;
}

void terminal_restore(int fd, const struct termios *saved)
{
	/* At once: whoever has stopped the output would stop us too.  On the way out nobody can do
	 * anything about a failure. */
	(void)tcsetattr(fd, TCSANOW, saved);
}

void terminal_copy_size(int from, int to)
{
	struct winsize size;

	if (ioctl(from, TIOCGWINSZ, &size) == 0)
		(void)ioctl(to, TIOCSWINSZ, &size);
}
