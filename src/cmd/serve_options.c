/*
 * Defaults are for one machine: loopback, and whoever can reach it. What is open to a network is
 * open on demand, host by host.
 */
#include "cmd/serve_options.h"

#include <netinet/in.h>
#include <string.h>

#include "cmd/message.h"
#include "nvme/nqn.h"
#include "serve/server.h"

#define VERB         "serve"
#define PORT_DEFAULT 4420 /* IANA: NVMe over fabrics */

/* What the table fills before it is checked. */
struct raw {
	struct option_list listen;
	const char *discovery_address;
	const char *log_level;
};

static enum option_outcome parse_table(int argc, char **argv, struct serve_options *options,
	struct raw *raw)
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
		{"threads", "N", "loops, each on a thread: 1..64 (default: the cores, at most 4)",
			OPTION_NUMBER, {.number = &options->thread_count}, 1, SERVER_THREADS_MAX},
		{"log-level", "LEVEL", "error, warning, info or debug (default info)", OPTION_TEXT,
			{.text = &raw->log_level}, 0, 0},
	};
	const struct option_table table = {
		.verb = VERB,
		.usage = "[OPTIONS] STORE...",
		.description =
			"Lend disks to other machines over NVMe/TCP. Each STORE becomes a namespace, 1, 2, ...:\n"
			"  PATH         an image file or a block device\n"
			"  ram:SIZE     a disk in memory (ram:64M)\n"
			"  null:SIZE    reads zeros, forgets writes\n"
			"with options after commas: ro (read-only), lba=512|4096 (block size), uuid=UUID\n"
			"(the namespace's identity). A comma in a PATH is written twice.\n\n"
			"A line 'ready nvme-tcp://HOST:PORT/NQN' for each listener says that hosts may come.\n"
			"SIGTERM and SIGINT end what hosts have begun, flush the stores, and exit with 0.",
		.footer =
			"Examples:\n"
			"  ferry serve disk.img\n"
			"  ferry serve --listen 0.0.0.0 --allow-host $(cat /etc/nvme/hostnqn) /dev/sdb,ro\n"
			"  ferry serve --listen [::1]:0 ram:1G,lba=4096 disk.img",
		.rows = rows,
		.row_count = sizeof(rows) / sizeof(rows[0]),
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
		address.port = PORT_DEFAULT;
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

static bool check(struct serve_options *options, const struct raw *raw)
{
	const char *problem;

	if (options->stores.count == 0) {
		(void)complain_usage(VERB,
			"no store: name an image file, a block device or ram:SIZE");
		return false;
	}
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
	return check_names(options) && check_listeners(options, &raw->listen);
}

enum option_outcome serve_options_parse(int argc, char **argv, struct serve_options *ret_options)
{
	struct raw raw = {0};
	enum option_outcome outcome;

	*ret_options = (struct serve_options){
		.log_level = LOG_LEVEL_INFO,
		.thread_count = server_options_default().thread_count,
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
}
