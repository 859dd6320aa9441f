/*
 * A policy from text, and its answers. See linux_policy.h.
 */
#include "kernel/linux_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"

#define RULE_TEXT_MAX 128 /* bytes of one rule with NUL */
#define SOCKADDR_IN6_V0 \
	24 /* bytes of struct sockaddr_in6 without its zone, which Linux takes too */

/* An internet address as rules see it. */
struct place {
	int family;
	uint8_t address[16];
	uint16_t port;
};

/* Where a problem is told. */
struct teller {
	char *text;
	size_t bytes;
};

static int tell(const struct teller *teller, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int tell(const struct teller *teller, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(teller->text, teller->bytes, format, arguments);
	va_end(arguments);
	return error;
}

void linux_policy_init(struct linux_policy *policy)
{
	memset(policy, 0, sizeof(*policy));
}

void linux_policy_deinit(struct linux_policy *policy)
{
	if (policy == NULL)
		return;
	for (size_t i = 0; i < policy->path_count; i++)
		free(policy->paths[i].path);
	memset(policy, 0, sizeof(*policy));
}

/* Cut the ports off a network. Return them, or NULL: there are none. */
static char *cut_ports(char *text)
{
	char *end = strchr(text, ']');
	char *colon = strchr(end != NULL ? end : text, ':');

	if (colon == NULL)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static int parse_ports(char *text, struct linux_rule *rule, const struct teller *teller)
{
	char *dash = strchr(text, '-');
	uint64_t first;
	uint64_t last;

	if (dash != NULL)
		*dash = '\0';
	if (text_parse_number(text, 0, UINT16_MAX, &first) < 0)
		return tell(teller, -EINVAL, "\"%s\" is not a port: it is a number of 0-65535",
			text);
	last = first;
	if (dash != NULL && text_parse_number(dash + 1, 0, UINT16_MAX, &last) < 0)
		return tell(teller, -EINVAL, "\"%s\" is not a port: it is a number of 0-65535",
			dash + 1);
	if (last < first)
		return tell(teller, -EINVAL, "ports %s-%s: the lower comes first", text, dash + 1);
	rule->port_first = (uint16_t)first;
	rule->port_last = (uint16_t)last;
	return 0;
}

/* Whether the bits after the prefix are 0. */
static bool is_network(const struct linux_rule *rule, unsigned bits_max)
{
	for (unsigned bit = rule->prefix_bits; bit < bits_max; bit++) {
		if ((rule->address[bit / 8] & (0x80u >> (bit % 8))) != 0)
			return false;
	}
	return true;
}

static int parse_address(char *text, struct linux_rule *rule, const struct teller *teller)
{
	size_t length = strlen(text);

	if (text[0] == '[' && text[length - 1] == ']') {
		text[length - 1] = '\0';
		text++;
		rule->family = AF_INET6;
	} else if (strchr(text, ':') != NULL) {
		return tell(teller, -EINVAL, "an IPv6 address stands in brackets: [%s]", text);
	} else {
		rule->family = AF_INET;
	}
	if (inet_pton(rule->family, text, rule->address) != 1)
		return tell(teller, -EINVAL,
			"\"%s\" is not a network: say any, 192.0.2.0/24, or [2001:db8::]/32; names are not looked up",
			text);
	return 0;
}

static int parse_network(char *text, struct linux_rule *rule, const struct teller *teller)
{
	char *slash = strchr(text, '/');
	unsigned bits_max;
	uint64_t bits;
	int error;

	if (strcmp(text, "any") == 0) {
		rule->family = AF_UNSPEC;
		return 0;
	}
	if (slash != NULL)
		*slash = '\0';
	error = parse_address(text, rule, teller);
	if (error < 0)
		return error;
	bits_max = rule->family == AF_INET ? 32 : 128;
	bits = bits_max;
	if (slash != NULL && text_parse_number(slash + 1, 0, bits_max, &bits) < 0)
		return tell(teller, -EINVAL, "\"/%s\": the bits of the network are 0-%u", slash + 1,
			bits_max);
	rule->prefix_bits = (unsigned)bits;
	if (!is_network(rule, bits_max))
		return tell(teller, -EINVAL,
			"%s/%u: there are bits set after the first %u: an address alone has no /, a network ends in zeros",
			text, rule->prefix_bits, rule->prefix_bits);
	if (rule->family == AF_INET6 && rule->prefix_bits >= 96 &&
		IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)rule->address))
		return tell(teller, -EINVAL, "%s: write it as the IPv4 address that it is", text);
	return 0;
}

