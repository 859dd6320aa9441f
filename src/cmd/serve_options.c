/*
 * Defaults are for one machine: loopback, and whoever can reach it. What is open to a network is
 * open on demand, host by host.
 */
#include "cmd/serve_options.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "cmd/message.h"
#include "kernel/broker.h"
#include "kernel/linux_policy.h"
#include "nvme/nqn.h"
#include "serve/server.h"

#define VERB     "serve"
#define ROWS_MAX 32

#define NO_PORT UINT64_MAX

/* What the tables fill before it is checked. */
struct raw {
	struct option_list listen;
	const char *discovery_address;
	const char *log_level;
	const char *header_digest, *data_digest;
	uint64_t thread_count, discovery_port;
	uint64_t admin_entries, io_entries, io_queues, capsule_bytes, transfer_bytes, data_max;
	uint64_t connections, address_connections, host_controllers, host_queues;
};

/* @return the number of rows. */
static size_t add_main_rows(struct serve_options *options, struct raw *raw,
	struct option_row *ret_rows)
{
	const struct option_row rows[] = {
		{"listen", "ADDR[:PORT]",
			"where to listen (default 127.0.0.1:4420): IPv4, [IPv6] or a name;\n"
			"0.0.0.0 or [::] for every address; port 0 takes a free one; repeatable",
			OPTION_LIST, {.list = &raw->listen}, 0, 0},
		{"nqn", "NQN",
			"name of the subsystem (default: made of this machine's id and the stores,\n"
			"the same on every start)",
			OPTION_TEXT, {.text = &options->nqn}, 0, 0},
		{"allow-host", "NQN",
			"let the host of this name connect (on most hosts: cat /etc/nvme/hostnqn);\n"
			"repeatable",
			OPTION_LIST, {.list = &options->allowed_hosts}, 0, 0},
		{"allow-any-host", NULL,
			"let every host connect; the default only while all listeners are on loopback",
			OPTION_FLAG, {.is_set = &options->is_any_host}, 0, 0},
		{"discovery-address", "ADDR[:PORT]",
			"address that discovery tells hosts to connect to, where it is not the one they\n"
			"reached discovery at (default: the listener's)",
			OPTION_TEXT, {.text = &raw->discovery_address}, 0, 0},
		{"discovery-port", "PORT",
			"port for discovery beside every listener's; 0 for none (default: 8009 beside\n"
			"listeners on port 4420, unless it is taken)",
			OPTION_NUMBER, {.number = &raw->discovery_port}, 0, UINT16_MAX},
		{"threads", "N", "loops, each on a thread: 1..64 (default: the cores, at most 4)",
			OPTION_NUMBER, {.number = &raw->thread_count}, 1, SERVER_THREADS_MAX},
		{"log-level", "LEVEL", "error, warning, info or debug (default info)", OPTION_TEXT,
			{.text = &raw->log_level}, 0, 0},
	};

	memcpy(ret_rows, rows, sizeof(rows));
	return sizeof(rows) / sizeof(rows[0]);
}

/* Of lent calls. */
static size_t add_lend_rows(struct serve_options *options, struct option_row *ret_rows)
{
	const struct option_row rows[] = {
		{"lend", "WHAT",
			"lend system calls: net, net=RULE[,RULE...] or path=DIR[,ro]; repeatable.\n"
			"RULE is connect:NETWORK[:PORT[-PORT]] or bind:NETWORK[:PORT[-PORT]], NETWORK\n"
			"is any, 192.0.2.0[/BITS] or [2001:db8::][/BITS]",
			OPTION_LIST, {.list = &options->lent}, 0, 0},
		{"calls", "URL",
			"where calls come: unix://PATH or, within this machine, tcp://HOST:PORT;\n"
			"repeatable (default $XDG_RUNTIME_DIR/ferry.sock or /tmp/ferry-UID/ferry.sock)",
			OPTION_LIST, {.list = &options->calls}, 0, 0},
		{"stdio", NULL,
			"calls come by standard input and output, from one program; end with it",
			OPTION_FLAG, {.is_set = &options->is_stdio}, 0, 0},
		{"trace", NULL, "write each call that is made to standard error, as strace does",
			OPTION_FLAG, {.is_set = &options->is_traced}, 0, 0},
		{"user", "NAME",
			"started by root: once all is open be this user, who makes the calls, too",
			OPTION_TEXT, {.text = &options->user}, 0, 0},
	};

	memcpy(ret_rows, rows, sizeof(rows));
	return sizeof(rows) / sizeof(rows[0]);
}

