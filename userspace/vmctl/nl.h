/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nl.h - the module's netlink family "emys", over libnl.
 *
 * Requests, answers and events are JSON objects whose keys are the names of the attributes in
 * Documentation/netlink/specs/emys.yaml: numbers as integers, enums as their names, flags as true
 * (left out when not set), nests as objects. Commands are EMYS_CMD_*, of
 * nl_names.h. A struct family is used by one thread at a time.
 */
#ifndef NL_H
#define NL_H

#include <jansson.h>
#include <stdbool.h>

#include "nl_names.h"

struct family;

/*
 * Connect. 0, -ENOENT: the module is not loaded, or has no such family; -errno of the
 * sockets, -ENOMEM. *f is set after 0 only. The caller closes it.
 */
int family_open(struct family **f);
void family_close(struct family *f);
/* The same, with a message on stderr and NULL when it cannot be had. */
struct family *family_open_or_say(void);

/*
 * One request and its answer. @request: borrowed, NULL for none. *@reply: an object for the caller to
 * release, NULL when the answer is the acknowledgement alone; @reply NULL: not wanted.
 * 0; -errno of the kernel; -EINVAL, -ERANGE also for a request that cannot be put in a
 * message. family_error() then has the sentence.
 */
int family_call(struct family *f, int cmd, const json_t *request, json_t **reply);
/* A dump: *@list is an array, for the caller to release. Starts again when it was disturbed. */
int family_dump(struct family *f, int cmd, json_t **list);
/* What was wrong with the last call or dump: one line, with the attribute's name; never empty. */
const char *family_error(const struct family *f);
/* The same call, its sentence on stderr when it fails; true when it worked. */
bool family_do(struct family *f, int cmd, const json_t *request, json_t **reply);

/*
 * Listen to balloon-target, or with @all to all events. Returns a descriptor to poll for
 * reading, which belongs to @f; or -errno, -EPERM: @all is root's.
 */
int family_listen(struct family *f, bool all);
/*
 * Take one event, without waiting. 1 with *@event, an object that has the event's name
 * under "event", for the caller to release; 0 when there is none now; -ENOBUFS: the
 * kernel had to drop some, go on and read the state anew; -errno.
 */
int family_event(struct family *f, json_t **event);

/* The integer under @key, or @otherwise. */
long long family_int(const json_t *o, const char *key, long long otherwise);
/* The string under @key, or "?". */
const char *family_str(const json_t *o, const char *key);

#endif
