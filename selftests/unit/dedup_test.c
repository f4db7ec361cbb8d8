// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the deduplication core, against what brute force finds */

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <linux/slab.h>

#include "dedup_world.h"
#include "tap.h"

static const char *const name[] = { "emys", "ksm", "cmd-address", "cmd-count", "cmd-subpage" };

/* Passes until nothing changes any more, from any state */
#define REST	12

static void rest(struct world *w)
{
	int i;

	for (i = 0; i < REST; i++)
		world_pass(w, NULL);
}

/* -- brute force -------------------------------------------------------------------- */

struct sum {
	u64 sum;
	bool shared;
};

static int by_sum(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	return x->sum < y->sum ? -1 : x->sum > y->sum;
}

/*
 * What must be at rest. Every page that has an equal is shared, on as few frames as the bound on
 * users allows and @slack more; emys has dropped each page of zeros.
 */
static void expect_all_merged(struct world *w, bool bound, long slack)
{
	u64 zero = XXH64((u8[DEDUP_PAGE]){}, DEDUP_PAGE, 1);
	struct sum *sums = calloc((size_t)w->nr * w->guest[0].n, sizeof(*sums));
	long frames = 0;
	u32 g, i, n = 0, from;

	for (g = 0; g < w->nr; g++) {
		for (i = 0; i < w->guest[g].n; i++) {
			const struct wpage *p = &w->guest[g].page[i];

			if (p->state == W_ABSENT || p->state == W_ZERO)
				continue;
			/* shared ones are left from another algorithm */
			expect(w->core.algorithm != DEDUP_EMYS || p->state == W_SHARED ||
			       p->sum != zero, "a page of zeros");
			sums[n].sum = p->sum;
			sums[n++].shared = p->state == W_SHARED;
		}
	}
	qsort(sums, n, sizeof(*sums), by_sum);
	for (from = 0; from < n; from = i) {
		u32 alone = 0;

		for (i = from; i < n && sums[i].sum == sums[from].sum; i++)
			alone += !sums[i].shared;
		frames += bound ? (i - from + DEDUP_SHARING - 1) / DEDUP_SHARING : 1;
		/* one that found all of its equals full, and no partner for a new frame */
		expect(i - from == 1 || alone <= (bound && i - from > DEDUP_SHARING),
		       "%s: %u of %u equal pages are not shared", name[w->core.algorithm],
		       alone, i - from);
	}
	expect(w->frames >= frames && w->frames <= frames + slack, "%s: %ld frames, %ld would do",
	       name[w->core.algorithm], w->frames, frames);
	free(sums);
}

/* -- tests --------------------------------------------------------------------------------- */

/* Constant pages: the merges are exactly the duplicates, for every algorithm and class count */
static void constant(enum dedup_algorithm a, u32 classes)
{
	struct world w;
	u32 g, i;

	world_init(&w, a, classes, 3, 700, 7);
	/* content i is at i of each guest, but a third is each guest's own; and many zeros */
	for (g = 0; g < 3; g++) {
		for (i = 0; i < 700; i++) {
			if (i % 10 == 9)
				world_zero(&w, g, i);
			else
				world_fill(&w, g, i, i % 3 ? i : 1000 * (g + 1) + i);
		}
	}
	rest(&w);
	world_check(&w);
	if (a == DEDUP_CMD_ADDRESS && classes != 1) {
		/* equals in different ranges do not meet */
		expect(w.core.stats.merged <= 420 * 3 + 210, "%llu merged", w.core.stats.merged);
		expect(w.core.stats.stable > 421, "%llu shared", w.core.stats.stable);
		world_free(&w);
		return;
	}
	expect_all_merged(&w, a != DEDUP_EMYS, 0);
	if (a == DEDUP_EMYS) {
		expect_eq(w.core.stats.zeroed, 210);
		expect_eq(w.core.stats.merged, 420 * 3);
		expect_eq(w.core.stats.stable, 420);
	} else {
		expect_eq(w.core.stats.merged, 420 * 3 + 210);
		expect_eq(w.core.stats.stable, 421);
	}
	world_free(&w);
}

