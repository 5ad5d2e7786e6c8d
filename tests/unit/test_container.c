/* The state directory: names that cannot leave it, one owner, and locks that end. */
#include "check.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#include "room.h"

static void test_ids(void **state)
{
	static const char *const good[] = { "a", "web-1", "A_b+c.d", "0", "-x", "a..b", "_" };
	static const char *const bad[] = { "",	   ".",	  "..",	 ".hidden",  "a/b", "/",
					   "../x", "a b", "a\n", "\xc3\xa9", "a*" };
	struct error err = { 0 };
	char longest[1026];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		check_int(container_check_id(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		check_int(container_check_id(bad[i], &err), -1);
		check_int(err.kind, ERROR_USAGE);
	}
	memset(longest, 'x', sizeof(longest));
	longest[1025] = '\0';
	check_int(container_check_id(longest, &err), -1);
	longest[1024] = '\0';
	check_int(container_check_id(longest, &err), 0);
}

static void test_an_id_is_taken_once(void **state)
{
	struct container first, second;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(container_make(&room.runtime, "web", &first, &err), 0);
	check_int(container_make(&room.runtime, "web", &second, &err), -1);
	check_int(err.kind, ERROR_STATE);
	check_has(err.what, "already exists");
	container_close(&first);
	room_close(&room);
}

static void test_a_missing_one_is_said_to_be_missing(void **state)
{
	struct container container;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(container_open(&room.runtime, "web", CONTAINER_NO_LOCK, &container, &err), -1);
	check_int(err.kind, ERROR_STATE);
	check_has(err.what, "does not exist");
	room_close(&room);
}

/* What a killed create leaves is a container, so that delete --force finds it. */
static void test_an_empty_directory_is_a_half_made_container(void **state)
{
	struct container container;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(mkdirat(room.runtime.root, "web", 0700), 0);
	check_int(container_open(&room.runtime, "web", CONTAINER_EXCLUSIVE, &container, &err), 0);
	check_int(container.status, OCI_STATUS_CREATING);
	check_text(container.state.id, "web");
	check_int(container_init_open(&room.runtime, &container, &err), -1);
	check_int(err.kind, ERROR_STATE);
	check_int(container_remove(&room.runtime, &container, false, &err), 0);
	container_close(&container);
	check_int(faccessat(room.runtime.root, "web", F_OK, 0), -1);
	room_close(&room);
}

static void test_a_link_is_not_followed(void **state)
{
	struct container container;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(symlinkat("/etc", room.runtime.root, "web"), 0);
	check_int(container_open(&room.runtime, "web", CONTAINER_NO_LOCK, &container, &err), -1);
	check_int(container_make(&room.runtime, "web", &container, &err), -1);
	room_close(&room);
}

static void test_a_root_that_others_may_write_is_refused(void **state)
{
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	fd_close(&room.runtime.root);
	check_int(chmod(room.path, 0770), 0);
	check_int(container_root_open(&room.runtime, false, &err), -1);
	check_has(err.what, "not ours alone");
	check_int(room.runtime.root, -1);
	check_int(chmod(room.path, 0700), 0);
	check_int(container_root_open(&room.runtime, false, &err), 0);
	room_close(&room);
}

static void test_shared_locks_share(void **state)
{
	struct container first, second, third;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(mkdirat(room.runtime.root, "web", 0700), 0);
	check_int(container_open(&room.runtime, "web", CONTAINER_SHARED, &first, &err), 0);
	check_int(container_open(&room.runtime, "web", CONTAINER_SHARED, &second, &err), 0);
	check_int(container_open(&room.runtime, "web", CONTAINER_NO_LOCK, &third, &err), 0);
	container_close(&first);
	container_close(&second);
	container_close(&third);
	room_close(&room);
}

/* Whoever holds the lock may hang: the answer comes all the same. */
static void test_a_lock_has_a_deadline(void **state)
{
	struct container holder, container;
	struct error err = { 0 };
	struct timespec start, end;
	struct room room;
	char named[32];

	(void)state;
	room_open(&room);
	check_int(container_make(&room.runtime, "web", &holder, &err), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	check_int(container_open(&room.runtime, "web", CONTAINER_SHARED, &container, &err), -1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	check_int(err.kind, ERROR_STATE);
	check_has(err.what, "busy");
	/* Whoever waits for it is told for whom. */
	snprintf(named, sizeof(named), ", process %d, ", getpid());
	check_has(err.what, named);
	check(end.tv_sec - start.tv_sec >= 5 && end.tv_sec - start.tv_sec <= 60);
	container_close(&holder);
	check_int(container_open(&room.runtime, "web", CONTAINER_SHARED, &container, &err), 0);
	container_close(&container);
	room_close(&room);
}

/* `state` has no lock, and may look while a delete has only the directory still to remove; what a
 * killed one has left is a half-made container again. */
static void test_what_is_being_removed_does_not_exist(void **state)
{
	struct container holder, container;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(container_make(&room.runtime, "web", &holder, &err), 0);
	check_int(container_open(&room.runtime, "web", CONTAINER_NO_LOCK, &container, &err), 0);
	check_int(container.status, OCI_STATUS_CREATING);
	check_int(fchmod(holder.dir, 0700 | S_ISVTX), 0);
	container_close(&container);
	check_int(container_open(&room.runtime, "web", CONTAINER_NO_LOCK, &container, &err), -1);
	check_int(err.kind, ERROR_STATE);
	check_has(err.what, "does not exist");
	container_close(&holder);
	check_int(container_open(&room.runtime, "web", CONTAINER_NO_LOCK, &container, &err), 0);
	check_int(container.status, OCI_STATUS_CREATING);
	check_int(container_remove(&room.runtime, &container, false, &err), 0);
	check_int(faccessat(room.runtime.root, "web", F_OK, 0), -1);
	container_close(&container);
	room_close(&room);
}

/* The directory that was locked may have been removed, and made anew by somebody else, while we
 * waited. */
static void test_a_lock_on_a_deleted_directory_is_worth_nothing(void **state)
{
	struct container container;
	struct error err = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	check_int(container_make(&room.runtime, "web", &container, &err), 0);
	container_unlock(&container);
	check_int(container_lock_again(&room.runtime, &container, &err), 1);
	container_unlock(&container);
	check_int(unlinkat(room.runtime.root, "web", AT_REMOVEDIR), 0);
	check_int(container_lock_again(&room.runtime, &container, &err), 0);
	check_int(mkdirat(room.runtime.root, "web", 0700), 0);
	container_unlock(&container);
	check_int(container_lock_again(&room.runtime, &container, &err), 0);
	container_close(&container);
	room_close(&room);
}

static void test_the_list_is_sorted_and_leaves_the_cache_out(void **state)
{
	struct error err = { 0 };
	struct strings ids;
	struct room room;
	int fd;

	(void)state;
	room_open(&room);
	check_int(container_list(&room.runtime, &ids, &err), 0);
	check_int(ids.n, 0);
	check_int(mkdirat(room.runtime.root, "b", 0700), 0);
	check_int(mkdirat(room.runtime.root, "a", 0700), 0);
	check_int(mkdirat(room.runtime.root, ".cache", 0700), 0);
	fd = openat(room.runtime.root, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	check_int(container_list(&room.runtime, &ids, &err), 0);
	check_int(ids.n, 2);
	check_text(ids.items[0], "a");
	check_text(ids.items[1], "b");
	room_close(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_an_id_is_taken_once),
		cmocka_unit_test(test_a_missing_one_is_said_to_be_missing),
		cmocka_unit_test(test_an_empty_directory_is_a_half_made_container),
		cmocka_unit_test(test_a_link_is_not_followed),
		cmocka_unit_test(test_a_root_that_others_may_write_is_refused),
		cmocka_unit_test(test_shared_locks_share),
		cmocka_unit_test(test_a_lock_has_a_deadline),
		cmocka_unit_test(test_what_is_being_removed_does_not_exist),
		cmocka_unit_test(test_a_lock_on_a_deleted_directory_is_worth_nothing),
		cmocka_unit_test(test_the_list_is_sorted_and_leaves_the_cache_out),
	};

	return check_all(tests);
}
