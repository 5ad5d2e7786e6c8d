/*
 * A filter's profile, resolved: for each architecture the ranges of system call numbers and the
 * rules that hold for them.
 */
#include "seccomp_parts.h"
#include "syscall_table.h"

#include <creel/log.h>
#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#define X32_BIT 0x40000000U

/* One rule of one number, before sorting. */
struct entry {
	uint32_t number;
	unsigned int rank;
	size_t order;
	const struct filter_rule *rule;
};

/* socketcall(2) and ipc(2): many calls behind one number. */
struct multiplexer {
	const char *name;
	int first, last; /* of syscall_behind() */
	uint64_t mask;	 /* what the kernel reads of the argument that says which */
	int64_t number;	 /* on this architecture, or negative */
	bool named;	 /* the profile has rules for the multiplexer itself */
	bool decided;	 /* one of them holds for all its calls */
};

struct resolver {
	struct arena *arena;
	const struct oci_seccomp *seccomp;
	uint32_t token; /* libseccomp's */
	uint32_t default_action;
	struct entry *entries;
	size_t n, room;
	int64_t newest; /* number that the profile names, or -1 */
	struct multiplexer multiplexers[2];
};

/* The kernel's order (seccomp(2)): the lower, the more restrictive. */
static const struct action_row {
	uint32_t action;
	unsigned int rank;
	bool has_data;
} action_rows[] = {
	[OCI_SECCOMP_KILL] = { SECCOMP_RET_KILL_THREAD, 1, false },
	[OCI_SECCOMP_KILL_PROCESS] = { SECCOMP_RET_KILL_PROCESS, 0, false },
	[OCI_SECCOMP_KILL_THREAD] = { SECCOMP_RET_KILL_THREAD, 1, false },
	[OCI_SECCOMP_TRAP] = { SECCOMP_RET_TRAP, 2, false },
	[OCI_SECCOMP_ERRNO] = { SECCOMP_RET_ERRNO, 3, true },
	[OCI_SECCOMP_NOTIFY] = { SECCOMP_RET_USER_NOTIF, 4, false },
	[OCI_SECCOMP_TRACE] = { SECCOMP_RET_TRACE, 5, true },
	[OCI_SECCOMP_LOG] = { SECCOMP_RET_LOG, 6, false },
	[OCI_SECCOMP_ALLOW] = { SECCOMP_RET_ALLOW, 7, false },
};

static uint32_t action_code(const struct optional *action, const struct optional_uint *errno_ret)
{
	const struct action_row *row = &action_rows[action->value];

	if (!row->has_data)
		return row->action;
	return row->action |
	       ((errno_ret->set ? (uint32_t)errno_ret->value : EPERM) & SECCOMP_RET_DATA);
}

static unsigned int rank_of(uint32_t action)
{
	for (size_t i = 0; i < ARRAY_SIZE(action_rows); i++)
		if (action_rows[i].action == (action & SECCOMP_RET_ACTION_FULL))
			return action_rows[i].rank;
	return 0;
}

static void add_entry(struct resolver *resolver, uint32_t number, const struct filter_rule *rule,
		      size_t order)
{
	if (resolver->n == resolver->room) {
		struct entry *larger =
		    arena_array(resolver->arena, 2 * resolver->room + 64, sizeof(*larger));

		if (resolver->n > 0)
			memcpy(larger, resolver->entries, resolver->n * sizeof(*larger));
		resolver->entries = larger;
		resolver->room = 2 * resolver->room + 64;
	}
	resolver->entries[resolver->n++] = (struct entry){
		.number = number,
		.rank = rank_of(rule->action),
		.order = order,
		.rule = rule,
	};
}

static struct multiplexer *multiplexer_of(struct resolver *resolver, int behind)
{
	for (size_t i = 0; i < ARRAY_SIZE(resolver->multiplexers); i++) {
		struct multiplexer *mux = &resolver->multiplexers[i];

		if (mux->number >= 0 && behind >= mux->first && behind <= mux->last)
			return mux;
	}
	return NULL;
}

/*
 * A rule on a call behind a multiplexer.  There the arguments lie in memory, where a filter cannot
 * look: a rule that opens must not depend on them, a rule that closes does not need to.  When the
 * profile speaks of the multiplexer itself, nothing is opened beyond its words.
 */
static void add_multiplexed(struct resolver *resolver, const struct multiplexer *mux, int behind,
			    const struct filter_rule *rule, size_t order)
{
	bool opens = rank_of(rule->action) > rank_of(resolver->default_action);
	struct filter_condition *condition;
	struct filter_rule *copy;

	if (opens ? mux->named || rule->n > 0 : mux->decided)
		return;
	condition = arena_alloc(resolver->arena, sizeof(*condition));
	condition->op = OCI_SECCOMP_MASKED_EQ;
	condition->value = mux->mask;
	condition->datum = (uint64_t)(behind % 100);
	copy = arena_alloc(resolver->arena, sizeof(*copy));
	*copy = (struct filter_rule){ .action = rule->action, .conditions = condition, .n = 1 };
	add_entry(resolver, (uint32_t)mux->number, copy, order);
}