static void test_constant(void)
{
	int a;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		constant(a, 0);
		constant(a, 1);
		constant(a, 16);
	}
}

/* More equals than one shared page may have users: a second one, in the same ring */
static void test_bound(void)
{
	struct world w;
	u32 i;
	int a;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		world_init(&w, a, 1, 1, 1000, 3);
		for (i = 0; i < 1000; i++)
			world_fill(&w, 0, i, 5);
		rest(&w);
		world_check(&w);
		expect_eq(w.core.stats.stable, a == DEDUP_EMYS ? 1 : 4);
		expect_eq(w.core.stats.merged, 1000);
		/* each is written: the shared pages go, one by one, whoever heads the ring */
		for (i = 0; i < 1000; i++) {
			world_fill(&w, 0, i, 100 + i);
			if (i % 100 == 0)
				world_pass(&w, NULL);
		}
		rest(&w);
		world_check(&w);
		expect_eq(w.core.stats.stable, 0);
		expect_eq(w.copies, 1000);
		world_free(&w);
	}
}

/* A page that changes between any two passes is never put into a tree */
static void test_volatile(void)
{
	struct world w;
	u64 compared;
	int a, i;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		world_init(&w, a, 0, 2, 1, 9);
		for (i = 0; i < 20; i++) {
			world_fill(&w, 0, 0, i);
			world_fill(&w, 1, 0, i);
			world_pass(&w, NULL);
			world_check(&w);
		}
		compared = w.core.stats.compared;
		expect_eq(w.core.stats.merged, 0);
		expect_eq(compared, 0);
		expect_eq(w.core.stats.volatile_, a == DEDUP_EMYS ? 38 : 40);
		rest(&w);
		expect_eq(w.core.stats.merged, 2);
		expect_eq(w.core.stats.compared, a == DEDUP_EMYS ? 2 : compared + 2);
		world_free(&w);
	}
}

/* A pass over what has not changed: emys reads nothing, ksm everything */
static void test_rest(void)
{
	struct dedup_stats before;
	struct world w;
	u32 i;
	int a;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		world_init(&w, a, 0, 1, 512, 5);
		for (i = 0; i < 512; i++)
			world_fill(&w, 0, i, i);
		rest(&w);
		before = w.core.stats;
		world_pass(&w, NULL);
		expect_eq(w.core.stats.scanned - before.scanned, 512);
		if (a == DEDUP_EMYS) {
			expect_eq(w.core.stats.skipped - before.skipped, 512);
			expect_eq(w.core.stats.bytes, before.bytes);
			expect_eq(w.core.stats.hash_steps, before.hash_steps);
			/* each page was hashed once, ever; the words that were looked at for zeros */
			expect_eq(w.core.stats.bytes, 512 * (DEDUP_PAGE + 8));
		} else {
			expect(w.core.stats.bytes - before.bytes >= 512 * DEDUP_PAGE, "%llu bytes",
			       w.core.stats.bytes - before.bytes);
		}
		world_free(&w);
	}
}

/* ksm's tree is balanced: no walk is longer than a red-black tree is deep */
static void test_depth(void)
{
	struct world w;
	u64 before;
	u32 i;

	world_init(&w, DEDUP_KSM, 0, 1, 4096, 11);
	for (i = 0; i < 4096; i++)
		world_fill(&w, 0, i, i);
	rest(&w);
	for (i = 0; i < 4096; i++) {
		before = w.core.stats.compared;
		world_visit(&w, 0, i);
		expect(w.core.stats.compared - before <= 2 * 13, "%llu comparisons",
		       w.core.stats.compared - before);
	}
	/* in order or not, about log2(n) on average: a list would take thousands */
	world_pass(&w, NULL);
	before = w.core.stats.compared;
	world_pass(&w, NULL);
	expect(w.core.stats.compared - before >= 4096 * 8, "too few comparisons to be true");
	world_free(&w);
}

