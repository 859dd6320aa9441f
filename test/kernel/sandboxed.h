/*
 * A worker in a sandbox, for tests: a tree of which a part is lent, a process that enters, and one that it
 * forks, which does what a test says. What a worker finds wrong it writes to memory that is shared.
 */
#ifndef FERRY_TEST_KERNEL_SANDBOXED_H
#define FERRY_TEST_KERNEL_SANDBOXED_H

#include <errno.h>
#include <stdbool.h>

#include "kernel/linux_policy.h"
#include "kernel/sandbox.h"

#define NOBODY     65534u
#define NAME_MAX_  256
#define TASKS      40u
#define EXIT_TOLD  9 /* of a process that has said in the report what is wrong */
#define EXIT_WALLS 8 /* ...that could not enter */

/* What is lent: BASE/rw and BASE/ro of a directory that also has BASE/hidden. */
struct tree {
	char base[64];
	char rw[80];
	char ro[80];
};

/* Shared with the processes in the sandbox. */
struct report {
	char text[512];
	enum sandbox_view view;
	int landlock;
	long number;
};

/* How a sandbox is entered. */
struct entry {
	const char *name;
	bool as_nobody;  /* the process is an ordinary user's from the start */
	bool to_nobody;  /* it becomes one by option */
	bool is_refused; /* a filter refuses namespaces */
	bool without_namespaces;
	bool without_landlock;
	bool has_network;
	bool is_nested; /* a directory of what is lent to be written is lent to be read */
	bool is_whole;  /* "/" is lent, to be read */
};

struct fixture {
	struct tree tree;
	struct report *report;
};

typedef void worker_body(struct fixture *fixture);

/* Of the test that runs; for CHECK() in a process of its own. */
extern struct report *told;

/** End this process, whose report says what is wrong. */
void fail_in_child(int line, const char *what, int error) __attribute__((noreturn));

#define CHECK(condition)                                            \
	do {                                                        \
		errno = 0;                                          \
		if (!(condition))                                   \
			fail_in_child(__LINE__, #condition, errno); \
	} while (0)
#define CHECK_ERROR(call, expected)                                            \
	do {                                                                   \
		errno = 0;                                                     \
		if ((call) >= 0 || errno != (expected))                        \
			fail_in_child(__LINE__, #call " = " #expected, errno); \
	} while (0)

/** @return DIRECTORY/NAME; valid until four more were made. */
const char *in(const char *directory, const char *name);

/** For cmocka: the tree, and a report. */
int set_up_tree(void **state);
int tear_down_tree(void **state);

bool is_root(void);

/** A policy that lends the tree; to be used where CHECK() is. */
void lend_tree(struct linux_policy *policy, const struct tree *tree, bool has_network);

/** @return the exit status of a worker that does @body, 128 and its signal if it was killed. */
int run_worker(struct fixture *fixture, const struct entry *entry, worker_body *body);

/** The test fails if it does not end well. */
void run_well(struct fixture *fixture, const struct entry *entry, worker_body *body);

#endif