static int parse_rule(const char *text, size_t length, struct linux_rule *ret_rule,
	const struct teller *teller)
{
	struct linux_rule rule = {.port_last = UINT16_MAX};
	char copy[RULE_TEXT_MAX];
	char *network;
	char *ports;
	int error;

	if (length >= sizeof(copy))
		return tell(teller, -EINVAL, "a rule has at most %zu characters", sizeof(copy) - 1);
	memcpy(copy, text, length);
	copy[length] = '\0';
	network = strchr(copy, ':');
	if (network != NULL)
		*network++ = '\0';
	if (strcmp(copy, "connect") != 0 && strcmp(copy, "bind") != 0)
		return tell(teller, -EINVAL,
			"\"%s\" is not a rule: it is connect:NETWORK[:PORT[-PORT]] or bind:NETWORK[:PORT[-PORT]]",
			copy);
	if (network == NULL || *network == '\0')
		return tell(teller, -EINVAL, "%s: to which network? %s:any is all of them", copy,
			copy);
	rule.reach = copy[0] == 'c' ? LINUX_CONNECT : LINUX_BIND;
	if ((network[0] != '[' || strchr(network, ']') == NULL) &&
		strchr(network, ':') != strrchr(network, ':'))
		return tell(teller, -EINVAL, "an IPv6 address stands in brackets: %s:[%s]", copy,
			network);
	ports = cut_ports(network);
	error = ports != NULL ? parse_ports(ports, &rule, teller) : 0;
	if (error == 0)
		error = parse_network(network, &rule, teller);
	if (error == 0)
		*ret_rule = rule;
	return error;
}

/* `net`, `net=RULE[,RULE...]`; @text is what follows "net". */
static int lend_network(struct linux_policy *policy, const char *text, const struct teller *teller)
{
	size_t count = policy->rule_count;

	if (*text == '\0') {
		policy->has_network = true;
		policy->rule_count = 0;
		return 0;
	}
	if (policy->has_network && count == 0)
		return tell(teller, -EINVAL,
			"all networks are lent already: leave out either net or net%s", text);
	do {
		size_t length = strcspn(++text, ",");
		int error;

		if (count == LINUX_RULES_MAX)
			return tell(teller, -E2BIG, "there are more than %d rules",
				LINUX_RULES_MAX);
		error = parse_rule(text, length, &policy->rules[count], teller);
		if (error < 0)
			return error;
		count++;
		text += length;
	} while (*text != '\0');
	policy->rule_count = count;
	policy->has_network = true;
	return 0;
}

/* Whether @path goes back or is relative, so that only the kernel can say what it names. */
static bool is_to_resolve(const char *path)
{
	if (path[0] != '/')
		return true;
	for (const char *part = strstr(path, "/.."); part != NULL; part = strstr(part + 1, "/..")) {
		if (part[3] == '/' || part[3] == '\0')
			return true;
	}
	return false;
}

