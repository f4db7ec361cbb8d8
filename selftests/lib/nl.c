// SPDX-License-Identifier: GPL-2.0-only
/* The netlink family "emys"; see nl.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nl.h"

static int nl_socket(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	int one = 1;
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	CHECK_OK(fd);
	CHECK_OK(bind(fd, (void *)&addr, sizeof(addr)));
	CHECK_OK(setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)));
	CHECK_OK(setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)));
	CHECK_OK(setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one)));
	return fd;
}

/* -- one message --------------------------------------------------------------- */

static void nl_start_family(struct nl *nl, u16 family, u8 cmd, u16 flags)
{
	struct nlmsghdr *h = (void *)nl->buf;
	struct genlmsghdr *g = NLMSG_DATA(h);

	nl->len = NLMSG_LENGTH(GENL_HDRLEN);
	memset(nl->buf, 0, nl->len);
	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	g->cmd = cmd;
	g->version = EMYS_FAMILY_VERSION;
}

void nl_start(struct nl *nl, u8 cmd, u16 flags)
{
	nl_start_family(nl, nl->family, cmd, flags);
}

void nl_add(struct nl *nl, u16 type, const void *data, size_t len)
{
	struct nlattr *a = (void *)(nl->buf + nl->len);

	CHECK(nl->len + NLA_HDRLEN + NLA_ALIGN(len) <= sizeof(nl->buf));
	memset(a, 0, NLA_HDRLEN + NLA_ALIGN(len));
	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	nl->len += NLA_HDRLEN + NLA_ALIGN(len);
}

void nl_u8(struct nl *nl, u16 type, u8 value)
{
	nl_add(nl, type, &value, sizeof(value));
}

void nl_u32(struct nl *nl, u16 type, u32 value)
{
	nl_add(nl, type, &value, sizeof(value));
}

void nl_u64(struct nl *nl, u16 type, u64 value)
{
	nl_add(nl, type, &value, sizeof(value));
}

void nl_flag(struct nl *nl, u16 type)
{
	nl_add(nl, type, NULL, 0);
}

