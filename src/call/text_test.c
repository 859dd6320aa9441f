/*
 * Calls as text.
 */
#include "call/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/call/edge.h"

#define AT(object) (uintptr_t)(object)

struct row {
	uint32_t number;
	uint64_t arguments[CALL_ARGUMENTS_MAX];
	int64_t value;
	const char *expected;
};

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char line[CALL_TEXT_MAX];
		size_t bytes = call_print(rows[i].number, rows[i].arguments, rows[i].value, line,
			sizeof(line));

		assert_string_equal(line, rows[i].expected);
		assert_int_equal(bytes, strlen(line));
	}
}

static void test_numbers_are_named_when_they_have_names(void **state)
{
	const struct row rows[] = {
		{SYS_getpid, {1, 2, 3}, 42, "getpid() = 42"},
		{SYS_close, {UINT32_MAX}, -EBADF, "close(-1) = -1 EBADF (Bad file descriptor)"},
		{SYS_socket, {AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 6}, 3,
			"socket(AF_INET6, SOCK_STREAM|SOCK_CLOEXEC, 6) = 3"},
		{SYS_lseek, {3, (uint64_t)-7, SEEK_END}, 5, "lseek(3, -7, SEEK_END) = 5"},
		{SYS_umask, {022}, 077, "umask(022) = 077"},
		{SYS_shutdown, {3, SHUT_WR}, 0, "shutdown(3, SHUT_WR) = 0"},
		{SYS_fcntl, {3, F_SETFL, O_NONBLOCK}, 0,
			"fcntl(3, F_SETFL, O_RDONLY|O_NONBLOCK) = 0"},
		{SYS_fcntl, {3, F_SETFD, FD_CLOEXEC}, 0, "fcntl(3, F_SETFD, FD_CLOEXEC) = 0"},
		{SYS_fcntl, {3, F_GETFL, 0}, O_RDWR, "fcntl(3, F_GETFL, 0) = 0x2 (flags O_RDWR)"},
		{SYS_fcntl, {3, F_SETOWN, 5}, -EINVAL,
			"fcntl(3, 0x8, 0x5) = -1 EINVAL (Invalid argument)"},
		{SYS_ioctl, {3, FIOCLEX, 0}, 0, "ioctl(3, FIOCLEX, 0) = 0"},
		{SYS_ioctl, {3, TIOCSTI, 16}, -ENOTTY,
			"ioctl(3, 0x5412, 0x10) = -1 ENOTTY (Inappropriate ioctl for device)"},
		{SYS_fallocate, {3, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096}, 0,
			"fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 4096) = 0"},
		{SYS_getuid, {0}, -4095, "getuid() = -1 (errno 4095)"},
		{SYS_getuid, {0}, -4096, "getuid() = -4096"},
		{SYS_mount, {1, 2, 3, 4, 5, 6}, -ENOSYS,
			"syscall_165(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)"},
	};

	(void)state;
#if defined(__x86_64__)
	check(rows, ARRAY_LENGTH(rows));
#else
	check(rows, ARRAY_LENGTH(rows) - 1);
#endif
}

