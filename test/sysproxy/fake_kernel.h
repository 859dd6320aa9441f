/*
 * A kernel for tests. One big lock guards all of it: taken by schedule(), given up by unschedule() and
 * while a call waits for its client. It checks what a kernel is promised (operations within
 * schedule(), one thread at a time for an lwp, lwps before processes at the end) and counts what lives.
 */
#ifndef FERRY_TEST_SYSPROXY_FAKE_KERNEL_H
#define FERRY_TEST_SYSPROXY_FAKE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ferry/kernel.h"

/* Its calls and their arguments; all others fail with ENOSYS. */
enum fake_call {
	FAKE_NULL,       /* a, b: gives both back */
	FAKE_GETPID,     /* gives the ids of the process and of its parent */
	FAKE_COPYIN,     /* address, bytes: gives the sum of the bytes */
	FAKE_COPYINSTR,  /* address, most bytes: gives the bytes with NUL; kernel->text */
	FAKE_COPYOUT,    /* address, bytes, seed: byte i is (uint8_t)(seed + i) */
	FAKE_COPYOUTSTR, /* address, room: kernel->text */
	FAKE_LOOK,       /* as COPYIN by ferry_copyin_look(), ENOENT if that gives nothing */
	FAKE_PLACE,      /* as COPYOUT by ferry_copyout_place(); then trimmed by the 4th argument */
	FAKE_MMAP,       /* bytes, seed: maps, copies out as COPYOUT; gives the address */
	FAKE_RAISE,      /* signal */
	FAKE_BLOCK,      /* channel: until it is woken, or EINTR */
	FAKE_WAKE,       /* channel: gives how many were woken */
	FAKE_STUBBORN,   /* n: ends with EINTR when it was cancelled n times */
	FAKE_SUM,        /* all 16 arguments: gives their sum and how many came */
	FAKE_ECHO_BACK,  /* address, bytes: COPYOUT of seed 1, then as COPYIN */
	FAKE_LIST,       /* address, n: COPYOUT of n single bytes, every second one */
	FAKE_EXTENDED,   /* gives is_extended */
	FAKE_CENSUS,     /* gives how many processes and lwps there are */
	FAKE_BLOCKED,    /* gives how many lwps are blocked */
	FAKE_PUT,        /* pipe, value: waits until there is room for it, or EINTR */
	FAKE_TAKE,       /* pipe: waits until there is a value, gives it, or EINTR */
	FAKE_RAISE_FOR,  /* id of a process, signal */
	FAKE_TALLY,      /* index: counts it */
};

#define FAKE_PIPES 8 /* of one value each */

#define FAKE_TEXT_MAX 4096

struct fake_kernel;

/* What has been asked of it so far. */
struct fake_counts {
	unsigned processes_new, processes_forked, processes_exec, processes_exited;
	unsigned lwps_new, lwps_released, calls, cancels, blocks;
};

struct fake_kernel *fake_kernel_new(void);

/** Fails unless every process and lwp has ended. */
void fake_kernel_free(struct fake_kernel *kernel);

/** To be given to a server. */
struct ferry_kernel fake_kernel_face(struct fake_kernel *kernel);

/* Orders, each for what comes next */

/** process_new and process_fork fail with @error (0: they succeed). */
void fake_kernel_refuse(struct fake_kernel *kernel, int error);

/** process_new and process_fork wait until this is called with false. */
void fake_kernel_hold(struct fake_kernel *kernel, bool is_holding);

/** End the calls of FAKE_STUBBORN that are in progress. */
void fake_kernel_release(struct fake_kernel *kernel);

/** FAKE_TALLY counts in @tally, which has @count places; it may be memory that outlives the kernel. */
void fake_kernel_tally(struct fake_kernel *kernel, uint8_t *tally, uint64_t count);

/* Conditions, each waited for; the test fails when it has not come true after a long time */

void fake_kernel_await_blocked(struct fake_kernel *kernel, unsigned count);
void fake_kernel_await_processes(struct fake_kernel *kernel, unsigned count);
void fake_kernel_await_lwps(struct fake_kernel *kernel, unsigned count);

/** Wait until process_new or process_fork waits in fake_kernel_hold(). */
void fake_kernel_await_held(struct fake_kernel *kernel);

struct fake_counts fake_kernel_counts(struct fake_kernel *kernel);

/** The string that came last by FAKE_COPYINSTR, or the name of the process that came or was exec'ed
 *  last. */
void fake_kernel_text(struct fake_kernel *kernel, char ret_text[FAKE_TEXT_MAX]);

/** Raise @signal for the process with id @id, from this thread. */
void fake_kernel_raise(struct fake_kernel *kernel, uint64_t id, int signal);

#endif
