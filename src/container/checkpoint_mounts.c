/* The mounts and namespaces of a container that are somebody else's, and their names in images. */
#include <creel/checkpoint.h>

#include <sched.h>
#include <string.h>

/*
 * A link that was copied is no mount.  The cgroup is the host's where the container has no cgroup
 * namespace; and with a user namespace it takes the host's rights to mount it.
 */
static bool is_external(const struct plan *plan, const struct mount_op *op)
{
	switch (op->kind) {
	case MOUNT_BIND:
		return !(op->flags & MOUNT_COPY_LINK);
	case MOUNT_CGROUP:
		return (op->flags & MOUNT_OWN_CGROUP) || plan->namespaces.maps;
	case MOUNT_MASK:
		return true;
	case MOUNT_NEW:
	case MOUNT_REMOUNT:
	case MOUNT_NODE:
	case MOUNT_LINK:
	case MOUNT_READONLY:
		break;
	}
	return false;
}

const char *external_mount_key(struct arena *arena, const struct mount_op *op, const char *sub)
{
	const char *name = text_format(arena, "%s%s", op->target, sub);

	return text_format(arena, "creel-%s", state_digest(arena, name, strlen(name)));
}

static void add(struct arena *arena, const struct plan *plan, struct mount_op *op,
		struct external_mounts *mounts)
{
	const char *key = external_mount_key(arena, op, "");

	if (!is_external(plan, op))
		return;
	/* The last one at a place covers the others. */
	for (size_t i = 0; i < mounts->n; i++) {
		if (!text_equal(mounts->items[i].key, key))
			continue;
		mounts->items[i].op = op;
		return;
	}
	mounts->items[mounts->n++] = (struct external_mount){ .op = op, .key = key };
}

void external_mounts_list(struct arena *arena, const struct plan *plan,
			  struct external_mounts *mounts)
{
	mounts->items =
	    arena_array(arena, plan->mounts_n + plan->protections_n, sizeof(*mounts->items));
	mounts->n = 0;
	for (size_t i = 0; i < plan->mounts_n; i++)
		add(arena, plan, &plan->mounts[i], mounts);
	for (size_t i = 0; i < plan->protections_n; i++)
		add(arena, plan, &plan->protections[i], mounts);
}

const char *external_namespace_key(uint64_t flag)
{
	if (flag == CLONE_NEWNET)
		return "extRootNetNS";
	if (flag == CLONE_NEWPID)
		return "extRootPidNS";
	return NULL;
}
