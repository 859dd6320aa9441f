/*
 * The limit is asked for each time: whoever calls this does so seldom.
 */
#include "kernel/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

int kernel_window(void)
{
	struct rlimit limit;
	unsigned long most;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
		limit.rlim_cur = INT_MAX;
	most = (unsigned long)limit.rlim_cur;
	if (most < 2ul * KERNEL_WINDOW_DESCRIPTORS)
		return (int)(most / 2);
	return (int)(most - KERNEL_WINDOW_DESCRIPTORS);
}

int kernel_window_take(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, kernel_window());
	int error = moved < 0 ? -errno : 0;

	(void)close(fd);
	return error == 0 ? moved : error;
}
