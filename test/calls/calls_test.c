/*
 * Each call of the call table, made directly and through sysproxy, gives the same value, errno and bytes,
 * and leaves the same files and descriptors behind. What is tried is made from the table and from one call
 * at least of each row that succeeds (subject.h); a row without one fails the test.
 *
 * usage: calls_test [--sample] [--at URL] [ROW...]      (default: all rows)
 *
 * --at: against a server that runs already. --sample: of all that is tried a part.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "call/table.h"
#include "ferry/sysproxy.h"
#include "test/calls/deviation.h"
#include "test/calls/lender.h"
#include "test/calls/variation.h"
#include "test/calls/world.h"

#define PATIENCE_S  120
#define SHOWN_LINES 12u /* of a row's differences */

struct comparison {
	const char *url;
	struct arena arena;
	struct account *direct, *lent;
	char folder[64]; /* with that of the sides in it */
	unsigned seen[DEVIATIONS_MAX];
	unsigned long trials, differences;
	unsigned failures; /* rows */
	bool is_sampled;
};

/* A side: in a process of its own */

static volatile sig_atomic_t signals; /* that this process was sent */

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

static void run_row(struct side *side, const struct call_row *row, bool is_sampled)
{
	struct trial trial = {.side = side, .row = row, .is_sampled = is_sampled};
	size_t count;
	const struct subject *all = subjects(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(all[i].name, row->name) != 0)
			continue;
		if (!subject_is_whole(&all[i], row))
			side_fail(side, "a subject has too many or too few words");
		trial.subject = &all[i];
		variation_run(&trial);
	}
	variation_run_codes(&trial);
}

static void begin_direct(struct side *side)
{
	const struct rlimit descriptors = {LENDER_WINDOW, LENDER_WINDOW};

	if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0)
		side_fail(side, "the limit of descriptors: %s", strerror(errno));
}

static void begin_lent(struct side *side, const char *url)
{
	char error[FERRY_SYSPROXY_ERROR_MAX];

	if (ferry_sysproxy_open(url, NULL, &side->client, error) != 0)
		side_fail(side, "%s", error);
}

static _Noreturn void be_side(struct comparison *comparison, const struct call_row *row,
	bool is_lent)
{
	struct side side = {.arena = &comparison->arena,
		.account = is_lent ? comparison->lent : comparison->direct,
		.signal_count = &signals};

	(void)snprintf(side.folder, sizeof(side.folder), "%s/side", comparison->folder);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, count_signal);
	(void)signal(SIGXFSZ, count_signal);
	(void)alarm(PATIENCE_S);
	if (is_lent)
		begin_lent(&side, comparison->url);
	else
		begin_direct(&side);
	run_row(&side, row, comparison->is_sampled);
	world_clear(&side);
	ferry_sysproxy_close(side.client);
	side.account->is_complete = 1;
	_exit(0);
}

static void run_side(struct comparison *comparison, const struct call_row *row, bool is_lent)
{
	struct account *account = is_lent ? comparison->lent : comparison->direct;
	int status;
	pid_t pid;

	account_clear(account);
	pid = fork();
	if (pid == 0)
		be_side(comparison, row, is_lent);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (account->is_complete == 0 && account->problem[0] == '\0')
		(void)snprintf(account->problem, sizeof(account->problem),
			"it ended with wait status %#x", (unsigned)status);
}

/* Comparing */

static bool is_same(const struct account_line *direct, const struct account_line *lent)
{
	return direct->value == lent->value && strcmp(direct->label, lent->label) == 0 &&
		strcmp(direct->text, lent->text) == 0;
}

static void show(const struct account_line *direct, const struct account_line *lent)
{
	printf("  %s\n    direct %lld%s\n    lent   %lld%s\n", direct->label,
		(long long)direct->value, direct->text, (long long)lent->value, lent->text);
}