static void test_strings_are_quoted_and_cut(void **state)
{
	static char text[64];
	char room[] = "content, and more", link[] = "target";

	(void)state;
	memset(text, 'x', sizeof(text));

	const struct row rows[] = {
		{SYS_openat, {(uint32_t)AT_FDCWD, AT("/etc/hosts"), O_RDONLY}, 3,
			"openat(AT_FDCWD, \"/etc/hosts\", O_RDONLY, 0) = 3"},
		{SYS_openat, {5, AT("a\n"), O_CREAT | O_WRONLY, 0644}, -ENOENT,
			"openat(5, \"a\\n\", O_WRONLY|O_CREAT, 0644) = -1 ENOENT (No such file or directory)"},
		{SYS_openat, {5, 0, 0}, -EFAULT,
			"openat(5, NULL, O_RDONLY, 0) = -1 EFAULT (Bad address)"},
		{SYS_openat, {5, 8, 0}, -EFAULT,
			"openat(5, 0x8, O_RDONLY, 0) = -1 EFAULT (Bad address)"},
		{SYS_read, {3, AT(room), 100}, 7, "read(3, \"content\", 100) = 7"},
		{SYS_read, {3, AT(room), 100}, 0, "read(3, \"\", 100) = 0"},
		{SYS_read, {3, 0x10, 100}, -EINTR,
			"read(3, 0x10, 100) = -1 EINTR (Interrupted system call)"},
		{SYS_write, {1, AT(text), 32}, 32,
			"write(1, \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", 32) = 32"},
		{SYS_write, {1, AT(text), 33}, 33,
			"write(1, \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"..., 33) = 33"},
		{SYS_readlinkat, {4, AT("l"), AT(link), 100}, 6,
			"readlinkat(4, \"l\", \"target\", 100) = 6"},
		/* Its value counts the NUL. */
		{SYS_getcwd, {AT(link), 100}, 7, "getcwd(\"target\", 100) = 7"},
		{SYS_fgetxattr, {4, AT("user.a"), 0, 0}, 6,
			"fgetxattr(4, \"user.a\", NULL, 0) = 6"},
	};

	check(rows, ARRAY_LENGTH(rows));
}

static void test_addresses_are_shown_by_family(void **state)
{
	struct sockaddr_in inet = {.sin_family = AF_INET,
		.sin_port = htons(80),
		.sin_addr = {htonl(0x0a000001)}};
	struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(443),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un path = {AF_UNIX, "/run/x"}, abstract = {AF_UNIX, "\0abc"};
	uint32_t size = sizeof(inet);
	char buffer[] = "abc";

	const struct row rows[] = {
		{SYS_connect, {3, AT(&inet), 16}, -ECONNREFUSED,
			"connect(3, {sa_family=AF_INET, sin_port=htons(80), "
			"sin_addr=inet_addr(\"10.0.0.1\")}, 16) = -1 ECONNREFUSED (Connection refused)"},
		{SYS_bind, {3, AT(&inet6), 28}, 0,
			"bind(3, {sa_family=AF_INET6, sin6_port=htons(443), "
			"sin6_addr=inet_pton(\"::1\"), sin6_scope_id=0}, 28) = 0"},
		{SYS_bind, {3, AT(&path), sizeof(path)}, 0,
			"bind(3, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 110) = 0"},
		{SYS_bind, {3, AT(&abstract), 6}, 0,
			"bind(3, {sa_family=AF_UNIX, sun_path=@\"abc\"}, 6) = 0"},
		{SYS_bind, {3, AT(&path), 2}, 0, "bind(3, {sa_family=AF_UNIX}, 2) = 0"},
		{SYS_bind, {3, AT(&inet), 15}, -EINVAL,
			"bind(3, {sa_family=AF_INET}, 15) = -1 EINVAL (Invalid argument)"},
		{SYS_accept4, {3, AT(&inet), AT(&size), SOCK_CLOEXEC}, 4,
			"accept4(3, {sa_family=AF_INET, sin_port=htons(80), "
			"sin_addr=inet_addr(\"10.0.0.1\")}, [16], SOCK_CLOEXEC) = 4"},
		{SYS_accept, {3, 0, 0}, 4, "accept(3, NULL, NULL) = 4"},
		{SYS_sendto, {3, AT(buffer), 3, MSG_NOSIGNAL, 0, 0}, 3,
			"sendto(3, \"abc\", 3, MSG_NOSIGNAL, NULL, 0) = 3"},
		{SYS_recvfrom, {3, AT(buffer), 3, MSG_PEEK, AT(&inet), AT(&size)}, 2,
			"recvfrom(3, \"ab\", 3, MSG_PEEK, {sa_family=AF_INET, sin_port=htons(80), "
			"sin_addr=inet_addr(\"10.0.0.1\")}, [16]) = 2"},
	};

	(void)state;
	check(rows, ARRAY_LENGTH(rows));
}

