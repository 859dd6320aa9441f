/*
 * A kernel of one's own: a tree of files in memory, for other programs.
 *
 *     kernel-tree unix:///tmp/tree.sock
 *
 * Clients of Ferry call it by Linux's numbers, stock sysproxy clients by NetBSD's. All of it runs under
 * one big lock, which is given up whenever a client's memory is waited for: take() and give().
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <ferry/kernel.h>
#include <ferry/sysproxy.h>

#define PATH_BYTES     256
#define FILE_MAX_BYTES (64u << 20)
#define IO_MAX_BYTES   (64u << 10) /* of one call: what is longer is read or written in part */
#define OPEN_MAX       64

struct node {
	struct node *next;
	char path[PATH_BYTES]; /* "a/b"; that of the root is "" */
	int is_directory;
	char *bytes;
	size_t size;
};

struct kernel {
	pthread_mutex_t lock;
	struct node root; /* the first of all nodes */
	uint64_t last_pid;
};

struct process {
	uint64_t pid;
	struct open_file {
		struct node *node; /* NULL: not open */
		size_t offset;
		int is_closed_on_exec;
	} files[OPEN_MAX];
};

struct call {
	struct kernel *kernel;
	struct process *process;
	struct ferry_lwp *lwp;
	const uint64_t *arguments;
	int64_t *values; /* results */
	int is_linux;
	const struct row {
		uint32_t linux_number, netbsd_number;
		int (*function)(struct call *call);
		int is_write, is_placed;
	} * row;
};

static struct node *find(struct kernel *kernel, const char *path)
{
	struct node *node = &kernel->root;

	while (node != NULL && strcmp(node->path, path) != 0)
		node = node->next;
	return node;
}

/* The node at @path, made if it is not there, in a directory that is. */
static int make(struct kernel *kernel, char *path, int is_directory, struct node **ret_node)
{
	char *slash = strrchr(path, '/');
	struct node *parent = &kernel->root, *node;

	if (slash != NULL) {
		*slash = '\0';
		parent = find(kernel, path);
		*slash = '/';
	}
	if (parent == NULL || !parent->is_directory)
		return parent == NULL ? -ENOENT : -ENOTDIR;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return -ENOSPC;
	memcpy(node->path, path, strlen(path) + 1);
	node->is_directory = is_directory;
	node->next = kernel->root.next;
	*ret_node = kernel->root.next = node;
	return 0;
}

/* open and mkdir begin alike. @return 0, -ENOENT with the path where nothing is yet, or another error. */
static int find_path(struct call *call, char path[PATH_BYTES], struct node **ret_node)
{
	int error = ferry_copyinstr(call->lwp, call->arguments[0], path, PATH_BYTES, NULL);

	if (error != 0)
		return error;
	memmove(path, path + strspn(path, "/"), strlen(path + strspn(path, "/")) + 1);
	*ret_node = find(call->kernel, path);
	return *ret_node == NULL ? -ENOENT : 0;
}

static int call_mkdir(struct call *call)
{
	char path[PATH_BYTES];
	struct node *node;
	int error = find_path(call, path, &node);

	return error != -ENOENT ? (error != 0 ? error : -EEXIST)
				: make(call->kernel, path, 1, &node);
}

static int call_open(struct call *call)
{
	const uint64_t create = call->is_linux ? O_CREAT : 0x200; /* NetBSD's */
	const uint64_t truncate = call->is_linux ? O_TRUNC : 0x400;
	const uint64_t close_on_exec = call->is_linux ? O_CLOEXEC : 0x400000;
	struct open_file *files = call->process->files;
	uint64_t flags = call->arguments[1];
	char path[PATH_BYTES];
	struct node *node;
	int fd = 0, error = find_path(call, path, &node);

	while (fd < OPEN_MAX && files[fd].node != NULL)
		fd++;
	if (fd == OPEN_MAX)
		return -EMFILE;
	if (error == -ENOENT && (flags & create) != 0)
		error = make(call->kernel, path, 0, &node);
	if (error != 0)
		return error;
	if ((flags & truncate) != 0)
		node->size = 0;
	files[fd] = (struct open_file){node, 0, (flags & close_on_exec) != 0};
	call->values[0] = fd;
	return 0;
}

