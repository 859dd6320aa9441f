/*
 * libferry: system calls over sockets. A *server* gives the calls of programs elsewhere to a kernel
 * (kernel.h); a *client* makes them. The protocol is sysproxy, 0.4 of the rump kernels, with an
 * extension that both ends announce (doc/sysproxy-protocol.md).
 *
 * URLs:
 *     unix://PATH         a unix socket; a relative path is taken from the present directory, a
 *                         stale socket file is replaced by a server and removed when it closes
 *     tcp://HOST:PORT     IPv4, IPv6 in brackets, or a name; on this machine only (loopback)
 *     fd://NUMBER         a connected stream socket that this program has already. A server takes it,
 *                         and has but this one client, without lanes; a client uses a copy of it
 *
 * Errors are negative errno values, with a sentence for the user where there is room for one. Strings
 * are UTF-8.
 */
#ifndef FERRY_SYSPROXY_H
#define FERRY_SYSPROXY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_kernel;

#define FERRY_SYSPROXY_ERROR_MAX 512 /* bytes of a sentence, with NUL */

/* ---- the server ---- */

struct ferry_sysproxy_server;

#define FERRY_SYSPROXY_LANES_MAX 1024 /* of one process */
#define FERRY_SYSPROXY_USERS_MAX 64

/* What may be chosen. 0 or NULL is the default; set struct_bytes and leave the rest. */
struct ferry_sysproxy_server_options {
	size_t struct_bytes;
	/* What the banner calls the kernel. Default "Ferry" and the version of the library. */
	const char *os_name, *os_release;
	/* Processes at one time, preforked ones included, 1..65536. Default 1024. One more is told
	 * that the server is full. */
	uint32_t processes_max;
	/* Calls of one process in progress at one time, on its session and on lanes, each
	 * 1..FERRY_SYSPROXY_LANES_MAX. Default 1024. */
	uint32_t calls_max;
	/* Threads for calls in all, 1..65536. Default 8192. */
	uint32_t threads_max;
	/* Stack of a thread for calls, bytes. Default 256 KiB. */
	size_t stack_bytes;
	/* A connection must have said who it is within this time. Default 10000. */
	uint32_t handshake_timeout_ms;
	/* The child of a fork must have connected within this time. Default 30000. */
	uint32_t prefork_timeout_ms;
	/* Who may connect to a unix socket beside the user this program runs as. */
	const uid_t *users;
	size_t user_count; /* at most FERRY_SYSPROXY_USERS_MAX */
	/* 1: speak plain 0.4 only. */
	uint8_t is_plain;
	/* Given a line for the operator now and then: who connected, who was refused and why. @level: 0
	 * error, 1 warning, 2 information, 3 debugging. From any thread, one at a time. */
	void (*log)(void *context, int level, const char *line);
	void *log_context;
};

/** Serve @kernel at @url, in threads of the library's own. Returns when clients can connect.
 *  @param kernel copied, with its operations; @param options NULL for defaults
 *  @param ret_server to be closed by the caller
 *  @return 0 or -errno with a sentence. */
