// SPDX-License-Identifier: GPL-2.0-only
/* The control socket's client side: find running VMs and ask them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ctl.h"
#include "util.h"

static int open_socket(const char *dir, const char *file)
{
	const struct timeval wait = { .tv_sec = 10 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	rc = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, file);
	if (rc >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	rc = -errno;
	close(fd);
	/* Left behind by a vmctl that was killed: nobody will miss it. */
	if (rc == -ECONNREFUSED)
		unlink(addr.sun_path);
	return rc;
}

static json_t *ask(int fd, const json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	json_t *out = NULL;
	ssize_t n;
	size_t len;
	FILE *f;

	if (!line)
		return NULL;
	len = strlen(line);
	line[len] = '\n';	/* in the NUL's place: sent by length */
	n = send(fd, line, len + 1, MSG_NOSIGNAL);
	free(line);
	if (n != (ssize_t)len + 1)
		return NULL;
	f = fdopen(dup(fd), "r");
	if (f) {
		out = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
		fclose(f);
	}
	return out;
}

/* Call @fn for every socket file until it returns true. */
static bool each_socket(bool (*fn)(const char *dir, const char *file, void *p),
			void *p)
{
	bool done = false;

	for (const char *const *dir = ctl_dirs(); *dir && !done; dir++) {
		DIR *d = opendir(*dir);
		struct dirent *e;

		while (d && !done && (e = readdir(d))) {
			size_t len = strlen(e->d_name);

			if (len > 5 && !strcmp(e->d_name + len - 5, ".sock"))
				done = fn(*dir, e->d_name, p);
		}
		if (d)
			closedir(d);
	}
	return done;
}

struct all {
	const json_t *request;
	json_t *list;
};

static bool collect(const char *dir, const char *file, void *p)
{
	struct all *all = p;
	int fd = open_socket(dir, file);
	json_t *reply;

	if (fd < 0)
		return false;
	reply = ask(fd, all->request);
	close(fd);
	if (json_is_object(reply) && !json_object_get(reply, "error"))
		json_array_append_new(all->list, reply);
	else
		json_decref(reply);
	return false;
}

json_t *ctl_request_all_json(json_t *request)
{
	struct all all = { request, json_array() };

	each_socket(collect, &all);
	json_decref(request);
	return all.list;
}

json_t *ctl_request_all(const char *cmd)
{
	return ctl_request_all_json(json_pack("{s:s}", "cmd", cmd));
}

/* The name of the VM that runs as process @pid, in @name. */
static bool name_of_pid(uint64_t pid, char *name, size_t size)
{
	json_t *list = ctl_request_all("status"), *vm;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, vm) {
		const char *s = json_string_value(json_object_get(vm, "name"));

		if ((uint64_t)json_integer_value(json_object_get(vm, "pid")) !=
		    pid || !s)
			continue;
		snprintf(name, size, "%s", s);
		found = true;
	}
	json_decref(list);
	return found;
}

static int open_named(const char *name)
{
	char file[CTL_NAME_MAX + 8];
	int fd = -ENOENT;

	snprintf(file, sizeof(file), "%s.sock", name);
	for (const char *const *dir = ctl_dirs(); *dir; dir++) {
		int rc = open_socket(*dir, file);

		if (rc >= 0)
			return rc;
		if (rc != -ENOENT && rc != -ECONNREFUSED)
			fd = rc;
	}
	return fd;
}

json_t *ctl_request_json(const char *name, json_t *request)
{
	char found[CTL_NAME_MAX + 1];
	json_t *reply = NULL;
	const char *error;
	uint64_t pid;
	int fd;

	if (!ctl_name_ok(name)) {
		msg("%s: not a VM's name", name);
		goto out;
	}
	fd = open_named(name);
	if (fd == -ENOENT && !parse_u64(name, &pid) &&
	    name_of_pid(pid, found, sizeof(found)))
		fd = open_named(found);
	if (fd < 0) {
		msg("%s: %s", name, fd == -ENOENT ?
		    "no such VM; vmctl list shows those that run" :
		    strerror(-fd));
		goto out;
	}
	reply = ask(fd, request);
	close(fd);
	error = json_string_value(json_object_get(reply, "error"));
	if (!json_is_object(reply) || error) {
		msg("%s: %s", name, error ? error : "gave no answer");
		json_decref(reply);
		reply = NULL;
	}
out:
	json_decref(request);
	return reply;
}

json_t *ctl_request(const char *name, const char *cmd)
{
	return ctl_request_json(name, json_pack("{s:s}", "cmd", cmd));
}
