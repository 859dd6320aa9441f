/*
 * A path of a client, looked up beneath what is lent, where no view (sandbox.h) does it: the machine's own
 * root is the process's root then, and must not be the client's.
 *
 * A path is followed here, one component after another, through links and "..", as a name that has
 * neither; what is not lent does not exist on the way. Only what it comes to is opened, from the lent
 * directory, by openat2() that follows no link, and then Linux says what has been opened: this is what
 * counts, whatever has been renamed meanwhile. A call is given that descriptor, by its name in /proc.
 *
 * Directories above what is lent can be gone through, and are EACCES otherwise. So are devices, and file
 * systems of the kernel. The working directory is the process's own.
 */
#ifndef FERRY_KERNEL_LINUX_PATH_H
#define FERRY_KERNEL_LINUX_PATH_H

#include <limits.h>
#include <stdbool.h>

#include "kernel/linux_policy.h"

#define LINUX_LINKS_MAX     40 /* symbolic links that one path goes through, as Linux */
#define LINUX_PATH_TEXT_MAX (32 + NAME_MAX)

/* What is lent, as the root of paths. */
struct linux_root {
	size_t count;
	struct linux_root_part {
		int directory; /* of the worker's own descriptors */
		char *name;    /* as the policy has it */
		char *real;    /* with no links */
		bool is_read_only;
	} parts[LINUX_PATHS_MAX];
};

/** @return 0 or -errno, with nothing to close. */
int linux_root_open(const struct linux_policy *policy, struct linux_root *ret_root)
	__attribute__((warn_unused_result));
void linux_root_close(struct linux_root *root);

enum linux_path_kind {
	LINUX_PATH_OBJECT, /* what it names; links at its end are followed */
	LINUX_PATH_NAME,   /* the name itself, which may be missing, or a link */
	LINUX_PATH_MAKE,   /* as OBJECT; if it is missing as NAME, which must not be followed */
};

/* A path that Linux may be given. */
struct linux_path {
	char text[LINUX_PATH_TEXT_MAX];
	int descriptor; /* of the worker's own, in the text */
	size_t part;    /* of the root */
	bool is_read_only;
	bool is_missing;
};

/** Look up a path.
 *  @param directory a descriptor or AT_FDCWD, for a relative path
 *  @param ret_path to be closed by linux_path_close()
 *  @return 0 or -errno */
int linux_path_open(const struct linux_root *root, int directory, const char *path,
	enum linux_path_kind kind, struct linux_path *ret_path) __attribute__((warn_unused_result));
void linux_path_close(struct linux_path *path);

/** @return whether an open descriptor is of something that is lent to be read only. */
bool linux_path_is_read_only(const struct linux_root *root, int descriptor);

#endif
