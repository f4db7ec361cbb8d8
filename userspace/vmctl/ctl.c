// SPDX-License-Identifier: GPL-2.0-only
/* The control socket of a running VM. */
#include "ctl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "stats.h"
#include "util.h"
#include "vcpu.h"

bool ctl_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > CTL_NAME_MAX || *name == '.' || *name == '-')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

const char *const *ctl_dirs(void)
{
	static char own[sizeof(((struct sockaddr_un *)0)->sun_path)];
	static const char *dirs[3];
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	unsigned int n = 0;

	if (xdg && *xdg == '/' && strlen(xdg) + 5 < sizeof(own)) {
		snprintf(own, sizeof(own), "%s/emys", xdg);
		dirs[n++] = own;
	}
	dirs[n++] = "/run/emys";
	dirs[n] = NULL;
	return dirs;
}

/* Whether somebody answers at @addr. */
static bool is_live(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool live;

	live = !connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
	       errno != ECONNREFUSED;
	close(fd);
	return live;
}

static int bind_path(int fd, const struct sockaddr_un *addr)
{
	mode_t mask = umask(0177);
	int rc;

	rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	if (rc && errno == EADDRINUSE) {
		errno = EEXIST;
		/* What a killed vmctl left behind refuses connections. */
		if (!is_live(addr) && !unlink(addr->sun_path))
			rc = bind(fd, (const struct sockaddr *)addr,
				  sizeof(*addr));
	}
	rc = rc ? -errno : 0;
	umask(mask);
	return rc;
}

int ctl_listen(struct ctl *ctl, const char *name)
{
	const char *dir = ctl_dirs()[0];
	int n, rc;

	memset(ctl, 0, sizeof(*ctl));
	for (unsigned int i = 0; i < CTL_CLIENTS; i++)
		ctl->client[i].fd = -1;
	ctl->addr.sun_family = AF_UNIX;
	n = snprintf(ctl->addr.sun_path, sizeof(ctl->addr.sun_path),
		     "%s/%s.sock", dir, name);
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 0);
	if (n >= (int)sizeof(ctl->addr.sun_path)) {
		rc = -ENAMETOOLONG;
	} else if (ctl->fd < 0 || (mkdir(dir, 0700) && errno != EEXIST)) {
		rc = -errno;
	} else {
		rc = bind_path(ctl->fd, &ctl->addr);
		if (!rc && listen(ctl->fd, CTL_CLIENTS))
			rc = -errno;
	}
	if (!rc)
		return 0;
	if (ctl->fd >= 0)
		close(ctl->fd);
	ctl->fd = -1;
	if (rc == -EEXIST) {
		msg("--name %s: a VM of that name is running", name);
		return rc;
	}
	msg("%s/%s.sock: %s; vmctl list, stat and stop will not find this VM",
	    dir, name, strerror(-rc));
	return 0;
}

void ctl_close(struct ctl *ctl)
{
	if (ctl->fd < 0)
		return;
	unlink(ctl->addr.sun_path);
	close(ctl->fd);
	for (unsigned int i = 0; i < CTL_CLIENTS; i++)
		if (ctl->client[i].fd >= 0)
			close(ctl->client[i].fd);
	ctl->fd = -1;
}

unsigned int ctl_poll(const struct ctl *ctl, struct pollfd *fds)
{
	unsigned int n = 0;

	if (ctl->fd < 0)
		return 0;
	fds[n++] = (struct pollfd){ ctl->fd, POLLIN, 0 };
	for (unsigned int i = 0; i < CTL_CLIENTS; i++)
		if (ctl->client[i].fd >= 0)
			fds[n++] = (struct pollfd){ ctl->client[i].fd, POLLIN, 0 };
	return n;
}

json_t *ctl_status(struct vm *vm)
{
	int stop = vm->stop;
	uint64_t exits = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		for (unsigned int r = 0; r < VCPU_EXIT_REASONS; r++)
			exits += vm->vcpus[i].exits[r];
	return json_pack("{s:s, s:i, s:s, s:s, s:i, s:I, s:s, s:s, s:I, s:I}",
			 "name", vm->cfg->name, "pid", getpid(),
			 "state", vm_stop_name(stop),
			 "device", vm->cfg->device, "cpus", vm->nr_vcpus,
			 "memory", (json_int_t)vm->mem.size,
			 "backend", vm->mem.backend,
			 "kernel", vm->cfg->kernel,
			 "uptime_ms", (json_int_t)vm_uptime_ms(vm),
			 "user_exits", (json_int_t)exits);
}

json_t *ctl_stat(struct vm *vm)
{
	json_t *out = ctl_status(vm), *vcpus = json_array();

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];
		json_t *user = json_object();

		for (unsigned int r = 0; r < VCPU_EXIT_REASONS; r++) {
			uint64_t n = vcpu->exits[r];
			char name[32];

			if (n)
				json_object_set_new(user, vcpu_exit_name(r, name, sizeof(name)),
						    json_integer(n));
		}
		json_array_append_new(vcpus,
				      json_pack("{s:i, s:o, s:o}", "id", i,
						"user_exits", user, "counters",
						stats_read(vcpu->stats_fd)));
	}
	json_object_set_new(out, "counters", stats_read(vm->stats_fd));
	json_object_set_new(out, "vcpus", vcpus);
	return out;
}

