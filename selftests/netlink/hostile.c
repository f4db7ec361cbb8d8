// SPDX-License-Identifier: GPL-2.0-only
/* netlink/hostile: messages that are cut short, mistyped, unknown and random */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "owned.h"

#define MUTATIONS	30000
#define DOMAIN		9

/* What a request of each operation may carry, one of every attribute. */
struct seed {
	u8 cmd;
	void (*fill)(struct nl *nl);
};

static u32 vm, twin;		/* of the case, each with one object */
static u32 object, twin_object;

static void fill_vm(struct nl *nl)
{
	nl_u32(nl, EMYS_A_VM_ID, vm);
}

static void fill_object(struct nl *nl)
{
	nl_u32(nl, EMYS_A_OBJECT_ID, object);
}

static void fill_domain(struct nl *nl)
{
	nl_u32(nl, EMYS_A_DOMAIN_ID, DOMAIN);
}

static void fill_vm_set(struct nl *nl)
{
	nl_u32(nl, EMYS_A_VM_ID, vm);
	nl_u64(nl, EMYS_A_VM_TARGET, 17);
	nl_u64(nl, EMYS_A_VM_SHARES, 17);
	nl_u32(nl, EMYS_A_VM_LARGE, EMYS_LARGE_POLICY_NEVER);
}

static void fill_vm_domain(struct nl *nl)
{
	nl_u32(nl, EMYS_A_VM_ID, vm);
	nl_u32(nl, EMYS_A_VM_DOMAIN, DOMAIN);
}

static void fill_dedup(struct nl *nl, u16 type)
{
	size_t nest = nl_nest(nl, type);

	nl_u32(nl, EMYS_A_DEDUP_POLICY_ALGORITHM, EMYS_DEDUP_ALGORITHM_KSM);
	nl_u8(nl, EMYS_A_DEDUP_POLICY_RUN, 0);
	nl_u8(nl, EMYS_A_DEDUP_POLICY_ADAPTIVE, 0);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_CLASSES, 4);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_PAGES, 17);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_SLEEP_MS, 1717);
	nl_u32(nl, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 17);
	nl_nest_end(nl, nest);
}

static void fill_domain_set(struct nl *nl)
{
	nl_u32(nl, EMYS_A_DOMAIN_ID, DOMAIN);
	nl_flag(nl, EMYS_A_DOMAIN_CREATE);
	nl_flag(nl, EMYS_A_DOMAIN_RESET);
	fill_dedup(nl, EMYS_A_DOMAIN_POLICY);
}

static void fill_scan(struct nl *nl)
{
	nl_u32(nl, EMYS_A_SCAN_DOMAIN, DOMAIN);
	nl_u32(nl, EMYS_A_SCAN_PASSES, 1);
}

static void fill_bounds(struct nl *nl, u16 type, u32 add)
{
	size_t nest = nl_nest(nl, type);

	nl_u32(nl, EMYS_A_BOUNDS_CLEAR, 400 + add);
	nl_u32(nl, EMYS_A_BOUNDS_SOFT, 300 + add);
	nl_u32(nl, EMYS_A_BOUNDS_HARD, 200 + add);
	nl_u32(nl, EMYS_A_BOUNDS_LOW, 100 + add);
	nl_nest_end(nl, nest);
}

static void fill_module(struct nl *nl)
{
	size_t nest;

	fill_dedup(nl, EMYS_A_MODULE_DEDUP);
	nest = nl_nest(nl, EMYS_A_MODULE_RECLAIM);
	nl_u64(nl, EMYS_A_RECLAIM_POLICY_BUDGET, 0);
	nl_u64(nl, EMYS_A_RECLAIM_POLICY_MIN_FREE, 1717);
	fill_bounds(nl, EMYS_A_RECLAIM_POLICY_UP, 50);
	fill_bounds(nl, EMYS_A_RECLAIM_POLICY_DOWN, 0);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_LARGE, EMYS_LARGE_POLICY_NEVER);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_MS, 1717);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_SAMPLE_PAGES, 17);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_COLD_SAMPLES, 17);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_SHARE_PERMILLE, 17);
	nl_u32(nl, EMYS_A_RECLAIM_POLICY_STORM, 1717);
	nl_nest_end(nl, nest);
}

