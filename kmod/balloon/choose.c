// SPDX-License-Identifier: GPL-2.0-only
/* Which large pages to break and which to make again: pure, also built in userspace. */
#include <linux/minmax.h>

#include "choose.h"
#include "estimate.h"

#define PERMILLE	1000
#define WAIT_MERGE	16	/* samples that deduplication gets to keep the promise */
#define WAIT_PASSES	3	/* and passes: one was under way, one hashes, one pairs */
#define AGE_MOST	63	/* where its partners are there, so many */
#define REST		48	/* samples of peace after a break that was no use */

#define RECORD_FIELDS(X) \
	X(cold, 8) X(share, 10) X(zero, 10) X(age, 6) X(passes, 2) X(rest, 6) \
	X(large, 1) X(probed, 1) X(broken, 1) X(merged, 1) X(small, 1)

u64 region_pack(const struct region_record *rec)
{
	unsigned int at = 0;
	u64 bits = 0;

#define X(field, width)	{ bits |= (u64)rec->field << at; at += (width); }
	RECORD_FIELDS(X)
#undef X
	return bits;
}

struct region_record region_unpack(u64 bits)
{
	struct region_record rec = { 0 };

#define X(field, width)	{ rec.field = bits & ((1u << (width)) - 1); bits >>= (width); }
	RECORD_FIELDS(X)
#undef X
	return rec;
}

void region_sampled(struct region_record *rec, bool young)
{
	if (young)
		rec->cold = 0;
	else if (rec->cold < 255)
		rec->cold++;
	if (rec->broken && rec->age < AGE_MOST)
		rec->age++;
	if (rec->rest)
		rec->rest--;
}

void region_passed(struct region_record *rec)
{
	if (rec->broken && rec->passes < WAIT_PASSES)
		rec->passes++;
}

void region_probed(struct region_record *rec, u32 pages, u32 shareable, u32 zero)
{
	if (!pages)
		return;
	shareable = min(shareable, pages);
	zero = min(zero, pages);
	/* One page of many must not be rounded away: that there is one counts */
	rec->share = share_average(rec->share, rec->probed,
				   (shareable * PERMILLE + pages - 1) / pages);
	rec->zero = share_average(rec->zero, rec->probed, zero * PERMILLE / pages);
	/* and an average never stays up on the last hit that is gone */
	if (!shareable && rec->share <= 2)
		rec->share = 0;
	rec->probed = 1;
}

void region_unknown(struct region_record *rec)
{
	rec->probed = 0;
	rec->share = 0;
	rec->zero = 0;
}

void region_broken(struct region_record *rec)
{
	rec->broken = 1;
	rec->merged = 0;
	rec->small = 0;
	rec->age = 0;
	rec->passes = 0;
}

void region_looked(struct region_record *rec, u32 merged, u32 absent)
{
	rec->small = merged || absent;
	if (merged && !rec->merged) {
		rec->merged = 1;
		rec->age = 0;
	}
}

void region_collapsed(struct region_record *rec)
{
	/* It promised and gave nothing: do not believe the same again soon */
	if (rec->broken && !rec->merged) {
		rec->rest = REST;
		region_unknown(rec);
	}
	rec->broken = 0;
	rec->merged = 0;
	rec->small = 0;
	rec->age = 0;
	rec->passes = 0;
}

void round_budget(enum host_state state, struct round_budget *budget)
{
	static const struct round_budget budgets[HOST_STATES] = {
		/* breaks: of the policy small alone */
		[HOST_HIGH] = { .probe = 16, .look = 16, .breaks = 16, .collapses = 8 },
		[HOST_CLEAR] = { .probe = 64, .look = 32, .breaks = 32, .collapses = 4 },
		[HOST_SOFT] = { .probe = 128, .look = 32, .breaks = 64 },
		[HOST_HARD] = { .probe = 256, .look = 32, .breaks = 128 },
		[HOST_LOW] = { .probe = 256, .look = 32, .breaks = 256 },
	};

	*budget = budgets[state];
}

bool choose_known(const struct region_record *rec, enum host_state state, enum large_policy large,
		  u32 cold_samples)
{
	if (large != LARGE_PROACTIVE || rec->rest || rec->broken)
		return false;
	return state > HOST_CLEAR || rec->cold >= cold_samples;
}

bool choose_probe(const struct region_record *rec, enum host_state state, enum large_policy large,
		  u32 cold_samples, bool turn)
{
	return choose_known(rec, state, large, cold_samples) && (!rec->probed || turn);
}

static u32 break_proactive(const struct region_record *rec, enum host_state state,
			   const struct reclaim_policy *policy)
{
	bool worth = rec->share >= policy->share_permille;

	if (rec->rest || !rec->probed || !rec->share || state == HOST_HIGH)
		return 0;
	if (worth && rec->cold >= policy->cold_samples)
		return CHOOSE_URGENT + rec->share;
	if (state == HOST_CLEAR || (state == HOST_SOFT && !worth))
		return 0;
	return (rec->cold >= policy->cold_samples ? PERMILLE : 0) + rec->share;
}

u32 choose_break(const struct region_record *rec, enum host_state state, enum large_policy large,
		 const struct reclaim_policy *policy)
{
	switch (large) {
	case LARGE_PROACTIVE:
		return break_proactive(rec, state, policy);
	case LARGE_DEMAND:	/* one score for all, so that they come in order of address */
		return state >= HOST_SOFT ? 1 : 0;
	case LARGE_SMALL:
		return CHOOSE_URGENT;
	default:
		return 0;
	}
}

/* Deduplication had its time, and nothing was merged. */
static bool failed(const struct region_record *rec)
{
	return rec->broken && !rec->merged && rec->age >= WAIT_MERGE && rec->passes >= WAIT_PASSES;
}

bool choose_collapse(const struct region_record *rec, enum host_state state,
		     enum large_policy large)
{
	if (large == LARGE_SMALL || !rec->large || rec->small)
		return false;
	/* Its frames are still in order: it costs nothing, so also before the state is HIGH */
	if (rec->broken && !rec->merged)
		return state <= HOST_CLEAR && failed(rec);
	return state == HOST_HIGH && !rec->cold;
}

bool choose_wait(const struct region_record *rec, enum large_policy large)
{
	return large == LARGE_PROACTIVE && rec->broken && !rec->merged && rec->age < AGE_MOST;
}

u32 region_pending(const struct region_record *rec)
{
	if (!rec->broken || rec->merged || failed(rec))
		return 0;
	return rec->share * REGION_PAGES / PERMILLE;
}

void candidates_add(struct candidates *list, const struct candidate *c)
{
	u32 i;

	if (!c->score || !list->max)
		return;
	if (list->nr == list->max) {
		if (list->at[list->nr - 1].score >= c->score)
			return;
		list->nr--;
	}
	for (i = list->nr; i && list->at[i - 1].score < c->score; i--)
		list->at[i] = list->at[i - 1];
	list->at[i] = *c;
	list->nr++;
}