/* Whose pages change where comes into classes of its own, and back when that ends */
static void test_reclass(void)
{
	struct world w;
	u32 i, k;

	world_init(&w, DEDUP_CMD_SUBPAGE, 256, 1, 1024, 13);
	for (i = 0; i < 1024; i++)
		world_fill(&w, 0, i, i);
	rest(&w);
	expect_eq(w.core.classes, 256);
	for (k = 0; k < 4; k++) {
		for (i = 0; i < 512; i++)
			world_poke(&w, 0, i, 1024 + 8 * k, k + 1);
		world_pass(&w, NULL);
	}
	expect(w.core.stats.reclassified >= 256, "%llu reclassified", w.core.stats.reclassified);
	for (i = 0; i < 1024; i++)
		expect_eq(w.guest[0].page[i].item->count[1], i < 512 ? 3 : 0);
	rest(&w);
	for (i = 0; i < 1024; i++)
		expect_eq(w.guest[0].page[i].item->count[1], 0);
	dedup_core_census(&w.core);
	expect(w.core.stats.class_max <= 4 * 1024 / 256 + 8, "%llu in one class",
	       w.core.stats.class_max);
	world_check(&w);
	world_free(&w);

	world_init(&w, DEDUP_CMD_COUNT, 8, 1, 100, 13);
	for (i = 0; i < 100; i++)
		world_fill(&w, 0, i, i);
	for (k = 0; k < 8; k++) {
		world_pass(&w, NULL);
		for (i = 0; i < 50; i++)
			world_poke(&w, 0, i, 0, k);
	}
	world_pass(&w, NULL);
	for (i = 0; i < 100; i++)
		expect_eq(w.guest[0].page[i].item->count[0], i < 50 ? 0xff : 0);
	expect(w.guest[0].page[0].item->class != w.guest[0].page[99].item->class, "one class");
	world_free(&w);
}

/* A lopsided histogram is cut at its quantiles; an even one, and the same again, is left */
static void test_cut(void)
{
	struct dedup_cut cut;
	u32 sum[8] = {};
	u32 i;

	dedup_cut_init(&cut, 8, 256);
	for (i = 0; i < 256; i++) {
		expect_eq(cut.level[i], i / 32);
		cut.hist[i] = 100;
	}
	expect(!dedup_recut(&cut), "an even histogram was cut");
	for (i = 0; i < 256; i++)
		cut.hist[i] = i < 16 ? 1000 : 10;
	expect(dedup_recut(&cut), "not cut");
	for (i = 0; i < 256; i++)
		sum[cut.level[i]] += i < 16 ? 1000 : 10;
	for (i = 0; i < 8; i++)
		expect(sum[i] >= 1100 && sum[i] <= 3300, "level %u has %u", i, sum[i]);
	for (i = 1; i < 256; i++)
		expect(cut.level[i] >= cut.level[i - 1], "out of order at %u", i);
	for (i = 0; i < 256; i++)
		cut.hist[i] = i < 16 ? 1000 : 10;
	expect(!dedup_recut(&cut), "cut again");
	/* everything in one key cannot be cut; nothing at all neither */
	cut.hist[7] = 100000;
	dedup_recut(&cut);
	expect(!dedup_recut(&cut), "nothing was cut");
}

/* When the cut moves, shared pages move with it and are found again */
static void test_recut_shared(void)
{
	struct world w;
	u32 i;

	world_init(&w, DEDUP_CMD_ADDRESS, 8, 1, 4096, 17);
	/* pairs in the first sixteenth; the cut of the first pass is even */
	for (i = 0; i < 256; i++)
		world_fill(&w, 0, i, i / 2);
	w.core.cut[0].hist[200] = 4096;
	world_pass(&w, NULL);
	rest(&w);
	world_check(&w);
	/* each class keeps a sixteenth of the pages or so: its own half is cut finely */
	expect(w.core.cut[0].level[15] >= 6, "level %u", w.core.cut[0].level[15]);
	expect_eq(w.core.stats.stable, 128);
	world_fill(&w, 0, 3, 1);
	rest(&w);
	world_check(&w);
	expect_eq(w.core.stats.merged, 257);
	world_free(&w);
}