static void fill_clone(struct nl *nl)
{
	nl_u32(nl, EMYS_A_CLONE_FROM_VM, vm);
	nl_u32(nl, EMYS_A_CLONE_TO_VM, twin);
}

static void fill_objects(struct nl *nl)
{
	nl_u32(nl, EMYS_A_CLONE_FROM_OBJECT, object);
	nl_u32(nl, EMYS_A_CLONE_TO_OBJECT, twin_object);
}

static const struct seed seeds[] = {
	{ EMYS_CMD_VM_GET, fill_vm },
	{ EMYS_CMD_VM_SET, fill_vm_set },
	{ EMYS_CMD_VM_SET, fill_vm_domain },
	{ EMYS_CMD_OBJECT_GET, fill_object },
	{ EMYS_CMD_DOMAIN_GET, fill_domain },
	{ EMYS_CMD_DOMAIN_SET, fill_domain_set },
	{ EMYS_CMD_DEDUP_SCAN, fill_scan },
	{ EMYS_CMD_MODULE_GET, NULL },
	{ EMYS_CMD_MODULE_SET, fill_module },
	{ EMYS_CMD_RECLAIM_ROUND, NULL },
	{ EMYS_CMD_CLONE, fill_clone },
	{ EMYS_CMD_CLONE, fill_objects },
};

/* What the sets of the seeds change, as it is now. */
struct state {
	struct nl_module module;
	struct nl_vm vm;
	int domains;
};

static void state_get(struct nl *nl, struct state *s)
{
	memset(s, 0, sizeof(*s));
	CHECK_EQ(nl_module_get(nl, &s->module), 0);
	CHECK_EQ(nl_vm_get(nl, vm, &s->vm), 0);
	s->domains = nl_domains(nl, NULL, 0);
}

static void state_check(struct nl *nl, const struct state *was)
{
	struct state is;

	state_get(nl, &is);
	CHECK(!memcmp(was->module.dedup, is.module.dedup, sizeof(is.module.dedup)));
	CHECK(!memcmp(was->module.reclaim, is.module.reclaim, sizeof(is.module.reclaim)));
	CHECK(!memcmp(was->module.up, is.module.up, sizeof(is.module.up)));
	CHECK(!memcmp(was->module.down, is.module.down, sizeof(is.module.down)));
	CHECK_EQ(is.vm.has, was->vm.has);
	CHECK_EQ(is.vm.a[EMYS_A_VM_DOMAIN], was->vm.a[EMYS_A_VM_DOMAIN]);
	CHECK_EQ(is.vm.a[EMYS_A_VM_TARGET], was->vm.a[EMYS_A_VM_TARGET]);
	CHECK_EQ(is.vm.a[EMYS_A_VM_SHARES], was->vm.a[EMYS_A_VM_SHARES]);
	CHECK_EQ(is.vm.a[EMYS_A_VM_LARGE], was->vm.a[EMYS_A_VM_LARGE]);
	CHECK_EQ(is.domains, was->domains);
}

/* The module as other tests want to find it. */
static void put_back(struct nl *nl, const struct nl_module *m)
{
	size_t nest, inner;

	nl_start(nl, EMYS_CMD_MODULE_SET, 0);
	nest = nl_nest(nl, EMYS_A_MODULE_DEDUP);
	for (u16 i = 1; i <= EMYS_A_DEDUP_POLICY_MAX; i++) {
		if (i == EMYS_A_DEDUP_POLICY_RUN || i == EMYS_A_DEDUP_POLICY_ADAPTIVE)
			nl_u8(nl, i, m->dedup[i]);
		else
			nl_u32(nl, i, m->dedup[i]);
	}
	nl_nest_end(nl, nest);
	nest = nl_nest(nl, EMYS_A_MODULE_RECLAIM);
	nl_u64(nl, EMYS_A_RECLAIM_POLICY_BUDGET, m->reclaim[EMYS_A_RECLAIM_POLICY_BUDGET]);
	nl_u64(nl, EMYS_A_RECLAIM_POLICY_MIN_FREE, m->reclaim[EMYS_A_RECLAIM_POLICY_MIN_FREE]);
	inner = nl_nest(nl, EMYS_A_RECLAIM_POLICY_UP);
	for (u16 i = 1; i <= EMYS_A_BOUNDS_MAX; i++)
		nl_u32(nl, i, m->up[i]);
	nl_nest_end(nl, inner);
	inner = nl_nest(nl, EMYS_A_RECLAIM_POLICY_DOWN);
	for (u16 i = 1; i <= EMYS_A_BOUNDS_MAX; i++)
		nl_u32(nl, i, m->down[i]);
	nl_nest_end(nl, inner);
	for (u16 i = EMYS_A_RECLAIM_POLICY_LARGE; i <= EMYS_A_RECLAIM_POLICY_MAX; i++)
		nl_u32(nl, i, m->reclaim[i]);
	nl_nest_end(nl, nest);
	CHECK_EQ(nl_talk(nl, NULL, NULL), 0);
}