static void test_structures_are_shown_when_they_matter(void **state)
{
	struct stat file = {.st_mode = S_IFREG | 0644, .st_size = 5};
	struct statx filex = {.stx_mask = STATX_SIZE, .stx_mode = S_IFDIR | 0700, .stx_size = 6};
	struct timespec time = {1, 5}, times[2] = {{1, 2}, {3, 4}};
	struct itimerspec timer = {{1, 0}, {2, 0}};
	struct pollfd polled[] = {{3, POLLIN, POLLIN | POLLHUP}, {-1, 0, 0}};
	struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 0xabc}};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 2};
	struct utsname name = {.sysname = "Linux", .nodename = "here"};
	int64_t offset = 77;
	int fds[] = {3, 4}, one = 1;
	uint32_t four = 4;
	fd_set set;

	(void)state;
	FD_ZERO(&set);
	FD_SET(3, &set);
	FD_SET(63, &set);

	const struct row rows[] = {
		{SYS_fstat, {3, AT(&file)}, 0,
			"fstat(3, {st_mode=S_IFREG|0644, st_size=5, ...}) = 0"},
		{SYS_fstat, {3, AT(&file)}, -EBADF, NULL},
		{SYS_statx, {3, AT(""), AT_EMPTY_PATH, STATX_SIZE, AT(&filex)}, 0,
			"statx(3, \"\", AT_EMPTY_PATH, STATX_SIZE, {stx_mask=STATX_SIZE, "
			"stx_mode=S_IFDIR|0700, stx_size=6, ...}) = 0"},
		{SYS_ppoll, {AT(polled), 2, AT(&time), 0, 8}, 1,
			"ppoll([{fd=3, events=POLLIN, revents=POLLIN|POLLHUP}, "
			"{fd=-1, events=0, revents=0}], 2, {tv_sec=1, tv_nsec=5}, NULL, 8) = 1"},
		{SYS_pselect6, {64, AT(&set), 0, 0, 0, 0}, 2,
			"pselect6(64, [3 63], NULL, NULL, NULL, NULL) = 2"},
		{SYS_utimensat, {3, AT("f"), AT(times), 0}, 0,
			"utimensat(3, \"f\", [{tv_sec=1, tv_nsec=2}, {tv_sec=3, tv_nsec=4}], 0) = 0"},
		{SYS_timerfd_gettime, {3, AT(&timer)}, 0,
			"timerfd_gettime(3, {it_interval={tv_sec=1, tv_nsec=0}, "
			"it_value={tv_sec=2, tv_nsec=0}}) = 0"},
		{SYS_epoll_ctl, {3, EPOLL_CTL_ADD, 4, AT(&event)}, 0,
			"epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data=0xabc}) = 0"},
		{SYS_epoll_pwait, {3, AT(&event), 5, (uint64_t)-1, 0, 8}, 1,
			"epoll_pwait(3, [{events=EPOLLIN|EPOLLET, data=0xabc}], 5, -1, NULL, 8) = 1"},
		{SYS_fcntl, {3, F_SETLK, AT(&lock)}, 0,
			"fcntl(3, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=1, l_len=2}) = 0"},
		{SYS_uname, {AT(&name)}, 0,
			"uname({sysname=\"Linux\", nodename=\"here\", ...}) = 0"},
		{SYS_pipe2, {AT(fds), O_CLOEXEC}, 0, "pipe2([3, 4], O_CLOEXEC) = 0"},
		{SYS_sendfile, {4, 3, AT(&offset), 9}, 9, "sendfile(4, 3, [77], 9) = 9"},
		{SYS_ioctl, {3, FIONREAD, AT(&one)}, 0, "ioctl(3, FIONREAD, [1]) = 0"},
		{SYS_setsockopt, {3, IPPROTO_TCP, TCP_NODELAY, AT(&one), 4}, 0,
			"setsockopt(3, IPPROTO_TCP, TCP_NODELAY, [1], 4) = 0"},
		{SYS_getsockopt, {3, SOL_SOCKET, SO_ERROR, AT(&one), AT(&four)}, 0,
			"getsockopt(3, SOL_SOCKET, SO_ERROR, [1], [4]) = 0"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char expected[128];
		struct row row = rows[i];

		/* What a failed call has not written is an address. */
		(void)snprintf(expected, sizeof(expected),
			"fstat(3, %p) = -1 EBADF (Bad file descriptor)", (void *)&file);
		if (row.expected == NULL)
			row.expected = expected;
		check(&row, 1);
	}
}

