/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of a running VM: one JSON request line, one JSON reply
 * line, then the connection closes. Requests: {"cmd": "status"}, {"cmd":
 * "stat"}, {"cmd": "stop"}, {"cmd": "balloon"}; the last one may have "target":
 * bytes the guest shall have, and "poll": true to ask it for new statistics,
 * which a later request shows. A reply with "error" is a refusal.
 */
#ifndef CTL_H
#define CTL_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/un.h>

#include "vm.h"

#define CTL_CLIENTS 8
#define CTL_NAME_MAX 64
#define CTL_POLLS (CTL_CLIENTS + 1)

struct ctl {
	int fd;			/* listening, -1 when there is no socket */
	struct sockaddr_un addr;
	struct {
		int fd;		/* -1: free */
		unsigned int len;
		char line[256];
	} client[CTL_CLIENTS];
};

/* Whether @name may name a VM; it becomes a file name. */
bool ctl_name_ok(const char *name);

/*
 * Listen as @name. 0; -EEXIST after a message when a VM of that name runs; any
 * other trouble is a warning, and the VM runs without a socket.
 */
int ctl_listen(struct ctl *ctl, const char *name);
void ctl_close(struct ctl *ctl);

/* Fill @fds (CTL_POLLS of them) for poll(); returns how many. */
unsigned int ctl_poll(const struct ctl *ctl, struct pollfd *fds);
/* Answer what poll() found. */
void ctl_serve(struct ctl *ctl, struct vm *vm, const struct pollfd *fds,
	       unsigned int nr);

/* What "status" and "stat" answer with; new references. */
json_t *ctl_status(struct vm *vm);
json_t *ctl_stat(struct vm *vm);
/* What "balloon" answers with, without the target's part. */
json_t *ctl_balloon(struct vm *vm);

/* Client side: directories to look in, NULL-terminated. */
const char *const *ctl_dirs(void);

/*
 * Ask the VM called @name (or whose process id it is). A new reference, or
 * NULL after a message.
 */
json_t *ctl_request(const char *name, const char *cmd);

/* The same with a whole request, which it takes the reference of. */
json_t *ctl_request_json(const char *name, json_t *request);

/* Ask every running VM; an array of the replies, refusals left out. */
json_t *ctl_request_all(const char *cmd);
json_t *ctl_request_all_json(json_t *request);

#endif
