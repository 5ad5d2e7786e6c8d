/* A descriptor that only names a file gets EBADF from the static program's functions, and the file
 * stays as it is. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Beside those of this program's own C library. */
int musl_fchown(int fd, uid_t uid, gid_t gid);
int musl_fchmod(int fd, mode_t mode);
#define fchown musl_fchown
#define fchmod musl_fchmod
#include "../../src/musl/chown.c"
#undef fchown
#undef fchmod

static void test_what_only_names_a_file_is_refused(void **state)
{
	char path[] = "/tmp/creel-chown-XXXXXX";
	int file = mkstemp(path), place = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	(void)state;
	check(file >= 0 && place >= 0);
	check_int(musl_fchmod(place, 0777), -1);
	check_int(errno, EBADF);
	check_int(musl_fchown(place, getuid(), (gid_t)-1), -1);
	check_int(errno, EBADF);
	check_int(musl_fchmod(file, 0640), 0);
	check_int(musl_fchown(file, getuid(), (gid_t)-1), 0);
	check_int(fstat(file, &st), 0);
	check_int(st.st_mode & 07777, 0640);
	close(place);
	close(file);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_only_names_a_file_is_refused),
	};

	return check_all(tests);
}
