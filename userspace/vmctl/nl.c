// SPDX-License-Identifier: GPL-2.0-only
/* The netlink family "emys": sockets, JSON to messages and back, errors in words. */
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nl.h"
#include "util.h"

#define EVENT_BUFFER	(1 << 20)	/* of the socket, bytes */
#define DUMP_TRIES	3

struct family {
	struct nl_sock *sock, *events;
	int id, events_group, targets_group;
	char error[320];
	/* of the answer that is being read */
	const struct nlmsghdr *request;
	json_t *list;
	int status;
	bool disturbed;
};

static int fault(struct family *f, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fault(struct family *f, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(f->error, sizeof(f->error), fmt, args);
	va_end(args);
	return error;
}

/* libnl's own errors as errnos; those of the kernel come to on_error(). */
static int errno_of(int nlerr)
{
	switch (-nlerr) {
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_PERM:
		return -EPERM;
	case NLE_AGAIN:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

/* -- JSON to a message ------------------------------------------------------------- */

static int put_object(struct family *f, struct nl_msg *msg, const struct nl_attr_set *set,
		      const json_t *object);

static int enum_value(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static int no_such_value(struct family *f, const struct nl_attr_name *a, const char *text)
{
	char names[128] = "";
	size_t len = 0;

	for (int i = 0; a->values[i] && len < sizeof(names); i++)
		len += snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
				a->values[i]);
	return fault(f, -EINVAL, "%s: there is no '%.40s', but %s", a->name, text, names);
}

static int put_number(struct family *f, struct nl_msg *msg, const struct nl_attr_name *a,
		      unsigned int type, const json_t *value)
{
	long long n;

	if (json_is_string(value) && a->values) {
		n = enum_value(a->values, json_string_value(value));
		if (n < 0)
			return no_such_value(f, a, json_string_value(value));
	} else if (json_is_boolean(value)) {
		n = json_is_true(value);
	} else if (json_is_integer(value)) {
		n = json_integer_value(value);
	} else {
		return fault(f, -EINVAL, "%s: is not a number", a->name);
	}
	if (n < 0 && a->type != NL_S64)
		return fault(f, -ERANGE, "%s: must not be negative", a->name);
	if ((a->type == NL_U8 && n > UINT8_MAX) || (a->type == NL_U32 && n > UINT32_MAX))
		return fault(f, -ERANGE, "%s: is too large", a->name);
	switch (a->type) {
	case NL_U8:
		return nla_put_u8(msg, type, n);
	case NL_U32:
		return nla_put_u32(msg, type, n);
	case NL_U64:
		return nla_put_u64(msg, type, n);
	default:
		return nla_put_s64(msg, type, n);
	}
}

static int put(struct family *f, struct nl_msg *msg, const struct nl_attr_name *a,
	       unsigned int type, const json_t *value)
{
	struct nlattr *nest;
	int r;

	if (a->type == NL_FLAG)
		return json_is_true(value) ? nla_put_flag(msg, type) : 0;
	if (a->type != NL_NEST)
		return put_number(f, msg, a, type, value);
	nest = nla_nest_start(msg, type | NLA_F_NESTED);
	if (!nest)
		return -NLE_NOMEM;
	r = put_object(f, msg, a->nest, value);
	/* An empty nest is taken back by this, and means the same. */
	return r ? r : nla_nest_end(msg, nest);
}

static int put_object(struct family *f, struct nl_msg *msg, const struct nl_attr_set *set,
		      const json_t *object)
{
	const char *key;
	json_t *value;

	/* By iterator, because json_object_foreach() wants to be able to change it. */
	for (void *i = json_object_iter((json_t *)object); i;
	     i = json_object_iter_next((json_t *)object, i)) {
		unsigned int type;
		int r;

		key = json_object_iter_key(i);
		value = json_object_iter_value(i);
		for (type = 1; type <= set->max; type++)
			if (set->attrs[type].name && !strcmp(set->attrs[type].name, key))
				break;
		if (type > set->max || set->attrs[type].type == NL_PAD)
			return fault(f, -EINVAL, "%s: a %s has no such attribute", key, set->name);
		r = put(f, msg, &set->attrs[type], type, value);
		if (r)
			return *f->error ? r : fault(f, -ENOMEM, "the request is too large");
	}
	return 0;
}

/* -- a message to JSON --------------------------------------------------------------- */

static json_t *take_object(const struct nl_attr_set *set, const struct nlattr *attrs, int len)
{
	json_t *object = json_object();
	const struct nlattr *a;
	int rest;

	nla_for_each_attr(a, (struct nlattr *)attrs, len, rest) {
		unsigned int type = nla_type(a);
		const struct nl_attr_name *n = &set->attrs[type];
		json_t *value = NULL;
		uint64_t v = 0;

		/* What a newer module adds is not for us. */
		if (!type || type > set->max || n->type == NL_PAD)
			continue;
		if (n->type == NL_NEST) {
			value = take_object(n->nest, nla_data(a), nla_len(a));
		} else if (n->type == NL_FLAG) {
			value = json_true();
		} else {
			memcpy(&v, nla_data(a), (size_t)nla_len(a) < sizeof(v) ? nla_len(a) :
			       (int)sizeof(v));
			for (unsigned int i = 0; n->values && i <= v; i++) {
				if (!n->values[i])
					break;
				if (i == v)
					value = json_string(n->values[i]);
			}
			if (!value)
				value = json_integer((json_int_t)v);
		}
		json_object_set_new(object, n->name, value);
	}
	return object;
}

/* -- errors in words -------------------------------------------------------------------- */

/* The names down to the attribute at @offset of the request, "reclaim.up.clear". */
static void path_of(const struct nl_attr_set *set, const char *start, const struct nlattr *attrs,
		    int len, uint32_t offset, char *path, size_t size)
{
	const struct nlattr *a;
	int rest;

	nla_for_each_attr(a, (struct nlattr *)attrs, len, rest) {
		uint32_t at = (const char *)a - start;
		unsigned int type = nla_type(a);

		if (offset < at || offset >= at + NLA_ALIGN(a->nla_len) || type > set->max ||
		    !set->attrs[type].name)
			continue;
		if (*path)
			strncat(path, ".", size - strlen(path) - 1);
		strncat(path, set->attrs[type].name, size - strlen(path) - 1);
		if (set->attrs[type].nest && offset > at)
			path_of(set->attrs[type].nest, start, nla_data(a), nla_len(a), offset, path,
				size);
		return;
	}
}

/* " (1 to 64)" when the kernel says what it would have taken. */
static void range_of(struct nlattr *policy, char *text, size_t size)
{
	struct nlattr *p[NL_POLICY_TYPE_ATTR_MAX + 1];

	if (!policy || nla_parse_nested(p, NL_POLICY_TYPE_ATTR_MAX, policy, NULL))
		return;
	if (p[NL_POLICY_TYPE_ATTR_MIN_VALUE_U] && p[NL_POLICY_TYPE_ATTR_MAX_VALUE_U])
		snprintf(text, size, " (%llu to %llu)", (unsigned long long)
			 nla_get_u64(p[NL_POLICY_TYPE_ATTR_MIN_VALUE_U]), (unsigned long long)
			 nla_get_u64(p[NL_POLICY_TYPE_ATTR_MAX_VALUE_U]));
	else if (p[NL_POLICY_TYPE_ATTR_MIN_VALUE_S])
		snprintf(text, size, " (at least %lld)", (long long)
			 nla_get_s64(p[NL_POLICY_TYPE_ATTR_MIN_VALUE_S]));
}

/* The kernel's @error with what its extended acknowledgement says. */
static void explain(struct family *f, int error, struct nlattr *tlvs, int len)
{
	const struct genlmsghdr *g = nlmsg_data(f->request);
	const struct nl_attr_set *set = nl_command_set[g->cmd];
	struct nlattr *e[NLMSGERR_ATTR_MAX + 1] = { NULL };
	const char *text = strerror(-error);
	char path[96] = "", range[64] = "";

	if (tlvs)
		nla_parse(e, NLMSGERR_ATTR_MAX, tlvs, len, NULL);
	if (e[NLMSGERR_ATTR_OFFS])
		path_of(set, (const char *)f->request, genlmsg_attrdata(g, 0),
			genlmsg_attrlen(g, 0), nla_get_u32(e[NLMSGERR_ATTR_OFFS]), path,
			sizeof(path));
	if (e[NLMSGERR_ATTR_MSG])
		text = nla_get_string(e[NLMSGERR_ATTR_MSG]);
	range_of(e[NLMSGERR_ATTR_POLICY], range, sizeof(range));
	fault(f, 0, "%s%s%s%s", path, *path ? ": " : "", text, range);
}

/* -- reading ---------------------------------------------------------------------------- */

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *g = nlmsg_data(nlmsg_hdr(msg));
	struct family *f = arg;

	if (g->cmd > EMYS_CMD_MAX || !nl_command_set[g->cmd])
		return NL_SKIP;
	if (nlmsg_hdr(msg)->nlmsg_flags & NLM_F_DUMP_INTR)
		f->disturbed = true;
	json_array_append_new(f->list, take_object(nl_command_set[g->cmd], genlmsg_attrdata(g, 0),
						   genlmsg_attrlen(g, 0)));
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct family *f = arg;

	(void)msg;
	f->status = 0;
	return NL_STOP;
}

/* The end of a dump carries its error. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct family *f = arg;
	int status = 0;

	if (nlmsg_datalen(h) >= (int)sizeof(status))
		memcpy(&status, nlmsg_data(h), sizeof(status));
	f->status = status < 0 ? status : 0;
	if (status < 0)
		explain(f, status, h->nlmsg_flags & NLM_F_ACK_TLVS ?
			(struct nlattr *)((char *)nlmsg_data(h) + sizeof(status)) : NULL,
			nlmsg_datalen(h) - (int)sizeof(status));
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *addr, struct nlmsgerr *err, void *arg)
{
	/* libnl gives the body; the header before it says how long it is. */
	struct nlmsghdr *h = (struct nlmsghdr *)((char *)err - NLMSG_HDRLEN);
	size_t head = sizeof(*err);
	struct family *f = arg;

	(void)addr;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		head += err->msg.nlmsg_len - NLMSG_HDRLEN;
	f->status = err->error;
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || (size_t)nlmsg_datalen(h) < head)
		explain(f, err->error, NULL, 0);
	else
		explain(f, err->error, (struct nlattr *)((char *)err + head),
			nlmsg_datalen(h) - (int)head);
	return NL_STOP;
}

