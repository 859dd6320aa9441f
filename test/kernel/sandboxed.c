#include "test/kernel/sandboxed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/seccomp/refusal.h"

struct report *told;

void fail_in_child(int line, const char *what, int error)
{
	(void)snprintf(told->text, sizeof(told->text), "line %d: %s (errno %s)", line, what,
		strerrorname_np(error));
	_exit(EXIT_TOLD);
}

const char *in(const char *directory, const char *name)
{
	static char names[4][NAME_MAX_];
	static unsigned next;
	char *text = names[next++ % ARRAY_LENGTH(names)];

	(void)snprintf(text, NAME_MAX_, "%s/%s", directory, name);
	return text;
}

static void write_file(const char *path)
{
	int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

	assert_true(file >= 0);
	assert_int_equal(write(file, "text", 4), 4);
	assert_int_equal(fchmod(file, 0666), 0);
	assert_int_equal(close(file), 0);
}

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0777), 0);
	assert_int_equal(chmod(path, 0777), 0);
}

int set_up_tree(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct tree *tree;

	assert_non_null(fixture);
	tree = &fixture->tree;
	(void)snprintf(tree->base, sizeof(tree->base), "/tmp/ferry-sandbox-XXXXXX");
	assert_non_null(mkdtemp(tree->base));
	assert_int_equal(chmod(tree->base, 0755), 0);
	(void)snprintf(tree->rw, sizeof(tree->rw), "%s/rw", tree->base);
	(void)snprintf(tree->ro, sizeof(tree->ro), "%s/ro", tree->base);
	make_directory(tree->rw);
	make_directory(tree->ro);
	make_directory(in(tree->base, "hidden"));
	make_directory(in(tree->rw, "proc"));
	write_file(in(tree->base, "hidden/secret"));
	write_file(in(tree->rw, "file"));
	write_file(in(tree->ro, "file"));
	assert_int_equal(symlink("../hidden/secret", in(tree->rw, "out")), 0);
	assert_int_equal(symlink(in(tree->base, "hidden/secret"), in(tree->rw, "absolute")), 0);
	assert_int_equal(symlink("file", in(tree->rw, "within")), 0);
	assert_int_equal(symlink("../ro/file", in(tree->rw, "across")), 0);
	fixture->report = mmap(NULL, sizeof(*fixture->report), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(fixture->report != MAP_FAILED);
	told = fixture->report;
	*state = fixture;
	return 0;
}

int tear_down_tree(void **state)
{
	static const char *const names[] = {"rw/out", "rw/absolute", "rw/within", "rw/across",
		"rw/proc", "rw/file", "rw/new", "rw/hard", "rw/moved", "rw", "ro/file", "ro",
		"hidden/secret", "hidden", "."};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(names) - 1; i++)
		(void)remove(in(fixture->tree.base, names[i]));
	assert_int_equal(rmdir(fixture->tree.base), 0);
	assert_int_equal(munmap(fixture->report, sizeof(*fixture->report)), 0);
	free(fixture);
	return 0;
}

bool is_root(void)
{
	return geteuid() == 0;
}

void lend_tree(struct linux_policy *policy, const struct tree *tree, bool has_network)
{
	char value[NAME_MAX_];
	char problem[256] = "";

	linux_policy_init(policy);
	(void)snprintf(value, sizeof(value), "path=%s", tree->rw);
	CHECK(linux_policy_lend(policy, value, problem, sizeof(problem)) == 0);
	(void)snprintf(value, sizeof(value), "path=%s,ro", tree->ro);
	CHECK(linux_policy_lend(policy, value, problem, sizeof(problem)) == 0);
	if (has_network)
		CHECK(linux_policy_lend(policy, "net=connect:127.0.0.1:9", problem,
			      sizeof(problem)) == 0);
}

static void lend_more(struct linux_policy *policy, const struct tree *tree,
	const struct entry *entry)
{
	char value[NAME_MAX_];

	(void)snprintf(value, sizeof(value), "path=%s/proc,ro", tree->rw);
	if (entry->is_nested)
		CHECK(linux_policy_lend(policy, value, told->text, sizeof(told->text)) == 0);
	if (entry->is_whole)
		CHECK(linux_policy_lend(policy, "path=/,ro", told->text, sizeof(told->text)) == 0);
}

/* In a process of its own: enter, fork a worker, and end as it ends. */
static void enter_and_work(struct fixture *fixture, const struct entry *entry, worker_body *body)
{
	struct sandbox_options options = {
		.has_user = entry->to_nobody,
		.uid = NOBODY,
		.gid = NOBODY,
		.task_max = entry->without_namespaces || entry->is_refused ? 0 : TASKS,
		.descriptor_max = 1000,
		.is_without_namespaces = entry->without_namespaces,
		.is_without_landlock = entry->without_landlock,
	};
	struct sandbox_walls walls;
	struct linux_policy policy;
	pid_t worker;
	int status;

	if (entry->as_nobody && is_root()) {
		CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0);
		CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	}
	if (entry->is_refused)
		CHECK(refuse_namespaces(EPERM) == 0);
	lend_tree(&policy, &fixture->tree, entry->has_network);
	lend_more(&policy, &fixture->tree, entry);
	if (sandbox_enter(&policy, &options, &walls, told->text, sizeof(told->text)) != 0)
		_exit(EXIT_WALLS);
	told->view = walls.view;
	told->landlock = walls.landlock;
	worker = fork();
	CHECK(worker >= 0);
	if (worker == 0) {
		CHECK(sandbox_enter_worker(&walls) == 0);
		body(fixture);
		_exit(0);
	}
	CHECK(waitpid(worker, &status, 0) == worker);
	if (WIFSIGNALED(status))
		_exit(128 + WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

int run_worker(struct fixture *fixture, const struct entry *entry, worker_body *body)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		enter_and_work(fixture, entry, body);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void run_well(struct fixture *fixture, const struct entry *entry, worker_body *body)
{
	int status = run_worker(fixture, entry, body);

	if (status != 0)
		fail_msg("%s: status %d: %s", entry->name, status, fixture->report->text);
}