/* Take "//", "/./" and slashes at the end out of an absolute path. */
static void tidy_path(char *path)
{
	char *to = path;
	const char *from = path;

	while (*from != '\0') {
		size_t length;

		while (*from == '/')
			from++;
		length = strcspn(from, "/");
		if (length != 0 && !(length == 1 && from[0] == '.')) {
			*to++ = '/';
			memmove(to, from, length);
			to += length;
		}
		from += length;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static int find_directory(const char *text, char **ret_path, const struct teller *teller)
{
	CLEANUP(cleanup_free) char *path = NULL;
	struct stat status;

	if (*text == '\0')
		return tell(teller, -EINVAL, "path= which directory?");
	if (strlen(text) >= PATH_MAX)
		return tell(teller, -ENAMETOOLONG, "the path is too long");
	path = is_to_resolve(text) ? realpath(text, NULL) : strdup(text);
	if (path == NULL || stat(path, &status) != 0) {
		int error = errno;

		return tell(teller, -error, "%s: %s", text, strerror(error));
	}
	if (!S_ISDIR(status.st_mode))
		return tell(teller, -ENOTDIR, "%s is not a directory; lend the one that it is in",
			text);
	tidy_path(path);
	*ret_path = TAKE(path);
	return 0;
}

/* `path=DIRECTORY[,ro]`; @text is what follows "path=". */
static int lend_path(struct linux_policy *policy, const char *text, const struct teller *teller)
{
	CLEANUP(cleanup_free) char *name = strdup(text);
	struct linux_lent lent = {0};
	size_t at = 0;
	char *comma;
	int error;

	if (name == NULL)
		return tell(teller, -ENOMEM, "out of memory");
	if (policy->path_count == LINUX_PATHS_MAX)
		return tell(teller, -E2BIG, "there are more than %d directories", LINUX_PATHS_MAX);
	comma = strrchr(name, ',');
	if (comma != NULL && strcmp(comma, ",ro") != 0)
		return tell(teller, -EINVAL,
			"\"%s\": only ,ro may follow a directory, and its name has no comma",
			comma);
	if (comma != NULL)
		*comma = '\0';
	lent.is_read_only = comma != NULL;
	error = find_directory(name, &lent.path, teller);
	if (error < 0)
		return error;
	while (at < policy->path_count && strcmp(policy->paths[at].path, lent.path) < 0)
		at++;
	if (at < policy->path_count && strcmp(policy->paths[at].path, lent.path) == 0) {
		(void)tell(teller, -EINVAL, "%s is lent twice", lent.path);
		free(lent.path);
		return -EINVAL;
	}
	memmove(&policy->paths[at + 1], &policy->paths[at],
		(policy->path_count - at) * sizeof(policy->paths[0]));
	policy->paths[at] = lent;
	policy->path_count++;
	return 0;
}

int linux_policy_lend(struct linux_policy *policy, const char *text, char *ret_problem,
	size_t bytes)
{
	const struct teller teller = {ret_problem, bytes};

	if (strcmp(text, "net") == 0 || strncmp(text, "net=", 4) == 0)
		return lend_network(policy, text + 3, &teller);
	if (strncmp(text, "path=", 5) == 0)
		return lend_path(policy, text + 5, &teller);
	if (text[0] == '/' || text[0] == '.')
		return tell(&teller, -EINVAL, "\"%s\" cannot be lent: a directory is path=%s", text,
			text);
	return tell(&teller, -EINVAL,
		"\"%s\" cannot be lent: say net, net=RULE[,RULE...] or path=DIRECTORY[,ro]", text);
}

int linux_policy_socket(const struct linux_policy *policy, int family, int type, int protocol)
{
	int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (family == AF_UNIX) {
		if (kind != SOCK_STREAM && kind != SOCK_DGRAM && kind != SOCK_SEQPACKET)
			return -ESOCKTNOSUPPORT;
		return protocol == 0 || protocol == AF_UNIX ? 0 : -EPROTONOSUPPORT;
	}
	if (family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	if (!policy->has_network)
		return -EACCES;
	if (kind == SOCK_RAW)
		return -EPERM;
	if (kind == SOCK_STREAM)
		return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
	if (kind == SOCK_DGRAM)
		return protocol == 0 || protocol == IPPROTO_UDP ? 0 : -EPROTONOSUPPORT;
	return -ESOCKTNOSUPPORT;
}

static bool rule_has(const struct linux_rule *rule, const struct place *place)
{
	unsigned whole = rule->prefix_bits / 8;
	unsigned rest = rule->prefix_bits % 8;

	if (place->port < rule->port_first || place->port > rule->port_last)
		return false;
	if (rule->family == AF_UNSPEC)
		return true;
	if (rule->family != place->family || memcmp(rule->address, place->address, whole) != 0)
		return false;
	return rest == 0 ||
		((rule->address[whole] ^ place->address[whole]) & (0xff00u >> rest) & 0xffu) == 0;
}

static int judge(const struct linux_policy *policy, enum linux_reach reach,
	const struct place *place)
{
	if (!policy->has_network)
		return -EACCES;
	if (policy->rule_count == 0)
		return 0;
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (policy->rules[i].reach == reach && rule_has(&policy->rules[i], place))
			return 0;
	}
	return -EACCES;
}

/* An address of IPv4 or IPv6 as rules see it. */
static int place_of(const struct sockaddr *address, socklen_t bytes, struct place *ret_place)
{
	struct place place = {.family = AF_INET};
	struct sockaddr_in6 name6;
	struct sockaddr_in name;

	if (address->sa_family == AF_INET6) {
		if (bytes < SOCKADDR_IN6_V0)
			return -EINVAL;
		memcpy(&name6, address, SOCKADDR_IN6_V0);
		place.port = ntohs(name6.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&name6.sin6_addr)) {
			memcpy(place.address, &name6.sin6_addr.s6_addr[12], 4);
		} else {
			place.family = AF_INET6;
			memcpy(place.address, &name6.sin6_addr, sizeof(name6.sin6_addr));
		}
	} else {
		if (bytes < sizeof(name))
			return -EINVAL;
		memcpy(&name, address, sizeof(name));
		place.port = ntohs(name.sin_port);
		memcpy(place.address, &name.sin_addr, sizeof(name.sin_addr));
	}
	*ret_place = place;
	return 0;
}

static bool is_wildcard(const struct place *place)
{
	static const uint8_t none[16];

	return memcmp(place->address, none, place->family == AF_INET ? 4 : 16) == 0;
}

/* A name in a directory is the view's matter; others are nobody's. */
static int judge_unix(const struct sockaddr *address, socklen_t bytes)
{
	const struct sockaddr_un *name = (const struct sockaddr_un *)(const void *)address;

	if (bytes <= offsetof(struct sockaddr_un, sun_path) || name->sun_path[0] == '\0')
		return -EPERM;
	return 0;
}

int linux_policy_connect(const struct linux_policy *policy, const struct sockaddr *address,
	socklen_t bytes, bool is_connect)
{
	struct place place;
	int error;

	if (bytes < sizeof(address->sa_family))
		return -EINVAL;
	if (address->sa_family == AF_UNIX)
		return judge_unix(address, bytes);
	if (address->sa_family == AF_UNSPEC && is_connect)
		return 0;
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6 &&
		address->sa_family != AF_UNSPEC)
		return -EAFNOSUPPORT;
	error = place_of(address, bytes, &place);
	if (error < 0)
		return error;
	if (is_wildcard(&place)) {
		if (place.family == AF_INET)
			place.address[0] = 127;
		place.address[place.family == AF_INET ? 3 : 15] = 1;
	}
	return judge(policy, LINUX_CONNECT, &place);
}

int linux_policy_bind(const struct linux_policy *policy, const struct sockaddr *address,
	socklen_t bytes)
{
	struct place place;
	int error;

	if (bytes < sizeof(address->sa_family))
		return -EINVAL;
	if (address->sa_family == AF_UNIX)
		return judge_unix(address, bytes);
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6 &&
		address->sa_family != AF_UNSPEC)
		return -EAFNOSUPPORT;
	error = place_of(address, bytes, &place);
	if (error == 0)
		error = judge(policy, LINUX_BIND, &place);
	if (error < 0 || place.family == AF_INET || !is_wildcard(&place))
		return error;
	place.family = AF_INET;
	return judge(policy, LINUX_BIND, &place);
}

int linux_policy_listen(const struct linux_policy *policy, const struct sockaddr *name,
	socklen_t bytes)
{
	/* A listener of AF_UNIX has a name, or Linux refuses. */
	if (bytes >= sizeof(name->sa_family) && name->sa_family == AF_UNIX)
		return 0;
	return linux_policy_bind(policy, name, bytes);
}
