/*
 * How the view is made: what is lent is cloned, with all that is mounted in it, and restricted before
 * anyone sees it; a new root is mounted over the old one; the clones are put into it by their names;
 * the new root takes the place of the old one, which goes. Then the list of mounts has what can be
 * seen and nothing else: file systems of the kernel among it are covered.
 *
 * Whoever is of the view's user namespace only, and has no capabilities, can undo none of it.
 */
#include "kernel/sandbox_view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAP_TEXT_MAX 64
#define LIST_BYTES   4096

/* File systems that show or steer the kernel, or devices. */
static const char *const kernel_types[] = {"binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs",
	"debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd",
	"nsfs", "proc", "pstore", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs",
	"sysfs", "tracefs"};

/* What covers a mount: nothing, as a directory or as a file. */
struct cover {
	int directory;
	int file;
};

static void cover_close(const struct cover *cover)
{
	cleanup_close(&cover->directory);
	cleanup_close(&cover->file);
}

/* Namespaces */

static int write_text(const char *path, const char *text)
{
	CLEANUP(cleanup_close) int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

/* The user and the group as outside, and nobody else. */
static int map_ids(uid_t uid, gid_t gid)
{
	char text[MAP_TEXT_MAX];
	int error;

	/* Who has changed its user owns nothing in /proc, not even itself. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
		return -errno;
	error = write_text("/proc/self/setgroups", "deny");
	/* Before Linux 3.19 it was not there, nor needed. */
	if (error < 0 && error != -ENOENT)
		return error;
	(void)snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	error = write_text("/proc/self/uid_map", text);
	if (error < 0)
		return error;
	(void)snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	return write_text("/proc/self/gid_map", text);
}

int sandbox_view_unshare(enum sandbox_view view, bool has_network,
	const struct sandbox_problem *problem)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int error = 0;

	if (view == SANDBOX_USER)
		flags |= CLONE_NEWUSER;
	if (!has_network)
		flags |= CLONE_NEWNET;
	if (unshare(flags) != 0)
		return sandbox_fail(problem, -errno, "namespaces");
	if (view == SANDBOX_USER)
		error = map_ids(uid, gid);
	return error < 0 ? sandbox_fail(problem, error, "the ids of a user namespace") : 0;
}

