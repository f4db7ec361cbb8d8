/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balloon.h - host memory: budget, pressure, and what to do about it; targets of balloons.
 *
 * Sources: Guo et al., "Proactively Breaking Large Pages to Improve Memory Overcommitment
 * Performance in VMware ESXi", VEE 2015; Waldspurger, "Memory Resource Management in VMware
 * ESX Server", OSDI 2002.
 *
 * The module measures and enforces, userspace decides who shall give. A kernel thread,
 * "emys-reclaim", samples and walks the ladder: zero pages, duplicates (ksm_cmd/ in a hurry), break
 * and share large pages, and last the event that asks the daemon to balloon. What happens is told
 * by kmod/notice.h: NOTICE_PRESSURE, NOTICE_BALLOON_TARGET, NOTICE_BALLOON_REACHED,
 * NOTICE_PAGE_STORM.
 *
 * May include ksm_cmd, mem. All calls: process context, may sleep, no lock of the module held,
 * but where said.
 */
#ifndef _EMYS_BALLOON_H
#define _EMYS_BALLOON_H

#include <linux/types.h>

#include "estimate.h"

struct emys_vm;

/* By free memory under the budget, and of the host, whichever is worse. */
enum host_state {
	HOST_HIGH,		/* ample: break nothing; collapse what is private again */
	HOST_CLEAR,		/* break cold and shareable large pages, share them */
	HOST_SOFT,		/* also others that are shareable; balloons begin */
	HOST_HARD,		/* break all that yields anything; balloons hard */
	HOST_LOW,		/* and new pages wait for memory, a little */
	HOST_STATES
};

/* When large pages are broken. */
enum large_policy {
	LARGE_PROACTIVE,	/* the default: cold and shareable ones from HOST_CLEAR on */
	LARGE_NEVER,		/* keep them, whatever comes */
	LARGE_DEMAND,		/* in HOST_SOFT and worse only, in address order */
	LARGE_SMALL,		/* 4 KiB only: no new block; break what there is */
	LARGE_POLICIES
};

/**
 * struct reclaim_policy - of the module
 * @budget: pages that all owned memory together shall use; 0: no budget, the host's memory counts
 * @min_free: pages, of the budget and of the host; 0: minFree of the paper (899 MB for the first
 *	28 GB, 1 % of the rest; of what is smaller the same part) of each
 * @up: permille of @min_free at which a state is left for the better, by state; [HOST_HIGH] is 0
 * @down: permille below which it is entered; [HOST_HIGH] is 0
 * @large: default of VMs
 * @sample_ms: period of the sampling, 10..3600000
 * @sample_pages: sub-pages to hash per large page, 1..512
 * @cold_samples: samples without access in a row that make a large page cold, 1..255
 * @share_permille: shareable samples that make a large page worth breaking, 1..1000
 * @storm: pages of a VM copied and refaulted within a second that are a page storm, from 1
 */
struct reclaim_policy {
	u64 budget;
	u64 min_free;
	u32 up[HOST_STATES], down[HOST_STATES];
	enum large_policy large;
	u32 sample_ms, sample_pages, cold_samples, share_permille, storm;
};

/**
 * struct reclaim_stats - of the module
 * @state: now; @changes: of the state, ever
 * @used: pages of all owned memory now; @budget, @free: pages in all and free now, of the budget
 *	or of the host, whichever decided
 * @sampled: regions of 2 MiB looked at in the last round; @cold: large pages that are cold,
 *	@shareable: large pages worth breaking, of the last sweep over all memory
 * @broken: large pages broken by state, ever
 * @broken_private: of all broken ever, those that nothing of was merged since
 * @collapsed: ever; @shrunk: pages given back because the kernel's shrinker asked, ever;
 * @waits: new pages that waited for memory, ever
 */
struct reclaim_stats {
	enum host_state state;
	u64 changes, used, budget, free;
	u64 sampled, cold, shareable;
	u64 broken[HOST_STATES], broken_private, collapsed, shrunk, waits;
};

/* Of a VM. Pages; -1 in @target: none was ever set. */
struct vm_balloon {
	s64 target;		/* what the guest shall have, set by netlink */
	u64 actual;		/* what it has: size - ballooned */
	u64 active;		/* working-set estimate: maximum of a fast and a slow average */
	u64 shares;		/* weight for the policy daemon, default 1000 */
	enum large_policy large;
	bool large_set;		/* it has its own, not the module's */
	u64 shareable_permille;	/* of its large pages, of the last sweep */
};

/*
 * In struct emys_vm, all zero in a new one; reclaim's own. Written under vm_lock of
 * balloon/target.c, which is innermost.
 */
struct emys_vm_reclaim {
	s64 target;			/* of target_set */
	u64 shares;			/* 0: the default */
	enum large_policy large;	/* of large_set */
	bool target_set, large_set;
	bool reached;			/* the notice about it has gone out */
	struct working_set active;	/* of its owned memory */
	u32 shareable_permille;
	u64 copied, refaulted;		/* of its objects, at the last round */
	bool counted;			/* these two are valid */
};

/* At module load and unload. -ENOMEM. */
int emys_balloon_init(void);
void emys_balloon_exit(void);

enum host_state emys_host_state(void);		/* any context */
void emys_reclaim_policy_get(struct reclaim_policy *policy);
/* -EINVAL: *@bad names the field that is out of range; "up", "down" also when out of order. */
int emys_reclaim_policy_set(const struct reclaim_policy *policy, const char **bad);
void emys_reclaim_stats(struct reclaim_stats *stats);
/* One round of sampling and of the ladder now, in the caller. -EINTR. For tests and benchmarks. */
int emys_reclaim_round(void);

void emys_vm_balloon_get(struct emys_vm *vm, struct vm_balloon *b);
/*
 * Set @target; NOTICE_BALLOON_TARGET goes out, and the VMM that listens moves its balloon.
 * -EINVAL below 0 or above the VM's owned memory.
 */
int emys_vm_balloon_target(struct emys_vm *vm, s64 target);
int emys_vm_balloon_shares(struct emys_vm *vm, u64 shares);	/* 1..1000000, -EINVAL */
/* @policy LARGE_POLICIES: the module's again. -EINVAL. */
int emys_vm_large_policy(struct emys_vm *vm, enum large_policy policy);

#endif
