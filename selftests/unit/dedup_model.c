// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic guests under every algorithm: what each compares, merges and saves */

#include <stdlib.h>
#include <string.h>

#include "dedup_world.h"
#include "tap.h"

/*
 * Four guests and a clone of the first. By place a page is
 *	free memory (zeros), page cache (files that other guests may have read too, some
 *	with a short last page), a heap that stays, a heap that is written now and then, or a heap
 *	that is written always.
 * Each pass some cache is replaced, and some heap is freed and used again.
 */
#define GUESTS	5
#define PAGES	6000
#define FILES	9000
#define PASSES	12

enum { FREE, CACHE, HEAP, SLOW, FAST };

static int kind(u32 i)
{
	u32 slot = i * 7 % 100;

	return slot < 12 ? FREE : slot < 60 ? CACHE : slot < 84 ? HEAP : slot < 94 ? SLOW : FAST;
}

static void fill_cache(struct world *w, u32 g, u32 i)
{
	u32 file = world_random(w, FILES);
	u32 at;

	world_fill(w, g, i, file);
	if (file % 8)
		return;
	for (at = 1024 + file % 1024; at < DEDUP_PAGE; at += 8)
		world_poke(w, g, i, at, 0);
}

static void boot(struct world *w)
{
	u32 g, i;

	for (g = 0; g < GUESTS - 1; g++) {
		for (i = 0; i < PAGES; i++) {
			if (kind(i) == FREE)
				world_zero(w, g, i);
			else if (kind(i) == CACHE)
				fill_cache(w, g, i);
			else
				world_fill(w, g, i, 1000000ULL * (g + 1) + i);
		}
	}
	for (i = 0; i < PAGES; i++) {
		world_copy(w, 0, i, GUESTS - 1, i);
		if (kind(i) >= HEAP && i % 3 == 0)
			world_poke(w, GUESTS - 1, i, i % DEDUP_PAGE, i);
	}
}

/* One page's life while the scanner looks at another. The same for each algorithm. */
static void run(struct world *w, u32 g, u32 i)
{
	u64 now = w->core.stats.passes;
	u32 r = world_random(w, 1000);
	u32 other = (i + PAGES / 2) % PAGES;

	switch (kind(other)) {
	case FREE:
		if (r < 5)
			world_fill(w, g, other, 7000000 + world_random(w, 1 << 30));
		else if (r < 50)
			world_zero(w, g, other);
		break;
	case CACHE:
		if (r < 5)
			fill_cache(w, g, other);
		break;
	case HEAP:
		if (r < 2)
			world_zero(w, g, other);
		else if (r < 5)
			world_fill(w, g, other, 8000000 + world_random(w, 1 << 30));
		break;
	case SLOW:
		if ((now + other) % 5 == 0)
			world_poke(w, g, other, other * 24 % DEDUP_PAGE, now * GUESTS + g);
		break;
	case FAST:
		world_poke(w, g, other, other * 24 % DEDUP_PAGE, now * GUESTS + g);
		world_poke(w, g, other, r * 4, now);
		break;
	}
}

struct result {
	struct dedup_stats life, rest;
	long saved, copies;
};

static struct result result[DEDUP_ALGORITHMS];

static const char *const name[] = { "emys", "ksm", "cmd-address", "cmd-count", "cmd-subpage" };

static void simulate(enum dedup_algorithm a)
{
	struct result *r = &result[a];
	struct dedup_stats before;
	struct world w;
	int i;

	world_init(&w, a, 0, GUESTS, PAGES, 42);
	boot(&w);
	for (i = 0; i < PASSES; i++)
		world_pass(&w, run);
	world_check(&w);
	r->life = w.core.stats;
	r->copies = w.copies;

	/* the guests stop: find all there is, then look at nothing new */
	for (i = 0; i < 6; i++)
		world_pass(&w, NULL);
	before = w.core.stats;
	world_pass(&w, NULL);
	world_check(&w);
	r->rest.compared = w.core.stats.compared - before.compared;
	r->rest.bytes = w.core.stats.bytes - before.bytes;
	r->rest.merged = w.core.stats.merged - before.merged;
	r->saved = world_saved(&w);

	printf("# %-12s %9llu %9llu %8llu %7llu %7llu %7ld %7ld | %7llu %6llu | %4llu %4llu\n", name[a],
	       r->life.compared, r->life.futile, r->life.bytes >> 20, r->life.merged,
	       r->life.zeroed, r->copies, r->saved, r->rest.compared, r->rest.bytes >> 20,
	       w.core.stats.class_min, w.core.stats.class_max);
	world_free(&w);
}

/* -- as selftests/bench/dedup does it: rounds of a pass and of work, then rest -------------- */

#define ROUNDS	3
#define RESTS	3

struct bench {
	struct dedup_stats stats, still;
	long found;
};

static struct bench bench[DEDUP_ALGORITHMS];

