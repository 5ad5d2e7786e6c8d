/* Capabilities are given up for good, and what cannot be granted is a warning. */
#include <creel/caps.h>

#include "in_child.h"
#include <creel/fd.h>
#include <creel/procfs.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>

#define BIT(c) (UINT64_C(1) << (c))

/* The set NAME as /proc/self/status shows it: the kernel's own view. */
static uint64_t status_set(const char *name)
{
	unsigned long long value = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	check(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			check(sscanf(line + strlen(name), ":%llx", &value) == 1);
	fclose(file);
	return value;
}

/* The kernel's own word. */
static void test_last_is_what_the_kernel_says(void **state)
{
	char text[16] = "";
	struct error err = { 0 };
	auto_fd procfs = procfs_open(&err);

	check_ok(procfs, &err);
	check(procfs_read(procfs, "sys/kernel/cap_last_cap", text, sizeof(text)) > 0);
	check(caps_last() == atoi(text));
	(void)state;
}

static void read_body(void)
{
	struct caps caps;
	struct error err = { 0 };

	check_ok(caps_read(&caps, &err), &err);
	check(caps.permitted == status_set("CapPrm"));
	check(caps.effective == status_set("CapEff"));
	check(caps.inheritable == status_set("CapInh"));
	check(caps.bounding == status_set("CapBnd"));
	check(caps.ambient == status_set("CapAmb"));
	check(caps_last() >= CAP_CHECKPOINT_RESTORE && caps_last() < 64);
}

static void test_read_is_what_the_kernel_shows(void **state)
{
	(void)state;
	in_child(read_body);
}

static void drop_body(void)
{
	struct caps caps = { .bounding = BIT(CAP_CHOWN) | BIT(CAP_NET_RAW) };
	struct error err = { 0 };

	check_ok(caps_drop_bounding(&caps, caps_last(), &err), &err);
	check(status_set("CapBnd") == caps.bounding);
}

static void test_bounding_keeps_only_what_is_listed(void **state)
{
	(void)state;
	in_child(drop_body);
}

static void drop_without_setpcap_body(void)
{
	const struct caps none = { .bounding = BIT(CAP_CHOWN) };
	const struct caps gone = { .bounding = ~BIT(CAP_MKNOD) };
	struct caps powerless = { .bounding = UINT64_MAX };
	struct error err = { 0 };

	check_ok(caps_drop_bounding(&gone, caps_last(), &err), &err);
	check_ok(caps_apply(&powerless, caps_last(), &err), &err);
	check_ok(caps_drop_bounding(&gone, caps_last(), &err), &err);
	check(caps_drop_bounding(&none, caps_last(), &err) < 0);
	check(strstr(err.what, "CAP_DAC_OVERRIDE"));
	check(strstr(err.hint, "CAP_SETPCAP"));
}

static void test_drop_without_setpcap_says_so(void **state)
{
	(void)state;
	in_child(drop_without_setpcap_body);
}

static void apply_body(void)
{
	const struct caps caps = {
		.bounding = BIT(CAP_NET_RAW) | BIT(CAP_CHOWN) | BIT(CAP_CHECKPOINT_RESTORE),
		.effective = BIT(CAP_NET_RAW),
		.permitted = BIT(CAP_NET_RAW) | BIT(CAP_CHOWN) | BIT(CAP_CHECKPOINT_RESTORE),
		.inheritable = BIT(CAP_NET_RAW),
		.ambient = BIT(CAP_NET_RAW),
	};
	struct error err = { 0 };

	check_ok(caps_drop_bounding(&caps, caps_last(), &err), &err);
	check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	check(setuid(1000) == 0);
	check_ok(caps_apply(&caps, caps_last(), &err), &err);
	check(status_set("CapEff") == caps.effective);
	check(status_set("CapPrm") == caps.permitted);
	check(status_set("CapInh") == caps.inheritable);
	check(status_set("CapAmb") == caps.ambient);
	check(status_set("CapBnd") == caps.bounding);
}

static void test_apply_sets_all_after_the_ids_changed(void **state)
{
	(void)state;
	in_child(apply_body);
}

static void ungrantable_body(void)
{
	struct caps caps = { .bounding = UINT64_MAX, .permitted = ~BIT(CAP_KILL) };
	struct warnings warnings = { "" };
	struct error err = { 0 };

	collect_warnings(&warnings);
	check_ok(caps_apply(&caps, caps_last(), &err), &err);
	check(!(status_set("CapPrm") & BIT(CAP_KILL)));

	caps = (struct caps){
		.permitted = BIT(CAP_KILL) | BIT(CAP_CHOWN),
		.effective = BIT(CAP_CHOWN),
		.inheritable = BIT(CAP_CHOWN),
		.ambient = BIT(CAP_KILL) | BIT(CAP_CHOWN),
	};
	warnings.text[0] = '\0';
	check_ok(caps_apply(&caps, caps_last(), &err), &err);
	check(strstr(warnings.text, "CAP_KILL"));
	check(!strstr(warnings.text, "CAP_CHOWN"));
	check(status_set("CapPrm") == BIT(CAP_CHOWN));
	check(status_set("CapAmb") == BIT(CAP_CHOWN));
}

static void test_what_cannot_be_granted_is_a_warning(void **state)
{
	(void)state;
	in_child(ungrantable_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_is_what_the_kernel_says),
		cmocka_unit_test(test_read_is_what_the_kernel_shows),
		cmocka_unit_test(test_bounding_keeps_only_what_is_listed),
		cmocka_unit_test(test_drop_without_setpcap_says_so),
		cmocka_unit_test(test_apply_sets_all_after_the_ids_changed),
		cmocka_unit_test(test_what_cannot_be_granted_is_a_warning),
	};

	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
