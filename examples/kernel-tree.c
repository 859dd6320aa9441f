/*
 * A kernel of one's own: a tree of files in memory, for programs on other machines.
 *
 *     kernel-tree unix:///tmp/tree.sock
 *
 * Clients of Ferry call it by Linux's numbers, stock sysproxy clients by NetBSD's. All of it runs under
 * one big lock, which is given up whenever a client's memory is waited for: see the last four
 * operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <ferry/kernel.h>
#include <ferry/sysproxy.h>

#define NAME_MAX_BYTES 64
#define PATH_MAX_BYTES 1024
#define FILE_MAX_BYTES (64u << 20)
#define OPEN_MAX       64

struct node {
	struct node *next, *children; /* siblings; a directory's first */
	char name[NAME_MAX_BYTES];
	int is_directory;
	char *bytes;
	size_t size;
};

struct kernel {
	pthread_mutex_t lock;
	struct node root;
	uint64_t last_pid;
};

struct process {
	uint64_t pid;
	struct {
		struct node *node; /* NULL: not open */
		size_t offset;
		int is_closed_on_exec;
	} open[OPEN_MAX];
};

/* An lwp is known by its process alone. */
struct call {
	struct kernel *kernel;
	struct process *process;
	struct ferry_lwp *lwp;
	const uint64_t *arguments;
	int64_t *values;
	int is_native;
};

static struct node *find_child(struct node *directory, const char *name, size_t bytes)
{
	struct node *node = directory->children;

	while (node != NULL &&
		(strlen(node->name) != bytes || memcmp(node->name, name, bytes) != 0))
		node = node->next;
	return node;
}

/* Walk to @path. With @is_made what is missing at its end is made, a directory or not.
 * @return the node, or NULL with -errno. */
static struct node *walk(struct node *node, const char *path, int is_made, int is_directory,
	int *error)
{
	while (*error == 0 && *(path += strspn(path, "/")) != '\0') {
		size_t bytes = strcspn(path, "/");
		struct node *child = find_child(node, path, bytes);

		if (!node->is_directory)
			*error = -ENOTDIR;
		else if (bytes >= NAME_MAX_BYTES)
			*error = -ENAMETOOLONG;
		else if (child == NULL && (!is_made || path[bytes] != '\0'))
			*error = -ENOENT;
		else if (child == NULL && (child = calloc(1, sizeof(*child))) == NULL)
			*error = -ENOSPC;
		else if (child->name[0] == '\0') {
			memcpy(child->name, path, bytes);
			child->is_directory = is_directory;
			child->next = node->children;
			node->children = child;
		}
		node = child;
		path += bytes;
	}
	return node;
}

static int call_open(struct call *call)
{
	char path[PATH_MAX_BYTES];
	int fd = 0, flags = (int)call->arguments[1];
	int error = ferry_copyinstr(call->lwp, call->arguments[0], path, sizeof(path), NULL);
	struct node *node = walk(&call->kernel->root, path, (flags & O_CREAT) != 0, 0, &error);

	if (error != 0)
		return error;
	while (fd < OPEN_MAX && call->process->open[fd].node != NULL)
		fd++;
	if (fd == OPEN_MAX)
		return -EMFILE;
	if ((flags & O_TRUNC) != 0)
		node->size = 0;
	call->process->open[fd].node = node;
	call->process->open[fd].offset = 0;
	call->process->open[fd].is_closed_on_exec = (flags & O_CLOEXEC) != 0;
	call->values[0] = fd;
	return 0;
}

static int call_mkdir(struct call *call)
{
	char path[PATH_MAX_BYTES];
	int error = ferry_copyinstr(call->lwp, call->arguments[0], path, sizeof(path), NULL);

	(void)walk(&call->kernel->root, path, 1, 1, &error);
	return error;
}

static int call_close(struct call *call)
{
	uint64_t fd = call->arguments[0];

	if (fd >= OPEN_MAX || call->process->open[fd].node == NULL)
		return -EBADF;
	call->process->open[fd].node = NULL;
	return 0;
}

