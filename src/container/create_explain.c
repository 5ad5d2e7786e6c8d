/* Why a process of a container could not be made: which entry of linux.namespaces the kernel
 * refuses. */
#include <creel/create.h>

#include <errno.h>

#include <creel/error.h>
#include <creel/namespace.h>

int create_explain_namespace(const struct create *create, uint64_t flag, struct error *err)
{
	const struct plan_namespaces *plan = &create->plan.namespaces;

	for (size_t i = 0; i < plan->makes_n; i++)
		if (plan->makes[i].flag == flag)
			error_at(err, plan->makes[i].where);
	return -1;
}

int create_explain_spawn(const struct create *create, uint64_t flags, struct error *err)
{
	int errnum = err->errnum;
	uint64_t refused;

	flags &= create->plan.namespaces.create;
	if (!flags || (errnum != ENOSPC && errnum != EUSERS && errnum != EPERM && errnum != EINVAL))
		return -1;
	refused = namespace_find_refused(flags);
	if (!refused)
		return -1;
	namespace_explain(refused, errnum, err);
	return create_explain_namespace(create, refused, err);
}
