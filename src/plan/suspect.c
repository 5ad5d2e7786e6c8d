/*
 * What is no error, but hardly meant as it is written: members that mean nothing on Linux or with
 * cgroup version 2, capabilities that nobody gets, values that hide each other.
 */
#include "parts.h"

#include <string.h>

#define SMALLEST_MEMORY (512 << 10) /* a container starts in it; see the numbers in docs */

static void say_ignored(struct findings *findings, bool given, const char *where, const char *why)
{
	if (given)
		findings_say(findings, FINDING_WARNING, where, "it is ignored: %s", why);
}

/* ---- process ---- */

struct capability_list {
	const char *where;
	const struct strings *names;
};

/* One finding for each name: engines write the same names into every set. */
static bool was_said(const struct capability_list *lists, size_t list, size_t item)
{
	const char *name = lists[list].names->items[item];

	for (size_t i = 0; i <= list; i++)
		for (size_t j = 0; (i < list || j < item) && j < lists[i].names->n; j++)
			if (strcmp(lists[i].names->items[j], name) == 0)
				return true;
	return false;
}

static void say_unknown_capability(const struct input *input, struct findings *findings,
				   const char *where, const char *name)
{
	struct strings names = plan_capabilities(input->arena);
	const char *full = text_format(input->arena, "CAP_%s", name);
	struct error *finding = findings_say(findings, FINDING_WARNING, where,
					     "unknown capability \"%s\" is ignored", name);
	const char *nearest =
	    strings_has(&names, full) ? full : text_nearest(name, (const char *const *)names.items);

	if (finding && nearest)
		error_hint(finding, "did you mean \"%s\"?", nearest);
}

static void suspect_capability(const struct input *input, struct findings *findings,
			       const char *where, const char *name)
{
	const struct facts *facts = input->facts;
	uint64_t bit = plan_capability(name);
	struct error *finding;

	if (bit == 0) {
		say_unknown_capability(input, findings, where, name);
	} else if (facts->cap_last < 63 && bit >> (facts->cap_last + 1)) {
		findings_say(findings, FINDING_WARNING, where,
			     "this kernel does not know %s, so nobody gets it", name);
	} else if (!(bit & facts->caps_bounding) &&
		   !namespace_entry(input->linux, OCI_NAMESPACE_USER)) {
		finding = findings_say(findings, FINDING_WARNING, where,
				       "%s is not in our own bounding set, so the container does "
				       "not get it",
				       name);
		if (finding)
			error_hint(finding, "whoever starts creel must have it: look at CapBnd in "
					    "/proc/self/status");
	}
}

/* capabilities(7), "Transformation of capabilities during execve()": what root's program gets is
 * limited by the bounding set. */
static void suspect_unbounded(const struct input *input, const struct oci_capabilities *caps,
			      struct findings *findings)
{
	for (size_t i = 0; i < caps->permitted.n; i++) {
		const char *name = caps->permitted.items[i];

		if (!plan_capability(name) || strings_has(&caps->bounding, name) ||
		    strings_has(&caps->inheritable, name))
			continue;
		findings_say(findings, FINDING_WARNING,
			     pointer_index(input->arena, "/process/capabilities/permitted", i),
			     "%s is not in the bounding set, so execve takes it away", name);
	}
}

static void suspect_capabilities(const struct input *input, struct findings *findings)
{
	const struct oci_capabilities *caps = input->config->process->capabilities;

	if (!caps)
		return;

	const struct capability_list lists[] = {
		{ "/process/capabilities/bounding", &caps->bounding },
		{ "/process/capabilities/permitted", &caps->permitted },
		{ "/process/capabilities/effective", &caps->effective },
		{ "/process/capabilities/inheritable", &caps->inheritable },
		{ "/process/capabilities/ambient", &caps->ambient },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t j = 0; j < lists[i].names->n; j++)
			if (!was_said(lists, i, j))
				suspect_capability(input, findings,
						   pointer_index(input->arena, lists[i].where, j),
						   lists[i].names->items[j]);
	suspect_unbounded(input, caps, findings);
}

static void suspect_env(const struct input *input, struct findings *findings)
{
	const struct strings *env = &input->config->process->env;

	for (size_t i = 0; i < env->n; i++) {
		size_t length = strcspn(env->items[i], "=");
		size_t later = i + 1;

		while (later < env->n &&
		       (strncmp(env->items[later], env->items[i], length + 1) != 0))
			later++;
		if (later < env->n && env->items[i][length] == '=')
			findings_say(findings, FINDING_NOTE,
				     pointer_index(input->arena, "/process/env", i),
				     "%.*s is set again by /process/env/%zu, which wins",
				     (int)length, env->items[i], later);
	}
}

