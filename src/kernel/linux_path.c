/*
 * See linux_path.h. `here` is always the name of what is lent or lies above it, absolute, with no link and
 * no "..": so ".." takes its last component away, and nothing is opened to go back.
 */
#include "kernel/linux_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "kernel/limits.h"

#define TRIES_MAX 8 /* when what is looked up changes at the same time */

struct walk {
	const struct linux_root *root;
	char here[PATH_MAX];
	char rest[PATH_MAX]; /* what is still to be followed */
	unsigned links;
	bool is_followed;  /* a link at the end */
	bool is_directory; /* a slash at the end says so */
	bool is_missing;
};

void linux_root_close(struct linux_root *root)
{
	if (root == NULL)
		return;
	for (size_t i = 0; i < root->count; i++) {
		cleanup_close(&root->parts[i].directory);
		free(root->parts[i].name);
		free(root->parts[i].real);
	}
	memset(root, 0, sizeof(*root));
}

static int open_part(const struct linux_lent *lent, struct linux_root_part *part)
{
	int directory = open(lent->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	*part = (struct linux_root_part){.directory = -1, .is_read_only = lent->is_read_only};
	if (directory < 0)
		return -errno;
	directory = kernel_window_take(directory);
	if (directory < 0)
		return directory;
	part->directory = directory;
	part->name = strdup(lent->path);
	part->real = realpath(lent->path, NULL);
	return part->name != NULL && part->real != NULL ? 0 : -errno;
}

int linux_root_open(const struct linux_policy *policy, struct linux_root *ret_root)
{
	struct linux_root root = {.count = 0};

	for (size_t i = 0; i < policy->path_count; i++) {
		int error = open_part(&policy->paths[i], &root.parts[root.count++]);

		if (error < 0) {
			linux_root_close(&root);
			return error;
		}
	}
	*ret_root = root;
	return 0;
}

/* Names */

/* Whether @path is @directory or lies in it; both have no links. */
static bool is_within(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (length == 1)
		return true;
	return strncmp(path, directory, length) == 0 &&
		(path[length] == '/' || path[length] == '\0');
}

/* The innermost lent directory that has @path, or NULL. */
static const struct linux_root_part *find_part(const struct linux_root *root, const char *path)
{
	const struct linux_root_part *found = NULL;

	for (size_t i = 0; i < root->count; i++) {
		const struct linux_root_part *part = &root->parts[i];

		if (is_within(path, part->real) &&
			(found == NULL || strlen(part->real) > strlen(found->real)))
			found = part;
	}
	return found;
}

static bool is_above(const struct linux_root *root, const char *path)
{
	for (size_t i = 0; i < root->count; i++) {
		if (is_within(root->parts[i].real, path) || is_within(root->parts[i].name, path))
			return true;
	}
	return false;
}

/* Open a name as it is, following no link. */
static int open_name(const struct linux_root *root, const char *path)
{
	const struct linux_root_part *part = find_part(root, path);
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	const char *name;
	long fd;

	if (part == NULL)
		return -EACCES;
	name = path + (strlen(part->real) > 1 ? strlen(part->real) : 0);
	name += *name == '/';
	fd = syscall(SYS_openat2, part->directory, *name != '\0' ? name : ".", &how, sizeof(how));
	return fd >= 0 ? (int)fd : -errno;
}

/* The name that Linux has for a descriptor. */
static int name_of(int descriptor, char ret_path[PATH_MAX])
{
	char link[32];
	ssize_t length;

	if (descriptor == AT_FDCWD)
		(void)snprintf(link, sizeof(link), "/proc/self/cwd");
	else
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
	length = readlink(link, ret_path, PATH_MAX - 1);
	if (length < 0)
		return errno == ENOENT ? -EBADF : -errno;
	ret_path[length] = '\0';
	return ret_path[0] == '/' ? 0 : -ENOTDIR;
}

/* Following */

static void go_back(struct walk *walk)
{
	char *slash = strrchr(walk->here, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* Take the next component off the rest. @return whether it is the last. */
static bool take_component(struct walk *walk, char ret_name[NAME_MAX + 2])
{
	size_t start = strspn(walk->rest, "/");
	size_t length = strcspn(walk->rest + start, "/");
	size_t end = start + length;
	size_t kept = length <= NAME_MAX ? length : NAME_MAX + 1;

	memcpy(ret_name, walk->rest + start, kept);
	ret_name[kept] = '\0';
	if (walk->rest[end] != '\0' && walk->rest[end + strspn(walk->rest + end, "/")] == '\0') {
		walk->is_directory = true;
		walk->is_followed = true;
		walk->rest[end] = '\0';
	}
	memmove(walk->rest, walk->rest + end, strlen(walk->rest + end) + 1);
	return walk->rest[0] == '\0';
}

/* What a link says comes before the rest. */
static int follow_link(struct walk *walk, int link)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(link, "", text, sizeof(text));
	size_t rest = strlen(walk->rest);

	if (length < 0)
		return -errno;
	if (++walk->links > LINUX_LINKS_MAX)
		return -ELOOP;
	if ((size_t)length + rest >= sizeof(walk->rest))
		return -ENAMETOOLONG;
	memmove(walk->rest + length, walk->rest, rest + 1);
	memcpy(walk->rest, text, (size_t)length);
	if (text[0] == '/')
		walk->here[0] = '\0';
	else
		go_back(walk);
	return 0;
}

/* `here` lies in what is lent: look whether it is a link that is followed. */
static int look_here(struct walk *walk, bool is_last)
{
	CLEANUP(cleanup_close) int found = open_name(walk->root, walk->here);
	struct stat status;

	if (found == -ENOENT && is_last) {
		walk->is_missing = true;
		return 0;
	}
	if (found < 0)
		return found;
	if (fstat(found, &status) != 0)
		return -errno;
	if (S_ISLNK(status.st_mode) && (!is_last || walk->is_followed))
		return follow_link(walk, found);
	return !S_ISDIR(status.st_mode) && (!is_last || walk->is_directory) ? -ENOTDIR : 0;
}

static int step(struct walk *walk, const char *name, bool is_last)
{
	size_t length = strlen(walk->here);

	if (name[0] == '\0' || strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		go_back(walk);
		return 0;
	}
	if (strlen(name) > NAME_MAX || length + 1 + strlen(name) >= sizeof(walk->here))
		return -ENAMETOOLONG;
	(void)snprintf(walk->here + length, sizeof(walk->here) - length, "/%s", name);
	if (find_part(walk->root, walk->here) != NULL)
		return look_here(walk, is_last);
	/* A lent directory whose name goes through links is there by that name. */
	for (size_t i = 0; i < walk->root->count; i++) {
		if (strcmp(walk->here, walk->root->parts[i].name) == 0)
			return text_copy(walk->here, sizeof(walk->here), walk->root->parts[i].real)
				? 0
				: -ENAMETOOLONG;
	}
	return is_above(walk->root, walk->here) ? 0 : -ENOENT;
}

static int begin(struct walk *walk, int directory, const char *path)
{
	int error;

	if (path[0] == '\0')
		return -ENOENT;
	if (!text_copy(walk->rest, sizeof(walk->rest), path))
		return -ENAMETOOLONG;
	if (path[0] == '/')
		return 0;
	error = name_of(directory, walk->here);
	/* The root is written as nothing. */
	if (error == 0 && strcmp(walk->here, "/") == 0)
		walk->here[0] = '\0';
	return error;
}

static int follow(struct walk *walk)
{
	char name[NAME_MAX + 2];
	int error = 0;

	while (error == 0 && walk->rest[0] != '\0') {
		bool is_last = take_component(walk, name);

		error = step(walk, name, is_last);
	}
	if (error == 0 && find_part(walk->root, walk->here) == NULL)
		return -EACCES;
	return error;
}

/* Opening */

/* File systems by which the kernel is seen or steered. */
static bool is_of_kernel(int descriptor)
{
	static const uint32_t types[] = {BINFMTFS_MAGIC, BPF_FS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, DEVPTS_SUPER_MAGIC, EFIVARFS_MAGIC, NSFS_MAGIC,
		PROC_SUPER_MAGIC, PSTOREFS_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC,
		SYSFS_MAGIC, TRACEFS_MAGIC};
	struct statfs status;

	if (fstatfs(descriptor, &status) != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		if ((uint32_t)status.f_type == types[i])
			return true;
	}
	return false;
}

/* Open a name for a call, as one of the worker's own, and see what it is. */
static int open_checked(const struct linux_root *root, const char *path,
	struct linux_path *ret_path)
{
	char name[PATH_MAX];
	const struct linux_root_part *part = NULL;
	struct stat status;
	int fd = open_name(root, path);
	int error;

	if (fd < 0)
		return fd;
	fd = kernel_window_take(fd);
	if (fd < 0)
		return fd;
	/* A client could have put another file in its place before it was moved. */
	error = name_of(fd, name);
	if (error == 0)
		part = find_part(root, name);
	if (error < 0 || part == NULL || is_of_kernel(fd) || fstat(fd, &status) != 0 ||
		S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
		(void)close(fd);
		return -EACCES;
	}
	ret_path->descriptor = fd;
	ret_path->part = (size_t)(part - root->parts);
	ret_path->is_read_only = part->is_read_only;
	return 0;
}

static int open_object(const struct walk *walk, struct linux_path *ret_path)
{
	int error = open_checked(walk->root, walk->here, ret_path);

	if (error < 0)
		return error;
	(void)snprintf(ret_path->text, sizeof(ret_path->text), "/proc/self/fd/%d%s",
		ret_path->descriptor, walk->is_directory ? "/" : "");
	return 0;
}

/* A name in its directory; a lent directory itself has none that could be used. */
static int open_in_parent(struct walk *walk, struct linux_path *ret_path)
{
	const struct linux_root_part *part = find_part(walk->root, walk->here);
	char *name = strrchr(walk->here, '/');
	int error;

	if (strcmp(part->real, walk->here) == 0 || walk->here[0] == '\0') {
		error = open_checked(walk->root, walk->here, ret_path);
		name = NULL;
	} else {
		*name++ = '\0';
		error = open_checked(walk->root, walk->here, ret_path);
	}
	if (error < 0)
		return error;
	(void)snprintf(ret_path->text, sizeof(ret_path->text), "/proc/self/fd/%d/%s%s",
		ret_path->descriptor, name != NULL ? name : ".", walk->is_directory ? "/" : "");
	return 0;
}

static int open_once(const struct linux_root *root, int directory, const char *path,
	enum linux_path_kind kind, struct linux_path *ret_path)
{
	struct walk walk = {.root = root, .is_followed = kind != LINUX_PATH_NAME};
	int error = begin(&walk, directory, path);

	if (error == 0)
		error = follow(&walk);
	if (error < 0)
		return error;
	ret_path->is_missing = walk.is_missing;
	if (kind == LINUX_PATH_NAME || (kind == LINUX_PATH_MAKE && walk.is_missing))
		return open_in_parent(&walk, ret_path);
	return walk.is_missing ? -ENOENT : open_object(&walk, ret_path);
}

int linux_path_open(const struct linux_root *root, int directory, const char *path,
	enum linux_path_kind kind, struct linux_path *ret_path)
{
	struct linux_path found = {.descriptor = -1};
	int error = 0;

	for (unsigned try = 0; try < TRIES_MAX; try++) {
		error = open_once(root, directory, path, kind, &found);
		/* A link has come where there was none. */
		if (error != -ELOOP)
			break;
	}
	if (error == 0)
		*ret_path = found;
	return error;
}

void linux_path_close(struct linux_path *path)
{
	cleanup_close(&path->descriptor);
	path->descriptor = -1;
}

bool linux_path_is_read_only(const struct linux_root *root, int descriptor)
{
	const struct linux_root_part *part;
	char name[PATH_MAX];

	if (name_of(descriptor, name) != 0)
		return false;
	part = find_part(root, name);
	return part != NULL && part->is_read_only;
}
