/*
 * Which arguments are paths says the call table; whether a link at the end is followed, whether something
 * is made, and what is changed, is here.
 *
 * A name that is given to Linux instead of what it names is one that Linux does not follow: that is so of
 * all calls that make, remove or rename; open() is told so.
 */
#include "kernel/linux_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
	CHANGES = 1 << 0,      /* what the path names */
	HAS_FLAGS = 1 << 1,    /* AT_ flags, in argument `flags` */
	OPENS = 1 << 2,        /* with O_ flags, in argument `flags` */
	ASKS = 1 << 3,         /* with a mode of access(), in argument `flags` */
	CHANGES_FD = 1 << 4,   /* of a descriptor */
	IS_NOT_THERE = 1 << 5, /* the call cannot be made without a view */
};

static const struct path_rule {
	uint32_t number;
	uint8_t traits;
	uint8_t flags; /* index of an argument */
} rules[] = {
#ifdef SYS_access
	{SYS_access, ASKS, 1},
#endif
#ifdef SYS_chmod
	{SYS_chmod, CHANGES, 0},
#endif
#ifdef SYS_chown
	{SYS_chown, CHANGES, 0},
#endif
#ifdef SYS_creat
	{SYS_creat, OPENS, 0},
#endif
	{SYS_faccessat, ASKS, 2},
#ifdef SYS_faccessat2
	{SYS_faccessat2, ASKS | HAS_FLAGS, 3},
#endif
	{SYS_fchmod, CHANGES_FD, 0},
	{SYS_fchmodat, CHANGES, 0},
#ifdef SYS_fchmodat2
	{SYS_fchmodat2, CHANGES | HAS_FLAGS, 3},
#endif
	{SYS_fchown, CHANGES_FD, 0},
	{SYS_fchownat, CHANGES | HAS_FLAGS, 4},
	{SYS_fremovexattr, CHANGES_FD, 0},
	{SYS_fsetxattr, CHANGES_FD, 0},
#ifdef SYS_futimesat
	{SYS_futimesat, CHANGES, 0},
#endif
#ifdef SYS_lchown
	{SYS_lchown, CHANGES, 0},
#endif
#ifdef SYS_link
	{SYS_link, CHANGES, 0},
#endif
	{SYS_linkat, CHANGES | HAS_FLAGS, 4},
	{SYS_lremovexattr, CHANGES, 0},
	{SYS_lsetxattr, CHANGES, 0},
#ifdef SYS_mkdir
	{SYS_mkdir, CHANGES, 0},
#endif
	{SYS_mkdirat, CHANGES, 0},
#ifdef SYS_mknod
	{SYS_mknod, CHANGES, 0},
#endif
	{SYS_mknodat, CHANGES, 0},
#ifdef SYS_newfstatat
	{SYS_newfstatat, HAS_FLAGS, 3},
#endif
#ifdef SYS_open
	{SYS_open, OPENS, 1},
#endif
	{SYS_openat, OPENS, 2},
#ifdef SYS_openat2
	{SYS_openat2, IS_NOT_THERE, 0},
#endif
	{SYS_removexattr, CHANGES, 0},
#ifdef SYS_rename
	{SYS_rename, CHANGES, 0},
#endif
#ifdef SYS_renameat
	{SYS_renameat, CHANGES, 0},
#endif
	{SYS_renameat2, CHANGES, 0},
#ifdef SYS_rmdir
	{SYS_rmdir, CHANGES, 0},
#endif
	{SYS_setxattr, CHANGES, 0},
	{SYS_statx, HAS_FLAGS, 2},
#ifdef SYS_symlink
	{SYS_symlink, CHANGES, 0},
#endif
	{SYS_symlinkat, CHANGES, 0},
	{SYS_truncate, CHANGES, 0},
#ifdef SYS_unlink
	{SYS_unlink, CHANGES, 0},
#endif
	{SYS_unlinkat, CHANGES, 0},
#ifdef SYS_utime
	{SYS_utime, CHANGES, 0},
#endif
	{SYS_utimensat, CHANGES | HAS_FLAGS, 3},
#ifdef SYS_utimes
	{SYS_utimes, CHANGES, 0},
#endif
};

