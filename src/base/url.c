/*
 * Every parser takes a piece of the text, fills its part of the result and returns 0, or -EINVAL
 * and a sentence. Results are built apart and copied out at the end.
 */
#include "base/url.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX 63 /* RFC 1035, 2.3.4 */

static int refuse(const char **ret_problem, const char *problem)
{
	*ret_problem = problem;
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 3986, 3.1. @return the length of the scheme at the start of @text, 0 if there is none. */
static size_t scheme_length(const char *text)
{
	size_t length = 0;

	if (!is_letter(text[0]))
		return 0;
	while (is_letter(text[length]) || is_digit(text[length]) ||
		(text[length] != '\0' && strchr("+-.", text[length]) != NULL))
		length++;
	return strncmp(text + length, "://", 3) == 0 ? length : 0;
}

/* An address as inet_pton() takes it, with an optional zone ("%eth0") that only getaddrinfo()
 * can judge. */
static bool is_ipv6(const char *host)
{
	char digits[INET6_ADDRSTRLEN];
	size_t length = strcspn(host, "%");
	const char *zone = host + length;
	struct in6_addr address;

	if (length >= sizeof(digits))
		return false;
	memcpy(digits, host, length);
	digits[length] = '\0';
	if (inet_pton(AF_INET6, digits, &address) != 1)
		return false;
	if (*zone == '\0')
		return true;
	for (zone++, length = 0; zone[length] != '\0'; length++)
		if (!is_letter(zone[length]) && !is_digit(zone[length]) &&
			strchr("-._", zone[length]) == NULL)
			return false;
	return length > 0;
}

static bool is_host_character(char c)
{
	/* An underscore is no part of a host name but occurs in those of containers. */
	return is_letter(c) || is_digit(c) || c == '-' || c == '_';
}

static int check_name(const char *host, const char **ret_problem)
{
	const char *label = host;
	size_t length;

	for (;;) {
		for (length = 0; is_host_character(label[length]); length++)
			;
		if (label[length] != '.' && label[length] != '\0')
			return refuse(ret_problem, "the host has a character that no name has");
		if (length == 0 || length > LABEL_MAX)
			return refuse(ret_problem, "a part of the host name is empty or too long");
		/* A single dot at the end marks a complete name. */
		if (label[length] == '\0' || label[length + 1] == '\0')
			return 0;
		label += length + 1;
	}
}

/* A name whose last part is a number can only be meant as an IPv4 address. getaddrinfo() would
 * take "4420" for one as well. */
static bool is_ipv4_meant(const char *host)
{
	const char *last = strrchr(host, '.');

	last = last != NULL ? last + 1 : host;
	return *last != '\0' && last[strspn(last, "0123456789")] == '\0';
}

static int set_host(struct url_address *address, const char *host, size_t length,
	const char **ret_problem)
{
	struct in_addr ipv4;

	if (length == 0)
		return refuse(ret_problem, "the host is missing");
	if (length >= sizeof(address->host))
		return refuse(ret_problem, "the host is too long");
	memcpy(address->host, host, length);
	address->host[length] = '\0';
	if (strchr(address->host, ':') != NULL) {
		if (!is_ipv6(address->host))
			return refuse(ret_problem, "the host is not an IPv6 address");
		return 0;
	}
	if (is_ipv4_meant(address->host) && inet_pton(AF_INET, address->host, &ipv4) != 1)
		return refuse(ret_problem, "the host is not an IPv4 address");
	return check_name(address->host, ret_problem);
}

/* @text is what follows the host: nothing, or a colon and a port. */
static int set_port(struct url_address *address, const char *text, const char **ret_problem)
{
	uint64_t port;

	if (*text == '\0')
		return 0;
	if (*text != ':')
		return refuse(ret_problem, "only a colon and a port may follow the host");
	if (text_parse_number(text + 1, 0, UINT16_MAX, &port) != 0)
		return refuse(ret_problem, "the port is not a number from 0 to 65535");
	address->port = (uint16_t)port;
	address->has_port = true;
	return 0;
}

int url_address_parse(const char *text, struct url_address *ret_address, const char **ret_problem)
{
	struct url_address address = {.has_port = false};
	const char *end = text + strcspn(text, ":");
	int error;

	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL)
			return refuse(ret_problem, "the closing bracket is missing");
		if (memchr(text, ':', (size_t)(end - text)) == NULL)
			return refuse(ret_problem, "only an IPv6 address goes in brackets");
		error = set_host(&address, text + 1, (size_t)(end - text) - 1, ret_problem);
		end++;
	} else {
		/* More than one colon: an IPv6 address with no port. */
		if (*end == ':' && strchr(end + 1, ':') != NULL)
			end = text + strlen(text);
		error = set_host(&address, text, (size_t)(end - text), ret_problem);
	}
	if (error == 0)
		error = set_port(&address, end, ret_problem);
	if (error == 0)
		*ret_address = address;
	return error;
}

static int set_path(struct url *url, const char *path, const char **ret_problem)
{
	for (const char *cursor = path; *cursor != '\0'; cursor++)
		if ((unsigned char)*cursor < ' ' || *cursor == 0x7f)
			return refuse(ret_problem, "the path has a control character");
	if (!text_copy(url->path, sizeof(url->path), path))
		return refuse(ret_problem, "the path is too long");
	return 0;
}

static int set_address_and_path(struct url *url, const char *text, const char **ret_problem)
{
	/* Longer than any address, so that one that is too long is refused as such. */
	char address[URL_ADDRESS_TEXT_MAX + 8];
	size_t length = strcspn(text, "/");
	int error;

	if (length >= sizeof(address))
		return refuse(ret_problem, "the host is too long");
	memcpy(address, text, length);
	address[length] = '\0';
	error = url_address_parse(address, &url->address, ret_problem);
	if (error == 0 && text[length] == '/')
		error = set_path(url, text + length + 1, ret_problem);
	return error;
}

int url_parse(const char *text, struct url *ret_url, const char **ret_problem)
{
	struct url url = {.path = ""};
	size_t length = scheme_length(text);
	int error;

	if (length == 0)
		return refuse(ret_problem, "it does not begin with a scheme and ://");
	if (length >= sizeof(url.scheme))
		return refuse(ret_problem, "the scheme is too long");
	for (size_t i = 0; i < length; i++)
		url.scheme[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
	text += length + 3;
	if (strcmp(url.scheme, "unix") != 0)
		error = set_address_and_path(&url, text, ret_problem);
	else if (*text == '\0')
		error = refuse(ret_problem, "the path is missing");
	else
		error = set_path(&url, text, ret_problem);
	if (error == 0)
		*ret_url = url;
	return error;
}

bool url_is_url(const char *text)
{
	return scheme_length(text) > 0;
}

void url_address_to_text(const struct url_address *address, char ret_text[URL_ADDRESS_TEXT_MAX])
{
	bool is_bracketed = strchr(address->host, ':') != NULL;
	int length = snprintf(ret_text, URL_ADDRESS_TEXT_MAX, "%s%s%s", is_bracketed ? "[" : "",
		address->host, is_bracketed ? "]" : "");

	if (address->has_port)
		snprintf(ret_text + length, URL_ADDRESS_TEXT_MAX - (size_t)length, ":%u",
			address->port);
}