/* A change of the algorithm keeps what is shared, and new pages find it */
static void test_switch(void)
{
	struct world w;
	u32 classes, i;
	int a, b;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		for (b = 0; b < DEDUP_ALGORITHMS; b++) {
			/* by address, what was shared elsewhere would not be found */
			classes = a == DEDUP_CMD_ADDRESS || b == DEDUP_CMD_ADDRESS;
			world_init(&w, a, classes, 1, 300, 19);
			for (i = 0; i < 200; i++)
				world_fill(&w, 0, i, i / 2);
			rest(&w);
			expect_eq(w.core.stats.merged, 200);
			world_forget(&w);
			shim_slab_fail = 1;
			expect_eq(dedup_core_switch(&w.core, b, classes), -12);
			shim_slab_fail = 0;
			expect_eq(w.core.algorithm, a);
			expect_eq(dedup_core_switch(&w.core, b, classes), 0);
			world_check(&w);
			expect_eq(w.core.stats.stable, 100);
			for (i = 0; i < 100; i++)
				world_fill(&w, 0, 200 + i, i);
			rest(&w);
			world_check(&w);
			expect_eq(w.core.stats.merged, 300);
			world_free(&w);
		}
	}
}

/* Pages that others hold are left alone until they let go */
static void test_busy(void)
{
	struct world w;
	int a;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		world_init(&w, a, 0, 2, 1, 23);
		world_fill(&w, 0, 0, 1);
		world_fill(&w, 1, 0, 1);
		w.guest[0].page[0].busy = true;
		rest(&w);
		world_check(&w);
		expect_eq(w.core.stats.merged, 0);
		expect_eq(w.frames, 2);
		w.guest[0].page[0].busy = false;
		rest(&w);
		world_check(&w);
		expect_eq(w.core.stats.merged, 2);
		world_free(&w);
	}
}

/* Clones are merged at once, without a pass */
static void test_pair(void)
{
	struct wpage *a, *b;
	struct world w;

	world_init(&w, DEDUP_EMYS, 0, 2, 4, 29);
	world_fill(&w, 0, 0, 1);
	world_copy(&w, 0, 0, 1, 0);
	world_copy(&w, 0, 0, 1, 1);
	world_fill(&w, 0, 2, 2);
	world_fill(&w, 1, 2, 3);
	world_pass(&w, NULL);
	a = &w.guest[0].page[0];
	b = &w.guest[1].page[0];
	expect_eq(dedup_pair(&w.core, b->item, b->data, b, a->item), DEDUP_GONE);
	expect_eq(w.core.stats.merged, 2);
	world_check(&w);
	b = &w.guest[1].page[1];
	expect_eq(dedup_join(&w.core, b->item, b,
			     list_first_entry(&w.core.shared, struct dedup_stable, all)), 0);
	expect_eq(w.core.stats.merged, 3);
	world_check(&w);
	a = &w.guest[0].page[2];
	b = &w.guest[1].page[2];
	expect_eq(dedup_pair(&w.core, b->item, b->data, b, a->item), DEDUP_KEPT);
	expect_eq(w.core.stats.merged, 3);
	world_check(&w);
	world_free(&w);
}

static int probe(struct world *w, u32 g, u32 i)
{
	struct wpage *p = &w->guest[g].page[i];
	int r;

	if (!p->item) {
		p->item = calloc(1, sizeof(*p->item));
		p->item->owner = &w->guest[g];
		p->item->index = i;
		w->items++;
	}
	r = dedup_probe(&w->core, p->item, p->data);
	if (p->item->place == DEDUP_NOWHERE)
		dedup_item_free(p->item, false);
	return r;
}

