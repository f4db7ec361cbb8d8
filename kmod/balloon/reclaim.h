/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of kmod/balloon/ that need the kernel share; private */
#ifndef _EMYS_BALLOON_RECLAIM_H
#define _EMYS_BALLOON_RECLAIM_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "../emys.h"
#include "choose.h"
#include "ladder.h"

/* -- memory in its regions (sweep.c) ----------------------------------------- */

/**
 * struct sweep_sums - over one sweep through an object; pages unless it says otherwise
 * @active: used since the sweep before
 * @blocks, @cold, @shareable: regions: large, of these cold, of these worth breaking
 * @probed: regions whose shareability is known; @share: the sum of it, permille
 * @broken: regions
 * @pending: promised by broken regions, and not there yet
 * @zero: estimate of zero pages in cold blocks
 */
struct sweep_sums {
	u64 active, blocks, cold, shareable, probed, share, broken, pending, zero;
};

/**
 * struct reclaim_object - what is known of an object. Round lock.
 * @round: the last that saw it
 * @large: the policy of that round
 * @dedup: it can merge: somebody scans its domain
 * @passed: nobody does, or a pass over the domain has ended since the sweep before
 * @passes: how many had, then
 * @cursor: where the sweep goes on
 * @regions: region number -> value of region_pack()
 * @sums: of the sweep under way; @last: of the last that came to its end, valid if @swept
 */
struct reclaim_object {
	u32 id;
	u32 round;
	enum large_policy large;
	bool dedup;
	bool passed;
	bool swept;
	u64 passes;
	pgoff_t cursor;
	struct xarray regions;
	struct sweep_sums sums, last;
};

/**
 * struct reclaim_round - one round of the ladder. Round lock.
 * @number: 1 and up; @state, @policy: of this round
 * @deficit: pages that lack to be HOST_HIGH
 * @pending: pages that broken regions still promise
 * @waiting: so did some when the round began
 * @budget: what may be done, counted down
 * @limit: regions of one object in this round
 * @look_every: every how many of the broken regions gets a look
 * @best: candidates to break
 */
struct reclaim_round {
	u32 number;
	enum host_state state;
	struct reclaim_policy policy;
	u64 deficit, pending;
	bool waiting;
	struct round_budget budget;
	u32 limit;
	u32 look_every;
	u64 sampled;
	struct candidates best;
};

/*
 * Sample what the budget allows of the object: ages, probes, candidates; collapse. 0,
 * -EINTR: a signal is pending, or the thread shall stop.
 */
int sweep_object(struct reclaim_round *round, struct mem_object *obj, struct reclaim_object *ro);
/* Candidates from what is known already. Samples nothing. */
void sweep_known(struct reclaim_round *round, struct reclaim_object *ro);
/* Break the candidates, as far as budget and need go. */
int sweep_break(struct reclaim_round *round);

/* Of the object @id, made if need be; NULL: no memory. */
struct reclaim_object *reclaim_object(u32 id);
extern struct xarray reclaim_objects;	/* id -> struct reclaim_object */
void reclaim_object_free(struct reclaim_object *ro);

/* -- counters (reclaim.c) -------------------------------------------------------- */

/* Round lock to write. */
extern struct reclaim_counters {
	u64 broken[HOST_STATES], private, collapsed;
} reclaim_counters;
extern struct mutex reclaim_lock;	/* the round lock */

/* A copy, for a moment */
struct reclaim_policy reclaim_policy(void);

/* -- VMs (target.c) ---------------------------------------------------------------- */

/* The VM's own policy for large pages, or else @large. */
enum large_policy reclaim_vm_large(struct emys_vm *vm, enum large_policy large);

/* What a round found of a VM's objects. */
struct reclaim_vm_sums {
	u64 active, present;	/* of objects with a whole sweep; pages */
	u64 probed, share;
	u64 copied, refaulted;
};

/* Take it into account; @storm of the policy, @ms since the last round. */
void reclaim_vm_round(struct emys_vm *vm, const struct reclaim_vm_sums *sums, u32 storm, u64 ms);

/* -- the kernel's shrinker (shrink.c) ------------------------------------------------ */

int shrink_init(void);
void shrink_exit(void);
/* Does the kernel want pages? Asked once, true once. */
bool shrink_wanted(void);
/* What could be given soon; what has been given for it. Pages. */
void shrink_offer(u64 pages);
void shrink_gave(u64 pages);
u64 shrink_total(void);
/* Wake the thread. Any context. */
void reclaim_wake(void);

#endif