static void start(struct nl *nl, const struct seed *s, u16 flags)
{
	nl_start(nl, s->cmd, flags);
	if (s->fill)
		s->fill(nl);
}

static struct nl *begin(struct owned *o)
{
	struct nl_object objects[2];
	struct owned second;
	struct nl *nl;

	REQUIRE(ksft_is_emys(), "not emys");
	nl = nl_open();
	*o = owned_make();
	o->mem[0] = 1;
	second = owned_make();
	second.mem[0] = 1;
	vm = nl_my_vm(nl, 0);
	twin = nl_my_vm(nl, 1);
	CHECK_EQ(nl_objects(nl, objects, 2), 2);
	object = objects[0].a[EMYS_A_OBJECT_ID];
	twin_object = objects[1].a[EMYS_A_OBJECT_ID];
	return nl;
}

/* Every seed works as it is; so what follows is refused for what was done to it. */
static void test_seeds(void)
{
	struct nl_module module;
	struct owned o;
	struct nl *nl;

	nl = begin(&o);
	CHECK_EQ(nl_module_get(nl, &module), 0);
	CHECK_EQ(nl_vm_domain(nl, twin, DOMAIN), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(seeds); i++) {
		int r;

		start(nl, &seeds[i], 0);
		r = nl_talk(nl, NULL, NULL);
		CHECK_MSG(!r, "seed %u: %d %s", i, r, nl->text);
	}
	put_back(nl, &module);
}

/* Does the answer to what was sent say an error? @none: or is there none at all. */
static void refused(struct nl *nl, const char *what, unsigned int seed, size_t at, bool none)
{
	const struct nlmsghdr *h = (void *)nl->in;
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	const struct nlmsgerr *e = NLMSG_DATA(h);

	if (!poll(&p, 1, 0)) {
		CHECK_MSG(none, "seed %u %s at %zu: no answer", seed, what, at);
		return;
	}
	CHECK_OK(recv(nl->fd, nl->in, sizeof(nl->in), 0));
	CHECK_MSG(h->nlmsg_type == NLMSG_ERROR && e->error < 0, "seed %u %s at %zu: accepted", seed,
		  what, at);
}

/*
 * Cut at every length: by the header's length alone, and with it. A message that ends behind a
 * whole attribute is a good one with less in it, so those places are left out; but
 * inside of a nest that has lost its end there is no such place.
 */
static bool whole(struct nl *nl, size_t len)
{
	size_t at = NLMSG_LENGTH(GENL_HDRLEN);

	while (at < len)
		at += NLA_ALIGN(((struct nlattr *)(nl->buf + at))->nla_len);
	return at == len || at - len < NLA_ALIGNTO;
}