/* Send @msg, read all of the answer into f->list, an array. */
static int exchange(struct family *f, struct nl_msg *msg)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	if (!cb)
		return fault(f, -ENOMEM, "%s", strerror(ENOMEM));
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, f);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, f);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, f);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, f);
	f->list = json_array();
	f->disturbed = false;
	f->status = 1;
	f->request = nlmsg_hdr(msg);
	r = nl_send_auto(f->sock, msg);
	while (r >= 0 && f->status == 1)
		r = nl_recvmsgs(f->sock, cb);
	nl_cb_put(cb);
	if (f->status == 1)
		return fault(f, errno_of(r), "netlink: %s", nl_geterror(r));
	return f->status;
}

static int converse(struct family *f, int cmd, int flags, const json_t *request)
{
	struct nl_msg *msg = nlmsg_alloc();
	int r;

	*f->error = '\0';
	f->list = NULL;
	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, f->id, 0, flags, cmd,
				 EMYS_FAMILY_VERSION))
		r = fault(f, -ENOMEM, "%s", strerror(ENOMEM));
	else
		r = request ? put_object(f, msg, nl_command_set[cmd], request) : 0;
	if (!r)
		r = exchange(f, msg);
	nlmsg_free(msg);
	f->request = NULL;
	if (r) {
		json_decref(f->list);
		f->list = NULL;
	}
	return r;
}