size_t nl_nest(struct nl *nl, u16 type)
{
	size_t nest = nl->len;

	nl_add(nl, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

void nl_nest_end(struct nl *nl, size_t nest)
{
	((struct nlattr *)(nl->buf + nest))->nla_len = nl->len - nest;
}

/* The attribute behind @a, of which and its followers there are *@len bytes. */
static const struct nlattr *nl_next(const struct nlattr *a, size_t *len)
{
	size_t step = NLA_ALIGN(a->nla_len);

	*len -= step < *len ? step : *len;
	return (const void *)((const char *)a + step);
}

#define nl_each(a, len)							\
	for (; (len) >= NLA_HDRLEN && (a)->nla_len >= NLA_HDRLEN &&	\
	       (a)->nla_len <= (len); (a) = nl_next(a, &(len)))

static void nl_error(struct nl *nl, const struct nlmsghdr *h, const struct nlattr *a, size_t len)
{
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	nl_each(a, len) {
		const char *data = (const char *)a + NLA_HDRLEN;

		if (a->nla_type == NLMSGERR_ATTR_MSG)
			snprintf(nl->text, sizeof(nl->text), "%.*s",
				 (int)(a->nla_len - NLA_HDRLEN), data);
		else if (a->nla_type == NLMSGERR_ATTR_OFFS)
			memcpy(&nl->offset, data, sizeof(nl->offset));
	}
}

/* One message of the answer; 1 when it was the last one, with *error. */
static int nl_answer(struct nl *nl, const struct nlmsghdr *h, nl_reply_fn *fn, void *ctx,
		     int *error)
{
	const char *data = NLMSG_DATA(h);
	size_t len = h->nlmsg_len - NLMSG_HDRLEN;

	CHECK_EQ(h->nlmsg_seq, nl->seq);
	if (h->nlmsg_type == NLMSG_ERROR) {
		/* The acknowledgement's copy of the request is its header alone: CAP_ACK. */
		CHECK(len >= sizeof(struct nlmsgerr));
		*error = ((const struct nlmsgerr *)data)->error;
		nl_error(nl, h, (const void *)(data + sizeof(struct nlmsgerr)),
			 len - sizeof(struct nlmsgerr));
		return 1;
	}
	if (h->nlmsg_type == NLMSG_DONE) {
		CHECK(len >= sizeof(int));
		memcpy(error, data, sizeof(int));
		nl_error(nl, h, (const void *)(data + sizeof(int)), len - sizeof(int));
		return 1;
	}
	CHECK(len >= GENL_HDRLEN);
	if (fn)
		fn(ctx, (const void *)(data + GENL_HDRLEN), len - GENL_HDRLEN);
	return 0;
}

int nl_talk(struct nl *nl, nl_reply_fn *fn, void *ctx)
{
	struct nlmsghdr *h = (void *)nl->buf;
	int error = 0;

	h->nlmsg_len = nl->len;
	if ((h->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		h->nlmsg_flags |= NLM_F_ACK;
	nl->text[0] = '\0';
	nl->offset = 0;
	CHECK_EQ(CHECK_OK(send(nl->fd, nl->buf, nl->len, 0)), nl->len);
	for (;;) {
		ssize_t n = recv(nl->fd, nl->in, nl->part, 0);
		unsigned int left;

		if (n < 0 && errno == EINTR)
			continue;
		left = CHECK_OK(n);
		for (h = (void *)nl->in; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
			if (nl_answer(nl, h, fn, ctx, &error))
				return error;
	}
}

u64 nl_parse(const struct nlattr *a, size_t len, u64 *value, unsigned int max,
	     const struct nl_into *nest)
{
	u64 has = 0;

	nl_each(a, len) {
		unsigned int type = a->nla_type & NLA_TYPE_MASK;
		const char *data = (const char *)a + NLA_HDRLEN;
		size_t size = a->nla_len - NLA_HDRLEN;

		CHECK_MSG(type && type <= max, "attribute %u of %u in an answer", type, max);
		has |= 1ull << type;
		if (a->nla_type & NLA_F_NESTED) {
			if (nest && nest[type].value)
				nl_parse((const void *)data, size, nest[type].value,
					 nest[type].max, NULL);
		} else {
			CHECK_MSG(size == 0 || size == 1 || size == 4 || size == 8,
				  "attribute %u has %zu bytes", type, size);
			value[type] = size ? 0 : 1;
			memcpy(&value[type], data, size);
		}
	}
	CHECK_MSG(!len, "%zu bytes behind the attributes of an answer", len);
	return has;
}

/* -- the family -------------------------------------------------------------------- */

struct family {
	u32 id, events, targets;
};

static void nl_group(struct family *f, const struct nlattr *g, size_t left)
{
	const char *name = "";
	u32 id = 0;

	nl_each(g, left) {
		if (g->nla_type == CTRL_ATTR_MCAST_GRP_ID)
			memcpy(&id, g + 1, sizeof(id));
		else if (g->nla_type == CTRL_ATTR_MCAST_GRP_NAME)
			name = (const char *)(g + 1);
	}
	if (!strcmp(name, EMYS_MCGRP_EVENTS))
		f->events = id;
	else if (!strcmp(name, EMYS_MCGRP_TARGETS))
		f->targets = id;
}

/* The controller's answer nests lists: the groups, each with a name and an id. */
static void nl_family(void *ctx, const struct nlattr *a, size_t len)
{
	struct family *f = ctx;

	nl_each(a, len) {
		const char *data = (const char *)a + NLA_HDRLEN;
		unsigned int type = a->nla_type & NLA_TYPE_MASK;

		if (type == CTRL_ATTR_FAMILY_ID) {
			memcpy(&f->id, data, sizeof(u16));
		} else if (type == CTRL_ATTR_MCAST_GROUPS) {
			const struct nlattr *g = (const void *)data;
			size_t left = a->nla_len - NLA_HDRLEN;

			nl_each(g, left)
				nl_group(f, g + 1, g->nla_len - NLA_HDRLEN);
		}
	}
}

struct nl *nl_try_open(void)
{
	struct nl *nl = calloc(1, sizeof(*nl));
	struct family f = { 0 };
	int r;

	CHECK(nl);
	nl->fd = nl_socket();
	nl->event_fd = -1;
	nl->part = sizeof(nl->in);
	nl_start_family(nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	nl_add(nl, CTRL_ATTR_FAMILY_NAME, EMYS_FAMILY_NAME, sizeof(EMYS_FAMILY_NAME));
	r = nl_talk(nl, nl_family, &f);
	if (r == -ENOENT) {
		nl_close(nl);
		return NULL;
	}
	CHECK_MSG(!r && f.id && f.events && f.targets, "the controller says %d, id %u, groups %u, %u",
		  r, f.id, f.events, f.targets);
	nl->family = f.id;
	nl->events = f.events;
	nl->targets = f.targets;
	return nl;
}

struct nl *nl_open(void)
{
	struct nl *nl = nl_try_open();

	CHECK_MSG(nl, "there is no netlink family emys");
	return nl;
}

void nl_close(struct nl *nl)
{
	close(nl->fd);
	if (nl->event_fd >= 0)
		close(nl->event_fd);
	free(nl);
}

#define INTO(array)	{ (array), ARRAY_SIZE(array) - 1 }

static void nl_into_vm(struct nl_vm *vm, const struct nlattr *a, size_t len)
{
	const struct nl_into nest[EMYS_A_VM_MAX + 1] = {
		[EMYS_A_VM_COUNTS] = INTO(vm->counts),
		[EMYS_A_VM_BALLOON] = INTO(vm->balloon),
	};

	memset(vm, 0, sizeof(*vm));
	vm->has = nl_parse(a, len, vm->a, EMYS_A_VM_MAX, nest);
}

static void nl_into_object(struct nl_object *object, const struct nlattr *a, size_t len)
{
	const struct nl_into nest[EMYS_A_OBJECT_MAX + 1] = {
		[EMYS_A_OBJECT_COUNTS] = INTO(object->counts),
	};

	memset(object, 0, sizeof(*object));
	object->has = nl_parse(a, len, object->a, EMYS_A_OBJECT_MAX, nest);
}

static void nl_into_domain(struct nl_domain *domain, const struct nlattr *a, size_t len)
{
	const struct nl_into nest[EMYS_A_DOMAIN_MAX + 1] = {
		[EMYS_A_DOMAIN_POLICY] = INTO(domain->policy),
		[EMYS_A_DOMAIN_STATS] = INTO(domain->stats),
		[EMYS_A_DOMAIN_COUNTS] = INTO(domain->counts),
	};

	memset(domain, 0, sizeof(*domain));
	domain->has = nl_parse(a, len, domain->a, EMYS_A_DOMAIN_MAX, nest);
}

/* The attribute @type among those given, or NULL. */
static const struct nlattr *nl_find(const struct nlattr *a, size_t len, u16 type)
{
	nl_each(a, len) {
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
	}
	return NULL;
}

static void nl_into_module(void *ctx, const struct nlattr *a, size_t len)
{
	struct nl_module *m = ctx;
	const struct nl_into nest[EMYS_A_MODULE_MAX + 1] = {
		[EMYS_A_MODULE_DEDUP] = INTO(m->dedup),
	};
	const struct nl_into bounds[EMYS_A_RECLAIM_POLICY_MAX + 1] = {
		[EMYS_A_RECLAIM_POLICY_UP] = INTO(m->up),
		[EMYS_A_RECLAIM_POLICY_DOWN] = INTO(m->down),
	};
	const struct nl_into broken[EMYS_A_RECLAIM_STATS_MAX + 1] = {
		[EMYS_A_RECLAIM_STATS_BROKEN] = INTO(m->broken),
	};
	const struct nlattr *inner;

	memset(m, 0, sizeof(*m));
	m->has = nl_parse(a, len, m->a, EMYS_A_MODULE_MAX, nest);
	inner = nl_find(a, len, EMYS_A_MODULE_RECLAIM);
	if (inner)
		nl_parse(inner + 1, inner->nla_len - NLA_HDRLEN, m->reclaim,
			 EMYS_A_RECLAIM_POLICY_MAX, bounds);
	inner = nl_find(a, len, EMYS_A_MODULE_STATS);
	if (inner)
		nl_parse(inner + 1, inner->nla_len - NLA_HDRLEN, m->stats,
			 EMYS_A_RECLAIM_STATS_MAX, broken);
}

/* What a dump or a single answer fills: @n of them seen, the first @max kept. */
struct list {
	void *out;
	unsigned int n, max;
};

static void nl_list_vm(void *ctx, const struct nlattr *a, size_t len)
{
	struct list *l = ctx;
	struct nl_vm spare;

	nl_into_vm(l->n < l->max ? (struct nl_vm *)l->out + l->n : &spare, a, len);
	l->n++;
}

static void nl_list_object(void *ctx, const struct nlattr *a, size_t len)
{
	struct list *l = ctx;
	struct nl_object spare;

	nl_into_object(l->n < l->max ? (struct nl_object *)l->out + l->n : &spare, a, len);
	l->n++;
}

static void nl_list_domain(void *ctx, const struct nlattr *a, size_t len)
{
	struct list *l = ctx;
	struct nl_domain spare;

	nl_into_domain(l->n < l->max ? (struct nl_domain *)l->out + l->n : &spare, a, len);
	l->n++;
}

/* One answer to a request for one; -EPROTO when there was not exactly one. */
static int nl_one(struct nl *nl, nl_reply_fn *fn, void *out)
{
	struct list l = { .out = out, .max = 1 };
	int r = nl_talk(nl, fn, &l);

	return r ? r : l.n == 1 ? 0 : -EPROTO;
}

static int nl_dump(struct nl *nl, u8 cmd, nl_reply_fn *fn, void *out, unsigned int max)
{
	struct list l = { .out = out, .max = max };
	int r;

	nl_start(nl, cmd, NLM_F_DUMP);
	r = nl_talk(nl, fn, &l);
	return r ? r : (int)l.n;
}

int nl_vm_get(struct nl *nl, u32 id, struct nl_vm *vm)
{
	nl_start(nl, EMYS_CMD_VM_GET, 0);
	nl_u32(nl, EMYS_A_VM_ID, id);
	return nl_one(nl, nl_list_vm, vm);
}

int nl_object_get(struct nl *nl, u32 id, struct nl_object *object)
{
	nl_start(nl, EMYS_CMD_OBJECT_GET, 0);
	nl_u32(nl, EMYS_A_OBJECT_ID, id);
	return nl_one(nl, nl_list_object, object);
}

int nl_domain_get(struct nl *nl, u32 id, struct nl_domain *domain)
{
	nl_start(nl, EMYS_CMD_DOMAIN_GET, 0);
	nl_u32(nl, EMYS_A_DOMAIN_ID, id);
	return nl_one(nl, nl_list_domain, domain);
}

int nl_vms(struct nl *nl, struct nl_vm *vms, unsigned int max)
{
	return nl_dump(nl, EMYS_CMD_VM_GET, nl_list_vm, vms, max);
}

int nl_objects(struct nl *nl, struct nl_object *objects, unsigned int max)
{
	return nl_dump(nl, EMYS_CMD_OBJECT_GET, nl_list_object, objects, max);
}

int nl_domains(struct nl *nl, struct nl_domain *domains, unsigned int max)
{
	return nl_dump(nl, EMYS_CMD_DOMAIN_GET, nl_list_domain, domains, max);
}

struct mine {
	unsigned int nth;
	u32 pid, id;
};

static void nl_mine(void *ctx, const struct nlattr *a, size_t len)
{
	struct mine *mine = ctx;
	struct nl_vm vm;

	nl_into_vm(&vm, a, len);
	if (vm.a[EMYS_A_VM_PID] == mine->pid && !mine->id && !mine->nth--)
		mine->id = vm.a[EMYS_A_VM_ID];
}

u32 nl_my_vm(struct nl *nl, unsigned int nth)
{
	struct mine mine = { .nth = nth, .pid = getpid() };
	int r;

	nl_start(nl, EMYS_CMD_VM_GET, NLM_F_DUMP);
	r = nl_talk(nl, nl_mine, &mine);
	CHECK_MSG(!r, "dump of VMs: %d %s", r, nl->text);
	CHECK_MSG(mine.id, "this process has no VM %u", nth);
	return mine.id;
}

static void nl_start_vm_set(struct nl *nl, u32 vm)
{
	nl_start(nl, EMYS_CMD_VM_SET, 0);
	nl_u32(nl, EMYS_A_VM_ID, vm);
}

int nl_vm_domain(struct nl *nl, u32 vm, u32 domain)
{
	nl_start_vm_set(nl, vm);
	nl_u32(nl, EMYS_A_VM_DOMAIN, domain);
	return nl_talk(nl, NULL, NULL);
}

int nl_vm_target(struct nl *nl, u32 vm, s64 pages)
{
	nl_start_vm_set(nl, vm);
	nl_u64(nl, EMYS_A_VM_TARGET, pages);
	return nl_talk(nl, NULL, NULL);
}

int nl_vm_shares(struct nl *nl, u32 vm, u64 shares)
{
	nl_start_vm_set(nl, vm);
	nl_u64(nl, EMYS_A_VM_SHARES, shares);
	return nl_talk(nl, NULL, NULL);
}

int nl_vm_large(struct nl *nl, u32 vm, u32 policy)
{
	nl_start_vm_set(nl, vm);
	nl_u32(nl, EMYS_A_VM_LARGE, policy);
	return nl_talk(nl, NULL, NULL);
}

static void nl_start_domain_set(struct nl *nl, u32 id)
{
	nl_start(nl, EMYS_CMD_DOMAIN_SET, 0);
	nl_u32(nl, EMYS_A_DOMAIN_ID, id);
}

int nl_domain_create(struct nl *nl, u32 id)
{
	nl_start_domain_set(nl, id);
	nl_flag(nl, EMYS_A_DOMAIN_CREATE);
	return nl_talk(nl, NULL, NULL);
}

int nl_domain_remove(struct nl *nl, u32 id)
{
	nl_start_domain_set(nl, id);
	nl_flag(nl, EMYS_A_DOMAIN_REMOVE);
	return nl_talk(nl, NULL, NULL);
}

int nl_domain_reset(struct nl *nl, u32 id)
{
	nl_start_domain_set(nl, id);
	nl_flag(nl, EMYS_A_DOMAIN_RESET);
	return nl_talk(nl, NULL, NULL);
}

static void nl_dedup_field(struct nl *nl, u16 nest_type, u16 field, u64 value)
{
	size_t nest = nl_nest(nl, nest_type);

	if (field == EMYS_A_DEDUP_POLICY_RUN || field == EMYS_A_DEDUP_POLICY_ADAPTIVE)
		nl_u8(nl, field, value);
	else
		nl_u32(nl, field, value);
	nl_nest_end(nl, nest);
}

int nl_domain_policy(struct nl *nl, u32 id, u16 field, u64 value)
{
	nl_start_domain_set(nl, id);
	nl_dedup_field(nl, EMYS_A_DOMAIN_POLICY, field, value);
	return nl_talk(nl, NULL, NULL);
}

int nl_default_policy(struct nl *nl, u16 field, u64 value)
{
	nl_start(nl, EMYS_CMD_MODULE_SET, 0);
	nl_dedup_field(nl, EMYS_A_MODULE_DEDUP, field, value);
	return nl_talk(nl, NULL, NULL);
}

int nl_reclaim_policy(struct nl *nl, u16 field, u64 value)
{
	size_t nest;

	nl_start(nl, EMYS_CMD_MODULE_SET, 0);
	nest = nl_nest(nl, EMYS_A_MODULE_RECLAIM);
	if (field == EMYS_A_RECLAIM_POLICY_BUDGET || field == EMYS_A_RECLAIM_POLICY_MIN_FREE)
		nl_u64(nl, field, value);
	else
		nl_u32(nl, field, value);
	nl_nest_end(nl, nest);
	return nl_talk(nl, NULL, NULL);
}

int nl_scan(struct nl *nl, u32 domain, u32 passes)
{
	nl_start(nl, EMYS_CMD_DEDUP_SCAN, 0);
	nl_u32(nl, EMYS_A_SCAN_DOMAIN, domain);
	nl_u32(nl, EMYS_A_SCAN_PASSES, passes);
	return nl_talk(nl, NULL, NULL);
}

int nl_round(struct nl *nl)
{
	nl_start(nl, EMYS_CMD_RECLAIM_ROUND, 0);
	return nl_talk(nl, NULL, NULL);
}

int nl_module_get(struct nl *nl, struct nl_module *module)
{
	nl_start(nl, EMYS_CMD_MODULE_GET, 0);
	return nl_talk(nl, nl_into_module, module);
}

static void nl_into_merged(void *ctx, const struct nlattr *a, size_t len)
{
	u64 v[EMYS_A_CLONE_MAX + 1] = { 0 };

	nl_parse(a, len, v, EMYS_A_CLONE_MAX, NULL);
	if (ctx)
		*(u64 *)ctx = v[EMYS_A_CLONE_MERGED];
}

int nl_clone_vm(struct nl *nl, u32 from, u32 to, u64 *merged)
{
	nl_start(nl, EMYS_CMD_CLONE, 0);
	nl_u32(nl, EMYS_A_CLONE_FROM_VM, from);
	nl_u32(nl, EMYS_A_CLONE_TO_VM, to);
	return nl_talk(nl, nl_into_merged, merged);
}

int nl_clone_object(struct nl *nl, u32 from, u32 to, u64 *merged)
{
	nl_start(nl, EMYS_CMD_CLONE, 0);
	nl_u32(nl, EMYS_A_CLONE_FROM_OBJECT, from);
	nl_u32(nl, EMYS_A_CLONE_TO_OBJECT, to);
	return nl_talk(nl, nl_into_merged, merged);
}

int nl_join(struct nl *nl, u32 group)
{
	if (nl->event_fd < 0)
		nl->event_fd = nl_socket();
	return setsockopt(nl->event_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) ? -errno : 0;
}

void nl_listen(struct nl *nl)
{
	CHECK_EQ(nl_join(nl, nl->events), 0);
	CHECK_EQ(nl_join(nl, nl->targets), 0);
}

int nl_event(struct nl *nl, struct nl_event *event, int ms)
{
	struct pollfd p = { .fd = nl->event_fd, .events = POLLIN };
	const struct nlmsghdr *h = (void *)nl->in;
	const struct genlmsghdr *g = NLMSG_DATA(h);
	ssize_t n;

	if (CHECK_OK(poll(&p, 1, ms)) == 0)
		return 0;
	n = CHECK_OK(recv(nl->event_fd, nl->in, sizeof(nl->in), 0));
	CHECK(n >= (ssize_t)NLMSG_LENGTH(GENL_HDRLEN) && h->nlmsg_len <= n);
	CHECK_EQ(h->nlmsg_type, nl->family);
	memset(event, 0, sizeof(*event));
	event->cmd = g->cmd;
	event->has = nl_parse((const void *)(g + 1), h->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN),
			      event->a, EMYS_A_EVENT_MAX, NULL);
	return 1;
}
