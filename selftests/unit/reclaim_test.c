// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of reclaim's pure parts: host state, estimates, what is broken and collapsed */

#include <stdlib.h>
#include <string.h>

#include "../../kmod/balloon/choose.h"
#include "../../kmod/balloon/estimate.h"
#include "../../kmod/balloon/ladder.h"
#include "tap.h"

#define MIB	256ull		/* pages */
#define GIB	(1024 * MIB)

static const struct reclaim_policy policy = {
	.up = { 0, 4400, 1000, 480, 240 },
	.down = { 0, 4000, 640, 320, 160 },
	.large = LARGE_PROACTIVE,
	.sample_ms = 1000, .sample_pages = 16, .cold_samples = 3, .share_permille = 125,
};

static enum host_state next(enum host_state now, u64 free)
{
	struct ladder_free f = { .free = free, .min_free = 1000 };

	return ladder_next(now, &f, policy.up, policy.down);
}

/* 899 MB of 28 GB, 1 % of the rest, the same part of a smaller host. */
static void test_min_free(void)
{
	expect_eq(ladder_min_free(28 * GIB), 899 * MIB);
	expect_eq(ladder_min_free(128 * GIB), 899 * MIB + GIB);
	expect_eq(ladder_min_free(14 * GIB), 899 * MIB / 2);
	expect_eq(ladder_min_free(GIB), 899 * MIB / 28);
	expect_eq(ladder_min_free(0), 1);
	expect(ladder_min_free(1ull << 40) > GIB, "16 PiB");
}

/* Every bound from both sides, from every state. */
static void test_ladder(void)
{
	unsigned int s, to;

	for (s = HOST_HIGH; s < HOST_STATES; s++) {
		expect_eq(next(s, 0), HOST_LOW);
		expect_eq(next(s, ~0ull), HOST_HIGH);
		for (to = HOST_CLEAR; to < HOST_STATES; to++) {
			/* just below down, and not yet left just below up */
			expect_eq(next(s, policy.down[to] - 1) >= to, 1);
			expect_eq(next(to, policy.up[to] - 1) >= to, 1);
			expect_eq(next(to, policy.up[to]) < to, 1);
			if (s < to)
				expect_eq(next(s, policy.down[to]) < to, 1);
		}
	}
	expect_eq(next(HOST_HIGH, 4000), HOST_HIGH);
	expect_eq(next(HOST_HIGH, 3999), HOST_CLEAR);
	expect_eq(next(HOST_CLEAR, 4399), HOST_CLEAR);
	expect_eq(next(HOST_LOW, 700), HOST_SOFT);
}

/* Free memory that swings within one gap changes the state at most once. */
static void test_hysteresis(void)
{
	unsigned int s, i, changes;

	srandom(1);
	for (s = HOST_CLEAR; s < HOST_STATES; s++) {
		enum host_state now = s - 1, was = now;
		u32 gap = policy.up[s] - policy.down[s] + 1;

		for (i = changes = 0; i < 10000; i++) {
			now = next(now, policy.down[s] - 1 + random() % gap);
			changes += now != was;
			was = now;
		}
		expect(changes <= 1, "state %d: %d changes", s, changes);
	}
	/* and a state is a fixed point of the free memory that led to it */
	for (i = 0; i < 10000; i++) {
		u64 free = random() % 6000;
		enum host_state now = next(random() % HOST_STATES, free);

		expect_eq(next(now, free), now);
	}
}