int family_call(struct family *f, int cmd, const json_t *request, json_t **reply)
{
	int r;

	if (reply)
		*reply = NULL;
	r = converse(f, cmd, NLM_F_ACK, request);
	if (r)
		return r;
	if (reply && json_array_size(f->list))
		*reply = json_incref(json_array_get(f->list, 0));
	json_decref(f->list);
	f->list = NULL;
	return 0;
}

int family_dump(struct family *f, int cmd, json_t **list)
{
	int r;

	*list = NULL;
	for (int i = 0; i < DUMP_TRIES; i++) {
		r = converse(f, cmd, NLM_F_DUMP, NULL);
		if (r)
			return r;
		json_decref(*list);
		*list = f->list;
		f->list = NULL;
		if (!f->disturbed)
			break;
	}
	return 0;
}

bool family_do(struct family *f, int cmd, const json_t *request, json_t **reply)
{
	if (!family_call(f, cmd, request, reply))
		return true;
	msg("%s", f->error);
	return false;
}

const char *family_error(const struct family *f)
{
	return f->error;
}

/* -- events ------------------------------------------------------------------------------- */

static int on_event(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *g = nlmsg_data(nlmsg_hdr(msg));
	json_t **event = arg;

	/* One datagram is one message: there is nothing to overwrite. */
	if (g->cmd <= EMYS_CMD_MAX && nl_command_set[g->cmd] && !*event) {
		*event = take_object(nl_command_set[g->cmd], genlmsg_attrdata(g, 0),
				     genlmsg_attrlen(g, 0));
		json_object_set_new(*event, "event", json_string(nl_commands[g->cmd]));
	}
	return NL_OK;
}

