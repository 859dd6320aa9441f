/*
 * The filter is made by libseccomp, from the rows and codes of the call table, once for all workers.
 *
 * What is in neither list is ENOSYS, so that a library's attempt at something new falls back. What an
 * honest worker never calls, and one that has been taken over would, kills it. So do calls of another
 * architecture.
 *
 * Signals go only to a thread, and are real-time ones, with which a worker interrupts its own calls: a
 * worker of a process namespace sees nobody who has no handler for them. Memory is never executable:
 * every library has been loaded.
 */
#include "kernel/sandbox_filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "call/codes.h"
#include "call/table.h"

#define WORD              UINT64_C(0xffffffff) /* of an argument that is an int */
#define SOCKET_TYPE_BITS  0xfu
#define SIGNAL_FIRST      32u /* of the real-time signals, as Linux counts */
#define SIGNAL_LAST       64u
#define FILTER_BYTES_MAX  (4096u * sizeof(struct sock_filter))
#define CLONE_OF_FORK     (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID)
#define CLONE_OF_DETACHED 0x00400000u /* says nothing since 2.6 */
#define CLONE_OF_THREAD                                                                     \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
		CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* What the C library and the loops of a worker need beside the call table. */
static const int own_calls[] = {
	SYS_brk,
	SYS_clock_getres,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_exit,
	SYS_exit_group,
	SYS_futex,
	SYS_getcpu,
	SYS_getpgid,
	SYS_getpid,
	SYS_getppid,
	SYS_getrandom,
	SYS_gettid,
	SYS_gettimeofday,
	SYS_madvise,
	SYS_membarrier,
	SYS_mincore,
	SYS_mremap,
	SYS_munmap,
	SYS_restart_syscall,
	SYS_rseq,
	SYS_rt_sigaction,
	SYS_rt_sigpending,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigsuspend,
	SYS_rt_sigtimedwait,
	SYS_sched_getaffinity,
	SYS_sched_yield,
	SYS_set_robust_list,
	SYS_set_tid_address,
	SYS_sigaltstack,
	SYS_signalfd4,
	SYS_wait4,
	SYS_waitid,
};

/* What only a worker that has been taken over calls. */
static const int deadly_calls[] = {
	SYS_add_key,
	SYS_bpf,
	SYS_chroot,
	SYS_delete_module,
	SYS_execve,
	SYS_execveat,
	SYS_finit_module,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fsopen,
	SYS_fspick,
	SYS_init_module,
	SYS_kcmp,
	SYS_kexec_load,
	SYS_keyctl,
	SYS_mount,
	SYS_mount_setattr,
	SYS_move_mount,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_perf_event_open,
	SYS_pidfd_getfd,
	SYS_pivot_root,
	SYS_process_vm_writev,
	SYS_ptrace,
	SYS_reboot,
	SYS_request_key,
	SYS_setns,
	SYS_swapon,
	SYS_umount2,
	SYS_unshare,
	SYS_userfaultfd,
};

/* What is refused as to one without the right, since libraries ask. */
static const int forbidden_calls[] = {
	SYS_kill,
	SYS_pidfd_open,
	SYS_pidfd_send_signal,
	SYS_process_vm_readv,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_setgid,
	SYS_setgroups,
	SYS_setpriority,
	SYS_setregid,
	SYS_setresgid,
	SYS_setresuid,
	SYS_setreuid,
	SYS_setuid,
	SYS_tkill,
};

/* An argument of a call that must be so. */
#define IS(argument, value) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, WORD, (uint32_t)(value))
#define BITS(argument, mask, value) \
	SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, (uint64_t)(mask), (uint64_t)(value))

/* Adds rules until one fails. */
struct making {
	scmp_filter_ctx context;
	int error;
};

static void add(struct making *making, uint32_t action, int call, unsigned count,
	const struct scmp_arg_cmp *conditions)
{
	if (making->error == 0)
		making->error =
			seccomp_rule_add_array(making->context, action, call, count, conditions);
}

static void allow_if(struct making *making, int call, struct scmp_arg_cmp condition)
{
	add(making, SCMP_ACT_ALLOW, call, 1, &condition);
}

static void allow_if_both(struct making *making, int call, struct scmp_arg_cmp first,
	struct scmp_arg_cmp second)
{
	const struct scmp_arg_cmp conditions[] = {first, second};

	add(making, SCMP_ACT_ALLOW, call, ARRAY_LENGTH(conditions), conditions);
}

/* Whether a call is allowed by its arguments, not as a whole. */
static bool is_by_arguments(uint32_t number)
{
	static const uint32_t numbers[] = {SYS_fcntl, SYS_ioctl, SYS_getsockopt, SYS_setsockopt,
		SYS_socket, SYS_socketpair};

	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		if (numbers[i] == number)
			return true;
	}
	return false;
}

static void add_list(struct making *making, uint32_t action, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (call_find((uint32_t)calls[i]) == NULL)
			add(making, action, calls[i], 0, NULL);
	}
}

static void add_table(struct making *making)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	for (size_t i = 0; i < count; i++) {
		if (!is_by_arguments(rows[i].number))
			add(making, SCMP_ACT_ALLOW, (int)rows[i].number, 0, NULL);
	}
}