static struct open_file *find_file(const struct call *call, uint64_t fd)
{
	struct open_file *files = call->process->files;

	return fd < OPEN_MAX && files[fd].node != NULL ? &files[fd] : NULL;
}

static int call_close(struct call *call)
{
	struct open_file *file = find_file(call, call->arguments[0]);

	if (file == NULL)
		return -EBADF;
	file->node = NULL;
	return 0;
}

/* Copy a part of a file to the client. Not from where it lies, unless it goes with the reply: while the
 * client is waited for others may change the file. @return the bytes, or -errno. */
static int64_t copy_out(struct ferry_lwp *lwp, struct node *node, size_t offset, uint64_t address,
	size_t bytes)
{
	char copy[IO_MAX_BYTES], *place;
	size_t left = offset < node->size ? node->size - offset : 0;

	bytes = bytes < left ? bytes : left;
	bytes = bytes < IO_MAX_BYTES ? bytes : IO_MAX_BYTES;
	if (bytes == 0)
		return 0;
	place = ferry_copyout_place(lwp, address, bytes);
	memcpy(place != NULL ? place : copy, node->bytes + offset, bytes);
	if (place == NULL && ferry_copyout(lwp, copy, address, bytes) != 0)
		return -EFAULT;
	return (int64_t)bytes;
}

/* The other way round. */
static int64_t copy_in(struct ferry_lwp *lwp, struct node *node, size_t offset, uint64_t address,
	size_t bytes)
{
	char copy[IO_MAX_BYTES];
	size_t moved = bytes < IO_MAX_BYTES ? bytes : IO_MAX_BYTES, end = offset + moved;
	const char *from = ferry_copyin_look(lwp, address, moved);

	if (moved == 0 || offset > FILE_MAX_BYTES - moved)
		return moved == 0 ? 0 : -EFBIG;
	if (from == NULL && ferry_copyin(lwp, address, copy, moved) != 0)
		return -EFAULT;
	if (end > node->size) {
		char *larger = realloc(node->bytes, end);

		if (larger == NULL)
			return -ENOSPC;
		memset(larger + node->size, 0, end - node->size);
		node->bytes = larger;
		node->size = end;
	}
	memcpy(node->bytes + offset, from != NULL ? from : copy, moved);
	return (int64_t)moved;
}

/* read, write, pread and pwrite. NetBSD's pread and pwrite have a hole before the offset. */
static int call_move(struct call *call)
{
	const uint64_t *arguments = call->arguments;
	struct open_file *file = find_file(call, arguments[0]);
	size_t place = arguments[call->is_linux ? 3 : 4], *offset = &place;
	int64_t moved;

	if (file == NULL || file->node->is_directory)
		return file == NULL ? -EBADF : -EISDIR;
	if (!call->row->is_placed)
		offset = &file->offset;
	moved = (call->row->is_write ? copy_in : copy_out)(call->lwp, file->node, *offset,
		arguments[1], arguments[2]);
	if (moved < 0)
		return (int)moved;
	*offset += (size_t)moved;
	call->values[0] = moved;
	return 0;
}

/* A private mapping of a file: new memory of the client's, filled. */
static int call_mmap(struct call *call)
{
	struct open_file *file = find_file(call, call->arguments[4]);
	size_t bytes = call->arguments[1], done = 0;
	uint64_t address = 0;
	int64_t moved;
	int error = file == NULL ? -EBADF : ferry_anonmmap(call->lwp, bytes, &address);

	if (error != 0)
		return error;
	while ((moved = copy_out(call->lwp, file->node, done, address + done, bytes - done)) > 0)
		done += (size_t)moved;
	call->values[0] = (int64_t)address;
	return (int)moved;
}