static void see_number(struct resolver *resolver, int64_t number)
{
	if (number > resolver->newest)
		resolver->newest = number;
}

/* A rule that says what the default says decides nothing here; that the profile names the call is
 * noted all the same. */
static void add_rule(struct resolver *resolver, const char *name, const struct filter_rule *rule,
		     size_t order)
{
	int64_t number = syscall_number(resolver->token, name);
	int behind = syscall_behind(name);
	const struct multiplexer *mux = multiplexer_of(resolver, behind);

	if (mux) {
		if (rule->action != resolver->default_action)
			add_multiplexed(resolver, mux, behind, rule, order);
		see_number(resolver, mux->number);
	}
	if (number < 0)
		return;
	see_number(resolver, number);
	if (rule->action != resolver->default_action)
		add_entry(resolver, (uint32_t)number, rule, order);
}

static struct filter_condition *plan_conditions(struct arena *arena,
						const struct oci_seccomp_rule *rule)
{
	struct filter_condition *conditions = arena_array(arena, rule->args.n, sizeof(*conditions));

	for (size_t i = 0; i < rule->args.n; i++) {
		const struct oci_seccomp_arg *arg = &rule->args.items[i];

		conditions[i].argument = (unsigned int)arg->index.value;
		conditions[i].op = (enum oci_seccomp_operator)arg->op.value;
		conditions[i].value = arg->value.value;
		conditions[i].datum = arg->value_two.value & arg->value.value;
	}
	return conditions;
}

/* Two conditions on one argument make each condition a rule of its own: what all runtimes do, and
 * profiles rely on. */
static bool repeats_argument(const struct oci_seccomp_rule *rule)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < rule->args.n; i++) {
		unsigned int bit = 1U << rule->args.items[i].index.value;

		if (seen & bit)
			return true;
		seen |= bit;
	}
	return false;
}

static void add_spec_rule(struct resolver *resolver, const struct oci_seccomp_rule *rule,
			  size_t order)
{
	const struct filter_condition *conditions = plan_conditions(resolver->arena, rule);
	bool split = repeats_argument(rule);
	size_t variants = split ? rule->args.n : 1;

	for (size_t v = 0; v < variants; v++) {
		struct filter_rule *out = arena_alloc(resolver->arena, sizeof(*out));

		out->action = action_code(&rule->action, &rule->errno_ret);
		out->conditions = split ? &conditions[v] : conditions;
		out->n = split ? 1 : rule->args.n;
		for (size_t i = 0; i < rule->names.n; i++)
			add_rule(resolver, rule->names.items[i], out, order);
	}
}