static void test_bounds(void)
{
	u32 up[HOST_STATES], down[HOST_STATES];
	unsigned int s;

	expect(!ladder_bad_bounds(policy.up, policy.down), "the defaults");
	for (s = HOST_HIGH; s < HOST_STATES; s++) {
		memcpy(up, policy.up, sizeof(up));
		memcpy(down, policy.down, sizeof(down));
		up[s] = s ? policy.down[s] - 1 : 1;
		expect(ladder_bad_bounds(up, down) &&
		       !strcmp(ladder_bad_bounds(up, down), "up"), "up[%d]", s);
		up[s] = policy.up[s];
		down[s] = s > HOST_CLEAR ? policy.down[s - 1] : s ? 0 : 1;
		expect(ladder_bad_bounds(up, down) &&
		       !strcmp(ladder_bad_bounds(up, down), "down"), "down[%d]", s);
	}
	memcpy(up, policy.up, sizeof(up));
	memcpy(down, policy.down, sizeof(down));
	up[HOST_SOFT] = up[HOST_CLEAR] + 1;
	expect(ladder_bad_bounds(up, down), "up out of order");
	up[HOST_SOFT] = policy.up[HOST_SOFT];
	up[HOST_CLEAR] = 1000001;
	expect(ladder_bad_bounds(up, down), "up too large");
}

static void test_deficit(void)
{
	struct ladder_free f = { .free = 3000, .min_free = 1000 };

	expect_eq(ladder_deficit(&f, policy.up), 1400);
	f.free = 4400;
	expect_eq(ladder_deficit(&f, policy.up), 0);
	f.free = ~0ull;
	expect_eq(ladder_deficit(&f, policy.up), 0);
}

/* Growth shows in the next estimate, shrinking only when it lasts. */
static void test_working_set(void)
{
	struct working_set ws = { 0 };
	u64 was;
	int i;

	expect_eq(working_set_pages(&ws, 1000), 1000);
	working_set_add(&ws, 0, 0);
	expect_eq(ws.known, 0);
	working_set_add(&ws, 100, 1000);
	expect_eq(working_set_pages(&ws, 100000), 9999);
	working_set_add(&ws, 900, 1000);
	expect(working_set_pages(&ws, 1000) >= 899, "growth: %llu", working_set_pages(&ws, 1000));
	working_set_add(&ws, 100, 1000);
	was = working_set_pages(&ws, 1000);
	expect(was > 200, "one idle sample: %llu", was);
	for (i = 0; i < 200; i++) {
		u64 got;

		working_set_add(&ws, 100, 1000);
		got = working_set_pages(&ws, 1000);
		expect(got <= was, "sample %d: %llu after %llu", i, got, was);
		was = got;
	}
	expect(was <= 101, "in the end %llu", was);
	for (i = 0; i < 200; i++)
		working_set_add(&ws, 0, 1000);
	expect_eq(working_set_pages(&ws, 1000), 0);
	for (i = 0; i < 200; i++)
		working_set_add(&ws, 5000, 1000);
	expect_eq(working_set_pages(&ws, 1000), 1000);
	expect_eq(working_set_pages(&ws, ~0ull), ~0ull);
	working_set_add(&ws, ~0ull / 2, ~0ull);
	expect(ws.last >= ESTIMATE_ONE / 2 - 1 && ws.last <= ESTIMATE_ONE / 2, "half of all: %u",
	       ws.last);
}

/* The paper's example: with a tax of 75 % an idle page costs four times a used one. */
static void test_tax(void)
{
	u64 one = 1ull << 32;

	expect_eq(idle_tax_price(1000, 1000, 1000, 750), one);
	expect_eq(idle_tax_price(1000, 1000, 0, 750), one / 4);
	expect_eq(idle_tax_price(1000, 1000, 0, 0), one);
	expect_eq(idle_tax_price(2000, 1000, 1000, 750), 2 * one);
	expect_eq(idle_tax_price(1000, 1000, 5000, 750), one);
	expect_eq(idle_tax_price(1000, 0, 0, 750), -1);
	/* f = 1/2: P (1/2 + 4/2) */
	expect_eq(idle_tax_price(1000, 1000, 500, 750), one * 1000 / 2500);
	/* equal shares, one idle: that one gives first, however tax is high */
	expect(idle_tax_price(1000, 1000, 100, 999) < idle_tax_price(1000, 1000, 900, 999), "999");
	expect(idle_tax_price(1000000, 1, 1, 5000), "no tax above 999");
}