/* What lies in a file must not be lent: while the client is waited for the file may change. */
static int copy_out(struct ferry_lwp *lwp, const char *from, uint64_t to, size_t bytes)
{
	char *copy = ferry_copyout_place(lwp, to, bytes);
	int error = -EFAULT;

	if (copy != NULL) {
		memcpy(copy, from, bytes); /* it travels with the reply */
		return 0;
	}
	copy = malloc(bytes + 1);
	if (copy != NULL) {
		memcpy(copy, from, bytes);
		error = ferry_copyout(lwp, copy, to, bytes);
	}
	free(copy);
	return error;
}

/* @return the open file of the first argument, or NULL with an error. */
static struct node *find_file(const struct call *call, size_t **ret_offset, int *error)
{
	uint64_t fd = call->arguments[0];
	struct node *node = fd < OPEN_MAX ? call->process->open[fd].node : NULL;

	*error = node == NULL ? -EBADF : node->is_directory ? -EISDIR : 0;
	if (*error == 0)
		*ret_offset = &call->process->open[fd].offset;
	return node;
}

static int read_at(struct call *call, const struct node *node, size_t offset)
{
	size_t bytes = call->arguments[2], left = offset < node->size ? node->size - offset : 0;

	call->values[0] = (int64_t)(bytes < left ? bytes : left);
	return copy_out(call->lwp, node->bytes + offset, call->arguments[1],
		(size_t)call->values[0]);
}

static int write_at(struct call *call, struct node *node, size_t offset)
{
	size_t bytes = call->arguments[2], end = offset + bytes;
	const char *from = ferry_copyin_look(call->lwp, call->arguments[1], bytes);
	char *copy = NULL, *larger = node->bytes;
	int error = 0;

	if (bytes > FILE_MAX_BYTES || offset > FILE_MAX_BYTES - bytes)
		return -EFBIG;
	if (from == NULL) { /* into memory of its own: while it waits others may change the file */
		from = copy = malloc(bytes + 1);
		error = copy == NULL ? -ENOMEM
				     : ferry_copyin(call->lwp, call->arguments[1], copy, bytes);
	}
	if (error == 0 && end > node->size)
		larger = realloc(node->bytes, end + 1);
	if (error == 0 && larger == NULL)
		error = -ENOSPC;
	if (error == 0) {
		node->bytes = larger;
		if (offset > node->size)
			memset(larger + node->size, 0, offset - node->size);
		memcpy(larger + offset, from, bytes);
		node->size = end > node->size ? end : node->size;
		call->values[0] = (int64_t)bytes;
	}
	free(copy);
	return error;
}

static int call_read(struct call *call)
{
	size_t *offset;
	int error;
	struct node *node = find_file(call, &offset, &error);

	if (error == 0)
		error = read_at(call, node, *offset);
	if (error == 0)
		*offset += (size_t)call->values[0];
	return error;
}

static int call_write(struct call *call)
{
	size_t *offset;
	int error;
	struct node *node = find_file(call, &offset, &error);

	if (error == 0)
		error = write_at(call, node, *offset);
	if (error == 0)
		*offset += (size_t)call->values[0];
	return error;
}

/* NetBSD's have a hole before the offset. */
static size_t place_argument(const struct call *call)
{
	return call->is_native ? call->arguments[3] : call->arguments[4];
}

static int call_pread(struct call *call)
{
	size_t *offset;
	int error;
	struct node *node = find_file(call, &offset, &error);

	return error == 0 ? read_at(call, node, place_argument(call)) : error;
}

static int call_pwrite(struct call *call)
{
	size_t *offset;
	int error;
	struct node *node = find_file(call, &offset, &error);

	return error == 0 ? write_at(call, node, place_argument(call)) : error;
}

/* A private mapping of a file: memory of the client's, filled. */
static int call_mmap(struct call *call)
{
	uint64_t bytes = call->arguments[1], fd = call->arguments[4], address;
	struct node *node = fd < OPEN_MAX ? call->process->open[fd].node : NULL;
	int error;

	if (node == NULL)
		return -EBADF;
	error = ferry_anonmmap(call->lwp, bytes, &address);
	if (error == 0)
		error = copy_out(call->lwp, node->bytes, address,
			bytes < node->size ? bytes : node->size);
	call->values[0] = (int64_t)address;
	return error;
}

