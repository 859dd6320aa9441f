/*
 * Landlock's structures stand here as far as they are used, since the headers of the C library are older
 * than the kernels that are met. Version 1 is not used: it refuses every rename from one directory to
 * another.
 */
#include "kernel/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define VERSION_LEAST   2
#define VERSION_CUT     3 /* files are cut only as they are written */
#define VERSION_PORTS   4
#define VERSION_DEVICES 5
#define VERSION_SCOPES  6

#define RULESET_VERSION 1u
#define RULE_PATH       1
#define RULE_PORT       2

#define FILE_EXECUTE    (UINT64_C(1) << 0)
#define FILE_WRITE      (UINT64_C(1) << 1)
#define FILE_READ       (UINT64_C(1) << 2)
#define FILE_READ_DIR   (UINT64_C(1) << 3)
#define FILE_MAKE_CHAR  (UINT64_C(1) << 6)
#define FILE_MAKE_BLOCK (UINT64_C(1) << 11)
#define FILE_MOVE       (UINT64_C(1) << 13) /* from one directory to another */
#define FILE_ALL_OF_2   ((UINT64_C(1) << 14) - 1)
#define FILE_TRUNCATE   (UINT64_C(1) << 14)
#define FILE_IOCTL      (UINT64_C(1) << 15) /* of devices */

#define PORT_BIND    (UINT64_C(1) << 0)
#define PORT_CONNECT (UINT64_C(1) << 1)

#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0)
#define SCOPE_SIGNALS          (UINT64_C(1) << 1)

#define PORTS_MAX 1024u /* of one reach; of more the policy alone judges */

struct ruleset {
	uint64_t files;
	uint64_t ports;
	uint64_t scopes;
};

struct port_rule {
	uint64_t allowed;
	uint64_t port;
};

/* landlock_path_beneath_attr is packed: 12 bytes. */
struct path_rule {
	uint64_t allowed;
	int32_t directory;
	int32_t unused;
};

int sandbox_landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

	return version >= VERSION_LEAST ? (int)version : 0;
}

static size_t ruleset_bytes(int version)
{
	if (version < VERSION_PORTS)
		return offsetof(struct ruleset, ports);
	return version < VERSION_SCOPES ? offsetof(struct ruleset, scopes) : sizeof(struct ruleset);
}

static int make_ruleset(const struct ruleset *ruleset, int version)
{
	long fd = syscall(SYS_landlock_create_ruleset, ruleset, ruleset_bytes(version), 0);

	return fd >= 0 ? (int)fd : -errno;
}

static int allow_beneath(int rules, const char *path, uint64_t allowed)
{
	CLEANUP(cleanup_close) int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct path_rule rule = {.allowed = allowed, .directory = directory};

	if (directory < 0 || syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0) != 0)
		return -errno;
	return 0;
}

static int allow_paths(int rules, const struct linux_policy *policy, enum sandbox_view view,
	uint64_t handled)
{
	/* Nothing is run, no device made or used. */
	uint64_t all = handled & ~(FILE_EXECUTE | FILE_MAKE_CHAR | FILE_MAKE_BLOCK | FILE_IOCTL);
	int error = 0;

	/* A view has nothing but what is lent, and the directories above. */
	if (view != SANDBOX_VIRTUAL)
		error = allow_beneath(rules, "/", FILE_READ_DIR);
	for (size_t i = 0; error == 0 && i < policy->path_count; i++)
		error = allow_beneath(rules, policy->paths[i].path,
			policy->paths[i].is_read_only ? FILE_READ | FILE_READ_DIR : all);
	return error;
}

/* Whether Landlock can say which ports of a reach are allowed. */
static bool is_by_port(const struct linux_policy *policy, enum linux_reach reach)
{
	size_t count = 0;

	if (!policy->has_network)
		return true;
	if (policy->rule_count == 0)
		return false;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct linux_rule *rule = &policy->rules[i];

		if (rule->reach == reach)
			count += (size_t)rule->port_last - rule->port_first + 1;
	}
	return count <= PORTS_MAX;
}

static int allow_ports(int rules, const struct linux_rule *rule)
{
	struct port_rule port = {
		.allowed = rule->reach == LINUX_BIND ? PORT_BIND : PORT_CONNECT,
		.port = rule->port_first,
	};

	for (; port.port <= rule->port_last; port.port++) {
		if (syscall(SYS_landlock_add_rule, rules, RULE_PORT, &port, 0) != 0)
			return -errno;
	}
	return 0;
}

static int restrict_self(int rules)
{
	return syscall(SYS_landlock_restrict_self, rules, 0) == 0 ? 0 : -errno;
}

int sandbox_landlock_enter(const struct linux_policy *policy, enum sandbox_view view, int version)
{
	struct ruleset ruleset = {.files = FILE_ALL_OF_2};
	CLEANUP(cleanup_close) int rules = -1;
	int error;

	if (version >= VERSION_CUT)
		ruleset.files |= FILE_TRUNCATE;
	if (version >= VERSION_DEVICES)
		ruleset.files |= FILE_IOCTL;
	if (version >= VERSION_SCOPES)
		ruleset.scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
	if (version >= VERSION_PORTS && is_by_port(policy, LINUX_BIND))
		ruleset.ports |= PORT_BIND;
	if (version >= VERSION_PORTS && is_by_port(policy, LINUX_CONNECT))
		ruleset.ports |= PORT_CONNECT;
	rules = make_ruleset(&ruleset, version);
	if (rules < 0)
		return rules;
	error = allow_paths(rules, policy, view, ruleset.files);
	for (size_t i = 0; error == 0 && i < policy->rule_count; i++) {
		const struct linux_rule *rule = &policy->rules[i];

		if ((ruleset.ports & (rule->reach == LINUX_BIND ? PORT_BIND : PORT_CONNECT)) != 0)
			error = allow_ports(rules, rule);
	}
	return error < 0 ? error : restrict_self(rules);
}

int sandbox_landlock_enter_worker(int version)
{
	/* Rules that do not speak of moves forbid them. */
	static const struct ruleset ruleset = {.files = FILE_MOVE, .scopes = SCOPE_SIGNALS};
	CLEANUP(cleanup_close) int rules = -1;
	int error;

	if (version < VERSION_SCOPES)
		return 0;
	rules = make_ruleset(&ruleset, version);
	if (rules < 0)
		return rules;
	error = allow_beneath(rules, "/", FILE_MOVE);
	return error < 0 ? error : restrict_self(rules);
}