static void test_pack(void)
{
	int i;

	srandom(2);
	for (i = 0; i < 10000; i++) {
		u64 bits = ((u64)random() << 31 ^ random()) & ((1ull << RECORD_BITS) - 1);
		struct region_record rec = region_unpack(bits);

		expect_eq(region_pack(&rec), bits);
	}
}

static struct region_record cold(u32 share)
{
	struct region_record rec = { .large = 1 };
	int i;

	for (i = 0; i < 3; i++)
		region_sampled(&rec, false);
	region_probed(&rec, 1000, share, 0);
	return rec;
}

static struct region_record hot(u32 share)
{
	struct region_record rec = cold(share);

	region_sampled(&rec, true);
	return rec;
}

static u32 score(struct region_record rec, enum host_state state)
{
	return choose_break(&rec, state, LARGE_PROACTIVE, &policy);
}

/* Cold and shareable from CLEAR, hot and shareable from SOFT, anything that yields from HARD. */
static void test_break(void)
{
	unsigned int s;

	for (s = HOST_HIGH; s < HOST_STATES; s++) {
		expect_eq(score(cold(0), s), 0);
		expect_eq(score(hot(0), s), 0);
		expect_eq(!!score(cold(500), s), s >= HOST_CLEAR);
		expect_eq(!!score(hot(500), s), s >= HOST_SOFT);
		expect_eq(!!score(cold(124), s), s >= HOST_HARD);
		expect_eq(!!score(cold(125), s), s >= HOST_CLEAR);
		expect_eq(!!score(hot(1), s), s >= HOST_HARD);
		if (s < HOST_CLEAR)
			continue;
		expect(score(cold(500), s) > CHOOSE_URGENT, "cold and shareable is urgent");
		expect(score(cold(600), s) > score(cold(500), s), "the more shareable first");
		expect(score(cold(126), s) > score(hot(1000), s), "cold before hot");
		expect(score(hot(1000), s) < CHOOSE_URGENT, "hot only while memory lacks");
	}
	/* two samples are not yet cold */
	{
		struct region_record rec = { .large = 1 };

		region_probed(&rec, 16, 16, 0);
		region_sampled(&rec, false);
		region_sampled(&rec, false);
		expect_eq(score(rec, HOST_CLEAR), 0);
		region_sampled(&rec, false);
		expect(score(rec, HOST_CLEAR) > 0, "three are");
		rec.probed = 0;
		expect_eq(score(rec, HOST_LOW), 0);
	}
}

static void test_policies(void)
{
	struct region_record dup = cold(1000), none = hot(0);
	unsigned int s;

	for (s = HOST_HIGH; s < HOST_STATES; s++) {
		expect_eq(choose_break(&dup, s, LARGE_NEVER, &policy), 0);
		expect_eq(choose_break(&none, s, LARGE_DEMAND, &policy), s >= HOST_SOFT);
		/* the address decides, so cold and hot score the same */
		expect_eq(choose_break(&dup, s, LARGE_DEMAND, &policy), s >= HOST_SOFT);
		expect(choose_break(&none, s, LARGE_SMALL, &policy) > 0, "small");
	}
	expect_eq(choose_probe(&dup, HOST_LOW, LARGE_NEVER, 3, true), 0);
	expect_eq(choose_probe(&dup, HOST_LOW, LARGE_PROACTIVE, 3, true), 1);
	expect_eq(choose_probe(&dup, HOST_LOW, LARGE_PROACTIVE, 3, false), 0);
	expect_eq(choose_probe(&none, HOST_CLEAR, LARGE_PROACTIVE, 3, true), 0);
	expect_eq(choose_probe(&none, HOST_SOFT, LARGE_PROACTIVE, 3, true), 1);
}

