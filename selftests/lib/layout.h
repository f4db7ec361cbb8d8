/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * layout: a guest whose memory is known to the byte, for tests of large pages.
 *
 * Blocks of 2 MiB in one object per area:
 *
 *  HOT	every page its own content but for some, used in every step
 *  COLD	duplicates: the second half holds what the first does
 *  ZERO	written, then zeroed
 *  GROW	absent; pages with contents of their own come as ordered
 *
 * The guest does one order at a time. The words of a page follow from its seed, so that
 * either side can check every byte.
 */
#ifndef _LAYOUT_H
#define _LAYOUT_H

#include <stdbool.h>

#include "nl.h"
#include "vmm.h"

#define BLOCK		0x200000ull
#define BLOCK_PAGES	512

enum area { HOT, COLD, ZERO, GROW, AREAS };

enum order {
	ORDER_FILL,		/* all but GROW, as above */
	ORDER_USE,		/* HOT: read and write a word of each page */
	ORDER_READ,		/* COLD: read a word of each of @arg pages from where it stopped */
	ORDER_CHANGE,		/* COLD: every page gets a content of its own */
	ORDER_TOUCH,		/* ZERO: write a word of each page */
	ORDER_GROW,		/* @arg pages more in GROW */
	ORDER_CHECK,		/* every byte of all */
};

struct layout {
	struct vm *vm;
	struct vcpu *vcpu;
	struct nl *nl;
	u32 id;			/* of the VM */
	u32 object[AREAS];	/* ids; 0: the area has no blocks */
	int fd[AREAS];
	u8 *mem[AREAS];		/* the VMM's mapping */
	u32 blocks[AREAS];
	u32 hot_same;		/* pages of each hot block that all have alike */
	u64 result;		/* of the last order: ORDER_READ: pages that had been given away */
};

/*
 * Set in @l: blocks, hot_same. Makes the VM, fills it, starts deduplication in its domain. The
 * reclaim thread samples once an hour from here on, so that rounds are the caller's. Skips the
 * case on a device that is not emys.
 */
void layout_make(struct layout *l);
void layout_free(struct layout *l);
void layout_do(struct layout *l, enum order order, u64 arg);
/* ORDER_CHECK, and the same through the VMM's mapping. */
void layout_check(struct layout *l);

/* Of an area's object, or all's: EMYS_A_COUNTS_*. */
u64 layout_count(struct layout *l, enum area area, u32 count);
u64 layout_counts(struct layout *l, u32 count);
/* Of the module: EMYS_A_RECLAIM_STATS_*; large pages broken in a state. */
u64 layout_stat(struct layout *l, u32 stat);
u64 layout_broken(struct layout *l, u32 state);
/* EMYS_A_RECLAIM_POLICY_*; the case fails when it is refused. */
void layout_policy(struct layout *l, u32 field, u64 value);
/* EMYS_A_DEDUP_POLICY_* of the VM's domain, likewise. */
void layout_dedup_policy(struct layout *l, u32 field, u64 value);
/* @n rounds of reclaim, each after the guest used what is hot. */
void layout_rounds(struct layout *l, u32 n);
/* @n full passes of deduplication over the VM's domain. */
void layout_dedup(struct layout *l, u32 n);
/*
 * Set the budget so that @free pages of it are free, and min-free to 1024: the state
 * is CLEAR below 4096, SOFT below 655, HARD below 327, LOW below 163.
 */
void layout_pressure(struct layout *l, u64 free);
void layout_no_pressure(struct layout *l);

#endif