static int call_getpid(struct call *call)
{
	call->values[0] = (int64_t)call->process->pid;
	return 0;
}

static const struct row rows[] = {
	{SYS_read, 3, call_move, 0, 0},
	{SYS_write, 4, call_move, 1, 0},
	{SYS_pread64, 173, call_move, 0, 1},
	{SYS_pwrite64, 174, call_move, 1, 1},
	{SYS_open, 5, call_open, 0, 0},
	{SYS_close, 6, call_close, 0, 0},
	{SYS_getpid, 20, call_getpid, 0, 0},
	{SYS_mkdir, 136, call_mkdir, 0, 0},
	{SYS_mmap, 197, call_mmap, 0, 0},
};

static int answer(void *kernel, void *process, struct ferry_lwp *lwp,
	const struct ferry_kernel_call *given, int64_t ret_values[2])
{
	const int is_linux = given->is_extended;
	struct call call = {kernel, process, lwp, given->arguments, ret_values, is_linux, rows};

	for (; call.row < rows + sizeof(rows) / sizeof(rows[0]); call.row++) {
		if (given->number == (is_linux ? call.row->linux_number : call.row->netbsd_number))
			return call.row->function(&call);
	}
	return is_linux ? -ENOSYS : -78;
}

static int process_fork(void *kernel, void *parent, struct ferry_process *handle, void **ret_data)
{
	struct process *process = calloc(1, sizeof(*process));

	(void)handle;
	if (process == NULL)
		return -ENOMEM;
	if (parent != NULL)
		*process = *(const struct process *)parent;
	process->pid = ++((struct kernel *)kernel)->last_pid;
	*ret_data = process;
	return 0;
}

static int process_new(void *kernel, struct ferry_process *handle, const char *name,
	void **ret_data)
{
	(void)name;
	return process_fork(kernel, NULL, handle, ret_data);
}

static void process_exec(void *kernel, void *process, const char *name)
{
	struct open_file *files = ((struct process *)process)->files;

	(void)kernel, (void)name;
	for (int fd = 0; fd < OPEN_MAX; fd++) {
		if (files[fd].is_closed_on_exec)
			files[fd].node = NULL;
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
	return ((const struct process *)process)->pid;
}

static void take(void *kernel)
{
	(void)pthread_mutex_lock(&((struct kernel *)kernel)->lock);
}

static void give(void *kernel)
{
	(void)pthread_mutex_unlock(&((struct kernel *)kernel)->lock);
}

/* No lwp_new: an lwp is known by its process. No cancel: no call waits for anything but its client. */
static const struct ferry_kernel_operations operations = {
	.struct_bytes = sizeof(operations),
	.process_new = process_new,
	.process_fork = process_fork,
	.process_exec = process_exec,
	.process_exit = process_exit,
	.process_id = process_id,
	.call = answer,
	.schedule = take,
	.unschedule = give,
	.block = give,
	.unblock = take,
};

int main(int argc, char **argv)
{
	static struct kernel kernel = {.lock = PTHREAD_MUTEX_INITIALIZER, .root.is_directory = 1};
	struct ferry_kernel given = {&operations, &kernel};
	char problem[FERRY_SYSPROXY_ERROR_MAX];
	struct ferry_sysproxy_server *server;
	sigset_t ends;
	int signal;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGINT);
	(void)sigaddset(&ends, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
	if (argc != 2 || ferry_sysproxy_server_open(argv[1], &given, NULL, &server, problem) != 0) {
		(void)fprintf(stderr, "kernel-tree: %s\n",
			argc != 2 ? "usage: kernel-tree URL" : problem);
		return 1;
	}
	(void)printf("ready %s\n", ferry_sysproxy_server_url(server));
	(void)fflush(stdout);
	(void)sigwait(&ends, &signal);
	ferry_sysproxy_server_close(server);
	return 0;
}