static void suspect_process(const struct input *input, struct findings *findings)
{
	const struct oci_process *process = input->config->process;

	if (!process)
		return;
	suspect_capabilities(input, findings);
	suspect_env(input, findings);
	if (process->console_size && !process->terminal)
		findings_say(findings, FINDING_NOTE, "/process/consoleSize",
			     "it is ignored without a terminal");
	if (process->command_line)
		findings_say(findings, FINDING_NOTE, "/process/commandLine",
			     "it is ignored: it is for Windows");
	if (process->user && process->user->username)
		findings_say(findings, FINDING_NOTE, "/process/user/username",
			     "it is ignored: it is for Windows");
}

/* ---- resources ---- */

static void suspect_memory(const struct oci_memory *memory, struct findings *findings)
{
	static const char base[] = "cgroup version 2 has no such limit";

	if (!memory)
		return;
	say_ignored(findings, memory->kernel.value > 0, "/linux/resources/memory/kernel", base);
	say_ignored(findings, memory->kernel_tcp.value > 0, "/linux/resources/memory/kernelTCP",
		    base);
	say_ignored(findings, memory->swappiness.set, "/linux/resources/memory/swappiness",
		    "cgroup version 2 has no swappiness of its own for each cgroup");
	if (memory->use_hierarchy.set && memory->use_hierarchy.value == 0)
		say_ignored(findings, true, "/linux/resources/memory/useHierarchy",
			    "in cgroup version 2 limits always count what is below");
	if (memory->limit.value > 0 && memory->limit.value < SMALLEST_MEMORY)
		findings_say(findings, FINDING_WARNING, "/linux/resources/memory/limit",
			     "%lld bytes are less than any container starts in",
			     (long long)memory->limit.value);
}

static void suspect_resources(const struct input *input, struct findings *findings)
{
	if (input->linux->resources)
		suspect_memory(input->linux->resources->memory, findings);
}

/* "slice:prefix:name" is how engines name a unit; as a path it makes a strange directory. */
static void suspect_cgroups_path(const struct input *input, struct findings *findings)
{
	const char *path = input->linux->cgroups_path;
	const char *colon = path ? strchr(path, ':') : NULL;
	struct error *finding;

	if (!colon || !strchr(colon + 1, ':') || strchr(path, '/') ||
	    input->request->manager != CGROUP_MANAGER_CGROUPFS)
		return;
	finding = findings_say(
	    findings, FINDING_WARNING, "/linux/cgroupsPath",
	    "\"%s\" is meant for systemd, and is taken as the name of a directory", path);
	if (finding)
		error_hint(finding, "give creel the option --systemd-cgroup");
}

/* ---- the rest ---- */

static void suspect_hooks(const struct input *input, struct findings *findings)
{
	const struct oci_hooks *hooks = input->config->hooks;

	if (hooks && hooks->lists[OCI_HOOK_PRESTART].n > 0)
		findings_say(findings, FINDING_NOTE, "/hooks/prestart",
			     "prestart hooks are deprecated: createRuntime, createContainer and "
			     "startContainer replace them");
}

static void suspect_repeated(const struct input *input, const struct strings *paths,
			     const char *base, struct findings *findings)
{
	for (size_t i = 0; i < paths->n; i++)
		for (size_t j = 0; j < i; j++) {
			if (strcmp(paths->items[i], paths->items[j]) != 0)
				continue;
			findings_say(findings, FINDING_NOTE, pointer_index(input->arena, base, i),
				     "%s is listed already", paths->items[i]);
			break;
		}
}

static void suspect_platforms(const struct oci_config *config, struct findings *findings)
{
	const struct {
		const struct json *section;
		const char *where;
	} sections[] = {
		{ config->vm, "/vm" },		 { config->windows, "/windows" },
		{ config->solaris, "/solaris" }, { config->zos, "/zos" },
		{ config->freebsd, "/freebsd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		if (sections[i].section)
			findings_say(findings, FINDING_NOTE, sections[i].where,
				     "this section is ignored: it is for another platform");
}

void suspect_config(const struct input *input, struct findings *findings)
{
	suspect_platforms(input->config, findings);
	suspect_process(input, findings);
	suspect_hooks(input, findings);
	suspect_resources(input, findings);
	suspect_cgroups_path(input, findings);
	suspect_repeated(input, &input->linux->masked_paths, "/linux/maskedPaths", findings);
	suspect_repeated(input, &input->linux->readonly_paths, "/linux/readonlyPaths", findings);
}