static void find_multiplexers(struct resolver *resolver)
{
	static const struct multiplexer known[] = {
		{ .name = "socketcall", .first = 101, .last = 120, .mask = UINT32_MAX },
		/* The upper half of ipc(2)'s first argument is a version. */
		{ .name = "ipc", .first = 201, .last = 224, .mask = 0xffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct multiplexer *mux = &resolver->multiplexers[i];

		*mux = known[i];
		mux->number = syscall_number(resolver->token, mux->name);
		list_each (const struct oci_seccomp_rule, rule, &resolver->seccomp->syscalls) {
			if (!strings_has(&rule->names, mux->name))
				continue;
			mux->named = true;
			mux->decided |=
			    rule->args.n == 0 && action_code(&rule->action, &rule->errno_ret) !=
						     resolver->default_action;
		}
	}
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

/* Neighbours with the same plain answer become one range. */
static void add_range(struct filter_arch *arch, uint32_t first, uint32_t action,
		      const struct filter_rule **rules, size_t n)
{
	struct filter_range *last = arch->n > 0 ? &arch->ranges[arch->n - 1] : NULL;

	if (last && last->first == first)
		arch->n--;
	last = arch->n > 0 ? &arch->ranges[arch->n - 1] : NULL;
	if (last && last->n == 0 && n == 0 && last->action == action)
		return;
	arch->ranges[arch->n++] =
	    (struct filter_range){ .first = first, .action = action, .rules = rules, .n = n };
}

/* The N entries of one number, most restrictive first; what comes after a rule without conditions
 * never holds. */
static void add_call(struct resolver *resolver, const struct entry *entries, size_t n,
		     struct filter_arch *arch)
{
	const struct filter_rule **rules = arena_array(resolver->arena, n, sizeof(*rules));
	uint32_t action = resolver->default_action;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (entries[i].rule->n == 0) {
			action = entries[i].rule->action;
			break;
		}
		rules[used++] = entries[i].rule;
	}
	add_range(arch, entries[0].number, action, rules, used);
	add_range(arch, entries[0].number + 1, resolver->default_action, NULL, 0);
}

/*
 * Calls newer than the newest one that the profile names did not exist for its author: ENOSYS makes
 * C libraries fall back to the older call, where EPERM would break programs (clone3, faccessat2).
 */
static uint32_t newer_action(const struct resolver *resolver)
{
	uint32_t action = resolver->default_action & SECCOMP_RET_ACTION_FULL;

	if (resolver->newest < 0 || action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG ||
	    action == SECCOMP_RET_TRACE)
		return resolver->default_action;
	return SECCOMP_RET_ERRNO | ENOSYS;
}

static void resolve(struct resolver *resolver)
{
	size_t order = 0;

	resolver->newest = -1;
	find_multiplexers(resolver);
	list_each (const struct oci_seccomp_rule, rule, &resolver->seccomp->syscalls)
		add_spec_rule(resolver, rule, order++);
	if (resolver->n > 0)
		qsort(resolver->entries, resolver->n, sizeof(*resolver->entries), compare_entries);
}

/* Appends the ranges from number FIRST (0, or where x32 begins) on. */
static void add_space(struct resolver *resolver, uint32_t first, struct filter_arch *arch)
{
	resolve(resolver);
	add_range(arch, first, resolver->default_action, NULL, 0);
	for (size_t i = 0; i < resolver->n;) {
		size_t n = 1;

		while (i + n < resolver->n &&
		       resolver->entries[i + n].number == resolver->entries[i].number)
			n++;
		add_call(resolver, &resolver->entries[i], n, arch);
		i += n;
	}
	if (resolver->newest >= 0)
		add_range(arch, (uint32_t)resolver->newest + 1, newer_action(resolver), NULL, 0);
}

static uint32_t arch_token(struct arena *arena, const char *name)
{
	char *lower = arena_strdup(arena, name + strlen("SCMP_ARCH_"));

	for (char *c = lower; *c; c++)
		*c = (char)tolower(*c);
	return syscall_arch_token(lower);
}

static void add_token(uint32_t *tokens, size_t *n, uint32_t token)
{
	for (size_t i = 0; i < *n; i++)
		if (tokens[i] == token)
			return;
	tokens[(*n)++] = token;
}

static bool has_token(const uint32_t *tokens, size_t n, uint32_t token)
{
	for (size_t i = 0; i < n; i++)
		if (tokens[i] == token)
			return true;
	return false;
}

/*
 * x32 is not an architecture of its own to the kernel, but numbers above a bit of x86_64.  Where it
 * is not listed its calls kill, as those of any other architecture that is not; -1, which a tracer
 * leaves behind, is no call of x32.
 */
static void add_x32(const struct resolver *common, bool listed, struct filter_arch *arch)
{
	struct resolver resolver = *common;

	resolver.token = SYSCALL_ARCH_X32;
	if (listed) {
		add_space(&resolver, X32_BIT, arch);
		return;
	}
	add_range(arch, X32_BIT, SECCOMP_RET_KILL_THREAD, NULL, 0);
	add_range(arch, UINT32_MAX, common->default_action, NULL, 0);
}

static size_t count_names(const struct oci_seccomp *seccomp)
{
	size_t n = 0;

	list_each (const struct oci_seccomp_rule, rule, &seccomp->syscalls)
		n += rule->names.n;
	return n;
}

static void note_unknown(const struct oci_seccomp *seccomp)
{
	if (!log_is_on(LOG_LEVEL_DEBUG))
		return;
	list_each (const struct oci_seccomp_rule, rule, &seccomp->syscalls)
		for (size_t i = 0; i < rule->names.n; i++)
			if (!syscall_is_known(rule->names.items[i]))
				log_debug("the system call \"%s\" of the profile is unknown here "
					  "and left out",
					  rule->names.items[i]);
}

struct filter_arch *plan_seccomp_rules(struct arena *arena, const struct oci_seccomp *seccomp,
				       size_t *n)
{
	uint32_t *tokens = arena_array(arena, seccomp->architectures.n + 1, sizeof(*tokens));
	const struct resolver common = {
		.arena = arena,
		.seccomp = seccomp,
		.default_action =
		    action_code(&seccomp->default_action, &seccomp->default_errno_ret),
	};
	struct filter_arch *archs;
	size_t tokens_n = 0;

	note_unknown(seccomp);
	add_token(tokens, &tokens_n, syscall_arch_native());
	for (size_t i = 0; i < seccomp->architectures.n; i++) {
		uint32_t token = arch_token(arena, seccomp->architectures.items[i]);

		/* What libseccomp does not know runs on no machine that has it. */
		if (token != 0)
			add_token(tokens, &tokens_n, token);
	}
	archs = arena_array(arena, tokens_n, sizeof(*archs));
	*n = 0;
	for (size_t i = 0; i < tokens_n; i++) {
		struct resolver resolver = common;
		struct filter_arch *arch = &archs[*n];

		if (tokens[i] == SYSCALL_ARCH_X32)
			continue;
		arch->token = tokens[i];
		/* Each name gives two calls at most (itself and a multiplexer), each call two
		 * ranges; and both spaces of x86_64. */
		arch->ranges =
		    arena_array(arena, 8 * count_names(seccomp) + 16, sizeof(*arch->ranges));
		resolver.token = tokens[i];
		add_space(&resolver, 0, arch);
		if (tokens[i] == AUDIT_ARCH_X86_64)
			add_x32(&common, has_token(tokens, tokens_n, SYSCALL_ARCH_X32), arch);
		(*n)++;
	}
	return archs;
}
