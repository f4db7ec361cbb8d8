/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * notice.h - what happened, told upwards: whoever it happens to calls emys_notify(), and
 * dev/netlink.c, which listens, tells userspace (Documentation/netlink/specs/emys.yaml).
 *
 * So that mem, ksm_cmd and balloon need not know who is above them.
 */
#ifndef _EMYS_NOTICE_H
#define _EMYS_NOTICE_H

#include <linux/types.h>

enum emys_notice_type {
	NOTICE_VM_NEW,		/* vm, pid, uid */
	NOTICE_VM_GONE,		/* the same: its memory has been given back */
	NOTICE_PRESSURE,	/* was, state (enum host_state), used, budget, free: pages */
	NOTICE_PASS_END,	/* domain, passes, scanned, merged (of that pass), ticks */
	NOTICE_BALLOON_TARGET,	/* vm, target, actual: pages */
	NOTICE_BALLOON_REACHED,	/* vm, target, actual: the guest has what it shall have */
	NOTICE_PAGE_STORM,	/* vm, copied, refaulted: pages of the last second */
	NOTICE_TYPES
};

/**
 * struct emys_notice - one; what its type does not name above is 0
 * @vm: id; @pid: of the VM's creator, in the first pid namespace; @uid: likewise
 * @domain: id, mem/owned.h
 */
struct emys_notice {
	enum emys_notice_type type;
	u32 vm;
	u32 domain;
	pid_t pid;
	uid_t uid;
	u32 was, state;
	u64 used, budget, free;
	s64 target;
	u64 actual;
	u64 passes, scanned, merged, ticks;
	u64 copied, refaulted;
};

/*
 * Tell, if anybody listens. Any context but hard interrupts and NMI, under any lock: it
 * does not sleep and takes no lock of the module.
 */
void emys_notify(const struct emys_notice *notice);

/*
 * There is one listener or none; @fn is called as emys_notify() is. With NULL, when this
 * returns no call is under way. May sleep.
 */
void emys_notice_listen(void (*fn)(const struct emys_notice *notice));

#endif