/* Events answer nothing. */
static int any_sequence(struct nl_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return NL_OK;
}

int family_listen(struct family *f, bool all)
{
	int r;

	if (f->events)
		return nl_socket_get_fd(f->events);
	f->events = nl_socket_alloc();
	if (!f->events)
		return -ENOMEM;
	r = nl_connect(f->events, NETLINK_GENERIC);
	if (!r)
		r = nl_socket_set_buffer_size(f->events, EVENT_BUFFER, 0);
	if (!r)
		r = nl_socket_set_nonblocking(f->events);
	if (!r)
		r = nl_socket_add_membership(f->events, f->targets_group);
	if (!r && all)
		r = nl_socket_add_membership(f->events, f->events_group);
	if (r) {
		nl_socket_free(f->events);
		f->events = NULL;
		return fault(f, errno_of(r), "events: %s", r == -NLE_PERM ?
			     "this needs CAP_SYS_ADMIN" : nl_geterror(r));
	}
	return nl_socket_get_fd(f->events);
}

int family_event(struct family *f, json_t **event)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	*event = NULL;
	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_event, event);
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, any_sequence, NULL);
	do {
		errno = 0;
		r = nl_recvmsgs(f->events, cb);
		/* libnl calls a full socket buffer NLE_NOMEM too. */
		if (r == -NLE_NOMEM && errno == ENOBUFS) {
			nl_cb_put(cb);
			return -ENOBUFS;
		}
	} while (r == 0 && !*event);
	nl_cb_put(cb);
	if (*event)
		return 1;
	return r == -NLE_AGAIN || r == -NLE_INTR ? 0 : errno_of(r);
}

/* -- connecting ----------------------------------------------------------------------------- */

static int connect_family(struct family *f)
{
	int one = 1;
	int r;

	f->sock = nl_socket_alloc();
	if (!f->sock)
		return -ENOMEM;
	r = genl_connect(f->sock);
	if (r)
		return errno_of(r);
	r = genl_ctrl_resolve(f->sock, EMYS_FAMILY_NAME);
	if (r < 0)
		return errno_of(r);
	f->id = r;
	r = genl_ctrl_resolve_grp(f->sock, EMYS_FAMILY_NAME, EMYS_MCGRP_EVENTS);
	if (r < 0)
		return errno_of(r);
	f->events_group = r;
	r = genl_ctrl_resolve_grp(f->sock, EMYS_FAMILY_NAME, EMYS_MCGRP_TARGETS);
	if (r < 0)
		return errno_of(r);
	f->targets_group = r;
	/* Sentences with errors; strict checks of what a dump is given. */
	if (setsockopt(nl_socket_get_fd(f->sock), SOL_NETLINK, NETLINK_EXT_ACK, &one,
		       sizeof(one)) ||
	    setsockopt(nl_socket_get_fd(f->sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
		       sizeof(one)))
		return -errno;
	return 0;
}

int family_open(struct family **out)
{
	struct family *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	r = connect_family(f);
	if (r) {
		family_close(f);
		return r;
	}
	*out = f;
	return 0;
}

void family_close(struct family *f)
{
	if (f->events)
		nl_socket_free(f->events);
	if (f->sock)
		nl_socket_free(f->sock);
	free(f);
}

struct family *family_open_or_say(void)
{
	struct family *f = NULL;
	int r = family_open(&f);

	if (r == -ENOENT)
		msg("the kernel has no netlink family '%s'; is the module loaded?",
		    EMYS_FAMILY_NAME);
	else if (r)
		msg("netlink: %s", strerror(-r));
	return r ? NULL : f;
}

long long family_int(const json_t *o, const char *key, long long otherwise)
{
	const json_t *value = json_object_get(o, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *family_str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "?";
}