/*
 * A round of work, while nobody scans. Beside what run() does, pages are used again and again
 * for what others hold too: a page that changes in each round ends up equal to one that never did.
 */
static void work(struct world *w, u32 round)
{
	u32 g, i;

	for (g = 0; g < GUESTS; g++) {
		for (i = 0; i < PAGES; i++)
			run(w, g, i);
		for (i = 0; i < PAGES; i++)
			if (i * 11 % 100 < 10)
				world_fill(w, g, i, (i * 31 + round * 77 + g % 2) % 1500);
	}
}

static long found(const struct world *w)
{
	long n = 0;
	u32 g, i;

	for (g = 0; g < w->nr; g++)
		for (i = 0; i < w->guest[g].n; i++)
			n += w->guest[g].page[i].state == W_SHARED ||
			     w->guest[g].page[i].state == W_ZERO;
	return n;
}

static void bench_one(enum dedup_algorithm a)
{
	struct bench *b = &bench[a];
	struct world w;
	u32 i;

	world_init(&w, a, 0, GUESTS, PAGES, 42);
	boot(&w);
	for (i = 0; i < ROUNDS; i++) {
		world_pass(&w, NULL);
		work(&w, i);
	}
	for (i = 0; i < RESTS; i++)
		world_pass(&w, NULL);
	world_check(&w);
	b->stats = w.core.stats;
	b->found = found(&w);
	world_pass(&w, NULL);
	b->still.bytes = w.core.stats.bytes - b->stats.bytes;
	printf("# %-12s %9llu %9llu %8llu %7llu %7llu %7ld | %6llu\n", name[a], b->stats.compared,
	       b->stats.futile, b->stats.bytes >> 20, b->stats.merged, b->stats.zeroed, b->found,
	       b->still.bytes >> 20);
	world_free(&w);
}

static void rounds(void)
{
	const struct bench *ksm = &bench[DEDUP_KSM], *emys = &bench[DEDUP_EMYS];
	const struct bench *sub = &bench[DEDUP_CMD_SUBPAGE];
	int a;

	printf("# %-12s %9s %9s %8s %7s %7s %7s | still MiB\n", "rounds", "compared", "futile",
	       "MiB read", "merged", "zeroed", "found");
	for (a = 0; a < DEDUP_ALGORITHMS; a++)
		bench_one(a);
	expect(sub->stats.compared * 1000 <= ksm->stats.compared * 315, "cmd-subpage compares more");
	expect(sub->found * 100 >= ksm->found * 98, "cmd-subpage finds less");
	expect(emys->stats.compared * 100 <= ksm->stats.compared * 5, "emys compares more");
	expect(emys->found >= ksm->found, "emys finds less");
	expect(emys->still.bytes * 10 <= ksm->still.bytes, "emys reads more at rest");
}

/* a in percent of b */
static double percent(u64 a, u64 b)
{
	return b ? 100.0 * a / b : 0;
}

static void all(void)
{
	const struct result *ksm = &result[DEDUP_KSM];
	int a;

	printf("# %-12s %9s %9s %8s %7s %7s %7s %7s | %7s %6s | %4s %4s\n", "", "compared", "futile",
	       "MiB read", "merged", "zeroed", "copied", "saved", "at rest", "MiB", "min", "max");
	for (a = 0; a < DEDUP_ALGORITHMS; a++)
		simulate(a);
	for (a = 0; a < DEDUP_ALGORITHMS; a++)
		printf("# %-12s compared %.2f %%, merged %.2f %%, saved %.2f %% of ksm\n", name[a],
		       percent(result[a].life.compared, ksm->life.compared),
		       percent(result[a].life.merged + result[a].life.zeroed, ksm->life.merged),
		       percent(result[a].saved, ksm->saved));
}

static u64 merged(enum dedup_algorithm a)
{
	return result[a].life.merged + result[a].life.zeroed;
}

static void marks(void)
{
	const struct result *ksm = &result[DEDUP_KSM], *emys = &result[DEDUP_EMYS];
	const struct result *sub = &result[DEDUP_CMD_SUBPAGE];

	expect(ksm->life.merged > 1000 && ksm->rest.compared > 1000, "ksm does nothing");
	expect(sub->life.compared * 1000 <= ksm->life.compared * 315, "cmd-subpage compares more");
	expect(merged(DEDUP_CMD_SUBPAGE) * 100 >= ksm->life.merged * 98, "cmd-subpage merges less");
	expect(emys->life.compared * 100 <= ksm->life.compared * 5, "emys compares more");
	expect(merged(DEDUP_EMYS) >= ksm->life.merged, "emys merges less");
	expect(emys->saved >= ksm->saved, "emys saves less");
	expect(emys->rest.bytes * 10 <= ksm->rest.bytes, "emys reads more at rest");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "dedup: guests under every algorithm", all },
		{ "dedup: the marks", marks },
		{ "dedup: the bench's rounds", rounds },
	};

	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