/* Only what may be broken is a partner for others; the turn does not matter. */
static void test_known(void)
{
	struct region_record idle = cold(1000), used = hot(1000);
	unsigned int s;

	for (s = HOST_HIGH; s < HOST_STATES; s++) {
		expect_eq(choose_known(&idle, s, LARGE_PROACTIVE, 3), 1);
		expect_eq(choose_known(&used, s, LARGE_PROACTIVE, 3), s > HOST_CLEAR);
		expect_eq(choose_known(&idle, s, LARGE_NEVER, 3), 0);
		expect_eq(choose_known(&idle, s, LARGE_DEMAND, 3), 0);
	}
	region_unknown(&idle);
	expect_eq(choose_known(&idle, HOST_CLEAR, LARGE_PROACTIVE, 3), 1);
	expect_eq(choose_probe(&idle, HOST_CLEAR, LARGE_PROACTIVE, 3, false), 1);
	expect_eq(score(idle, HOST_LOW), 0);
	idle.rest = 1;
	expect_eq(choose_known(&idle, HOST_LOW, LARGE_PROACTIVE, 3), 0);
}

/* Broken, and its partners are there: it waits for them, not for ever, and not once it merged. */
static void test_wait(void)
{
	struct region_record rec = cold(1000);
	int i;

	region_broken(&rec);
	for (i = 0; choose_wait(&rec, LARGE_PROACTIVE); i++) {
		expect(i < 1000, "for ever");
		if (i == 1000)
			return;
		region_sampled(&rec, false);
		region_passed(&rec);
	}
	expect(i > 32, "after %d samples", i);
	expect_eq(choose_collapse(&rec, HOST_CLEAR, LARGE_PROACTIVE), 1);
	region_broken(&rec);
	expect_eq(choose_wait(&rec, LARGE_PROACTIVE), 1);
	expect_eq(choose_wait(&rec, LARGE_NEVER), 0);
	region_looked(&rec, 1, 0);
	expect_eq(choose_wait(&rec, LARGE_PROACTIVE), 0);
}

static void test_estimate(void)
{
	struct region_record rec = { 0 };
	int i;

	region_probed(&rec, 0, 0, 0);
	expect_eq(rec.probed, 0);
	region_probed(&rec, 16, 16, 4);
	expect_eq(rec.share, 1000);
	expect_eq(rec.zero, 250);
	region_probed(&rec, 16, 0, 0);
	expect_eq(rec.share, 500);
	for (i = 0; i < 20; i++)
		region_probed(&rec, 16, 0, 0);
	expect_eq(rec.share, 0);
	expect_eq(rec.zero, 0);
	/* one of 512 counts */
	memset(&rec, 0, sizeof(rec));
	region_probed(&rec, 512, 1, 0);
	expect_eq(rec.share, 2);
	region_probed(&rec, 1, 7, 9);
	expect(rec.share <= 1000 && rec.zero <= 1000, "%u %u", rec.share, rec.zero);
}