/* What is in blocks is probed: two equal ones tell of each other, and nothing is shared */
static void test_probe(void)
{
	struct world w;
	int a;
	u32 i;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		world_init(&w, a, 0, 2, 10, 31);
		for (i = 0; i < 10; i++) {
			world_fill(&w, 0, i, i);
			world_fill(&w, 1, i, i < 3 ? i : 100 + i);
			w.guest[0].page[i].block = true;
		}
		w.guest[1].page[2].block = true;
		world_zero(&w, 0, 9);
		rest(&w);
		expect_eq(probe(&w, 0, 0), 1);	/* a candidate of guest 1 */
		expect_eq(probe(&w, 0, 5), 0);
		expect_eq(probe(&w, 0, 5), 0);	/* not its own partner */
		expect_eq(probe(&w, 0, 9), 1);	/* zeros */
		expect_eq(probe(&w, 0, 2), 0);
		expect_eq(probe(&w, 1, 2), 1);	/* both in blocks */
		expect_eq(probe(&w, 0, 2), 1);	/* whoever was first */
		expect_eq(probe(&w, 1, 2), 1);
		/* the first one has changed since it was probed */
		world_fill(&w, 0, 2, 777);
		expect_eq(probe(&w, 1, 2), 0);
		expect_eq(w.core.stats.merged, 0);
		world_check(&w);
		/* broken: they are merged by the scan */
		world_fill(&w, 0, 2, 2);
		for (i = 0; i < 10; i++) {
			w.guest[0].page[i].block = false;
			w.guest[0].page[i].dirty = true;
		}
		w.guest[1].page[2].block = false;
		w.guest[1].page[2].dirty = true;
		rest(&w);
		world_check(&w);
		expect_eq(w.core.stats.merged, 6);
		world_free(&w);
	}
}

/* -- at random ---------------------------------------------------------------------------- */

static void at_random(struct world *w, u32 g, u32 i)
{
	u32 to = world_random(w, w->nr), at = world_random(w, w->guest[0].n);

	switch (world_random(w, 40)) {
	case 0:
		world_fill(w, to, at, world_random(w, 20));
		break;
	case 1:
		world_zero(w, to, at);
		break;
	case 2:
		world_poke(w, to, at, world_random(w, DEDUP_PAGE), world_random(w, 3));
		break;
	case 3:
		world_copy(w, g, i, to, at);
		break;
	case 4:
		world_punch(w, to, at);
		break;
	case 5:
		w->guest[to].page[at].busy = !w->guest[to].page[at].busy;
		break;
	case 6:
		w->guest[to].page[at].block = !w->guest[to].page[at].block;
		w->guest[to].page[at].dirty = true;
		break;
	case 7:
		if (w->guest[to].page[at].state == W_PRIVATE)
			probe(w, to, at);
		break;
	}
}

static void test_random(void)
{
	struct world w;
	u32 g, i, round;
	int a;

	for (a = 0; a < DEDUP_ALGORITHMS; a++) {
		for (round = 0; round < 8; round++) {
			world_init(&w, a, round % 3 ? 81 : 0, 3, 300, 1000 * round + a);
			w.trouble = round % 2 ? 50 : 0;
			for (i = 0; i < 12; i++) {
				world_pass(&w, at_random);
				world_check(&w);
			}
			if (round % 4 == 2) {
				world_forget(&w);
				expect_eq(dedup_core_switch(&w.core, (a + 1 + round / 4) % 5, 0),
					  0);
				world_pass(&w, at_random);
				world_check(&w);
			}
			w.trouble = 0;
			for (g = 0; g < w.nr; g++) {
				for (i = 0; i < w.guest[g].n; i++) {
					struct wpage *p = &w.guest[g].page[i];

					p->busy = false;
					p->dirty |= p->block;
					p->block = false;
				}
			}
			rest(&w);
			world_check(&w);
			/* what was shared under other classes, or before a hash was wrong, stays so */
			if (w.core.algorithm != DEDUP_CMD_ADDRESS &&
			    w.core.algorithm != DEDUP_CMD_COUNT)
				expect_all_merged(&w, w.core.algorithm != DEDUP_EMYS, 60);
			world_free(&w);
		}
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "dedup: constant pages, every duplicate", test_constant },
		{ "dedup: bound on the users of a page", test_bound },
		{ "dedup: volatile pages", test_volatile },
		{ "dedup: a pass over nothing new", test_rest },
		{ "dedup: depth of the trees", test_depth },
		{ "dedup: pages change their class", test_reclass },
		{ "dedup: quantiles", test_cut },
		{ "dedup: shared pages follow the cut", test_recut_shared },
		{ "dedup: change of the algorithm", test_switch },
		{ "dedup: pages that others hold", test_busy },
		{ "dedup: clones", test_pair },
		{ "dedup: probing", test_probe },
		{ "dedup: at random", test_random },
	};

	(void)name;
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
