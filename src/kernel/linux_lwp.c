/*
 * Signals that a call causes for the thread that makes it wait blocked, and are taken from there: unlike
 * an error, which may have other causes, they say that there was one.
 */
#include "kernel/linux_lwp.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The C library's own come before SIGRTMIN. */
#define CANCEL_SIGNAL (SIGRTMIN + 3)

static void do_nothing(int signal)
{
	(void)signal;
}

int linux_lwp_prepare(void)
{
	struct sigaction action = {.sa_handler = do_nothing}; /* without SA_RESTART */

	return sigaction(CANCEL_SIGNAL, &action, NULL) == 0 ? 0 : -errno;
}

int linux_lwp_new(struct linux_kernel *kernel, struct ferry_process *process,
	struct ferry_lwp *handle, struct linux_lwp **ret_lwp)
{
	struct linux_lwp *lwp = calloc(1, sizeof(*lwp));
	sigset_t set;

	if (lwp == NULL)
		return -ENOMEM;
	lwp->kernel = kernel;
	lwp->process = process;
	lwp->thread = (pid_t)syscall(SYS_gettid);
	linux_memory_init(&lwp->memory, handle);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, CANCEL_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	*ret_lwp = lwp;
	return 0;
}

void linux_lwp_free(struct linux_lwp *lwp)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, CANCEL_SIGNAL);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	linux_memory_deinit(&lwp->memory);
	free(lwp);
}

void linux_lwp_cancel(struct linux_lwp *lwp)
{
	atomic_store_explicit(&lwp->is_cancelled, true, memory_order_relaxed);
	(void)syscall(SYS_tgkill, getpid(), lwp->thread, CANCEL_SIGNAL);
}

int linux_lwp_signal(void)
{
	static const struct timespec at_once = {0, 0};
	sigset_t set;
	int signal;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigaddset(&set, SIGXFSZ);
	do
		signal = sigtimedwait(&set, NULL, &at_once);
	while (signal < 0 && errno == EINTR);
	return signal > 0 ? signal : 0;
}