/* Broken, merged, written again, hot: a block again, when memory is ample. */
static void test_collapse(void)
{
	struct region_record rec = cold(500);
	unsigned int s, i;

	expect_eq(region_pending(&rec), 0);
	region_broken(&rec);
	expect_eq(region_pending(&rec), 256);
	region_looked(&rec, 200, 0);
	expect_eq(rec.merged, 1);
	expect_eq(region_pending(&rec), 0);
	region_sampled(&rec, true);
	expect_eq(choose_collapse(&rec, HOST_HIGH, LARGE_PROACTIVE), 0);
	region_looked(&rec, 0, 0);
	for (s = HOST_HIGH; s < HOST_STATES; s++)
		expect_eq(choose_collapse(&rec, s, LARGE_PROACTIVE), s == HOST_HIGH);
	expect_eq(choose_collapse(&rec, HOST_HIGH, LARGE_SMALL), 0);
	region_sampled(&rec, false);
	expect_eq(choose_collapse(&rec, HOST_HIGH, LARGE_PROACTIVE), 0);
	region_sampled(&rec, true);
	region_looked(&rec, 0, 1);
	expect_eq(choose_collapse(&rec, HOST_HIGH, LARGE_PROACTIVE), 0);
	region_looked(&rec, 0, 0);
	region_collapsed(&rec);
	expect_eq(rec.rest, 0);
	expect_eq(rec.broken, 0);

	/* What was broken for nothing: whole again after a while, and left in peace */
	rec = cold(1000);
	region_broken(&rec);
	for (i = 0; i < 63; i++)	/* not before deduplication has been there */
		region_sampled(&rec, false);
	expect_eq(choose_collapse(&rec, HOST_CLEAR, LARGE_PROACTIVE), 0);
	expect_eq(region_pending(&rec), 512);
	region_broken(&rec);
	for (i = 0; !choose_collapse(&rec, HOST_CLEAR, LARGE_PROACTIVE); i++) {
		expect(i < 63, "never");
		if (i == 63)
			return;
		region_sampled(&rec, false);
		region_passed(&rec);
		region_looked(&rec, 0, 0);
	}
	expect(i >= 8, "after %d samples", i);
	expect_eq(choose_collapse(&rec, HOST_SOFT, LARGE_PROACTIVE), 0);
	expect_eq(region_pending(&rec), 0);
	region_collapsed(&rec);
	expect_eq(score(rec, HOST_LOW), 0);
	region_probed(&rec, 1, 1, 0);
	expect_eq(score(rec, HOST_LOW), 0);
	for (i = 0; i < 63; i++)
		region_sampled(&rec, false);
	expect(score(rec, HOST_CLEAR) > 0, "peace ends");
}

/* The best of many, in order, as a sort would have them. */
static void test_candidates(void)
{
	struct candidate at[16], all[500];
	struct candidates list = { .max = 16, .at = at };
	u32 i, better;

	srandom(3);
	for (i = 0; i < 500; i++) {
		all[i] = (struct candidate) { .region = i, .score = random() % 100 };
		candidates_add(&list, &all[i]);
	}
	expect_eq(list.nr, 16);
	for (i = 0; i < 16; i++) {
		u32 j;

		for (j = better = 0; j < 500; j++)
			better += all[j].score > at[i].score ||
				  (all[j].score == at[i].score && all[j].region < at[i].region);
		expect_eq(better, i);
	}
	list.nr = 0;
	candidates_add(&list, &(struct candidate) { .score = 0 });
	expect_eq(list.nr, 0);
	list.max = 0;
	candidates_add(&list, &(struct candidate) { .score = 1 });
	expect_eq(list.nr, 0);
}

/* With ample memory little is broken, whoever asks for it, and little is looked at. */
static void test_budget(void)
{
	struct round_budget b, worse;
	unsigned int s;

	round_budget(HOST_HIGH, &b);
	expect(b.breaks > 0, "small breaks without pressure");
	expect(b.collapses > 0, "collapses");
	for (s = HOST_CLEAR; s < HOST_STATES; s++) {
		round_budget(s, &worse);
		expect(worse.breaks > b.breaks && worse.probe >= b.probe &&
		       worse.collapses <= b.collapses, "state %d", s);
		b = worse;
	}
	expect_eq(b.collapses, 0);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "reclaim: min_free", test_min_free },
		{ "reclaim: every bound of every state", test_ladder },
		{ "reclaim: hysteresis", test_hysteresis },
		{ "reclaim: bounds out of order", test_bounds },
		{ "reclaim: deficit", test_deficit },
		{ "reclaim: working set", test_working_set },
		{ "reclaim: idle-memory tax", test_tax },
		{ "reclaim: records packed", test_pack },
		{ "reclaim: what is broken, in which order", test_break },
		{ "reclaim: policies", test_policies },
		{ "reclaim: partners", test_known },
		{ "reclaim: partners are late", test_wait },
		{ "reclaim: shareability", test_estimate },
		{ "reclaim: collapse", test_collapse },
		{ "reclaim: the best of a round", test_candidates },
		{ "reclaim: budget of a round", test_budget },
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