int ferry_sysproxy_server_open(const char *url, const struct ferry_kernel *kernel,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
	__attribute__((warn_unused_result));

/** The same in the caller's event loop: calls still have threads of their own, all else happens in
 *  ferry_sysproxy_server_process(). Poll ferry_sysproxy_server_fd() for reading, at most
 *  ferry_sysproxy_server_prepare() milliseconds, which is called before each poll; then process. */
int ferry_sysproxy_server_start(const char *url, const struct ferry_kernel *kernel,
	const struct ferry_sysproxy_server_options *options,
	struct ferry_sysproxy_server **ret_server, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
	__attribute__((warn_unused_result));
int ferry_sysproxy_server_fd(struct ferry_sysproxy_server *server);
int ferry_sysproxy_server_prepare(struct ferry_sysproxy_server *server);
int ferry_sysproxy_server_process(struct ferry_sysproxy_server *server, int timeout_ms);

/** @return the URL at which it can be reached, with the real port; the server's. */
const char *ferry_sysproxy_server_url(const struct ferry_sysproxy_server *server);

/** @return how many processes are connected, or forked and about to. From any thread. */
unsigned ferry_sysproxy_server_process_count(const struct ferry_sysproxy_server *server);

/** End all clients, wait for their calls to be cancelled and for every process to have exited, and
 *  free the server. Waits as long as the kernel's calls do not heed cancel(). NULL is legal. */
void ferry_sysproxy_server_close(struct ferry_sysproxy_server *server);

/* ---- the client ---- */

struct ferry_sysproxy;

enum {
	FERRY_SYSPROXY_NEVER = 0,   /* reconnect_ms: a lost server is lost */
	FERRY_SYSPROXY_ALWAYS = -1, /* ...: try for ever */
};

struct ferry_sysproxy_options {
	size_t struct_bytes;
	/* What the server knows the program as. Default: the program's name. */
	const char *name;
	/* To connect and be greeted. Default 10000. */
	uint32_t connect_timeout_ms;
	/* How long to try to reach a server that was lost, or FERRY_SYSPROXY_NEVER or _ALWAYS. A new
	 * connection is a new process over there: descriptors are gone. */
	int32_t reconnect_ms;
	/* Given a signal that the server raises, in its numbers, on the thread whose call brought it.
	 * Default: raise(3). */
	void (*signal)(void *context, int signal);
	void *signal_context;
	/* 1: speak plain 0.4 only; all threads then share one connection. */
	uint8_t is_plain;
};

/** Connect: this program becomes a process of the server's kernel.
 *  @param url NULL: that of the environment variable FERRY_CALLS
 *  @param ret_client may be used by all threads at once; to be closed by the caller
 *  @return 0 or -errno with a sentence. */
int ferry_sysproxy_open(const char *url, const struct ferry_sysproxy_options *options,
	struct ferry_sysproxy **ret_client, char ret_error[FERRY_SYSPROXY_ERROR_MAX])
	__attribute__((warn_unused_result));

/** The process over there exits. No call is in progress. NULL is legal. */
void ferry_sysproxy_close(struct ferry_sysproxy *client);

#define FERRY_SYSPROXY_IN  1u /* the kernel may read it */
#define FERRY_SYSPROXY_OUT 2u /* the kernel may write it */

/* Memory that a call is about. The server can touch no other. */
struct ferry_sysproxy_range {
	void *address;
	size_t bytes;
	unsigned flags;
};

#define FERRY_SYSPROXY_ARGUMENTS_MAX 16
#define FERRY_SYSPROXY_RANGES_MAX    1024

/* flags of a call */
#define FERRY_SYSPROXY_REPEATABLE    1u /* may be made again when the server was lost in the midst */
#define FERRY_SYSPROXY_INTERRUPTIBLE 2u /* a signal that this thread handles cancels the call */

struct ferry_sysproxy_call {
	uint32_t number;
	unsigned flags;
	unsigned argument_count;   /* at most FERRY_SYSPROXY_ARGUMENTS_MAX */
	unsigned range_count;      /* at most FERRY_SYSPROXY_RANGES_MAX */
	const uint64_t *arguments; /* pointers as they are */
	const struct ferry_sysproxy_range *ranges;
	/* Results, untouched unless 0 is returned. */
	int error; /* errno in the kernel's numbers; 0: success */
	int64_t values[2];
};

/** Make a call and wait for its result. From any thread; each has a lane of its own, made when first
 *  needed, while the server has any left.
 *  @return 0 when the kernel has answered (call->error may say that it failed), or -errno:
 *  -ENOTCONN: the server is lost, the call was not made; -ECONNABORTED: it was lost in the midst,
 *  the call may have been made; -EFAULT: a range is not this program's memory; -EINVAL: a limit;
 *  -EDEADLK: this thread is in a call of @client, which a signal handler, or the option signal, has
 *  interrupted to make another: the call was not made. Between calls a handler may make some, if
 *  it does not interrupt malloc(3): the first call of a thread, and one that reconnects, allocate. */
int ferry_sysproxy_call(struct ferry_sysproxy *client, struct ferry_sysproxy_call *call)
	__attribute__((warn_unused_result));

/** Make a call that another thread is in end soon, with EINTR or with what it has done. @call is the
 *  one given to ferry_sysproxy_call(); nothing happens if it is in progress no more. From any thread,
 *  but not from a signal handler. */
void ferry_sysproxy_cancel(struct ferry_sysproxy *client, const struct ferry_sysproxy_call *call);

/** @return the id that the kernel knows this process by, 0 from a server of plain 0.4. */
uint64_t ferry_sysproxy_process_id(const struct ferry_sysproxy *client);

/** @return whether the server speaks the extension. */
int ferry_sysproxy_is_extended(const struct ferry_sysproxy *client);

/** fork(2), both here and there: the child is a child over there too, with copies of the descriptors.
 *  @return as fork(); -1 with errno (ESRCH, EAGAIN, ENOTCONN...) if either cannot; a child that cannot
 *  connect ends at once with status 127. */
pid_t ferry_sysproxy_fork(struct ferry_sysproxy *client);

/* The same in steps, for a program that forks by other means. */
struct ferry_sysproxy_cookie {
	uint8_t bytes[16];
};
/** Before fork. @return 0 and a cookie, good for one child and for a time, or -errno. */
int ferry_sysproxy_fork_prepare(struct ferry_sysproxy *client,
	struct ferry_sysproxy_cookie *ret_cookie) __attribute__((warn_unused_result));
/** In the child, whose copy of @client becomes the child's own. @return 0 or -errno. */
int ferry_sysproxy_fork_child(struct ferry_sysproxy *client,
	const struct ferry_sysproxy_cookie *cookie) __attribute__((warn_unused_result));
/** In the parent: there will be no child. */
void ferry_sysproxy_fork_cancel(struct ferry_sysproxy *client,
	const struct ferry_sysproxy_cookie *cookie);

/** execve(2), both here and there: the new program is the same process over there if it calls
 *  ferry_sysproxy_open() with @url NULL. Descriptors over there that are to be closed on exec are
 *  closed by that. @return -errno if it cannot. */
int ferry_sysproxy_exec(struct ferry_sysproxy *client, const char *path, char *const arguments[],
	char *const environment[]);

#ifdef __cplusplus
}
#endif

#endif
