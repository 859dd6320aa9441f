/*
 * Spinning is receiving without waiting, again and again, for at most the limit.
 */
#include "sysproxy/line.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"

/* While spinning, rounds between two looks at the clock, a power of two. */
#define LINE_CLOCK_ROUNDS 16u

#define LINE_PARTS_MAX 1024 /* of one sendmsg(): UIO_MAXIOV */

void line_init(struct line *line, int fd, uint64_t spin_limit_ns)
{
	line->fd = fd;
	spin_init(&line->spin, spin_limit_ns);
}

static void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Receive what there is, spinning for a while if that has paid lately.
 *  @return as recvmsg(); -1 with EAGAIN: nothing came while it was sensible to spin. */
static ssize_t line_spin(struct line *line, struct msghdr *message)
{
	struct clock *clock = clock_monotonic();
	uint64_t start_ns;

	if (!spin_is_wanted(&line->spin)) {
		errno = EAGAIN;
		return -1;
	}
	start_ns = clock->now_ns(clock);
	for (unsigned round = 0;; round++) {
		ssize_t got = recvmsg(line->fd, message, MSG_DONTWAIT);

		if (got >= 0 || errno != EAGAIN) {
			spin_found(&line->spin, round == 0);
			return got;
		}
		pause_processor();
		if (round % LINE_CLOCK_ROUNDS == LINE_CLOCK_ROUNDS - 1 &&
			clock->now_ns(clock) - start_ns >= line->spin.limit_ns)
			break;
	}
	spin_in_vain(&line->spin);
	errno = EAGAIN;
	return -1;
}

size_t line_wait(struct line *line, struct iovec *parts, unsigned count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	ssize_t got = line_spin(line, &message);

	while (got < 0 && (errno == EAGAIN || errno == EINTR))
		got = recvmsg(line->fd, &message, 0);
	return got > 0 ? (size_t)got : 0;
}

bool line_receive_all(struct line *line, uint8_t *to, size_t bytes)
{
	while (bytes > 0) {
		ssize_t got = recv(line->fd, to, bytes, MSG_WAITALL);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		bytes -= (size_t)got;
	}
	return true;
}

bool line_receive_past(struct line *line, uint64_t bytes)
{
	uint8_t waste[4096];

	while (bytes > 0) {
		size_t part = bytes < sizeof(waste) ? (size_t)bytes : sizeof(waste);

		if (!line_receive_all(line, waste, part))
			return false;
		bytes -= part;
	}
	return true;
}

/* Take @bytes bytes off the beginning of @parts. */
static void parts_advance(struct iovec **parts, unsigned *count, size_t bytes)
{
	while (*count > 0 && bytes >= (*parts)->iov_len) {
		bytes -= (*parts)->iov_len;
		(*parts)++;
		(*count)--;
	}
	if (*count > 0) {
		(*parts)->iov_base = (uint8_t *)(*parts)->iov_base + bytes;
		(*parts)->iov_len -= bytes;
	}
}

bool line_send(struct line *line, struct iovec *parts, unsigned count)
{
	parts_advance(&parts, &count, 0);
	while (count > 0) {
		const struct msghdr message = {
			.msg_iov = parts,
			.msg_iovlen = count < LINE_PARTS_MAX ? count : LINE_PARTS_MAX,
		};
		ssize_t sent = sendmsg(line->fd, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		parts_advance(&parts, &count, (size_t)sent);
	}
	return true;
}