/* A set whose code is argument 1. */
static void add_codes(struct making *making, enum call_set set, int call)
{
	size_t count;
	const struct call_code *codes = call_codes(set, &count);

	for (size_t i = 0; i < count; i++)
		allow_if(making, call, IS(1, codes[i].code));
}

static void add_options(struct making *making)
{
	size_t count;
	const struct call_code *codes = call_codes(CALL_SET_OPTION, &count);

	for (size_t i = 0; i < count; i++) {
		if (codes[i].class != CALL_OUT)
			allow_if_both(making, SYS_setsockopt, IS(1, codes[i].level),
				IS(2, codes[i].code));
		if (codes[i].class != CALL_IN)
			allow_if_both(making, SYS_getsockopt, IS(1, codes[i].level),
				IS(2, codes[i].code));
	}
	if (call_code_find(CALL_SET_OPTION, SOL_SOCKET, SO_PEERCRED) == NULL)
		allow_if_both(making, SYS_getsockopt, IS(1, SOL_SOCKET), IS(2, SO_PEERCRED));
}

static void add_sockets(struct making *making, bool has_network)
{
	static const unsigned types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		struct scmp_arg_cmp type = BITS(1, SOCKET_TYPE_BITS, types[i]);

		allow_if_both(making, SYS_socket, IS(0, AF_UNIX), type);
		allow_if_both(making, SYS_socketpair, IS(0, AF_UNIX), type);
		if (!has_network || types[i] == SOCK_SEQPACKET)
			continue;
		allow_if_both(making, SYS_socket, IS(0, AF_INET), type);
		allow_if_both(making, SYS_socket, IS(0, AF_INET6), type);
	}
}

static void add_own(struct making *making)
{
	add_list(making, SCMP_ACT_ALLOW, own_calls, ARRAY_LENGTH(own_calls));
	/* Of the C library's own descriptors: F_DUPFD_CLOEXEC and the flags are the table's. */
	allow_if(making, SYS_clone, BITS(0, ~(uint64_t)CLONE_OF_FORK, SIGCHLD));
	allow_if(making, SYS_clone, BITS(0, ~(uint64_t)CLONE_OF_DETACHED, CLONE_OF_THREAD));
	allow_if(making, SYS_mmap, BITS(2, PROT_EXEC, 0));
	allow_if(making, SYS_mprotect, BITS(2, PROT_EXEC, 0));
	allow_if(making, SYS_prctl, IS(0, PR_SET_NAME));
	allow_if(making, SYS_prctl, IS(0, PR_SET_PDEATHSIG));
	/* Its own limits, to look at */
	allow_if_both(making, SYS_prlimit64, IS(0, 0), BITS(2, UINT64_MAX, 0));
	for (unsigned signal = SIGNAL_FIRST; signal <= SIGNAL_LAST; signal++)
		allow_if(making, SYS_tgkill, IS(2, signal));
}

/* Take the program out of libseccomp, which writes it to a file. */
static int export_program(scmp_filter_ctx context, struct sock_fprog *ret_filter)
{
	CLEANUP(cleanup_close) int file = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter *program;
	struct stat status;
	size_t bytes;
	int error;

	if (file < 0)
		return -errno;
	error = seccomp_export_bpf(context, file);
	if (error < 0)
		return error;
	if (fstat(file, &status) != 0)
		return -errno;
	bytes = (size_t)status.st_size;
	if (bytes == 0 || bytes > FILTER_BYTES_MAX)
		return -E2BIG;
	program = malloc(bytes);
	if (program == NULL)
		return -ENOMEM;
	if (pread(file, program, bytes, 0) != (ssize_t)bytes) {
		free(program);
		return -EIO;
	}
	ret_filter->len = (unsigned short)(bytes / sizeof(*program));
	ret_filter->filter = program;
	return 0;
}

int sandbox_filter_make(bool has_network, struct sock_fprog *ret_filter)
{
	struct making making = {.context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS))};

	if (making.context == NULL)
		return -ENOMEM;
	making.error =
		seccomp_attr_set(making.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree: what is allowed whatever its arguments costs the kernel nothing; the rest little. */
	if (making.error == 0)
		making.error = seccomp_attr_set(making.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	add_table(&making);
	add_codes(&making, CALL_SET_IOCTL, SYS_ioctl);
	add_codes(&making, CALL_SET_FCNTL, SYS_fcntl);
	add_options(&making);
	add_sockets(&making, has_network);
	add_own(&making);
	add_list(&making, SCMP_ACT_KILL_PROCESS, deadly_calls, ARRAY_LENGTH(deadly_calls));
	add_list(&making, SCMP_ACT_ERRNO(EPERM), forbidden_calls, ARRAY_LENGTH(forbidden_calls));
	if (making.error == 0)
		making.error = export_program(making.context, ret_filter);
	seccomp_release(making.context);
	return making.error;
}

int sandbox_filter_load(const struct sock_fprog *filter)
{
	struct sock_fprog program = *filter;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return -errno;
	return 0;
}
