/*
 * Rights are given up in this order, since each step needs what the next ones take: the bounding set,
 * the user, the capabilities.
 */
#include "kernel/sandbox_rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sanitizer.h"

#define CAPABILITIES_MAX 64

#define SECURE_FOR_EVER                                                         \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | \
		SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |         \
		SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int sandbox_find_user(const char *name, struct sandbox_options *options)
{
	gid_t groups[SANDBOX_GROUPS_MAX];
	int count = SANDBOX_GROUPS_MAX;
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (user == NULL)
		return errno == 0 ? -ENOENT : -errno;
	if (getgrouplist(name, user->pw_gid, groups, &count) < 0)
		return -E2BIG;
	options->has_user = true;
	options->uid = user->pw_uid;
	options->gid = user->pw_gid;
	options->group_count = (size_t)count;
	memcpy(options->groups, groups, (size_t)count * sizeof(groups[0]));
	return 0;
}

void sandbox_rights_bound(void)
{
	/* Without CAP_SETPCAP these fail, and change nothing: no new privileges is what counts then. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long i = 0; i < CAPABILITIES_MAX; i++)
		(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	(void)prctl(PR_SET_SECUREBITS, SECURE_FOR_EVER, 0, 0, 0);
}

int sandbox_rights_become(const struct sandbox_options *options,
	const struct sandbox_problem *problem)
{
	if (!options->has_user)
		return 0;
	if (getuid() == options->uid && geteuid() == options->uid && geteuid() != 0)
		return 0;
	if (setgroups(options->group_count, options->groups) != 0 ||
		setresgid(options->gid, options->gid, options->gid) != 0 ||
		setresuid(options->uid, options->uid, options->uid) != 0)
		return sandbox_fail(problem, -errno, "this cannot become another user");
	return 0;
}

int sandbox_rights_drop(const struct sandbox_problem *problem)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capset, &header, none) != 0)
		return sandbox_fail(problem, -errno, "capabilities cannot be given up");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return sandbox_fail(problem, -errno, "new privileges cannot be given up");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return sandbox_fail(problem, -errno, "this cannot hide its memory");
	return 0;
}

/* Lower a limit to @most; one that is lower stays. */
static int lower(int what, uint64_t most)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)what, &limit) != 0)
		return -errno;
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	/* As far up as it may be: a worker has many descriptors. */
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &limit) == 0 ? 0 : -errno;
}

int sandbox_rights_limit(const struct sandbox_options *options,
	const struct sandbox_problem *problem)
{
	const uint64_t data_bytes = options->data_bytes != 0 ? options->data_bytes : SANDBOX_DATA;
	const struct {
		int what;
		uint64_t most;
	} limits[] = {
		{RLIMIT_CORE, 0},
		{RLIMIT_MEMLOCK, 0},
		{RLIMIT_MSGQUEUE, 0},
		{RLIMIT_NICE, 0},
		{RLIMIT_RTPRIO, 0},
		{RLIMIT_NPROC, options->task_max != 0 ? options->task_max : SANDBOX_TASKS},
		{RLIMIT_NOFILE,
			options->descriptor_max != 0 ? options->descriptor_max : RLIM_INFINITY},
		{RLIMIT_DATA, IS_SANITIZED ? RLIM_INFINITY : data_bytes},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		int error = lower(limits[i].what, limits[i].most);

		if (error < 0)
			return sandbox_fail(problem, error, "limits cannot be lowered");
	}
	return 0;
}