/* What hosts are told of the transport and of the controllers. */
static size_t add_wire_rows(struct serve_options *options, struct raw *raw,
	struct option_row *ret_rows)
{
	const struct option_row rows[] = {
		{"header-digest", "WHEN",
			"checksums of headers: asked (default), require or refuse: when the host\n"
			"asks for them, always, or never",
			OPTION_TEXT, {.text = &raw->header_digest}, 0, 0},
		{"data-digest", "WHEN", "checksums of data: asked (default), require or refuse",
			OPTION_TEXT, {.text = &raw->data_digest}, 0, 0},
		{"max-admin-queue", "N", "entries of an admin queue: 32..4096 (default 4096)",
			OPTION_NUMBER, {.number = &raw->admin_entries}, 32, 4096},
		{"max-io-queue", "N", "entries of an I/O queue: 2..1024 (default 1024)",
			OPTION_NUMBER, {.number = &raw->io_entries}, 2, 1024},
		{"max-io-queues", "N", "I/O queues of a controller: 1..128 (default 128)",
			OPTION_NUMBER, {.number = &raw->io_queues}, 1, 128},
		{"in-capsule", "SIZE",
			"data within an I/O command: 0..64K, a multiple of 16 (default 16K)",
			OPTION_SIZE, {.number = &raw->capsule_bytes}, 0, 65536},
		{"max-h2c-data", "SIZE",
			"data of one PDU from a host: 4K..16M, a multiple of 4 (default 256K)",
			OPTION_SIZE, {.number = &raw->data_max}, 4096, 16u << 20},
		{"mdts", "SIZE", "data of one command: 8K..2M, a power of two (default 1M)",
			OPTION_SIZE, {.number = &raw->transfer_bytes}, 8192, 2u << 20},
		{"max-connections", "N", "connections at one time: 1..4096 (default 4096)",
			OPTION_NUMBER, {.number = &raw->connections}, 1, SERVER_CONNECTIONS_MAX},
		{"max-address-connections", "N",
			"of these from one address: 1..4096 (default 1024)", OPTION_NUMBER,
			{.number = &raw->address_connections}, 1, SERVER_CONNECTIONS_MAX},
		{"max-host-controllers", "N",
			"controllers of one host at one time: 1..1024 (default 256)", OPTION_NUMBER,
			{.number = &raw->host_controllers}, 1, TARGET_CONTROLLERS_MAX},
		{"max-host-queues", "N", "I/O queues of one host in all: 1..4096 (default 1024)",
			OPTION_NUMBER, {.number = &raw->host_queues}, 1, TARGET_HOST_QUEUES_MAX},
		{"no-flow-control-disable", NULL,
			"let no host disable the flow control of submission queues", OPTION_FLAG,
			{.is_set = &options->limits.is_flow_control_kept}, 0, 0},
	};

	memcpy(ret_rows, rows, sizeof(rows));
	return sizeof(rows) / sizeof(rows[0]);
}

static enum option_outcome parse_table(int argc, char **argv, struct serve_options *options,
	struct raw *raw)
{
	struct option_row rows[ROWS_MAX];
	size_t main_count = add_main_rows(options, raw, rows);
	size_t lend_count = add_lend_rows(options, rows + main_count);
	const struct option_table table = {
		.verb = VERB,
		.usage = "[OPTIONS] [STORE...] [--lend=WHAT]...",
		.description =
			"Lend disks to other machines over NVMe/TCP, the network and directories to programs\n"
			"elsewhere by system calls, or both. Each STORE becomes a namespace, 1, 2, ...:\n"
			"  PATH         an image file or a block device\n"
			"  ram:SIZE     a disk in memory (ram:64M)\n"
			"  null:SIZE    reads zeros, forgets writes\n"
			"with options after commas: ro (read-only), lba=512|4096 (block size), uuid=UUID\n"
			"(the namespace's identity). A comma in a PATH is written twice.\n\n"
			"Calls are made by processes within walls: of all that this machine has they reach what\n"
			"--lend names, and nothing else.\n\n"
			"A line 'ready URL' for each listener says that hosts, or programs, may come.\n"
			"SIGTERM and SIGINT end what hosts have begun, flush the stores, and exit with 0.",
		.footer =
			"Examples:\n"
			"  ferry serve disk.img\n"
			"  ferry serve --listen 0.0.0.0 --allow-host $(cat /etc/nvme/hostnqn) /dev/sdb,ro\n"
			"  ferry serve --listen [::1]:0 ram:1G,lba=4096 disk.img\n"
			"  ferry serve --lend net=connect:any:443 --lend path=/srv,ro",
		.rows = rows,
		.row_count = main_count + lend_count +
			add_wire_rows(options, raw, rows + main_count + lend_count),
	};

	return option_parse(&table, argc, argv, &options->stores);
}

