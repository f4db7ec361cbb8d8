/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * choose.h - which large pages to break, in which order, and which to make again. Pure;
 * private to balloon/.
 *
 * Sources: Guo et al., VEE 2015; Guo et al., "SmartMD", USENIX ATC 2017: cold and duplicate
 * pages are split, hot ones that are private again are made large.
 */
#ifndef _EMYS_BALLOON_CHOOSE_H
#define _EMYS_BALLOON_CHOOSE_H

#include "balloon.h"

#define REGION_PAGES	512
#define RECORD_BITS	47

/**
 * struct region_record - what is known of an aligned run of 512 pages; all zero: nothing
 * @cold: samples in a row without an access, stops at 255
 * @share: of its pages such as another would be shared with, permille, moving average
 * @zero: of its pages such as hold zeros, permille
 * @age: samples since it was broken or its last merge was seen, stops at 63
 * @passes: of deduplication since then, stops at 3
 * @rest: samples to come in which it is left alone, because breaking it was no use
 * @large: it is a block, or was one when it was seen first
 * @probed: @share and @zero are known
 * @broken: by us
 * @merged: something of it was merged since then
 * @small: at the last look it had pages that are not private
 *
 * While it is broken, @share is what it promised then.
 */
struct region_record {
	u32 cold:8, share:10, zero:10;
	u32 age:6, passes:2, rest:6, large:1, probed:1, broken:1, merged:1, small:1;
};

/* To and from RECORD_BITS bits. */
u64 region_pack(const struct region_record *rec);
struct region_record region_unpack(u64 bits);

/* Another sample: was it used? */
void region_sampled(struct region_record *rec, bool young);
/* Deduplication has gone over its memory once more, or does not run. */
void region_passed(struct region_record *rec);
/*
 * @pages of it were looked at, of these @shareable have a partner; so have the @zero that hold
 * zeros, which are in @shareable too.
 */
void region_probed(struct region_record *rec, u32 pages, u32 shareable, u32 zero);
/* It is not known any more what it has to share. */
void region_unknown(struct region_record *rec);
/* It was broken by us. */
void region_broken(struct region_record *rec);
/* A look at it: @merged of its pages are shared or dropped as zeros, @absent hold nothing. */
void region_looked(struct region_record *rec, u32 merged, u32 absent);
/* It is a block again. */
void region_collapsed(struct region_record *rec);

/* How much shall happen in one round. */
struct round_budget {
	u32 probe;	/* blocks to hash sub-pages of */
	u32 look;	/* broken regions to look at page by page */
	u32 breaks;
	u32 collapses;
};

void round_budget(enum host_state state, struct round_budget *budget);

/*
 * May the block be broken in this state, if it has something to share? Else what is known of it is
 * to be forgotten: others would count on a partner that stays large.
 */
bool choose_known(const struct region_record *rec, enum host_state state, enum large_policy large,
		  u32 cold_samples);

/* Is the block worth hashing? @turn: one that is known already is due for another look. */
bool choose_probe(const struct region_record *rec, enum host_state state, enum large_policy large,
		  u32 cold_samples, bool turn);

/*
 * How much a block should be broken: 0 not at all; from CHOOSE_URGENT on whatever else is
 * pending; else only while memory lacks. A block that promises nothing is broken under
 * LARGE_SMALL and LARGE_DEMAND alone, which do not ask.
 */
#define CHOOSE_URGENT	2000
u32 choose_break(const struct region_record *rec, enum host_state state, enum large_policy large,
		 const struct reclaim_policy *policy);

/* Make a block of it again? All of it is private. */
bool choose_collapse(const struct region_record *rec, enum host_state state,
		     enum large_policy large);

/*
 * Of what choose_collapse() says yes to: may it stay broken as long as it has partners? These
 * may be broken yet, but it does not wait for ever.
 */
bool choose_wait(const struct region_record *rec, enum large_policy large);

/* Pages that broken regions still promise to give: not merged yet, and not long ago. */
u32 region_pending(const struct region_record *rec);

/* -- the best of a round ---------------------------------------------------------- */

struct candidate {
	u32 object;
	u32 score;
	u32 share;	/* permille */
	u64 region;
};

/* The @max best so far, best first; among equals the first. */
struct candidates {
	u32 nr, max;
	struct candidate *at;
};

void candidates_add(struct candidates *list, const struct candidate *c);

#endif