static void test_truncated(void)
{
	struct state was;
	struct owned o;
	struct nl *nl;

	nl = begin(&o);
	state_get(nl, &was);
	for (unsigned int i = 0; i < ARRAY_SIZE(seeds); i++) {
		struct nlmsghdr *h = (void *)nl->buf;
		size_t full;

		start(nl, &seeds[i], NLM_F_ACK);
		full = nl->len;
		for (size_t cut = 1; cut < full; cut++) {
			if (cut >= NLMSG_LENGTH(GENL_HDRLEN) && whole(nl, cut))
				continue;
			/* the message ends early, and says so or not */
			h->nlmsg_len = cut;
			CHECK_OK(send(nl->fd, nl->buf, cut, 0));
			refused(nl, "cut", i, cut, cut < NLMSG_HDRLEN);
			h->nlmsg_len = full;
			CHECK_OK(send(nl->fd, nl->buf, cut, 0));
			refused(nl, "cut, unsaid", i, cut, true);
			h->nlmsg_len = cut;
			CHECK_OK(send(nl->fd, nl->buf, full, 0));
			refused(nl, "short by its header", i, cut, cut < NLMSG_HDRLEN);
			/* what is behind a message is taken for the next one */
			while (poll(&(struct pollfd){ .fd = nl->fd, .events = POLLIN }, 1, 0))
				CHECK_OK(recv(nl->fd, nl->in, sizeof(nl->in), 0));
		}
	}
	state_check(nl, &was);
}

/* Every attribute of a seed, at any depth: @fn gets its place. */
static void each(struct nl *nl, size_t from, size_t to,
		 void (*fn)(struct nl *nl, struct nlattr *a, unsigned int seed), unsigned int seed)
{
	while (from < to) {
		struct nlattr *a = (void *)(nl->buf + from);

		fn(nl, a, seed);
		if (a->nla_type & NLA_F_NESTED)
			each(nl, from + NLA_HDRLEN, from + a->nla_len, fn, seed);
		from += NLA_ALIGN(a->nla_len);
	}
}

static void send_refused(struct nl *nl, const char *what, unsigned int seed, struct nlattr *a)
{
	struct nlmsghdr *h = (void *)nl->buf;

	h->nlmsg_len = nl->len;
	CHECK_OK(send(nl->fd, nl->buf, nl->len, 0));
	refused(nl, what, seed, (char *)a - nl->buf, false);
}

static void spoil_type(struct nl *nl, struct nlattr *a, unsigned int seed)
{
	static const u16 types[] = { 0, 99, 0x3fff, NLA_F_NESTED | 99, NLA_F_NET_BYTEORDER | 98 };
	u16 was = a->nla_type;

	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		a->nla_type = types[i];
		send_refused(nl, "type", seed, a);
	}
	/* a number as a nest, and a nest as a number */
	a->nla_type = was ^ NLA_F_NESTED;
	if (!(was & NLA_F_NESTED) && a->nla_len == NLA_HDRLEN)
		a->nla_type = was | NLA_F_NET_BYTEORDER | NLA_F_NESTED;
	if (a->nla_len > NLA_HDRLEN || (was & NLA_F_NESTED))
		send_refused(nl, "nesting", seed, a);
	a->nla_type = was;
}

/* Another length: the bytes that follow are taken for attributes, or it does not fit its type. */
static void spoil_length(struct nl *nl, struct nlattr *a, unsigned int seed)
{
	u16 was = a->nla_len;

	if (a->nla_type & NLA_F_NESTED)
		return;
	for (u16 len = 0; len < was; len++) {
		a->nla_len = len;
		send_refused(nl, "length", seed, a);
	}
	a->nla_len = 0xffff;
	send_refused(nl, "length", seed, a);
	a->nla_len = was;
}

static void spoil_all(void (*fn)(struct nl *nl, struct nlattr *a, unsigned int seed))
{
	struct state was;
	struct owned o;
	struct nl *nl;

	nl = begin(&o);
	state_get(nl, &was);
	for (unsigned int i = 0; i < ARRAY_SIZE(seeds); i++) {
		start(nl, &seeds[i], NLM_F_ACK);
		each(nl, NLMSG_LENGTH(GENL_HDRLEN), nl->len, fn, i);
	}
	state_check(nl, &was);
}

static void test_types(void)
{
	spoil_all(spoil_type);
}

static void test_lengths(void)
{
	spoil_all(spoil_length);
}