/* @return how many lines differ for no reason. */
static size_t compare_lines(struct comparison *comparison, const char *name)
{
	size_t differences = 0;

	for (size_t i = 0; i < comparison->direct->count && i < comparison->lent->count; i++) {
		const struct account_line *direct = &comparison->direct->lines[i];
		const struct account_line *lent = &comparison->lent->lines[i];
		int deviation;

		comparison->trials++;
		if (is_same(direct, lent))
			continue;
		deviation = deviation_find(name, direct, lent);
		if (deviation >= 0)
			comparison->seen[deviation]++;
		else if (++differences <= SHOWN_LINES)
			show(direct, lent);
	}
	return differences;
}

/* @return whether a direct call of the row has succeeded. */
static bool is_covered(const struct account *direct)
{
	for (size_t i = 0; i < direct->count; i++) {
		if (direct->lines[i].value >= 0)
			return true;
	}
	return false;
}

static bool is_complete(const struct account *account, const char *side)
{
	if (account->is_complete != 0)
		return true;
	printf("  the %s side has failed: %s\n", side, account->problem);
	if (account->count > 0)
		printf("    in or after %s\n", account->lines[account->count - 1].label);
	return false;
}

static void compare_row(struct comparison *comparison, const struct call_row *row)
{
	size_t differences;
	bool is_good;

	run_side(comparison, row, false);
	run_side(comparison, row, true);
	differences = compare_lines(comparison, row->name);
	is_good = is_complete(comparison->direct, "direct");
	is_good = is_complete(comparison->lent, "lent") && is_good;
	if (differences > 0)
		printf("  %zu differences\n", differences);
	if (!is_covered(comparison->direct))
		printf("  no call has succeeded: it is not covered\n");
	comparison->differences += differences;
	if (!is_good || differences > 0 || !is_covered(comparison->direct)) {
		comparison->failures++;
		printf("not ok: %s\n", row->name);
	}
}

static bool is_wanted(const struct call_row *row, char **names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++) {
		if (strcmp(*names, row->name) == 0)
			return true;
	}
	return false;
}

static void compare_rows(struct comparison *comparison, char **names)
{
	size_t count;
	const struct call_row *rows = call_rows(&count);

	for (size_t i = 0; i < count; i++) {
		if (is_wanted(&rows[i], names))
			compare_row(comparison, &rows[i]);
	}
	if (*names != NULL || comparison->is_sampled)
		return;
	for (size_t i = 0; i < deviation_count(); i++) {
		if (comparison->seen[i] == 0) {
			printf("not ok: a deviation that there is not: %s\n", deviation_reason(i));
			comparison->failures++;
		}
	}
}

static void begin(struct comparison *comparison)
{
	char path[96];

	arena_init(&comparison->arena);
	comparison->direct = account_new();
	comparison->lent = account_new();
	(void)snprintf(comparison->folder, sizeof(comparison->folder), "/tmp/ferry-calls-XXXXXX");
	if (mkdtemp(comparison->folder) == NULL)
		abort();
	(void)snprintf(path, sizeof(path), "%s/side", comparison->folder);
	if (mkdir(path, 0755) != 0)
		abort();
}

static void end(struct comparison *comparison)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/side", comparison->folder);
	if (rmdir(path) != 0 || rmdir(comparison->folder) != 0)
		abort();
	account_free(comparison->direct);
	account_free(comparison->lent);
	arena_deinit(&comparison->arena);
}

int main(int argc, char **argv)
{
	static struct comparison comparison;
	char url[128];
	pid_t lender = 0;

	if (argc > 1 && strcmp(argv[1], LENDER_VERB) == 0)
		return lender_spawn();
	begin(&comparison);
	(void)snprintf(url, sizeof(url), "unix://%s/socket", comparison.folder);
	argv++;
	if (*argv != NULL && strcmp(*argv, "--sample") == 0) {
		comparison.is_sampled = true;
		argv++;
	}
	if (*argv != NULL && strcmp(*argv, "--at") == 0 && argv[1] != NULL) {
		comparison.url = argv[1];
		argv += 2;
	} else {
		comparison.url = url;
		lender = lender_start(url);
	}
	compare_rows(&comparison, argv);
	if (lender != 0)
		lender_stop(lender);
	(void)unlink(url + strlen("unix://"));
	end(&comparison);
	printf("%lu calls compared, %lu differences, %u failures\n", comparison.trials,
		comparison.differences, comparison.failures);
	return comparison.failures == 0 ? 0 : 1;
}