static bool is_loopback(const struct address *address)
{
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address->storage;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address->storage;

	if (address->storage.ss_family == AF_INET)
		return ntohl(ipv4->sin_addr.s_addr) >> 24 == 127;
	return address->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

static bool add_listener(struct serve_options *options, const char *text)
{
	struct url_address address;
	const char *problem;
	int count;

	if (url_address_parse(text, &address, &problem) < 0) {
		(void)complain_usage(VERB, "--listen=%s: %s", text, problem);
		return false;
	}
	if (!address.has_port)
		address.port = SERVE_PORT_DEFAULT;
	count = address_resolve(&address, &options->listeners[options->listener_count], &problem);
	if (count < 0) {
		complain(VERB, "--listen=%s: %s", text, problem);
		return false;
	}
	options->listener_count += (unsigned)count;
	return true;
}

static bool check_listeners(struct serve_options *options, const struct option_list *texts)
{
	bool is_local = true;

	if (texts->count > SERVE_LISTEN_MAX) {
		(void)complain_usage(VERB, "--listen: at most %d times", SERVE_LISTEN_MAX);
		return false;
	}
	if (texts->count == 0 && !add_listener(options, "127.0.0.1"))
		return false;
	for (size_t i = 0; i < texts->count; i++) {
		if (!add_listener(options, texts->items[i]))
			return false;
	}
	for (unsigned i = 0; i < options->listener_count; i++)
		is_local = is_local && is_loopback(&options->listeners[i]);
	if (options->allowed_hosts.count > 0 || options->is_any_host)
		return true;
	if (!is_local) {
		(void)complain_usage(VERB,
			"a listener beyond loopback needs --allow-host NQN, or --allow-any-host");
		return false;
	}
	options->is_any_host = true;
	return true;
}

static bool check_names(const struct serve_options *options)
{
	if (options->nqn != NULL &&
		(!nvme_nqn_is_standard(options->nqn) ||
			strcmp(options->nqn, NVME_NQN_DISCOVERY) == 0)) {
		(void)complain_usage(VERB,
			"--nqn=%s: not a name for a subsystem: nqn.YYYY-MM.REVERSED.DOMAIN:NAME, "
			"such as nqn.2026-01.org.example:disk1",
			options->nqn);
		return false;
	}
	for (size_t i = 0; i < options->allowed_hosts.count; i++) {
		if (nvme_nqn_is_acceptable(options->allowed_hosts.items[i]))
			continue;
		(void)complain_usage(VERB, "--allow-host=%s: not an NQN",
			options->allowed_hosts.items[i]);
		return false;
	}
	return true;
}

static bool parse_digest(const char *option, const char *text, enum tcp_digest_policy *ret_policy)
{
	static const char *const names[] = {
		[TCP_DIGEST_AS_ASKED] = "asked",
		[TCP_DIGEST_REQUIRE] = "require",
		[TCP_DIGEST_REFUSE] = "refuse",
	};

	for (unsigned i = 0; text != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*ret_policy = (enum tcp_digest_policy)i;
		return true;
	}
	if (text == NULL)
		return true;
	(void)complain_usage(VERB, "--%s=%s: must be asked, require or refuse", option, text);
	return false;
}

/* The wire's numbers: the tables have checked their ranges. */
static bool take_wire(struct serve_options *options, const struct raw *raw)
{
	struct target_limits *limits = &options->limits;

	if (raw->capsule_bytes % 16 != 0) {
		(void)complain_usage(VERB, "--in-capsule=%llu: must be a multiple of 16",
			(unsigned long long)raw->capsule_bytes);
		return false;
	}
	if (raw->data_max % 4 != 0) {
		(void)complain_usage(VERB, "--max-h2c-data=%llu: must be a multiple of 4",
			(unsigned long long)raw->data_max);
		return false;
	}
	if ((raw->transfer_bytes & (raw->transfer_bytes - 1)) != 0) {
		(void)complain_usage(VERB, "--mdts=%llu: must be a power of two",
			(unsigned long long)raw->transfer_bytes);
		return false;
	}
	limits->admin_entries_max = (uint16_t)raw->admin_entries;
	limits->io_entries_max = (uint16_t)raw->io_entries;
	limits->io_queues_max = (uint16_t)raw->io_queues;
	limits->capsule_bytes = (uint32_t)raw->capsule_bytes;
	limits->host_controllers_max = (uint16_t)raw->host_controllers;
	limits->host_queues_max = (uint16_t)raw->host_queues;
	options->server.connections_max = (unsigned)raw->connections;
	options->server.address_connections_max = (unsigned)raw->address_connections;
	for (limits->mdts = 0; TARGET_MDTS_UNIT << limits->mdts < raw->transfer_bytes;)
		limits->mdts++;
	options->server.data_max = (uint32_t)raw->data_max;
	options->server.thread_count = (unsigned)raw->thread_count;
	options->has_discovery_port = raw->discovery_port != NO_PORT;
	options->discovery_port = options->has_discovery_port ? (uint16_t)raw->discovery_port
							      : SERVE_DISCOVERY_PORT_DEFAULT;
	return parse_digest("header-digest", raw->header_digest, &options->server.header_digest) &&
		parse_digest("data-digest", raw->data_digest, &options->server.data_digest);
}

/* @return the name of an option that is of no use without --lend, or NULL. */
static const char *find_idle_option(const struct serve_options *options)
{
	if (options->calls.count > 0)
		return "calls";
	if (options->is_stdio)
		return "stdio";
	if (options->is_traced)
		return "trace";
	return options->user != NULL ? "user" : NULL;
}

static bool check_lent(const struct serve_options *options)
{
	struct linux_policy policy;
	char problem[256];
	int error = 0;

	linux_policy_init(&policy);
	for (size_t i = 0; error == 0 && i < options->lent.count; i++) {
		error = linux_policy_lend(&policy, options->lent.items[i], problem,
			sizeof(problem));
		if (error != 0)
			(void)complain_usage(VERB, "--lend=%s: %s", options->lent.items[i],
				problem);
	}
	linux_policy_deinit(&policy);
	return error == 0;
}

static bool check_lending(const struct serve_options *options)
{
	if (options->calls.count > BROKER_URLS_MAX - 1) {
		(void)complain_usage(VERB, "--calls: at most %u times", BROKER_URLS_MAX - 1);
		return false;
	}
	if (options->user != NULL && geteuid() != 0) {
		(void)complain_usage(VERB, "--user=%s: only root can become another user",
			options->user);
		return false;
	}
	return check_lent(options);
}

/* What there is to serve. */
static bool check_served(const struct serve_options *options, const struct raw *raw)
{
	const char *idle = find_idle_option(options);

	if (options->lent.count == 0 && idle != NULL) {
		(void)complain_usage(VERB, "--%s is for lent calls: say what with --lend", idle);
		return false;
	}
	if (options->stores.count == 0 && options->lent.count == 0) {
		(void)complain_usage(VERB,
			"no store: name an image file, a block device or ram:SIZE; or lend something "
			"with --lend");
		return false;
	}
	if (options->stores.count == 0 && raw->listen.count > 0) {
		(void)complain_usage(VERB, "--listen is for disks: name a STORE, too");
		return false;
	}
	return true;
}

static bool check(struct serve_options *options, const struct raw *raw)
{
	const char *problem;

	if (!check_served(options, raw) || !check_lending(options))
		return false;
	if (raw->log_level != NULL && log_level_parse(raw->log_level, &options->log_level) < 0) {
		(void)complain_usage(VERB, "--log-level=%s: must be error, warning, info or debug",
			raw->log_level);
		return false;
	}
	if (raw->discovery_address != NULL) {
		options->has_discovery_address = true;
		if (url_address_parse(raw->discovery_address, &options->discovery_address,
			    &problem) < 0) {
			(void)complain_usage(VERB, "--discovery-address=%s: %s",
				raw->discovery_address, problem);
			return false;
		}
	}
	return take_wire(options, raw) && check_names(options) &&
		check_listeners(options, &raw->listen);
}

enum option_outcome serve_options_parse(int argc, char **argv, struct serve_options *ret_options)
{
	const struct target_limits limits = target_limits_default();
	const struct server_options server = server_options_default();
	struct raw raw = {
		.thread_count = server.thread_count,
		.discovery_port = NO_PORT,
		.admin_entries = limits.admin_entries_max,
		.io_entries = limits.io_entries_max,
		.io_queues = limits.io_queues_max,
		.capsule_bytes = limits.capsule_bytes,
		.transfer_bytes = TARGET_MDTS_UNIT << limits.mdts,
		.data_max = server.data_max,
		.connections = server.connections_max,
		.address_connections = server.address_connections_max,
		.host_controllers = limits.host_controllers_max,
		.host_queues = limits.host_queues_max,
	};
	enum option_outcome outcome;

	*ret_options = (struct serve_options){
		.log_level = LOG_LEVEL_INFO,
		.limits = limits,
		.server = server,
	};
	outcome = parse_table(argc, argv, ret_options, &raw);
	if (outcome == OPTION_PARSED && !check(ret_options, &raw))
		outcome = OPTION_WRONG;
	option_list_deinit(&raw.listen);
	if (outcome != OPTION_PARSED)
		serve_options_deinit(ret_options);
	return outcome;
}

void serve_options_deinit(struct serve_options *options)
{
	option_list_deinit(&options->stores);
	option_list_deinit(&options->allowed_hosts);
	option_list_deinit(&options->lent);
	option_list_deinit(&options->calls);
}
