/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest is told about itself: hostname, user, keys, password; read from files, checked, and made a seed for
 * cloud-init (NoCloud: a FAT file system called CIDATA with meta-data and user-data). See image.h.
 *
 * A password's hash is in files that only the user can read, never among a program's arguments, and in no message.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "tools/image.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/text.h"

#define SEED_SIZE (1u << 20)
#define FILE_MOST (64u << 10)

/* ---- What the user says ---- */

static bool is_label(const char *at, size_t length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-";

	return length >= 1 && length <= 63 && strspn(at, letters) >= length && *at != '-' &&
	       at[length - 1] != '-';
}

/* RFC 1123, as hostname(7) has it. */
static bool is_hostname(const char *name)
{
	if (strlen(name) > 64)
		return false;
	for (;;) {
		size_t length = strcspn(name, ".");

		if (!is_label(name, length))
			return false;
		if (!name[length])
			return true;
		name += length + 1;
	}
}

/* As useradd(8) of Debian recommends them; root is one. */
static bool is_user(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return length && length <= 32 && !name[length] && !strchr("-0123456789", *name);
}

/* "-" is standard input. Blank space at the end is not the user's. */
static int read_lines(const char *path, char **text, struct error *error)
{
	CLEANUP_CLOSE int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(0);
	CLEANUP_FREE char *all = calloc(1, FILE_MOST + 1);
	size_t length = 0;
	ssize_t got = 1;

	if (!all)
		return -ENOMEM;
	if (fd < 0)
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	while (got > 0 && length < FILE_MOST) {
		got = read(fd, all + length, FILE_MOST - length);
		if (got < 0)
			return error_set(error, -errno, "%s: reading it: %s", path,
					 error_name(errno));
		length += (size_t)got;
	}
	if (length == FILE_MOST || strlen(all) != length)
		return error_set(error, -EINVAL, "%s: is too long, or no text", path);
	while (length && strchr(" \t\r\n", all[length - 1]))
		all[--length] = '\0';
	*text = steal_pointer(&all);
	return 0;
}

/* crypt(5): "$y$j9T$...", one word of ASCII without colons. A password that is none is refused before it is anywhere. */
static int check_hash(const char *path, const char *hash, struct error *error)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789./$=,_-";

	if (*hash == '$' && strlen(hash) >= 20 && strlen(hash) < 400 &&
	    !hash[strspn(hash, letters)] && strchr(hash + 1, '$'))
		return 0;
	error_set(error, -EINVAL, "%s: is not one line with the hash of a password ($y$...)", path);
	return error_advise(error, "`mkpasswd` or `openssl passwd -6` make it");
}

static int check_keys(const char *path, const char *keys, struct error *error)
{
	unsigned count = 0;
	uint32_t character;
	size_t decoded;

	for (const char *line = keys; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t length = strcspn(line, "\r\n");

		if (!length || *line == '#')
			continue;
		for (size_t i = 0; i < length; i += decoded) {
			decoded = text_decode(line + i, &character);
			/* What is no UTF-8 cannot be said in a seed. */
			if (!decoded || (character < ' ' && character != '\t'))
				return error_set(error, -EINVAL, "%s: is no text in UTF-8", path);
		}
		if (!memmem(line, length, "ssh-", 4) && !memmem(line, length, "ecdsa-", 6) &&
		    !memmem(line, length, "sk-", 3))
			return error_set(error, -EINVAL,
					 "%s: a line is no public key of SSH (ssh-ed25519 ...)",
					 path);
		count++;
	}
	if (strstr(keys, "PRIVATE KEY"))
		return error_set(error, -EINVAL,
				 "%s: is a private key, expected the public one (.pub)", path);
	return count ? 0 : error_set(error, -EINVAL, "%s: there is no key in it", path);
}

int image_identity_read(struct image_identity *identity, struct error *error)
{
	int rc = 0;

	if (identity->hostname && !is_hostname(identity->hostname))
		return error_set(
			error, -EINVAL,
			"--hostname: '%s' is no name of a host (letters, digits, -, at most 64)",
			identity->hostname);
	if (identity->user && !is_user(identity->user))
		return error_set(error, -EINVAL,
				 "--user: '%s' is none (a-z, 0-9, _ and -, at most 32)",
				 identity->user);
	if (identity->key_path)
		rc = read_lines(identity->key_path, &identity->keys, error);
	if (!rc && identity->keys)
		rc = check_keys(identity->key_path, identity->keys, error);
	if (!rc && identity->hash_path)
		rc = read_lines(identity->hash_path, &identity->hash, error);
	if (!rc && identity->hash)
		rc = check_hash(identity->hash_path, identity->hash, error);
	return rc;
}