static const struct path_rule *find_rule(uint32_t number)
{
	static const struct path_rule none;

	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
		if (rules[i].number == number)
			return &rules[i];
	}
	return &none;
}

static const char *path_of(const struct linux_call *call, unsigned index)
{
	return (const char *)(uintptr_t)call->local[index];
}

static int directory_of(const struct linux_call *call, unsigned index)
{
	if (index > 0 && call->row->arguments[index - 1].class == CALL_DIRFD)
		return (int)call->local[index - 1];
	return AT_FDCWD;
}

/* AT_ flags of a call, 0 if it has none. */
static int at_flags(const struct linux_call *call, const struct path_rule *rule)
{
	return (rule->traits & HAS_FLAGS) != 0 ? (int)call->local[rule->flags] : 0;
}

static bool is_followed(const struct linux_call *call, const struct path_rule *rule, unsigned index)
{
	int flags = at_flags(call, rule);

	if (call->row->number == SYS_linkat)
		return index == 1 && (flags & AT_SYMLINK_FOLLOW) != 0;
	return (call->row->arguments[index].flags & CALL_IS_FOLLOWED) != 0 &&
		(flags & AT_SYMLINK_NOFOLLOW) == 0;
}

/* Take a path into the call's, to be ended with it. */
static int look_up(struct linux_call *call, unsigned index, enum linux_path_kind kind,
	struct linux_paths *paths)
{
	struct linux_path *path = &paths->paths[paths->count];
	int error = linux_path_open(call->kernel->options.root, directory_of(call, index),
		path_of(call, index), kind, path);

	if (error < 0)
		return error;
	paths->count++;
	call->local[index] = (uint64_t)(uintptr_t)path->text;
	return 0;
}

/* creat() is an open() with flags, which it needs when the file is missing. */
static void open_by_flags(struct linux_call *call)
{
#if defined(SYS_creat) && defined(SYS_open)
	if (call->row->number != SYS_creat)
		return;
	call->row = call_find(SYS_open);
	call->local[2] = call->local[1];
	call->local[1] = O_CREAT | O_WRONLY | O_TRUNC;
#else
	(void)call;
#endif
}