/* Attributes that there are, but not in this request; and such as there are not. */
static void test_unknown(void)
{
	struct state was;
	struct owned o;
	struct nl *nl;

	nl = begin(&o);
	state_get(nl, &was);
	for (u16 type = 1; type <= EMYS_A_VM_MAX + 3; type++) {
		if (type == EMYS_A_VM_ID || type == EMYS_A_VM_DOMAIN || type == EMYS_A_VM_TARGET ||
		    type == EMYS_A_VM_SHARES || type == EMYS_A_VM_LARGE)
			continue;
		nl_start(nl, EMYS_CMD_VM_SET, NLM_F_ACK);
		fill_vm_set(nl);
		nl_u32(nl, type, 1);
		send_refused(nl, "unknown", type, (void *)nl->buf);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(seeds); i++) {
		start(nl, &seeds[i], NLM_F_ACK);
		nl_u32(nl, 77, 1);
		send_refused(nl, "unknown", i, (void *)nl->buf);
	}
	state_check(nl, &was);
}

/* -- random ----------------------------------------------------------------------------------- */

static u64 seed = 0x9e3779b97f4a7c15;

static u32 rnd(u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 32) % below;
}

/* Everything behind the message's type may change; never what family it is for. */
static void mutate(struct nl *nl)
{
	const size_t from = offsetof(struct nlmsghdr, nlmsg_flags);
	struct nlmsghdr *h = (void *)nl->buf;

	h->nlmsg_len = nl->len;
	for (u32 n = rnd(4); n; n--) {
		size_t at = from + rnd(nl->len - from);

		switch (rnd(5)) {
		case 0:
			nl->buf[at] ^= 1 << rnd(8);
			break;
		case 1:
			nl->buf[at] = rnd(256);
			break;
		case 2:		/* a field of some size of one value */
			memset(nl->buf + at, rnd(2) ? 0xff : 0, rnd(8) % (nl->len - at) + 1);
			break;
		case 3:		/* a part from elsewhere */
			memmove(nl->buf + at, nl->buf + from + rnd(nl->len - from),
				rnd(16) % (nl->len - at) + 1);
			break;
		case 4:
			h->nlmsg_len = rnd(2) ? rnd(nl->len + 8) : nl->len;
			break;
		}
	}
	/* a long scan is no fault, only long */
	if (((struct genlmsghdr *)NLMSG_DATA(h))->cmd == EMYS_CMD_DEDUP_SCAN && rnd(50))
		((struct genlmsghdr *)NLMSG_DATA(h))->cmd = 1 + rnd(EMYS_CMD_MAX);
}

static void drain(struct nl *nl, unsigned int *good, unsigned int *bad)
{
	ssize_t n;

	while ((n = recv(nl->fd, nl->in, sizeof(nl->in), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (void *)nl->in;
		const struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_ERROR && e->error)
			++*bad;
		else
			++*good;
	}
}

static void test_random(void)
{
	unsigned int good = 0, bad = 0;
	unsigned int mutations = MUTATIONS / ksft_slowness();
	struct nl_module module;
	struct nl_vm after;
	struct owned o;
	struct nl *nl, *calm;

	nl = begin(&o);
	calm = nl_open();
	CHECK_EQ(nl_module_get(calm, &module), 0);
	for (unsigned int i = 0; i < mutations; i++) {
		const struct seed *s = &seeds[rnd(ARRAY_SIZE(seeds))];

		start(nl, s, rnd(4) ? NLM_F_ACK : NLM_F_DUMP);
		mutate(nl);
		if (send(nl->fd, nl->buf, nl->len, MSG_DONTWAIT) < 0)
			CHECK_MSG(errno == EAGAIN || errno == ENOBUFS || errno == EBUSY,
				  "send: %s", strerror(errno));
		drain(nl, &good, &bad);
	}
	ksft_print("%u answers, %u errors", good, bad);
	CHECK(good > mutations / 20 && bad > mutations / 20);
	/* all is well: the VM is there, and every policy in its range is taken again */
	CHECK_EQ(nl_vm_get(calm, vm, &after), 0);
	put_back(calm, &module);
	CHECK_EQ(nl_vm_domain(calm, vm, 0), 0);
	CHECK_EQ(o.mem[0], 1);
}

KSFT_MAIN({ "whole messages", test_seeds },
	  { "cut short", test_truncated, 120 },
	  { "wrong types", test_types, 60 },
	  { "wrong lengths", test_lengths, 60 },
	  { "unknown attributes", test_unknown },
	  { "random messages", test_random, 600 })
