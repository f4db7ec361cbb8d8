/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nl: the netlink family "emys", spoken without a library.
 *
 * What a message carries is put into arrays indexed by attribute (EMYS_A_*, the uapi
 * header that tools/nlgen makes of Documentation/netlink/specs/emys.yaml), each
 * number as u64, a signed one sign-extended, a flag as 1. What was absent is 0, and its bit
 * in "has" is clear.
 *
 * Calls return 0 or a negative errno; then nl->text is the kernel's sentence and nl->offset
 * where in the request the attribute is that it is about, 0 for none. Nothing but a broken
 * socket or an answer that breaks the protocol ends the case.
 */
#ifndef _NL_H
#define _NL_H

#include <linux/emys_netlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "ksft.h"

#define NL_MAX_MESSAGE	65536

struct nl {
	int fd;				/* requests */
	int event_fd;			/* member of groups, -1 before nl_listen() */
	u16 family;
	u32 events, targets;		/* groups */
	u32 seq;
	size_t len;			/* of the request in buf */
	char text[256];			/* of the last answer; "" when there was none */
	u32 offset;			/* likewise */
	size_t part;			/* most bytes of an answer taken at once, sizeof(in) */
	_Alignas(8) char buf[NL_MAX_MESSAGE];
	_Alignas(8) char in[NL_MAX_MESSAGE];
};

/* Fails the case when there is no such family; nl_try_open() returns NULL for that. */
struct nl *nl_open(void);
struct nl *nl_try_open(void);
void nl_close(struct nl *nl);

/* -- one message --------------------------------------------------------------- */

/* A request of nl->buf, which the calls below append to. */
void nl_start(struct nl *nl, u8 cmd, u16 flags);
void nl_add(struct nl *nl, u16 type, const void *data, size_t len);
void nl_u8(struct nl *nl, u16 type, u8 value);
void nl_u32(struct nl *nl, u16 type, u32 value);
void nl_u64(struct nl *nl, u16 type, u64 value);
void nl_flag(struct nl *nl, u16 type);
size_t nl_nest(struct nl *nl, u16 type);	/* returns what nl_nest_end() wants */
void nl_nest_end(struct nl *nl, size_t nest);

/*
 * Send and take the answer up to the acknowledgement, or the end of a dump. @fn gets every
 * message's attributes; its time is the dump's: the next part is asked for after it.
 */
typedef void nl_reply_fn(void *ctx, const struct nlattr *attrs, size_t len);
int nl_talk(struct nl *nl, nl_reply_fn *fn, void *ctx);

/* Attributes into @value[0..@max]; nested ones into @nest[type], where there is an array. */
struct nl_into {
	u64 *value;
	unsigned int max;
};

u64 nl_parse(const struct nlattr *attrs, size_t len, u64 *value, unsigned int max,
	     const struct nl_into *nest);

/* -- what the family has -------------------------------------------------------- */

struct nl_vm {
	u64 has;			/* bit per EMYS_A_VM_* */
	u64 a[EMYS_A_VM_MAX + 1];
	u64 counts[EMYS_A_COUNTS_MAX + 1];
	u64 balloon[EMYS_A_BALLOON_MAX + 1];
};

struct nl_object {
	u64 has;
	u64 a[EMYS_A_OBJECT_MAX + 1];
	u64 counts[EMYS_A_COUNTS_MAX + 1];
};

struct nl_domain {
	u64 has;
	u64 a[EMYS_A_DOMAIN_MAX + 1];
	u64 policy[EMYS_A_DEDUP_POLICY_MAX + 1];
	u64 stats[EMYS_A_DEDUP_STATS_MAX + 1];
	u64 counts[EMYS_A_COUNTS_MAX + 1];
};

struct nl_module {
	u64 has;
	u64 a[EMYS_A_MODULE_MAX + 1];
	u64 dedup[EMYS_A_DEDUP_POLICY_MAX + 1];
	u64 reclaim[EMYS_A_RECLAIM_POLICY_MAX + 1];
	u64 up[EMYS_A_BOUNDS_MAX + 1], down[EMYS_A_BOUNDS_MAX + 1];
	u64 stats[EMYS_A_RECLAIM_STATS_MAX + 1];
	u64 broken[EMYS_A_BY_STATE_MAX + 1];
};

struct nl_event {
	u8 cmd;				/* EMYS_CMD_VM_NEW .. */
	u64 has;
	u64 a[EMYS_A_EVENT_MAX + 1];
};

int nl_vm_get(struct nl *nl, u32 id, struct nl_vm *vm);
/* By dump: how many there are, of which the first @max are put in @vms; or -errno. */
int nl_vms(struct nl *nl, struct nl_vm *vms, unsigned int max);
int nl_objects(struct nl *nl, struct nl_object *objects, unsigned int max);
int nl_domains(struct nl *nl, struct nl_domain *domains, unsigned int max);
/* The id of the @nth VM (from 0, by age) that this process made; fails the case for none. */
u32 nl_my_vm(struct nl *nl, unsigned int nth);

int nl_vm_domain(struct nl *nl, u32 vm, u32 domain);
int nl_vm_target(struct nl *nl, u32 vm, s64 pages);
int nl_vm_shares(struct nl *nl, u32 vm, u64 shares);
int nl_vm_large(struct nl *nl, u32 vm, u32 policy);

int nl_object_get(struct nl *nl, u32 id, struct nl_object *object);
int nl_domain_get(struct nl *nl, u32 id, struct nl_domain *domain);
int nl_domain_create(struct nl *nl, u32 id);
int nl_domain_remove(struct nl *nl, u32 id);
int nl_domain_reset(struct nl *nl, u32 id);
/* One field of a policy: EMYS_A_DEDUP_POLICY_*, EMYS_A_RECLAIM_POLICY_*, the others stay. */
int nl_domain_policy(struct nl *nl, u32 id, u16 field, u64 value);
int nl_default_policy(struct nl *nl, u16 field, u64 value);
int nl_reclaim_policy(struct nl *nl, u16 field, u64 value);
int nl_scan(struct nl *nl, u32 domain, u32 passes);
int nl_round(struct nl *nl);
int nl_module_get(struct nl *nl, struct nl_module *module);
int nl_clone_vm(struct nl *nl, u32 from, u32 to, u64 *merged);
int nl_clone_object(struct nl *nl, u32 from, u32 to, u64 *merged);

/* Join both groups. */
void nl_listen(struct nl *nl);
/* Join one of nl->events, nl->targets: 0 or -errno. */
int nl_join(struct nl *nl, u32 group);
/* Wait at most @ms for the next event: 1, or 0 when the time is over. */
int nl_event(struct nl *nl, struct nl_event *event, int ms);

#endif
