/*
 * The sandbox: walls around the process that forks the workers, and so around every worker. It is
 * entered once, by a process with one thread, and never left.
 *
 * What there is, from the outside:
 *
 *  1. A view: mount namespace whose root is an empty, read-only tmpfs with nothing but bind mounts of what
 *     is lent, without devices and set-user-id; file systems of the kernel (procfs, sysfs...) that were
 *     mounted within are covered by an empty directory. Made with a user namespace, or, by root, without.
 *     With it come a process namespace, which ends every worker with the sandbox, System V IPC of its
 *     own, and, where no network is lent, a network namespace that has nothing.
 *  2. No capabilities, no new privileges, another user if asked for (when started by root); limits of
 *     descriptors, tasks and memory; no core files.
 *  3. Landlock, where the kernel has it: the lent directories again, TCP ports, abstract sockets, signals.
 *  4. Of a worker alone, since the process that forks it must be able to kill it: a seccomp filter: the
 *     calls of the call table and those that a worker itself needs, with their families, requests and
 *     options. Others are ENOSYS; what is only of use to break out kills.
 *
 * Where namespaces are refused there is no view: SANDBOX_VIRTUAL. Then paths are looked up beneath what is
 * lent by the worker itself (linux_path.h), with Landlock behind it.
 *
 * In a user namespace only the own user and group have a name: files of others belong to 65534 as far as
 * stat() can tell. RLIMIT_NPROC does not bind root.
 */
#ifndef FERRY_KERNEL_SANDBOX_H
#define FERRY_KERNEL_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/filter.h>

#include "kernel/linux_policy.h"

#define SANDBOX_GROUPS_MAX 64
#define SANDBOX_WALLS_MAX  128 /* bytes of text, with NUL */

#define SANDBOX_TASKS 8192u               /* processes and threads */
#define SANDBOX_DATA  (UINT64_C(4) << 30) /* bytes of memory of a process */

struct sandbox_options {
	bool has_user; /* become this user: only root can */
	uid_t uid;
	gid_t gid;
	size_t group_count;
	gid_t groups[SANDBOX_GROUPS_MAX];
	uint64_t descriptor_max; /* RLIMIT_NOFILE; 0: as it is */
	uint64_t task_max;       /* RLIMIT_NPROC, of all workers; 0: SANDBOX_TASKS */
	uint64_t data_bytes;     /* RLIMIT_DATA, of each worker; 0: SANDBOX_DATA */
	bool is_without_namespaces;
	bool is_without_landlock;
};

enum sandbox_view {
	SANDBOX_VIRTUAL, /* no namespaces: the root is the machine's own */
	SANDBOX_USER,    /* a user namespace, and the view in it */
	SANDBOX_MOUNT,   /* the view, made by root, without a user namespace */
};

/* What walls there are. */
struct sandbox_walls {
	enum sandbox_view view;
	int landlock;                 /* its version, 0: none */
	char text[SANDBOX_WALLS_MAX]; /* for the owner: "user namespace, Landlock 7, seccomp" */
	struct sock_fprog filter;     /* for sandbox_enter_worker() */
};

/** Find the user whom workers shall be, with all groups.
 *  @return 0 with the user in @options; -ENOENT: there is none; -E2BIG: too many groups; or -errno */
int sandbox_find_user(const char *name, struct sandbox_options *options)
	__attribute__((warn_unused_result));

/** Enter the sandbox. The process has one thread. With namespaces it returns in a *child*, which is process
 *  1 of its namespace, and not in the caller: that has closed all its descriptors, waits for the child, and
 *  ends with the child's exit status. The child is killed when the caller dies.
 *  Signal dispositions and masks are left alone; umask and working directory become 022 and "/".
 *  @param ret_walls the walls that now stand
 *  @param ret_problem on failure a sentence, @bytes of it
 *  @return 0; or -errno: some walls may stand, and the process is good only to report and to exit */
int sandbox_enter(const struct linux_policy *policy, const struct sandbox_options *options,
	struct sandbox_walls *ret_walls, char *ret_problem, size_t bytes)
	__attribute__((warn_unused_result));

/** In a worker that has just been forked by who has entered, and has one thread: put up the walls that are
 *  for workers alone, the filter, and that none signals another process. What the worker forks has them from
 *  it, and does not call this.
 *  @return 0, or -errno: it must exit */
int sandbox_enter_worker(const struct sandbox_walls *walls) __attribute__((warn_unused_result));

#endif
