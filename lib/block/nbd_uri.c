/* SPDX-License-Identifier: BSD-2-Clause */
/* See nbd_uri.h. */
#include "block/nbd_uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/nbd.h"
#include "fiber/aside.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define HOST_MOST 255u /* RFC 1035, with dots */

bool block_is_nbd(const char *name)
{
	static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncmp(name, schemes[i], strlen(schemes[i])))
			return true;
	return false;
}

static bool is_number(const char *host, size_t length)
{
	char text[NBD_URI_TEXT];
	struct in6_addr address;

	if (length >= sizeof(text))
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	/* With a zone: fe80::1%eth0. */
	if (strchr(text, ':'))
		text[strcspn(text, "%")] = '\0';
	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

bool nbd_uri_parse(const char *text, struct nbd_uri *uri)
{
	bool plain = !strncmp(text, "nbd://", 6), tls = !strncmp(text, "nbds://", 7);
	const char *at = text + (tls ? 7 : 6), *end, *user, *host_end;

	*uri = (struct nbd_uri){ .has_tls = tls };
	if (!plain && !tls)
		return false;
	end = at + strcspn(at, "/?#");
	for (user = at; (user = memchr(user, '@', (size_t)(end - user)));)
		at = ++user;
	uri->before = (size_t)(at - text);
	if (at < end && *at == '[') {
		host_end = memchr(at, ']', (size_t)(end - at));
		if (!host_end)
			return false;
		uri->host = at + 1;
		uri->host_length = (size_t)(host_end - uri->host);
		at = host_end + 1;
	} else {
		host_end = memchr(at, ':', (size_t)(end - at));
		uri->host = at;
		at = host_end ? host_end : end;
		uri->host_length = (size_t)(at - uri->host);
	}
	uri->after = strlen(at);
	uri->is_address = is_number(uri->host, uri->host_length);
	return uri->host_length != 0;
}

char *nbd_uri_with_address(const char *text, const struct nbd_uri *uri, const char *address)
{
	bool six = strchr(address, ':');
	char *out;

	if (asprintf(&out, "%.*s%s%s%s%s", (int)uri->before, text, six ? "[" : "", address,
		     six ? "]" : "", text + strlen(text) - uri->after) < 0)
		return NULL;
	return out;
}

/* ---- Aside ---- */

struct resolution {
	char host[HOST_MOST + 1];
};

struct resolved {
	int code; /* of getaddrinfo() */
	unsigned count;
	char addresses[NBD_URI_ADDRESSES][NBD_URI_TEXT];
};

/* In a process of its own. */
static int look_up(void *arg, unsigned index, void **data, size_t *size)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	const struct resolution *resolution = arg;
	struct resolved *resolved = calloc(1, sizeof(*resolved));
	struct addrinfo *list = NULL;

	(void)index;
	if (!resolved)
		return -ENOMEM;
	resolved->code = getaddrinfo(resolution->host, NULL, &hints, &list);
	for (struct addrinfo *one = list; one && resolved->count < NBD_URI_ADDRESSES;
	     one = one->ai_next)
		if (!getnameinfo(one->ai_addr, one->ai_addrlen,
				 resolved->addresses[resolved->count], NBD_URI_TEXT, NULL, 0,
				 NI_NUMERICHOST))
			resolved->count++;
	if (list)
		freeaddrinfo(list);
	*data = resolved;
	*size = sizeof(*resolved);
	return 0;
}

int nbd_uri_resolve(const char *text, const struct nbd_uri *uri,
		    char addresses[NBD_URI_ADDRESSES][NBD_URI_TEXT], struct error *error)
{
	struct resolution resolution;
	struct aside_answer answer = { 0 };
	const struct resolved *resolved;
	int rc;

	if (uri->host_length > HOST_MOST)
		return error_set(error, -EINVAL, "%s: its host has %zu bytes, at most %u can be",
				 text, uri->host_length, HOST_MOST);
	snprintf(resolution.host, sizeof(resolution.host), "%.*s", (int)uri->host_length,
		 uri->host);
	rc = aside_run(look_up, &resolution, 1, BLOCK_NBD_CONNECT_NS, &answer);
	if (!rc)
		rc = answer.rc;
	resolved = answer.data;
	if (!rc && (!resolved || answer.size != sizeof(*resolved)))
		rc = -EIO;
	if (rc) {
		error_set(error, rc, "%s: looking up %s: %s", text, resolution.host,
			  rc == -ETIMEDOUT ? "no name server answers" : error_name(rc));
	} else if (!resolved->count) {
		rc = -EHOSTUNREACH;
		error_set(error, rc, "%s: looking up %s: %s", text, resolution.host,
			  resolved->code ? gai_strerror(resolved->code) : "it has no address");
	} else {
		rc = (int)resolved->count;
		memcpy(addresses, resolved->addresses, sizeof(resolved->addresses));
	}
	aside_free(&answer, 1);
	return rc;
}
