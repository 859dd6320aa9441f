/*
 * A mask of more bits than the value has makes a choice of them: O_RDONLY is "none of the bits of
 * O_ACCMODE".
 */
#include "call/names.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BIT(name_)                                           \
	{                                                    \
#name_, (uint32_t)(name_), (uint32_t)(name_) \
	}
#define VALUE(name_)                                  \
	{                                             \
#name_, (uint32_t)(name_), UINT32_MAX \
	}
#define CHOICE(name_, mask_)                                 \
	{                                                    \
#name_, (uint32_t)(name_), (uint32_t)(mask_) \
	}

/* What the kernel sees where the C library says 0. */
#if defined(__x86_64__)
#define KERNEL_LARGEFILE 0100000
#else
#define KERNEL_LARGEFILE 0400000
#endif

/* clang-format off */
static const struct call_name open_list[] = {
	CHOICE(O_RDONLY, O_ACCMODE), CHOICE(O_WRONLY, O_ACCMODE), CHOICE(O_RDWR, O_ACCMODE),
	BIT(O_TMPFILE), BIT(O_SYNC), BIT(O_CREAT), BIT(O_EXCL), BIT(O_NOCTTY), BIT(O_TRUNC),
	BIT(O_APPEND), BIT(O_NONBLOCK), BIT(O_DSYNC), BIT(O_ASYNC), BIT(O_DIRECT),
	BIT(O_DIRECTORY), BIT(O_NOFOLLOW), BIT(O_NOATIME), BIT(O_CLOEXEC), BIT(O_PATH),
	{"O_LARGEFILE", KERNEL_LARGEFILE, KERNEL_LARGEFILE},
};
static const struct call_name dup_list[] = {
	BIT(O_CLOEXEC),
};
static const struct call_name pipe_list[] = {
	BIT(O_CLOEXEC), BIT(O_DIRECT), BIT(O_NONBLOCK),
};
static const struct call_name at_list[] = {
	BIT(AT_SYMLINK_NOFOLLOW), BIT(AT_REMOVEDIR), BIT(AT_SYMLINK_FOLLOW),
	BIT(AT_NO_AUTOMOUNT), BIT(AT_EMPTY_PATH), BIT(AT_STATX_FORCE_SYNC),
	BIT(AT_STATX_DONT_SYNC),
};
static const struct call_name access_at_list[] = {
	BIT(AT_EACCESS), BIT(AT_SYMLINK_NOFOLLOW), BIT(AT_EMPTY_PATH),
};
static const struct call_name access_list[] = {
	VALUE(F_OK), BIT(R_OK), BIT(W_OK), BIT(X_OK),
};
static const struct call_name seek_list[] = {
	VALUE(SEEK_SET), VALUE(SEEK_CUR), VALUE(SEEK_END), VALUE(SEEK_DATA), VALUE(SEEK_HOLE),
};
static const struct call_name fallocate_list[] = {
	BIT(FALLOC_FL_KEEP_SIZE), BIT(FALLOC_FL_PUNCH_HOLE), BIT(FALLOC_FL_COLLAPSE_RANGE),
	BIT(FALLOC_FL_ZERO_RANGE), BIT(FALLOC_FL_INSERT_RANGE), BIT(FALLOC_FL_UNSHARE_RANGE),
};
static const struct call_name advice_list[] = {
	VALUE(POSIX_FADV_NORMAL), VALUE(POSIX_FADV_RANDOM), VALUE(POSIX_FADV_SEQUENTIAL),
	VALUE(POSIX_FADV_WILLNEED), VALUE(POSIX_FADV_DONTNEED), VALUE(POSIX_FADV_NOREUSE),
};
static const struct call_name sync_range_list[] = {
	BIT(SYNC_FILE_RANGE_WAIT_BEFORE), BIT(SYNC_FILE_RANGE_WRITE),
	BIT(SYNC_FILE_RANGE_WAIT_AFTER),
};
static const struct call_name flock_list[] = {
	CHOICE(LOCK_SH, LOCK_SH | LOCK_EX | LOCK_UN), CHOICE(LOCK_EX, LOCK_SH | LOCK_EX |
	LOCK_UN), CHOICE(LOCK_UN, LOCK_SH | LOCK_EX | LOCK_UN), BIT(LOCK_NB),
};
static const struct call_name lock_list[] = {
	VALUE(F_RDLCK), VALUE(F_WRLCK), VALUE(F_UNLCK),
};
static const struct call_name fcntl_flags_list[] = {
	BIT(FD_CLOEXEC),
};
static const struct call_name read_write_list[] = {
	BIT(RWF_HIPRI), BIT(RWF_DSYNC), BIT(RWF_SYNC), BIT(RWF_NOWAIT), BIT(RWF_APPEND),
};
static const struct call_name rename_list[] = {
	BIT(RENAME_NOREPLACE), BIT(RENAME_EXCHANGE), BIT(RENAME_WHITEOUT),
};
static const struct call_name resolve_list[] = {
	BIT(RESOLVE_NO_XDEV), BIT(RESOLVE_NO_MAGICLINKS), BIT(RESOLVE_NO_SYMLINKS),
	BIT(RESOLVE_BENEATH), BIT(RESOLVE_IN_ROOT), BIT(RESOLVE_CACHED),
};
static const struct call_name xattr_list[] = {
	BIT(XATTR_CREATE), BIT(XATTR_REPLACE),
};
static const struct call_name statx_list[] = {
	VALUE(STATX_ALL), BIT(STATX_BASIC_STATS), BIT(STATX_TYPE), BIT(STATX_MODE),
	BIT(STATX_NLINK), BIT(STATX_UID), BIT(STATX_GID), BIT(STATX_ATIME), BIT(STATX_MTIME),
	BIT(STATX_CTIME), BIT(STATX_INO), BIT(STATX_SIZE), BIT(STATX_BLOCKS), BIT(STATX_BTIME),
	BIT(STATX_MNT_ID),
};
static const struct call_name close_range_list[] = {
	BIT(CLOSE_RANGE_UNSHARE), BIT(CLOSE_RANGE_CLOEXEC),
};
static const struct call_name splice_list[] = {
	BIT(SPLICE_F_MOVE), BIT(SPLICE_F_NONBLOCK), BIT(SPLICE_F_MORE), BIT(SPLICE_F_GIFT),
};
static const struct call_name family_list[] = {
	VALUE(AF_UNSPEC), VALUE(AF_UNIX), VALUE(AF_INET), VALUE(AF_INET6), VALUE(AF_NETLINK),
	VALUE(AF_PACKET), VALUE(AF_VSOCK),
};
static const struct call_name socket_list[] = {
	CHOICE(SOCK_STREAM, 0xf), CHOICE(SOCK_DGRAM, 0xf), CHOICE(SOCK_RAW, 0xf),
	CHOICE(SOCK_SEQPACKET, 0xf), BIT(SOCK_CLOEXEC), BIT(SOCK_NONBLOCK),
};
static const struct call_name level_list[] = {
	VALUE(SOL_SOCKET), {"IPPROTO_IP", IPPROTO_IP, UINT32_MAX}, {"IPPROTO_TCP", IPPROTO_TCP,
	UINT32_MAX}, {"IPPROTO_UDP", IPPROTO_UDP, UINT32_MAX}, {"IPPROTO_IPV6", IPPROTO_IPV6,
	UINT32_MAX},
};
static const struct call_name message_list[] = {
	BIT(MSG_OOB), BIT(MSG_PEEK), BIT(MSG_DONTROUTE), BIT(MSG_CTRUNC), BIT(MSG_TRUNC),
	BIT(MSG_DONTWAIT), BIT(MSG_EOR), BIT(MSG_WAITALL), BIT(MSG_CONFIRM), BIT(MSG_ERRQUEUE),
	BIT(MSG_NOSIGNAL), BIT(MSG_MORE), BIT(MSG_WAITFORONE), BIT(MSG_FASTOPEN),
	BIT(MSG_CMSG_CLOEXEC),
};
static const struct call_name shutdown_list[] = {
	VALUE(SHUT_RD), VALUE(SHUT_WR), VALUE(SHUT_RDWR),
};
static const struct call_name poll_list[] = {
	BIT(POLLIN), BIT(POLLPRI), BIT(POLLOUT), BIT(POLLERR), BIT(POLLHUP), BIT(POLLNVAL),
	BIT(POLLRDNORM), BIT(POLLRDBAND), BIT(POLLWRNORM), BIT(POLLWRBAND), BIT(POLLRDHUP),
};
static const struct call_name epoll_control_list[] = {
	VALUE(EPOLL_CTL_ADD), VALUE(EPOLL_CTL_DEL), VALUE(EPOLL_CTL_MOD),
};
static const struct call_name epoll_create_list[] = {
	BIT(EPOLL_CLOEXEC),
};
static const struct call_name event_list[] = {
	BIT(EPOLLIN), BIT(EPOLLPRI), BIT(EPOLLOUT), BIT(EPOLLERR), BIT(EPOLLHUP),
	BIT(EPOLLRDNORM), BIT(EPOLLRDBAND), BIT(EPOLLWRNORM), BIT(EPOLLWRBAND), BIT(EPOLLRDHUP),
	BIT(EPOLLEXCLUSIVE), BIT(EPOLLWAKEUP), BIT(EPOLLONESHOT), BIT(EPOLLET),
};
static const struct call_name eventfd_list[] = {
	BIT(EFD_SEMAPHORE), BIT(EFD_CLOEXEC), BIT(EFD_NONBLOCK),
};
static const struct call_name clock_list[] = {
	VALUE(CLOCK_REALTIME), VALUE(CLOCK_MONOTONIC), VALUE(CLOCK_BOOTTIME),
	VALUE(CLOCK_REALTIME_ALARM), VALUE(CLOCK_BOOTTIME_ALARM),
};
static const struct call_name timer_create_list[] = {
	BIT(TFD_CLOEXEC), BIT(TFD_NONBLOCK),
};
static const struct call_name timer_list[] = {
	BIT(TFD_TIMER_ABSTIME), BIT(TFD_TIMER_CANCEL_ON_SET),
};
/* clang-format on */

#define NAMES(noun_) \
	const struct call_names call_names_##noun_ = {noun_##_list, ARRAY_LENGTH(noun_##_list)}

NAMES(access);
NAMES(access_at);
NAMES(advice);
NAMES(at);
NAMES(clock);
NAMES(close_range);
NAMES(dup);
NAMES(epoll_control);
NAMES(epoll_create);
NAMES(event);
NAMES(eventfd);
NAMES(fallocate);
NAMES(family);
NAMES(fcntl_flags);
NAMES(flock);
NAMES(level);
NAMES(lock);
NAMES(message);
NAMES(open);
NAMES(pipe);
NAMES(poll);
NAMES(read_write);
NAMES(rename);
NAMES(resolve);
NAMES(seek);
NAMES(shutdown);
NAMES(socket);
NAMES(splice);
NAMES(statx);
NAMES(sync_range);
NAMES(timer);
NAMES(timer_create);
NAMES(xattr);

bool call_names_find(const struct call_names *names, const char *name, uint32_t *ret_value)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->names[i].name, name) == 0) {
			*ret_value = names->names[i].value;
			return true;
		}
	}
	return false;
}
