/*
 * Who may connect, by the kernel's word. The other end of each connection is this program itself; as
 * root it can be another user than the one it was when it connected.
 */
#include "sysproxy/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define STRANGER 65534u

static void test_peer_may_connect_when_it_is_the_same_user(void **state)
{
	const char *why;
	uid_t user;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(peer_check(fds[0], NULL, 0, &user, &why), 0);
	assert_int_equal(user, geteuid());
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

static void test_peer_may_connect_when_its_user_is_listed(void **state)
{
	uid_t me = geteuid();
	const uid_t users[] = {7, me};
	const char *why;
	uid_t user;
	int fds[2], before, listed, others;

	(void)state;
	if (me != 0)
		skip(); /* nobody else can be another user */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(seteuid(STRANGER), 0);
	before = peer_check(fds[0], NULL, 0, &user, &why);
	listed = peer_check(fds[0], users, 2, &user, &why);
	others = peer_check(fds[0], users, 1, &user, &why);
	assert_int_equal(seteuid(me), 0);
	assert_int_equal(before, -EACCES);
	assert_int_equal(listed, 0);
	assert_int_equal(others, -EACCES);
	assert_int_equal(user, me);
	assert_string_equal(why, "its user may not connect");
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

/* Connect to a listener at @address. @return the accepted end; *ret_fd is the other. */
static int connect_over(struct sockaddr *address, socklen_t bytes, int *ret_fd)
{
	CLEANUP(cleanup_close) int listener = socket(address->sa_family, SOCK_STREAM, 0);

	*ret_fd = socket(address->sa_family, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, address, bytes), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, address, &bytes), 0);
	assert_int_equal(connect(*ret_fd, address, bytes), 0);
	return accept(listener, NULL, NULL);
}

static void test_peer_may_connect_when_it_comes_from_loopback(void **state)
{
	struct sockaddr_in inet = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_in6 inet6 = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	const char *why;
	uid_t user;
	int fd, other;

	(void)state;
	fd = connect_over((struct sockaddr *)&inet, sizeof(inet), &other);
	assert_int_equal(peer_check(fd, NULL, 0, &user, &why), 0);
	assert_true(user == (uid_t)-1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(other), 0);
	fd = connect_over((struct sockaddr *)&inet6, sizeof(inet6), &other);
	assert_int_equal(peer_check(fd, NULL, 0, &user, &why), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(other), 0);
}

static void test_peer_may_not_connect_when_nobody_knows_it(void **state)
{
	const char *why;
	uid_t user;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	/* Connected to nobody. */
	assert_int_equal(peer_check(fd, NULL, 0, &user, &why), -EACCES);
	assert_string_equal(why, "it has gone already");
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer_may_connect_when_it_is_the_same_user),
		cmocka_unit_test(test_peer_may_connect_when_its_user_is_listed),
		cmocka_unit_test(test_peer_may_connect_when_it_comes_from_loopback),
		cmocka_unit_test(test_peer_may_not_connect_when_nobody_knows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
