/*
 * libferry: a kernel of one's own. A kernel is what answers system calls: a set of functions, given to
 * a sysproxy server (sysproxy.h), which brings them the calls of programs elsewhere.
 *
 * A *process* is a client process, an *lwp* a thread of it that is in a call or could be. Memory of a
 * client is reached by ferry_copyin() and its kin, within the call that is in progress only.
 *
 * Threads: operations come from many threads at once. Those of one lwp never overlap, except cancel().
 * call() has a thread to itself and may block as long as it likes; it holds up nobody but its lwp.
 * A kernel with one big lock takes it in schedule(), gives it up in unschedule(), and gives it up
 * while it waits for a client's memory in block() and unblock(): no client, slow or dead, can then
 * hold it.
 *
 * Errors are negative errno values, in the kernel's own numbers where a client sees them.
 */
#ifndef FERRY_KERNEL_H
#define FERRY_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The server's side of a client process and of an lwp; valid until process_exit() or lwp_release() of
 * it has returned. */
struct ferry_process;
struct ferry_lwp;

/* A call, valid while it is in progress. */
struct ferry_kernel_call {
	uint32_t number;         /* whatever the client said */
	uint32_t argument_count; /* slots that came */
	const uint64_t
		*arguments; /* one slot of 8 bytes for each; 16 can be read, the rest are 0 */
	int is_extended;    /* 1: from a client that speaks the extension and has this machine's
	                           * ABI; 0: from one of plain 0.4, whose numbers are NetBSD's */
};

/* What a kernel does. Those of processes come one after the other, for all processes: they wait for no
 * client. All are called with @kernel, the pointer given with them; what is NULL is left
 * out, except call, which must be there. Between schedule() and unschedule() are all but cancel(),
 * block() and unblock(). */
struct ferry_kernel_operations {
	size_t struct_bytes; /* sizeof(struct ferry_kernel_operations) */

	/* A program has connected. @name is its own, for messages. @ret_data: the kernel's pointer for
	 * the process, given back below. @return 0, or -errno: it is refused. */
	int (*process_new)(void *kernel, struct ferry_process *process, const char *name,
		void **ret_data);
	/* @parent is about to fork: @child begins as a copy of it (descriptors are copied, not
	 * shared). It runs when its program connects, and exits if none does in time.
	 * NULL: no program can fork. */
	int (*process_fork)(void *kernel, void *parent, struct ferry_process *child,
		void **ret_data);
	/* The process has become another program; all its lwps but none have gone. */
	void (*process_exec)(void *kernel, void *process, const char *name);
	/* The process has ended; none of its lwps is left. */
	void (*process_exit)(void *kernel, void *process);
	/* @return its id as it sees it. NULL: the server numbers processes from 1. */
	uint64_t (*process_id)(void *kernel, void *process);

	/* An lwp of @process. @return 0 or -errno: the call that wanted it fails with it.
	 * NULL: an lwp's pointer is that of its process. */
	int (*lwp_new)(void *kernel, void *process, struct ferry_lwp *lwp, void **ret_data);
	/* From now on this thread acts as @lwp; NULL: as none. */
	void (*lwp_switch)(void *kernel, void *lwp);
	/* @lwp ends; this thread acts as it. */
	void (*lwp_release)(void *kernel, void *lwp);
	/* @return the lwp that this thread acts as. Used by the server's own checks only. */
	void *(*lwp_current)(void *kernel);

	/* Answer a call. @lwp is the kernel's pointer of it, @handle the server's, for ferry_copyin().
	 * @ret_values are 0 at first. @return 0, or -errno for the client. */
	int (*call)(void *kernel, void *lwp, struct ferry_lwp *handle,
		const struct ferry_kernel_call *call, int64_t ret_values[2]);
	/* Make the call that @lwp is in, or is just entering, end soon: with -EINTR, or with what it
	 * has already done. From another thread, again and again until the call has ended; it may have
	 * by then. Takes no lock that call() holds while it waits for a client. */
	void (*cancel)(void *kernel, void *lwp);

	/* Around every operation: take and give up what the kernel's code runs under. */
	void (*schedule)(void *kernel);
	void (*unschedule)(void *kernel);
	/* Around every wait for the client in the midst of a call. */
	void (*block)(void *kernel);
	void (*unblock)(void *kernel);
};

/* A kernel, as a server is given it. */
struct ferry_kernel {
	const struct ferry_kernel_operations *operations;
	void *data; /* the operations' @kernel */
};

/** Copy @bytes bytes of the client's memory at @address. @return 0 or -EFAULT, also when the client
 *  has gone. Part of it may have been copied by then. */
int ferry_copyin(struct ferry_lwp *lwp, uint64_t address, void *to, size_t bytes)
	__attribute__((warn_unused_result));

/** Copy a string with its NUL. @param bytes room at @to, at least 1
 *  @param ret_bytes its bytes with NUL, may be NULL
 *  @return 0, -EFAULT, or -ENAMETOOLONG: no NUL within @bytes bytes. */
int ferry_copyinstr(struct ferry_lwp *lwp, uint64_t address, char *to, size_t bytes,
	size_t *ret_bytes) __attribute__((warn_unused_result));

/** Copy @bytes bytes to the client's memory. With the extension they travel with the reply. What lies
 *  at @from must not change until this returns, even while it waits (block()).
 *  @return 0 or -EFAULT. */
int ferry_copyout(struct ferry_lwp *lwp, const void *from, uint64_t address, size_t bytes)
	__attribute__((warn_unused_result));

/** Copy a string and its NUL. @param bytes room in the client's memory
 *  @return 0, -EFAULT, or -ENAMETOOLONG. */
int ferry_copyoutstr(struct ferry_lwp *lwp, const char *from, uint64_t address, size_t bytes)
	__attribute__((warn_unused_result));

/** Where the client's bytes lie already, because the call carried them: a look without a copy.
 *  @return @bytes bytes, valid while the call is in progress, or NULL: use ferry_copyin(). */
const void *ferry_copyin_look(struct ferry_lwp *lwp, uint64_t address, size_t bytes);

/** Where bytes for the client may be put so that they travel with the reply: ferry_copyout() without a
 *  copy. All of them are sent, whatever is there, but ferry_copyout_trim() can shorten it.
 *  @return room for @bytes bytes, zeroed or not, or NULL: use ferry_copyout(). */
void *ferry_copyout_place(struct ferry_lwp *lwp, uint64_t address, size_t bytes);

/** Of what ferry_copyout_place() gave last only the first @bytes bytes are meant. */
void ferry_copyout_trim(struct ferry_lwp *lwp, size_t bytes);

/** Have the client map @bytes bytes of zeroed memory, readable and writable, not shared.
 *  @param ret_address where it is; ferry_copyout() may fill it as long as the call lasts
 *  @return 0, -ENOMEM (the client could not), -EFAULT (the client has gone). */
int ferry_anonmmap(struct ferry_lwp *lwp, size_t bytes, uint64_t *ret_address)
	__attribute__((warn_unused_result));

/** Send a signal, in the kernel's numbers, to the process: it is raised there before the reply of the
 *  call in progress, or of the next one. From any thread. */
void ferry_raise(struct ferry_process *process, int signal);

#ifdef __cplusplus
}
#endif

#endif