static int call_getpid(struct call *call)
{
	call->values[0] = (int64_t)call->process->pid;
	return 0;
}

static const struct {
	uint32_t linux_number, netbsd_number;
	int (*function)(struct call *call);
} calls[] = {
	{SYS_read, 3, call_read},
	{SYS_write, 4, call_write},
	{SYS_pread64, 173, call_pread},
	{SYS_pwrite64, 174, call_pwrite},
	{SYS_open, 5, call_open},
	{SYS_close, 6, call_close},
	{SYS_mkdir, 136, call_mkdir},
	{SYS_getpid, 20, call_getpid},
	{SYS_mmap, 197, call_mmap},
};

static int answer(void *kernel, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *given, int64_t values[2])
{
	struct call call = {kernel, lwp, handle, given->arguments, values, given->is_extended};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (given->number ==
			(given->is_extended ? calls[i].linux_number : calls[i].netbsd_number))
			return calls[i].function(&call);
	}
	return -ENOSYS;
}

static int process_fork(void *context, void *parent, struct ferry_process *child, void **ret_data)
{
	struct kernel *kernel = context;
	struct process *process = calloc(1, sizeof(*process));

	(void)child;
	if (process == NULL)
		return -ENOMEM;
	if (parent != NULL)
		*process = *(struct process *)parent;
	process->pid = ++kernel->last_pid;
	*ret_data = process;
	return 0;
}

static int process_new(void *kernel, struct ferry_process *process, const char *name,
	void **ret_data)
{
	(void)name;
	return process_fork(kernel, NULL, process, ret_data);
}

static void process_exec(void *kernel, void *context, const char *name)
{
	struct process *process = context;

	(void)kernel;
	(void)name;
	for (int fd = 0; fd < OPEN_MAX; fd++) {
		if (process->open[fd].is_closed_on_exec)
			process->open[fd].node = NULL;
	}
}

static void process_exit(void *kernel, void *process)
{
	(void)kernel;
	free(process);
}

static uint64_t process_id(void *kernel, void *process)
{
	(void)kernel;
	return ((struct process *)process)->pid;
}

static int lwp_new(void *kernel, void *process, struct ferry_lwp *lwp, void **ret_data)
{
	(void)kernel;
	(void)lwp;
	*ret_data = process;
	return 0;
}

static void take(void *kernel)
{
	(void)pthread_mutex_lock(&((struct kernel *)kernel)->lock);
}

static void give(void *kernel)
{
	(void)pthread_mutex_unlock(&((struct kernel *)kernel)->lock);
}

static const struct ferry_kernel_operations operations = {
	.struct_bytes = sizeof(operations),
	.process_new = process_new,
	.process_fork = process_fork,
	.process_exec = process_exec,
	.process_exit = process_exit,
	.process_id = process_id,
	.lwp_new = lwp_new,
	.call = answer,
	.schedule = take,
	.unschedule = give,
	.block = give,
	.unblock = take,
};

static void free_children(struct node *directory)
{
	struct node *node;

	while ((node = directory->children) != NULL) {
		directory->children = node->next;
		free_children(node);
		free(node->bytes);
		free(node);
	}
}

int main(int argc, char **argv)
{
	struct kernel kernel = {.lock = PTHREAD_MUTEX_INITIALIZER, .root.is_directory = 1};
	struct ferry_kernel given = {&operations, &kernel};
	char error[FERRY_SYSPROXY_ERROR_MAX];
	struct ferry_sysproxy_server *server;
	sigset_t ends;
	int signal;

	if (argc != 2) {
		fprintf(stderr, "usage: kernel-tree unix://PATH | tcp://127.0.0.1:PORT\n");
		return 2;
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	if (ferry_sysproxy_server_open(argv[1], &given, NULL, &server, error) != 0) {
		fprintf(stderr, "kernel-tree: %s\n", error);
		return 1;
	}
	printf("ready %s\n", ferry_sysproxy_server_url(server));
	fflush(stdout);
	sigwait(&ends, &signal);
	ferry_sysproxy_server_close(server);
	free_children(&kernel.root);
	return 0;
}