/* A new tmpfs, mounted nowhere. */
static int make_tmpfs(void)
{
	CLEANUP(cleanup_close) int files = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int mounted;

	if (files < 0 || fsconfig(files, FSCONFIG_SET_STRING, "mode", "0755", 0) != 0 ||
		fsconfig(files, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -errno;
	mounted = fsmount(files, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	return mounted >= 0 ? mounted : -errno;
}

/* Mount over the root, as the root does not notice. */
static int mount_over_root(int tree)
{
	return move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

static int try_all(enum sandbox_view view)
{
	char text[1];
	const struct sandbox_problem problem = {text, sizeof(text)};
	int error = sandbox_view_unshare(view, false, &problem);
	int tree;

	if (error < 0)
		return error;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -errno;
	tree = make_tmpfs();
	return tree < 0 ? tree : mount_over_root(tree);
}

int sandbox_view_try(enum sandbox_view view)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (child == 0)
		_exit(-try_all(view));
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* Mounts */

static int set_attributes(int tree, uint64_t attributes, bool is_recursive)
{
	struct mount_attr change = {.attr_set = attributes};
	unsigned flags = AT_EMPTY_PATH | (is_recursive ? AT_RECURSIVE : 0u);

	return mount_setattr(tree, "", flags, &change, sizeof(change)) == 0 ? 0 : -errno;
}

/* A clone of a lent directory and of all that is mounted there, mounted nowhere. */
static int clone_lent(const struct linux_lent *lent)
{
	CLEANUP(cleanup_close)
	int tree =
		open_tree(AT_FDCWD, lent->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	uint64_t attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
	int error;

	if (tree < 0)
		return -errno;
	if (lent->is_read_only)
		attributes |= MOUNT_ATTR_RDONLY;
	error = set_attributes(tree, attributes, true);
	return error < 0 ? error : take_fd(&tree);
}

/* Descriptors of all clones, in order; closed at the end. */
struct clones {
	int trees[LINUX_PATHS_MAX];
	size_t count;
};

static void clones_close(const struct clones *clones)
{
	for (size_t i = 0; i < clones->count; i++)
		(void)close(clones->trees[i]);
}

static int clone_all(const struct linux_policy *policy, struct clones *clones,
	const struct sandbox_problem *problem)
{
	for (size_t i = 0; i < policy->path_count; i++) {
		int tree = clone_lent(&policy->paths[i]);

		if (tree < 0)
			return sandbox_fail(problem, tree, policy->paths[i].path);
		clones->trees[clones->count++] = tree;
	}
	return 0;
}

/* Look up a path below @root, as it will be seen. */
static int find(int root, const char *path, uint64_t resolve)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | resolve};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd >= 0 ? (int)fd : -errno;
}

/* Make the directories of a path, which is absolute. */
static int make_directories(int root, const char *path)
{
	CLEANUP(cleanup_free) char *copy = strdup(path + 1);

	if (copy == NULL)
		return -ENOMEM;
	for (char *slash = strchr(copy, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdirat(root, copy, 0755) != 0 && errno != EEXIST)
			return -errno;
		if (slash == NULL)
			return 0;
		*slash = '/';
	}
}

/* Whether a directory lies in one that is lent too, and so is there already. */
static bool is_within_another(const struct linux_policy *policy, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		size_t length = strlen(policy->paths[i].path);

		if (length == 1 ||
			(strncmp(policy->paths[i].path, policy->paths[index].path, length) == 0 &&
				policy->paths[index].path[length] == '/'))
			return true;
	}
	return false;
}

static int attach(int tree, int place)
{
	return move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ==
			0
		? 0
		: -errno;
}

static int attach_lent(int root, const struct linux_policy *policy, size_t index, int tree)
{
	CLEANUP(cleanup_close) int place = -1;
	const char *path = policy->paths[index].path;
	int error = 0;

	if (!is_within_another(policy, index))
		error = make_directories(root, path);
	if (error < 0)
		return error;
	place = find(root, path, 0);
	return place < 0 ? place : attach(tree, place);
}

/* The new root becomes the only one. */
static int change_root(int root)
{
	if (fchdir(root) != 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 ? 0 : -errno;
	/* The first root of all, from which a system boots, cannot be left: it stays underneath, where
	 * nobody without capabilities comes. */
	if (errno != EINVAL || chroot(".") != 0)
		return -errno;
	return chdir("/") == 0 ? 0 : -errno;
}

/* Covers */

/* Made of a tmpfs that is mounted for a moment, since only what is mounted can be cloned. */
static int cover_open(struct cover *cover)
{
	CLEANUP(cleanup_close) int files = make_tmpfs();
	CLEANUP(cleanup_close) int file = -1;
	int error;

	if (files < 0)
		return files;
	file = openat(files, "file", O_CREAT | O_RDONLY | O_CLOEXEC, 0444);
	if (file < 0 || mkdirat(files, "directory", 0555) != 0)
		return -errno;
	error = set_attributes(files, MOUNT_ATTR_RDONLY, false);
	if (error == 0)
		error = mount_over_root(files);
	if (error < 0)
		return error;
	cover->directory = open_tree(files, "directory", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	cover->file = open_tree(files, "file", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (cover->directory < 0 || cover->file < 0 || umount2("/", MNT_DETACH) != 0)
		return -errno;
	return 0;
}

/* Attach a cover, and keep another for the next. */
static int use_cover(int *cover, int place)
{
	int next;
	int error = attach(*cover, place);

	if (error < 0)
		return error;
	next = open_tree(*cover, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (next < 0)
		return -errno;
	(void)close(*cover);
	*cover = next;
	return 0;
}

/* Cover what is mounted at @path, unless it cannot be reached: then something else covers it. */
static int cover_mount(struct cover *cover, int root, const char *path)
{
	CLEANUP(cleanup_close) int place = find(root, path, RESOLVE_NO_SYMLINKS);
	struct stat status;

	if (place == -ENOENT || place == -ENOTDIR || place == -ELOOP || place == -EACCES)
		return 0;
	if (place < 0)
		return place;
	if (fstat(place, &status) != 0)
		return -errno;
	return use_cover(S_ISDIR(status.st_mode) ? &cover->directory : &cover->file, place);
}

static bool is_of_kernel(const char *type)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kernel_types); i++) {
		if (strcmp(type, kernel_types[i]) == 0)
			return true;
	}
	return false;
}

/* Resolve the octal escapes of the list of mounts, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] != '\0' &&
			from[3] != '\0') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* A line of the list: "36 35 98:0 /root /mount/point options optional... - type source options". */
static int cover_line(struct cover *cover, int root, char *line)
{
	char *type = strstr(line, " - ");
	char *path = line;

	if (type == NULL)
		return -EIO;
	type += 3;
	type[strcspn(type, " ")] = '\0';
	if (!is_of_kernel(type))
		return 0;
	for (int field = 0; field < 4; field++) {
		path = strchr(path, ' ');
		if (path == NULL)
			return -EIO;
		path++;
	}
	path[strcspn(path, " ")] = '\0';
	unescape(path);
	return cover_mount(cover, root, path);
}

/* The list is read whole before anything is mounted, which would change it. */
static int read_mounts(int processes, char **ret_text)
{
	CLEANUP(cleanup_close) int file = openat(processes, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_free) char *text = NULL;
	size_t room = 0;
	size_t bytes = 0;
	ssize_t count;

	if (file < 0)
		return -errno;
	do {
		if (room - bytes < LIST_BYTES) {
			char *larger = realloc(text, room += 2 * (size_t)LIST_BYTES);

			if (larger == NULL)
				return -ENOMEM;
			text = larger;
		}
		count = read(file, text + bytes, room - bytes - 1);
		if (count < 0)
			return -errno;
		bytes += (size_t)count;
	} while (count > 0);
	text[bytes] = '\0';
	*ret_text = TAKE(text);
	return 0;
}

static int cover_all(struct cover *cover, int root, int processes)
{
	CLEANUP(cleanup_free) char *text = NULL;
	int error = read_mounts(processes, &text);
	char *next;

	if (error < 0)
		return error;
	for (char *line = text; error == 0 && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next == NULL)
			return -EIO;
		*next++ = '\0';
		error = cover_line(cover, root, line);
	}
	return error;
}

int sandbox_view_enter(const struct linux_policy *policy, const struct sandbox_problem *problem)
{
	CLEANUP(cover_close) struct cover cover = {-1, -1};
	CLEANUP(clones_close) struct clones clones = {.count = 0};
	CLEANUP(cleanup_close) int processes = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_close) int root = -1;
	bool has_root = policy->path_count > 0 && strcmp(policy->paths[0].path, "/") == 0;
	int error;

	if (processes < 0)
		return sandbox_fail(problem, -errno, "/proc");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return sandbox_fail(problem, -errno, "mounts of one's own");
	error = cover_open(&cover);
	if (error < 0)
		return sandbox_fail(problem, error, "an empty directory");
	error = clone_all(policy, &clones, problem);
	if (error < 0)
		return error;
	root = has_root ? fcntl(clones.trees[0], F_DUPFD_CLOEXEC, 0) : make_tmpfs();
	error = root < 0 ? root : mount_over_root(root);
	if (error < 0)
		return sandbox_fail(problem, error, "a new root");
	for (size_t i = has_root ? 1 : 0; i < policy->path_count; i++) {
		error = attach_lent(root, policy, i, clones.trees[i]);
		if (error < 0)
			return sandbox_fail(problem, error, policy->paths[i].path);
	}
	error = change_root(root);
	if (error < 0)
		return sandbox_fail(problem, error, "the change to the new root");
	error = cover_all(&cover, root, processes);
	if (error == 0 && !has_root)
		error = set_attributes(root, MOUNT_ATTR_RDONLY, false);
	return error < 0 ? sandbox_fail(problem, error, "the covers of procfs and its kin") : 0;
}