static int open_path(struct linux_call *call, unsigned index, struct linux_paths *paths)
{
	enum linux_path_kind kind = LINUX_PATH_OBJECT;
	uint64_t *flags;
	bool is_changed;
	int error;

	open_by_flags(call);
	flags = &call->local[find_rule(call->row->number)->flags];
	if ((*flags & O_NOFOLLOW) != 0 || (*flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		kind = LINUX_PATH_NAME;
	else if ((*flags & O_CREAT) != 0)
		kind = LINUX_PATH_MAKE;
	error = look_up(call, index, kind, paths);
	if (error < 0)
		return error;
	is_changed = (*flags & O_ACCMODE) != O_RDONLY || (*flags & O_TRUNC) != 0 ||
		(*flags & O_TMPFILE) == O_TMPFILE ||
		((*flags & O_CREAT) != 0 && paths->paths[0].is_missing);
	if (paths->paths[0].is_read_only && is_changed && (*flags & O_PATH) == 0)
		return -EROFS;
	/* It was missing, or must be no link: should one come now, it leads nowhere. */
	if (kind == LINUX_PATH_NAME || paths->paths[0].is_missing)
		*flags |= O_NOFOLLOW;
	return 0;
}

/* A call on the descriptor in the place of a directory, by an empty path or none. */
static int check_descriptor(const struct linux_call *call, const struct path_rule *rule,
	unsigned index)
{
	if (call->row->number == SYS_linkat)
		return -ENOENT;
	if ((rule->traits & CHANGES) != 0 &&
		linux_path_is_read_only(call->kernel->options.root, directory_of(call, index)))
		return -EROFS;
	return 0;
}

static int prepare_path(struct linux_call *call, const struct path_rule *rule, unsigned index,
	struct linux_paths *paths)
{
	const char *path = path_of(call, index);
	int error;

	if (path == LINUX_NOWHERE)
		return 0; /* Linux says so */
	if (path == NULL || (path[0] == '\0' && (at_flags(call, rule) & AT_EMPTY_PATH) != 0))
		return check_descriptor(call, rule, index);
	if ((rule->traits & OPENS) != 0)
		return open_path(call, index, paths);
	error = look_up(call, index,
		is_followed(call, rule, index) ? LINUX_PATH_OBJECT : LINUX_PATH_NAME, paths);
	if (error < 0)
		return error;
	return (rule->traits & CHANGES) != 0 && paths->paths[paths->count - 1].is_read_only ? -EROFS
											    : 0;
}

/* Whether something can be written where nothing can be. */
static int check_asked(const struct linux_call *call, const struct path_rule *rule,
	const struct linux_paths *paths)
{
	unsigned index = (rule->traits & HAS_FLAGS) != 0 ? 2 : rule->flags;

	return paths->count > 0 && paths->paths[0].is_read_only && (call->local[index] & W_OK) != 0
		? -EROFS
		: 0;
}

/* The address of a socket of AF_UNIX that has a path, in argument @index. */
static int prepare_address(struct linux_call *call, unsigned index, enum linux_path_kind kind,
	struct linux_paths *paths)
{
	const struct sockaddr_un *given = (const struct sockaddr_un *)(uintptr_t)call->local[index];
	struct sockaddr_un *address = &paths->address;
	uint64_t bytes = call->local[index + 1];
	char path[sizeof(address->sun_path) + 1] = "";
	size_t length;
	int error;

	if (given == NULL || given == LINUX_NOWHERE || bytes > call->extents[index].bytes ||
		bytes <= offsetof(struct sockaddr_un, sun_path) || bytes > sizeof(*address) ||
		given->sun_family != AF_UNIX)
		return 0;
	memcpy(path, given->sun_path, bytes - offsetof(struct sockaddr_un, sun_path));
	error = linux_path_open(call->kernel->options.root, AT_FDCWD, path, kind, &paths->paths[0]);
	if (error < 0)
		return error;
	paths->count = 1;
	if (kind == LINUX_PATH_NAME && paths->paths[0].is_read_only)
		return -EROFS;
	length = strlen(paths->paths[0].text);
	if (length >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, paths->paths[0].text, length);
	call->local[index] = (uint64_t)(uintptr_t)address;
	call->local[index + 1] = offsetof(struct sockaddr_un, sun_path) + length + 1;
	return 0;
}

void linux_paths_init(struct linux_paths *paths)
{
	paths->count = 0;
}

int linux_paths_begin(struct linux_call *call, struct linux_paths *paths)
{
	const struct path_rule *rule = find_rule(call->row->number);
	int error = 0;

	if (call->kernel->options.root == NULL)
		return 0;
	if (call->row->number == SYS_bind)
		return prepare_address(call, 1, LINUX_PATH_NAME, paths);
	if (call->row->number == SYS_connect)
		return prepare_address(call, 1, LINUX_PATH_OBJECT, paths);
	if (call->row->number == SYS_sendto)
		return prepare_address(call, 4, LINUX_PATH_OBJECT, paths);
	if ((rule->traits & IS_NOT_THERE) != 0)
		return -ENOSYS;
	if ((rule->traits & CHANGES_FD) != 0)
		return linux_path_is_read_only(call->kernel->options.root, (int)call->local[0])
			? -EROFS
			: 0;
	for (unsigned i = 0; error == 0 && i < call->row->argument_count; i++) {
		if (call->row->arguments[i].class == CALL_PATH)
			error = prepare_path(call, rule, i, paths);
	}
	if (error == 0 && (rule->traits & ASKS) != 0)
		error = check_asked(call, rule, paths);
	/* As if each lent directory were a file system of its own. */
	if (error == 0 && paths->count == 2 && paths->paths[0].part != paths->paths[1].part)
		error = -EXDEV;
	return error;
}

void linux_paths_end(struct linux_paths *paths)
{
	while (paths->count > 0)
		linux_path_close(&paths->paths[--paths->count]);
}