static json_t *balloon_stats(const struct balloon_info *info)
{
	json_t *out = json_object();

	for (unsigned int i = 0; i < BALLOON_STATS; i++)
		if (info->stat_valid & 1u << i)
			json_object_set_new(out, virtio_balloon_stat_names[i],
					    json_integer(info->stat[i]));
	return out;
}

json_t *ctl_balloon(struct vm *vm)
{
	json_t *out = ctl_status(vm), *b;
	struct balloon_info info;

	virtio_balloon_info(&vm->balloon, &info);
	b = json_pack("{s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
		      "driver", info.driver, "broken", info.broken,
		      "reporting", info.reporting,
		      "minimum", (json_int_t)vm->cfg->balloon_min,
		      "target", (json_int_t)info.target,
		      "actual", (json_int_t)info.actual,
		      "claimed", (json_int_t)info.claimed,
		      "inflated", (json_int_t)info.inflated,
		      "deflated", (json_int_t)info.deflated,
		      "reported", (json_int_t)info.reported,
		      "kept", (json_int_t)info.kept,
		      "refused", (json_int_t)info.refused,
		      "stats", balloon_stats(&info));
	/* How old the guest's figures are; without them there is no age. */
	if (info.stat_ms)
		json_object_set_new(b, "stats_age_ms",
				    json_integer(vm_now_ms() - info.stat_ms));
	json_object_set_new(out, "shares", json_integer(vm->cfg->shares));
	json_object_set_new(out, "balloon", b);
	return out;
}

static json_t *refuse(const char *why)
{
	return json_pack("{s:s}", "error", why);
}

static json_t *serve_balloon(struct vm *vm, const json_t *req)
{
	const json_t *target = json_object_get(req, "target");
	json_int_t bytes = json_integer_value(target);

	if (!vm->cfg->balloon)
		return refuse("runs without a balloon (--no-balloon)");
	if (target) {
		if (!json_is_integer(target) || bytes < 0)
			return refuse("target: not a number of bytes");
		if ((uint64_t)bytes < vm->cfg->balloon_min)
			return refuse("target: below the VM's --balloon-min");
		if (virtio_balloon_target(&vm->balloon, bytes))
			return refuse("target: more than the VM's memory");
	}
	if (json_is_true(json_object_get(req, "poll")))
		virtio_balloon_poll(&vm->balloon);
	return ctl_balloon(vm);
}

static json_t *answer(struct vm *vm, const char *line)
{
	json_t *req = json_loads(line, 0, NULL), *out;
	const char *cmd = json_string_value(json_object_get(req, "cmd"));

	if (cmd && !strcmp(cmd, "status")) {
		out = ctl_status(vm);
	} else if (cmd && !strcmp(cmd, "stat")) {
		out = ctl_stat(vm);
	} else if (cmd && !strcmp(cmd, "stop")) {
		vm_stop(vm, STOP_REQUEST, 0, -1, "by vmctl stop");
		out = ctl_status(vm);
	} else if (cmd && !strcmp(cmd, "balloon")) {
		out = serve_balloon(vm, req);
	} else {
		out = refuse("unknown request");
	}
	json_decref(req);
	return out;
}

static void reply(int fd, json_t *out)
{
	char *text = json_dumps(out, JSON_COMPACT);
	size_t len, pos = 0;

	json_decref(out);
	if (!text)
		return;
	len = strlen(text);
	text[len] = '\n';	/* in the NUL's place: sent by length */
	/* The send timeout bounds what a client that does not read costs. */
	while (pos <= len) {
		ssize_t n = send(fd, text + pos, len + 1 - pos, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		pos += n;
	}
	free(text);
}

static void accept_client(struct ctl *ctl)
{
	const struct timeval second = { .tv_sec = 1 };
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (unsigned int i = 0; i < CTL_CLIENTS; i++) {
		if (ctl->client[i].fd >= 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second,
			   sizeof(second));
		ctl->client[i].fd = fd;
		ctl->client[i].len = 0;
		return;
	}
	close(fd);
}

/* Read what a client sent; answer and hang up once the line is whole. */
static void serve_client(struct ctl *ctl, unsigned int i, struct vm *vm)
{
	unsigned int *len = &ctl->client[i].len;
	char *line = ctl->client[i].line, *end;
	int fd = ctl->client[i].fd;
	ssize_t n;

	n = recv(fd, line + *len, sizeof(ctl->client[i].line) - 1 - *len,
		 MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		*len += n;
		line[*len] = '\0';
		end = strchr(line, '\n');
		if (end) {
			*end = '\0';
			reply(fd, answer(vm, line));
		} else if (*len < sizeof(ctl->client[i].line) - 1) {
			return;
		}
	}
	close(fd);
	ctl->client[i].fd = -1;
}

void ctl_serve(struct ctl *ctl, struct vm *vm, const struct pollfd *fds,
	       unsigned int nr)
{
	for (unsigned int f = 1; f < nr; f++)
		for (unsigned int i = 0; i < CTL_CLIENTS; i++)
			if (fds[f].revents && ctl->client[i].fd == fds[f].fd)
				serve_client(ctl, i, vm);
	/* Last: a new client must not get a number polled for an old one. */
	if (nr && fds[0].revents)
		accept_client(ctl);
}