void image_identity_free(struct image_identity *identity)
{
	if (identity->hash)
		explicit_bzero(identity->hash, strlen(identity->hash));
	free(identity->hash);
	free(identity->keys);
	identity->hash = identity->keys = NULL;
}

bool image_identity_any(const struct image_identity *identity)
{
	return identity->hostname || identity->user || identity->key_path || identity->hash_path;
}

/* ---- The seed ---- */

static json_t *list_keys(const char *keys)
{
	json_t *list = json_array();

	for (const char *line = keys; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t length = strcspn(line, "\r\n");

		if (length && *line != '#')
			json_array_append_new(list, json_stringn(line, length));
	}
	return list;
}

/* JSON is YAML, and has one way of quoting. */
static json_t *user_data(const struct image_identity *identity)
{
	json_t *data = json_object(), *user;
	const char *name = identity->user ? identity->user : "root";

	if (identity->hostname)
		json_object_set_new(data, "hostname", json_string(identity->hostname));
	if (!identity->user && !identity->keys && !identity->hash)
		return data;
	user = json_pack("{s:s}", "name", name);
	if (strcmp(name, "root") != 0) {
		json_object_set_new(user, "shell", json_string("/bin/bash"));
		json_object_set_new(user, "sudo", json_string("ALL=(ALL) NOPASSWD:ALL"));
	} else {
		json_object_set_new(data, "disable_root", json_false());
	}
	if (identity->keys)
		json_object_set_new(user, "ssh_authorized_keys", list_keys(identity->keys));
	json_object_set_new(user, "lock_passwd", json_boolean(!identity->hash));
	if (identity->hash)
		json_object_set_new(user, "hashed_passwd", json_string(identity->hash));
	json_object_set_new(data, "users", json_pack("[o]", user));
	return data;
}

static int put_json(const char *temporary, const char *name, const char *head, json_t *value,
		    struct error *error)
{
	CLEANUP_FREE char *path = image_path(temporary, name), *text = NULL, *all = NULL;
	int rc;

	text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
	json_decref(value);
	if (!path || !text || asprintf(&all, "%s%s\n", head, text) < 0)
		return -ENOMEM;
	rc = image_file_write(path, 0600, all, strlen(all), error);
	explicit_bzero(text, strlen(text));
	explicit_bzero(all, strlen(all));
	return rc;
}

static int put_files(const char *temporary, const struct image_identity *identity,
		     struct error *error)
{
	char instance[UUID_STR_LEN];
	uuid_t uuid;
	json_t *meta;
	int rc;

	/* Another seed is another instance: cloud-init does its work again then. */
	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, instance);
	meta = json_pack("{s:s}", "instance-id", instance);
	if (identity->hostname)
		json_object_set_new(meta, "local-hostname", json_string(identity->hostname));
	rc = put_json(temporary, "meta-data", "", meta, error);
	return rc ? rc
		  : put_json(temporary, "user-data", "#cloud-config\n", user_data(identity), error);
}

int image_seed_make(const char *temporary, const char *name, const struct image_identity *identity,
		    struct error *error)
{
	CLEANUP_FREE char *path = image_path(temporary, name);
	CLEANUP_FREE char *meta = image_path(temporary, "meta-data");
	CLEANUP_FREE char *user = image_path(temporary, "user-data");
	CLEANUP_CLOSE int fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	int rc;

	if (!path || !meta || !user)
		return -ENOMEM;
	if (fd < 0 || ftruncate(fd, SEED_SIZE))
		return error_set(error, -errno, "%s: %s", path, error_name(errno));
	rc = put_files(temporary, identity, error);
	if (!rc)
		rc = image_run(temporary, "dosfstools",
			       (const char *const[]){ "mkfs.fat", "-n", "CIDATA", path, NULL },
			       error);
	if (!rc)
		rc = image_run(temporary, "mtools",
			       (const char *const[]){ "mcopy", "-i", path, meta, user, "::", NULL },
			       error);
	unlink(user);
	return rc;
}
