/* SPDX-License-Identifier: BSD-2-Clause */
/* Where this host's apt has Debian from; see image_debian.h. Of another distribution's host that is Debian's own mirror. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/image.h"
#include "tools/image_debian.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define MIRROR   "http://deb.debian.org/debian"
#define SECURITY "http://deb.debian.org/debian-security"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	while (length && text[length - 1] == '/')
		length--;
	return length >= strlen(end) && !strncmp(text + length - strlen(end), end, strlen(end));
}

/* Debian's archives that apt knows: "URI|LABEL|RELEASE", a line each. */
static int find_mirrors(const char *temporary, char **main_uri, char **security_uri)
{
	CLEANUP_FREE char *said = image_path(temporary, "said"), *text = NULL;
	size_t length;
	char *rest, *line;

	if (!said)
		return -ENOMEM;
	if (image_run(temporary, "apt",
		      (const char *const[]){ "apt-get", "indextargets", "--format",
					     "$(REPO_URI)|$(LABEL)", "Created-By: Packages", NULL },
		      NULL) ||
	    image_file_read(said, &text, &length, NULL))
		return 0;
	for (rest = text; (line = strsep(&rest, "\n"));) {
		char *label = strchr(line, '|');
		char **place = NULL;

		if (!label)
			continue;
		*label++ = '\0';
		/* What was never fetched has no label yet. */
		if (!strcmp(label, "Debian") || (!*label && ends_with(line, "/debian")))
			place = main_uri;
		else if (!strcmp(label, "Debian-Security") ||
			 (!*label && ends_with(line, "/debian-security")))
			place = security_uri;
		if (place && !*place && !strpbrk(line, " \t\"'") && !(*place = strdup(line)))
			return -ENOMEM;
	}
	return 0;
}

/* sid has neither updates nor a security archive. */
static bool is_released(const char *suite)
{
	return strcmp(suite, "sid") && strcmp(suite, "unstable") && strcmp(suite, "experimental");
}

static char *source_line(const char *uri, const char *suite, const char *suffix)
{
	char *line;

	return asprintf(&line, "deb %s %s%s main", uri, suite, suffix) < 0 ? NULL : line;
}

/* ---- Passwords ---- */

/* "%40" as "@", in place; false: not fit for a file of words. */
static bool decode(char *text)
{
	char *start = text, *to = text;

	while (*text) {
		unsigned code;

		if (*text == '%' && sscanf(text + 1, "%2x", &code) == 1 && text[1] && text[2]) {
			*to++ = (char)code;
			text += 3;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
	for (; start < to; start++)
		if ((unsigned char)*start <= ' ' || *start == 127)
			return false;
	return true;
}

/* Takes "USER:PASSWORD@" out of a URI, and adds it to what apt_auth.conf(5) is: a line that names the place with its scheme, for apt
 * gives no password to one without TLS that is not named so. */
static int take_password(char *uri, FILE *auth, struct error *error)
{
	char *colon = strstr(uri, "://"), *host = colon ? colon + 3 : NULL;
	char *at = host ? memrchr(host, '@', strcspn(host, "/")) : NULL;
	CLEANUP_FREE char *user = at ? strndup(host, (size_t)(at - host)) : NULL;
	char *password = user ? strchr(user, ':') : NULL;

	if (!at)
		return 0;
	if (!user)
		return -ENOMEM;
	if (password)
		*password++ = '\0';
	if (!decode(user) || (password && !decode(password)))
		return error_set(error, -EINVAL,
				 "the mirror's user and password: expected no blanks and control "
				 "characters in them");
	memmove(host, at + 1, strlen(at + 1) + 1);
	fprintf(auth, "machine %s login %s", uri, user);
	if (password)
		fprintf(auth, " password %s", password);
	fputc('\n', auth);
	explicit_bzero(user, (size_t)(at - host));
	return 0;
}

static int take_passwords(char *main_uri, char *security_uri, char **text, struct error *error)
{
	size_t length;
	FILE *auth = open_memstream(text, &length);
	int rc = auth ? take_password(main_uri, auth, error) : -ENOMEM;

	if (!rc && security_uri)
		rc = take_password(security_uri, auth, error);
	if (auth && fclose(auth) && !rc)
		rc = -ENOMEM;
	return rc;
}

/* ---- Sources ---- */

int image_apt_sources(const char *temporary, const char *suite, const char *mirror, char ***lines,
		      char **auth, struct error *error)
{
	CLEANUP_FREE char *main_uri = NULL, *security_uri = NULL;
	char **all = calloc(4, sizeof(*all));
	int rc = all ? 0 : -ENOMEM;
	bool failed;

	*auth = NULL;
	if (!rc && !mirror)
		rc = find_mirrors(temporary, &main_uri, &security_uri);
	if (!rc && !main_uri) {
		main_uri = strdup(mirror ? mirror : MIRROR);
		if (!mirror && !security_uri)
			security_uri = strdup(SECURITY);
		rc = main_uri ? 0 : -ENOMEM;
	}
	if (!rc)
		rc = take_passwords(main_uri, security_uri, auth, error);
	if (rc) {
		free(all);
		return rc;
	}
	failed = !(all[0] = source_line(main_uri, suite, ""));
	/* One that was named is taken as it is. */
	if (!failed && !mirror && is_released(suite)) {
		failed = !(all[1] = source_line(main_uri, suite, "-updates"));
		if (!failed && security_uri)
			failed = !(all[2] = source_line(security_uri, suite, "-security"));
	}
	if (failed) {
		image_list_free(all);
		return -ENOMEM;
	}
	*lines = all;
	return 0;
}

char *image_apt_proxy(const char *temporary)
{
	CLEANUP_FREE char *said = image_path(temporary, "said"), *text = NULL;
	char *start, *end;
	size_t length;

	if (!said ||
	    image_run(temporary, "apt",
		      (const char *const[]){ "apt-config", "shell", "proxy", "Acquire::http::Proxy",
					     NULL },
		      NULL) ||
	    image_file_read(said, &text, &length, NULL))
		return NULL;
	/* proxy='http://...' */
	start = strchr(text, '\'');
	end = start ? strchr(start + 1, '\'') : NULL;
	return end && end > start + 1 ? strndup(start + 1, (size_t)(end - start - 1)) : NULL;
}
