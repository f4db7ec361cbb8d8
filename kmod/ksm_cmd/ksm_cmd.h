/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ksm_cmd.h - deduplication of owned guest memory: one engine, several algorithms.
 *
 * Sources: Chen et al., "CMD: Classification-based Memory Deduplication through Page Access
 * Characteristics", VEE 2014; Linux Documentation/admin-guide/mm/ksm.rst.
 *
 * Each domain (mem/owned.h) has one engine: stable trees of shared pages, unstable
 * trees of candidates, rebuilt with every pass. One kernel thread, "emys-dedup", scans the
 * domains in turn, within the budgets. What the algorithms differ in:
 *
 *  ksm		one pair of trees ordered by content; a page whose checksum changed since
 *		the last pass is volatile and only looked up in the stable tree. KSM's behaviour.
 *  cmd-address	a pair of trees per range of guest frames
 *  cmd-count	a pair per range of write counts over the last windows (EPT dirty flags)
 *  cmd-subpage a pair per class of which sub-pages (4 of 1 KiB) changed in the last passes,
 *		by their hashes: a substitute for the paper's bus snooping that counts
 *		changes, not writes. The sub-pages that do not change, most of them, are
 *		classed by their hashes
 *  emys	dirty flags say which pages changed; the hash of a changed page is computed once
 *		and orders the trees; zero pages are dropped, not merged
 *
 * May include mem, nothing above. All calls: process context, may sleep.
 */
#ifndef _EMYS_KSM_CMD_H
#define _EMYS_KSM_CMD_H

#include <linux/types.h>

struct mem_object;

enum dedup_algorithm {
	DEDUP_EMYS,		/* the default */
	DEDUP_KSM,
	DEDUP_CMD_ADDRESS,
	DEDUP_CMD_COUNT,
	DEDUP_CMD_SUBPAGE,
	DEDUP_ALGORITHMS
};

/* "emys", "ksm", "cmd-address", "cmd-count", "cmd-subpage"; NULL when out of range */
const char *emys_dedup_name(enum dedup_algorithm algorithm);

/**
 * struct dedup_policy - of a domain
 * @algorithm: a change drops the unstable trees and keeps what is shared
 * @run: scan at all; false stops, and keeps what is shared
 * @classes: pairs of trees for cmd-*, up to 4096; cmd-subpage takes the next smaller fourth power.
 *	0: 8 for cmd-address and cmd-count, 4096 for cmd-subpage
 * @pages: most pages to look at before the thread sleeps, 1..1048576; 64 that are known not to have
 *	changed count as one
 * @sleep_ms: for how long, 0..3600000
 * @cpu_permille: most time of one CPU for scanning, 1..1000
 * @adaptive: scale the rate with the yield, between @pages / 16 and @pages
 */
struct dedup_policy {
	enum dedup_algorithm algorithm;
	bool run;
	bool adaptive;
	u32 classes;
	u32 pages;
	u32 sleep_ms;
	u32 cpu_permille;
};

/**
 * struct dedup_stats - of a domain, ever, unless it says "now"
 * @passes: full passes ended
 * @scanned: pages looked at; @skipped: of these, known not to have changed, unread
 * @volatile_: of these, changed too recently
 * @compared: page against page, by content; @futile: comparisons that did not end in a merge
 *	(in a walk down a tree every one but the last that merged)
 * @hash_steps: tree steps decided by hashes alone
 * @merged: pages that became shared; @zeroed: dropped as zeros
 * @refused: merges that failed because others hold the page
 * @raced: that failed because the page changed
 * @bytes: read for hashing and comparing
 * @ticks: TSC ticks of scanning; @pass_ticks: of the last full pass
 * @pass_scanned: pages of the last full pass
 * @stable: shared frames now; @sharing: pages that use them now; @unstable: candidates now
 * @reclassified: pages that changed their class
 * @class_min, @class_max: nodes of the smallest and largest class now
 * @rate: pages before the thread sleeps, now
 * @traced: cmd-subpage, where the CPU has sub-page write permissions: passes of a page in which the
 *	guest's writes were traced; @trace_written: its sub-pages that were written in them;
 *	@trace_changed: of these, their hash changed too; @trace_other: the hash changed, and no
 *	write of the guest was seen (the VMM's, a device's)
 */
struct dedup_stats {
	u64 passes, scanned, skipped, volatile_, compared, futile, hash_steps;
	u64 merged, zeroed, refused, raced, bytes, ticks, pass_ticks, pass_scanned;
	u64 stable, sharing, unstable, reclassified, class_min, class_max, rate;
	u64 traced, trace_written, trace_changed, trace_other;
};

/* At module load and unload; every VM and object is gone at unload. -ENOMEM. */
int emys_dedup_init(void);
void emys_dedup_exit(void);

/* The policy that new domains start with. -EINVAL: a value out of range, *@bad names the field. */
void emys_dedup_default_get(struct dedup_policy *policy);
int emys_dedup_default_set(const struct dedup_policy *policy, const char **bad);
/*
 * A domain's. get: of a domain without an engine yet, the default. set: makes the
 * engine when the domain has none. -EINVAL as above; -ENOMEM; 0 is no domain: -EINVAL.
 */
int emys_dedup_policy_get(u32 domain, struct dedup_policy *policy);
int emys_dedup_policy_set(u32 domain, const struct dedup_policy *policy, const char **bad);
/*
 * Forget that a policy was set: the default's takes its place, and the engine goes once the
 * domain has neither objects nor shared pages, within seconds when somebody is using it just then.
 * -ENOENT: there is no engine; -ENOMEM: the policy stays, what the engine knew of pages that are
 * not shared is forgotten.
 */
int emys_dedup_policy_remove(u32 domain);
/* -ENOENT: the domain has no engine. */
int emys_dedup_stats(u32 domain, struct dedup_stats *stats);
/* Full passes over the domain that have ended; 0 without an engine. Does not wait for a scan. */
u64 emys_dedup_passes(u32 domain);
/* The next domain with an engine above @after, or 0. */
u32 emys_dedup_next(u32 after);
/* Reset the counters of a domain ("ever" starts again). -ENOENT. */
int emys_dedup_reset(u32 domain);

/*
 * Run @passes full passes over the domain now, in the caller, without budget. -EINTR
 * (signal), -ENOMEM, -EINVAL. For tests, benchmarks, and `vmctl dedup --scan`.
 */
int emys_dedup_scan(u32 domain, unsigned int passes);
/*
 * Object @to holds a copy of @from (a VM was cloned): look at pairs of the same
 * index now, before the scan comes by. Both in one domain, else -EXDEV. Returns pages
 * merged or -errno.
 */
long emys_dedup_clone(struct mem_object *from, struct mem_object *to);
/*
 * Would the page at @index find a partner (or is it zero)? Shares nothing, but remembers the page
 * as a partner for others that are probed. 1, 0, -errno.
 */
int emys_dedup_probe(struct mem_object *obj, pgoff_t index);
/* What was probed of the @n pages from @first on is no partner for others any more. */
void emys_dedup_unprobe(struct mem_object *obj, pgoff_t first, unsigned long n);
/* Under pressure the budget's sleep is ignored while @on. */
void emys_dedup_hurry(bool on);

#endif