static void test_vectors_and_messages_are_shown_with_their_bytes(void **state)
{
	char bytes[] = "0123456789";
	struct iovec iov[] = {{bytes, 4}, {bytes + 4, 6}};
	struct msghdr header = {.msg_iov = iov, .msg_iovlen = 2, .msg_flags = MSG_TRUNC};
	struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = iov, .msg_iovlen = 1}, .msg_len = 3},
		{.msg_len = 0}};
	const struct row rows[] = {
		{SYS_writev, {1, AT(iov), 2}, 10,
			"writev(1, [{iov_base=\"0123\", iov_len=4}, {iov_base=\"456789\", iov_len=6}], "
			"2) = 10"},
		{SYS_readv, {1, AT(iov), 2}, 5,
			"readv(1, [{iov_base=\"0123\", iov_len=4}, {iov_base=\"4\", iov_len=6}], 2) = 5"},
		{SYS_recvmsg, {1, AT(&header), 0}, 5,
			"recvmsg(1, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"0123\", "
			"iov_len=4}, {iov_base=\"4\", iov_len=6}], msg_iovlen=2, msg_controllen=0, "
			"msg_flags=MSG_TRUNC}, 0) = 5"},
		{SYS_sendmmsg, {1, AT(messages), 2, 0}, 1,
			"sendmmsg(1, [{msg_hdr={msg_name=NULL, msg_namelen=0, "
			"msg_iov=[{iov_base=\"0123\", iov_len=4}], msg_iovlen=1, msg_controllen=0, "
			"msg_flags=0}, msg_len=3}], 2, 0) = 1"},
	};

	(void)state;
	check(rows, ARRAY_LENGTH(rows));
}

/* Whatever the arguments are: no crash, and a line that ends within its room. */
static void test_print_is_bounded_when_the_arguments_are_anything(void **state)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);
	struct edge edge;

	(void)state;
	edge_init(&edge);
	memset(edge.page, 0xff, edge.page_bytes);

	const uint64_t values[] = {0, 1, 64, UINT64_MAX, AT(edge.page), AT(edge.end) - 1,
		AT(edge.end) - 64};

	for (size_t i = 0; i < count * ARRAY_LENGTH(values) * ARRAY_LENGTH(values); i++) {
		uint64_t arguments[CALL_ARGUMENTS_MAX];
		size_t pair = i / count, room = i % 3 == 0 ? 20 : CALL_TEXT_MAX;
		char line[CALL_TEXT_MAX];

		for (unsigned j = 0; j < CALL_ARGUMENTS_MAX; j++)
			arguments[j] = values[(j % 2 == 0 ? pair / ARRAY_LENGTH(values) : pair) %
				ARRAY_LENGTH(values)];
		assert_true(call_print(rows[i % count].number, arguments,
				    (int64_t)(i % 5) * 1000 - 1, line, room) < room);
		assert_non_null(memchr(line, '\0', room));
	}
	edge_deinit(&edge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_named_when_they_have_names),
		cmocka_unit_test(test_strings_are_quoted_and_cut),
		cmocka_unit_test(test_addresses_are_shown_by_family),
		cmocka_unit_test(test_structures_are_shown_when_they_matter),
		cmocka_unit_test(test_vectors_and_messages_are_shown_with_their_bytes),
		cmocka_unit_test(test_print_is_bounded_when_the_arguments_are_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
