// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the EPT page-table format */

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <asm/page.h>
#include <linux/compiler.h>

#include "../../kmod/ept/ept.h"
#include "shim/ept_backend.h"
#include "tap.h"

#define K4	0x1000ULL
#define M2	0x200000ULL
#define G1	0x40000000ULL

static const struct ept_format full = {
	.maxphyaddr = 46, .ad = true, .exec_only = true,
	.has_2m = true, .has_1g = true,
};

static const struct ept_format poor = { .maxphyaddr = 36 };

static struct ept_root root;
static struct ept_cache cache;

static void begin(const struct ept_format *fmt)
{
	memset(&root, 0, sizeof(root));
	expect_eq(ept_init(&root, fmt), 0);
	expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
}

struct census {
	long leaves[3];
	long bad;
	gfn_t last;
	long total;
};

static int census_leaf(void *ctx, gfn_t gfn, int level, u64 entry)
{
	struct census *c = ctx;

	c->leaves[level - 1]++;
	if (ept_check_entry(&root.fmt, entry, level) != EPT_OK)
		c->bad++;
	if (c->total++ && gfn <= c->last)
		c->bad++;
	c->last = gfn;
	return 0;
}

/* What the counters say must be what the tables hold */
static void check_census(void)
{
	struct census c = {};
	int i;

	expect_eq(ept_visit(&root, 0, EPT_GFN_END, census_leaf, &c), 0);
	expect_eq(c.bad, 0);
	for (i = 0; i < 3; i++)
		expect_eq(atomic64_read(&root.leaves[i]), c.leaves[i]);
	expect_eq(backend_live(), atomic64_read(&root.tables) + cache.nr);
}

static void end(void)
{
	check_census();
	ept_destroy(&root);
	expect_eq(atomic64_read(&root.leaves[0]), 0);
	expect_eq(atomic64_read(&root.leaves[1]), 0);
	expect_eq(atomic64_read(&root.leaves[2]), 0);
	ept_cache_drain(&cache);
	expect_eq(backend_live(), 0);
	backend_reset();
}

static int map(gpa_t gpa, hpa_t hpa, int level, u64 prot)
{
	int ret = ept_map(&root, &cache, gpa, hpa, level, prot, EPT_MT_WB, 0);

	expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
	return ret;
}

/* The host address that @gpa is mapped to, or ~0 */
static hpa_t at(gpa_t gpa)
{
	struct ept_walk w;

	if (!ept_walk(&root, gpa, &w))
		return ~0ULL;
	return ept_leaf_hpa(w.val, w.level) +
	       (gpa & (ept_level_size(w.level) - 1));
}

static u64 entry_at(gpa_t gpa)
{
	struct ept_walk w;

	ept_walk(&root, gpa, &w);
	return w.val;
}

static int level_at(gpa_t gpa)
{
	struct ept_walk w;

	ept_walk(&root, gpa, &w);
	return w.level;
}

/* What the CPU does: set flags in the leaf of a page */
static void touch(gpa_t gpa, u64 flags)
{
	struct ept_walk w;

	if (ept_walk(&root, gpa, &w))
		__atomic_or_fetch(w.ptr, flags, __ATOMIC_SEQ_CST);
	else
		expect(0, "nothing mapped at %#llx", gpa);
}

static bool zap(gfn_t start, gfn_t end, unsigned int flags)
{
	struct ept_zap z = {};
	bool flush = ept_zap_range(&root, start, end, flags, &cache, &z);

	ept_zap_free(&z);
	expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
	return flush;
}

static void test_check_entry(void)
{
	static const struct {
		u64 entry;
		int level;
		const struct ept_format *fmt;
		enum ept_misconfig want;
	} t[] = {
		/* not present: anything goes */
		{ 0, 1, &full, EPT_OK },
		{ ~EPT_RWX, 1, &full, EPT_OK },
		{ ~EPT_RWX, 4, &full, EPT_OK },
		/* rights */
		{ 0x31, 1, &full, EPT_OK },		/* R-- */
		{ 0x33, 1, &full, EPT_OK },		/* RW- */
		{ 0x35, 1, &full, EPT_OK },		/* R-X */
		{ 0x37, 1, &full, EPT_OK },		/* RWX */
		{ 0x32, 1, &full, EPT_BAD_WRITE_ONLY },	/* -W- */
		{ 0x36, 1, &full, EPT_BAD_WRITE_ONLY },	/* -WX */
		{ 0x02, 3, &full, EPT_BAD_WRITE_ONLY },
		{ 0x34, 1, &full, EPT_OK },		/* --X */
		{ 0x34, 1, &poor, EPT_BAD_EXEC_ONLY },
		{ 0x04, 4, &poor, EPT_BAD_EXEC_ONLY },
		/* memory types of leaves */
		{ 0x07, 1, &full, EPT_OK },		/* UC */
		{ 0x0f, 1, &full, EPT_OK },		/* WC */
		{ 0x17, 1, &full, EPT_BAD_MEMTYPE },
		{ 0x1f, 1, &full, EPT_BAD_MEMTYPE },
		{ 0x27, 1, &full, EPT_OK },		/* WT */
		{ 0x2f, 1, &full, EPT_OK },		/* WP */
		{ 0x3f, 1, &full, EPT_BAD_MEMTYPE },
		{ 0x77, 1, &full, EPT_OK },		/* WB, IPAT */
		{ 0x97, 2, &full, EPT_BAD_MEMTYPE },
		{ 0x9f, 3, &full, EPT_BAD_MEMTYPE },
		/* reserved bits of entries that name a table: 6:3, at 4 also 7 */
		{ 0x1007, 4, &full, EPT_OK },
		{ 0x1007, 3, &full, EPT_OK },
		{ 0x1007, 2, &full, EPT_OK },
		{ 0x100f, 2, &full, EPT_BAD_RESERVED },
		{ 0x1037, 3, &full, EPT_BAD_RESERVED },
		{ 0x1047, 4, &full, EPT_BAD_RESERVED },
		{ 0x1087, 4, &full, EPT_BAD_RESERVED },
		{ 0x1107, 4, &full, EPT_OK },		/* A */
		/* large leaves */
		{ 0x2000b7, 2, &full, EPT_OK },
		{ 0x2000b7, 2, &poor, EPT_BAD_RESERVED },
		{ 0x2010b7, 2, &full, EPT_BAD_RESERVED },
		{ 0x3000b7, 2, &full, EPT_BAD_RESERVED },
		{ 0x400000b7, 3, &full, EPT_OK },
		{ 0x400000b7, 3, &poor, EPT_BAD_RESERVED },
		{ 0x600000b7, 3, &full, EPT_BAD_RESERVED },
		{ 0x400010b7, 3, &full, EPT_BAD_RESERVED },
		{ 0x10b7, 1, &full, EPT_OK },	/* bit 7 means nothing here */
		/* address width */
		{ (1ULL << 45) | 0x37, 1, &full, EPT_OK },
		{ (1ULL << 46) | 0x37, 1, &full, EPT_BAD_RESERVED },
		{ (1ULL << 51) | 0x37, 1, &full, EPT_BAD_RESERVED },
		{ (1ULL << 46) | 0x07, 3, &full, EPT_BAD_RESERVED },
		{ (1ULL << 35) | 0x37, 1, &poor, EPT_OK },
		{ (1ULL << 36) | 0x37, 1, &poor, EPT_BAD_RESERVED },
		/* ignored bits */
		{ (0xfffULL << 52) | 0x1f37, 1, &full, EPT_OK },
		{ (0x7ffULL << 52) | 0x1f07, 2, &full, EPT_OK },
	};
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		int got = ept_check_entry(t[i].fmt, t[i].entry, t[i].level);

		expect(got == (int)t[i].want, "row %u: %#llx level %d: got %d, want %d",
		       i, t[i].entry, t[i].level, got, t[i].want);
	}
}

static unsigned int accepted, refused;

/* Does the manual, or the contract of nx_large, allow this leaf? */
static bool legal_leaf(const struct ept_format *fmt, int level, u64 prot,
		       unsigned int mt)
{
	if (level < 1 || level > 3 || prot > EPT_RWX)
		return false;
	if (!(prot & EPT_R) && (prot != EPT_X || !fmt->exec_only))
		return false;
	if (mt > EPT_MT_WB || mt == 2 || mt == 3)
		return false;
	if (level > 1 && (!fmt->has_2m || (fmt->nx_large && prot & EPT_X)))
		return false;
	return level < 3 || fmt->has_1g;
}

static void map_and_check(const struct ept_format *fmt, int level, u64 prot,
			  unsigned int mt, unsigned int flags)
{
	bool legal = legal_leaf(fmt, level, prot, mt);
	struct ept_walk w;
	int ret;

	memset(&root, 0, sizeof(root));
	ept_init(&root, fmt);
	ept_cache_fill(&cache, EPT_CACHE_MAP);
	ret = ept_map(&root, &cache, G1, G1, level, prot, mt, flags);
	expect(ret == (legal ? 0 : -EINVAL),
	       "level %d prot %llu mt %u flags %u: %d", level, prot, mt, flags,
	       ret);
	if (!ret) {
		accepted++;
		expect(ept_walk(&root, G1, &w), "not there");
		expect_eq(ept_check_entry(fmt, w.val, w.level), EPT_OK);
		expect_eq(w.level, level);
		expect_eq(ept_leaf_memtype(w.val), mt);
		expect_eq(w.val & EPT_RWX, prot);
		expect_eq(!!(w.val & EPT_IPAT), !!(flags & EPT_MAP_IPAT));
		expect_eq(!!(w.val & EPT_A), fmt->ad && flags & EPT_MAP_ACCESSED);
		expect_eq(!!(w.val & EPT_D), fmt->ad && flags & EPT_MAP_DIRTY);
	} else {
		refused++;
		expect_eq(atomic64_read(&root.tables), 1);
	}
	ept_destroy(&root);
}

/* Whatever the arguments, ept_map() makes no entry that is misconfigured */
static void test_map_never_misconfigures(void)
{
	unsigned int f, i;

	accepted = 0;
	refused = 0;
	for (f = 0; f < 32; f++) {
		struct ept_format fmt = {
			.maxphyaddr = 36, .ad = f & 1, .exec_only = f & 2,
			.has_2m = f & 4, .has_1g = f & 8, .nx_large = f & 16,
		};

		/* levels 0..5, rights 0..8, types 0..8, flags 0..7 */
		for (i = 0; i < 6 * 9 * 9 * 8; i++)
			map_and_check(&fmt, i % 6, i / 6 % 9, i / 54 % 9, i / 486);
	}
	expect(accepted && refused, "one side never seen");
	ept_cache_drain(&cache);
	expect_eq(backend_live(), 0);
}

static void test_init(void)
{
	struct ept_format fmt = full;

	memset(&root, 0, sizeof(root));
	ept_destroy(&root);	/* never initialised: nothing happens */

	fmt.maxphyaddr = 31;
	expect_eq(ept_init(&root, &fmt), -EINVAL);
	fmt.maxphyaddr = 53;
	expect_eq(ept_init(&root, &fmt), -EINVAL);

	backend_fail_after(0);
	expect_eq(ept_init(&root, &full), -ENOMEM);
	backend_fail_after(2);
	expect_eq(ept_cache_fill(&cache, 3), -ENOMEM);
	expect_eq(cache.nr, 2);
	backend_fail_after(-1);
	expect_eq(ept_cache_fill(&cache, 100), 0);
	expect_eq(cache.nr, EPT_CACHE_MAX);

	begin(&full);
	expect_eq(atomic64_read(&root.tables), 1);
	/* WB, walk length 4, A/D on */
	expect_eq(ept_eptp(&root) & 0xfff, 0x5e);
	expect((ept_eptp(&root) & ~0xfffULL) != 0, "no root table");
	end();
	ept_destroy(&root);	/* twice is fine */

	begin(&poor);
	expect_eq(ept_eptp(&root) & 0xfff, 0x1e);
	end();
}

static void test_generation(void)
{
	u64 seen = 0;

	begin(&full);
	expect(ept_gen(&root) != seen, "a new root must be flushed first");
	seen = ept_gen(&root);
	expect_eq(ept_gen(&root), seen);
	ept_gen_bump(&root);
	expect_eq(ept_gen(&root), seen + 1);
	end();
}

static void test_map_and_walk(void)
{
	struct ept_walk w;

	begin(&full);
	expect(!ept_walk(&root, 0, &w), "empty root maps something");
	expect_eq(w.level, 4);
	expect(!ept_walk(&root, 1ULL << 48, &w), "beyond the width");
	expect(!w.ptr, "an entry for an address beyond the width");
	expect(!ept_walk(&root, ~0ULL, &w), "beyond the width");

	expect_eq(map(0x12345000, 0x77777000, 1, EPT_RWX), 0);
	expect_eq(at(0x12345678), 0x77777678);
	expect_eq(at(0x12346000), ~0ULL);
	expect_eq(at(0x12344fff), ~0ULL);
	expect_eq(atomic64_read(&root.tables), 4);
	expect_eq(level_at(0x12346000), 1);

	/* any address inside the leaf names it */
	expect_eq(map(2 * G1 + 0x212345, 0x8000000, 2, EPT_R), 0);
	expect_eq(at(2 * G1 + M2 + 0x1fffff), 0x81fffff);
	expect_eq(at(2 * G1 + M2 - 1), ~0ULL);
	expect_eq(at(2 * G1 + 2 * M2), ~0ULL);
	expect_eq(atomic64_read(&root.tables), 5);

	expect_eq(map(5 * G1, 3 * G1, 3, EPT_RWX), 0);
	expect_eq(at(6 * G1 - 1), 4 * G1 - 1);
	expect_eq(atomic64_read(&root.tables), 5);

	/* the last frame there is, to the last frame there is */
	expect_eq(map((1ULL << 48) - 1, (1ULL << 46) - K4, 1, EPT_R), 0);
	expect_eq(at((1ULL << 48) - 1), (1ULL << 46) - 1);
	expect_eq(map(1ULL << 48, 0, 1, EPT_R), -EINVAL);
	expect_eq(map(0, 1ULL << 46, 1, EPT_R), -EINVAL);
	expect_eq(map(0, 0x800, 1, EPT_R), -EINVAL);
	expect_eq(map(0, K4, 2, EPT_R), -EINVAL);
	expect_eq(map(0, M2, 3, EPT_R), -EINVAL);

	expect_eq(atomic64_read(&root.leaves[0]), 2);
	expect_eq(atomic64_read(&root.leaves[1]), 1);
	expect_eq(atomic64_read(&root.leaves[2]), 1);
	end();
}

static void test_map_again(void)
{
	begin(&full);
	expect_eq(map(0, 0, 1, EPT_R), 0);
	touch(0, EPT_A);
	/* spurious: the same or less */
	expect_eq(map(0, 0, 1, EPT_R), -EEXIST);
	/* wider, and what the CPU set stays */
	expect_eq(map(0, 0, 1, EPT_R | EPT_W), 0);
	expect_eq(entry_at(0) & (EPT_RWX | EPT_A), EPT_R | EPT_W | EPT_A);
	expect_eq(map(0, 0, 1, EPT_R | EPT_X), 0);
	expect_eq(entry_at(0) & EPT_RWX, EPT_RWX);
	expect_eq(map(0, 0, 1, EPT_R), -EEXIST);
	expect_eq(atomic64_read(&root.leaves[0]), 1);
	/* other memory, other type */
	expect_eq(map(0, K4, 1, EPT_RWX), -EBUSY);
	expect_eq(ept_map(&root, &cache, 0, 0, 1, EPT_RWX, EPT_MT_UC, 0), -EBUSY);
	expect_eq(ept_map(&root, &cache, 0, 0, 1, EPT_RWX, EPT_MT_WB,
			  EPT_MAP_IPAT), -EBUSY);
	/* a table is in the way of a large leaf */
	expect_eq(map(0, 0, 2, EPT_R), -ENOTEMPTY);
	expect_eq(map(0, 0, 3, EPT_R), -ENOTEMPTY);

	/* a large leaf is in the way of a small one */
	expect_eq(map(M2, 4 * M2, 2, EPT_R), 0);
	expect_eq(map(M2 + 3 * K4, 4 * M2 + 3 * K4, 1, EPT_R), -EEXIST);
	expect_eq(map(M2 + 3 * K4, 4 * M2 + 3 * K4, 1, EPT_R | EPT_W), -EBUSY);
	expect_eq(map(M2 + 3 * K4, 4 * M2 + 2 * K4, 1, EPT_R), -EBUSY);
	expect_eq(map(M2, 4 * M2, 2, EPT_R | EPT_W), 0);
	expect_eq(map(M2 + 3 * K4, 4 * M2 + 3 * K4, 1, EPT_R | EPT_W), -EEXIST);
	expect_eq(map(4 * G1, 5 * G1, 3, EPT_R), 0);
	expect_eq(map(4 * G1 + 3 * M2 + 5, 5 * G1 + 3 * M2, 2, EPT_R), -EEXIST);
	expect_eq(map(4 * G1 + 3 * M2, 5 * G1 + 4 * M2, 2, EPT_R), -EBUSY);
	end();
}

static void test_map_cache(void)
{
	struct ept_cache small = {};

	begin(&full);
	expect_eq(ept_map(&root, &small, 0, 0, 1, EPT_R, EPT_MT_WB, 0), -ENOMEM);
	expect_eq(atomic64_read(&root.tables), 1);
	/* what the cache allows is built, and the next try goes on from there */
	expect_eq(ept_cache_fill(&small, 2), 0);
	expect_eq(ept_map(&root, &small, 0, 0, 1, EPT_R, EPT_MT_WB, 0), -ENOMEM);
	expect_eq(small.nr, 0);
	expect_eq(atomic64_read(&root.tables), 3);
	expect_eq(at(0), ~0ULL);
	expect_eq(ept_cache_fill(&small, 1), 0);
	expect_eq(ept_map(&root, &small, 0, 0, 1, EPT_R, EPT_MT_WB, 0), 0);
	expect_eq(at(0), 0);
	/* no table needed: an empty cache will do */
	expect_eq(ept_map(&root, &small, K4, K4, 1, EPT_R, EPT_MT_WB, 0), 0);
	end();
}

static long zapped[4];
static u64 zapped_bits;
static gfn_t zapped_last;

static void note_zap(void *ctx, gfn_t gfn, int level, u64 old)
{
	expect_eq(*(int *)ctx, 42);
	zapped[level]++;
	zapped_bits |= old;
	zapped_last = gfn;
}

static void test_zap(void)
{
	int magic = 42;
	struct ept_zap z = { .leaf = note_zap, .ctx = &magic };
	int i;

	begin(&full);
	expect(!zap(0, EPT_GFN_END, 0), "nothing there, yet something was zapped");

	for (i = 0; i < 512; i++)
		expect_eq(map(i * K4, i * K4, 1, EPT_RWX), 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	expect_eq(map(G1, G1, 3, EPT_RWX), 0);
	expect_eq(atomic64_read(&root.tables), 4);

	expect(!zap(10, 10, 0), "empty range");
	expect(!zap(11, 10, 0), "backward range");
	expect(zap(10, 12, 0), "flush needed");
	expect(!zap(10, 12, 0), "nothing left to flush");
	expect_eq(at(10 * K4), ~0ULL);
	expect_eq(at(11 * K4), ~0ULL);
	expect_eq(at(9 * K4), 9 * K4);
	expect_eq(at(12 * K4), 12 * K4);
	expect_eq(atomic64_read(&root.leaves[0]), 510);

	/* the table that the range covers goes, the tables above stay */
	touch(5 * K4, EPT_A | EPT_D);
	memset(zapped, 0, sizeof(zapped));
	zapped_bits = 0;
	expect(ept_zap_range(&root, 0, 512, 0, NULL, &z), "flush needed");
	expect_eq(z.nr_tables, 1);
	expect_eq(zapped[1], 510);
	expect_eq(zapped_last, 511);
	expect_eq(zapped_bits & (EPT_A | EPT_D), EPT_A | EPT_D);
	/* removed, but not freed before the flush */
	expect_eq(backend_live(), atomic64_read(&root.tables) + cache.nr + 1);
	ept_zap_free(&z);
	expect_eq(z.nr_tables, 0);
	expect_eq(atomic64_read(&root.tables), 3);
	check_census();

	/* part of a large leaf: it goes whole, and is reported whole */
	memset(zapped, 0, sizeof(zapped));
	expect(ept_zap_range(&root, 512 + 7, 512 + 8, 0, NULL, &z), "flush");
	expect_eq(zapped[2], 1);
	expect_eq(zapped_last, 512);
	expect_eq(at(M2), ~0ULL);
	expect_eq(at(G1), G1);

	/* a table without leaves is removed too, and needs the flush */
	expect(ept_zap_range(&root, 0, EPT_GFN_END + 5, 0, NULL, &z), "flush");
	expect_eq(zapped[3], 1);
	ept_zap_free(&z);
	expect_eq(atomic64_read(&root.tables), 1);
	expect_eq(map(0, 0, 1, EPT_R), 0);
	expect(zap(0, 1, 0), "flush");
	expect_eq(atomic64_read(&root.tables), 4);
	expect(zap(0, 512, 0), "an empty table goes: flush");
	expect_eq(atomic64_read(&root.tables), 3);
	end();
}

static void test_zap_split(void)
{
	gfn_t g = G1 / K4;

	begin(&full);
	/* the rest of the large leaf stays: the middle of a 1 GiB leaf goes */
	expect_eq(map(G1, 7 * G1, 3, EPT_RWX), 0);
	expect(zap(g + 700, g + 3000, EPT_ZAP_SPLIT), "flush");
	expect_eq(at(G1), 7 * G1);
	expect_eq(level_at(G1), 2);
	expect_eq(at(G1 + 699 * K4), 7 * G1 + 699 * K4);
	expect_eq(level_at(G1 + 699 * K4), 1);
	expect_eq(at(G1 + 700 * K4), ~0ULL);
	expect_eq(at(G1 + 2 * M2), ~0ULL);
	expect_eq(at(G1 + 2999 * K4), ~0ULL);
	expect_eq(at(G1 + 3000 * K4), 7 * G1 + 3000 * K4);
	expect_eq(at(2 * G1 - 1), 8 * G1 - 1);
	expect_eq(atomic64_read(&root.leaves[2]), 0);
	expect_eq(atomic64_read(&root.leaves[1]), 512 - 5);
	check_census();

	/* two 1 GiB leaves, one page of each: the most tables one zap takes */
	expect_eq(map(4 * G1, 8 * G1, 3, EPT_RWX), 0);
	expect_eq(map(5 * G1, 9 * G1, 3, EPT_RWX), 0);
	expect_eq(cache.nr, EPT_CACHE_MAX);
	{
		struct ept_zap z = {};
		gfn_t e = 5 * g;

		expect(ept_zap_range(&root, e - 1, e + 1, EPT_ZAP_SPLIT, &cache, &z),
		       "flush");
		expect_eq(cache.nr, EPT_CACHE_MAX - EPT_CACHE_ZAP);
		ept_zap_free(&z);
	}
	expect_eq(at(5 * G1 - K4 - 1), 9 * G1 - K4 - 1);
	expect_eq(at(5 * G1 - 1), ~0ULL);
	expect_eq(at(5 * G1), ~0ULL);
	expect_eq(at(5 * G1 + K4), 9 * G1 + K4);
	ept_cache_fill(&cache, EPT_CACHE_MAX);

	/* no table to split with: the leaf goes whole */
	expect_eq(map(10 * G1, 8 * G1, 3, EPT_RWX), 0);
	{
		struct ept_cache one = {};
		struct ept_zap z = {};

		ept_cache_fill(&one, 1);
		expect(ept_zap_range(&root, 10 * g, 10 * g + 1, EPT_ZAP_SPLIT,
				     &one, &z), "flush");
		expect_eq(at(10 * G1 + K4), ~0ULL);
		expect_eq(at(10 * G1 + M2), 8 * G1 + M2);
		expect(ept_zap_range(&root, 10 * g + 512, 10 * g + 513,
				     EPT_ZAP_SPLIT, NULL, &z), "flush");
		expect_eq(at(10 * G1 + M2 + K4), ~0ULL);
		ept_zap_free(&z);
	}
	/* wholly covered: never split */
	expect_eq(map(12 * G1, 8 * G1, 3, EPT_RWX), 0);
	expect(zap(12 * g, 13 * g, EPT_ZAP_SPLIT), "flush");
	expect_eq(level_at(12 * G1), 3);
	end();
}

static void test_split(void)
{
	struct ept_cache none = {};
	int i;

	begin(&full);
	expect_eq(ept_split(&root, &cache, 0, 1), -ENOENT);
	expect_eq(ept_split(&root, &cache, 0, 0), -EINVAL);
	expect_eq(ept_split(&root, &cache, 0, 3), -EINVAL);
	expect_eq(ept_split(&root, &cache, 1ULL << 48, 1), -EINVAL);

	expect_eq(ept_map(&root, &cache, M2, 6 * M2, 2, EPT_R | EPT_X,
			  EPT_MT_WC, EPT_MAP_IPAT | EPT_MAP_ACCESSED), 0);
	expect_eq(ept_split(&root, &cache, M2 + 5, 2), 0);	/* small enough */
	expect_eq(level_at(M2), 2);
	expect_eq(ept_split(&root, &none, M2, 1), -ENOMEM);
	expect_eq(level_at(M2), 2);
	expect_eq(ept_split(&root, &cache, M2 + 0x12345, 1), 0);
	for (i = 0; i < 512; i++) {
		u64 want = (6 * M2 + i * K4) | EPT_R | EPT_X | EPT_IPAT | EPT_A |
			   EPT_MT_WC << EPT_MT_SHIFT;

		expect(entry_at(M2 + i * K4) == want, "leaf %d: %#llx, not %#llx",
		       i, entry_at(M2 + i * K4), want);
	}
	expect_eq(atomic64_read(&root.leaves[0]), 512);
	expect_eq(atomic64_read(&root.leaves[1]), 0);
	expect_eq(ept_split(&root, &none, M2, 1), 0);	/* nothing to do */

	/* dirty stays dirty, everywhere */
	ept_cache_fill(&cache, EPT_CACHE_MAX);
	expect_eq(map(G1, 2 * G1, 3, EPT_RWX), 0);
	touch(G1, EPT_A | EPT_D);
	expect_eq(ept_split(&root, &cache, G1 + 3 * M2 + 9 * K4, 1), 0);
	expect_eq(level_at(G1 + 2 * M2), 2);
	expect_eq(level_at(G1 + 3 * M2), 1);
	expect_eq(entry_at(G1 + 2 * M2), (2 * G1 + 2 * M2) | 0x3b7);
	expect_eq(entry_at(G1 + 3 * M2 + 9 * K4), (2 * G1 + 3 * M2 + 9 * K4) | 0x337);
	expect_eq(at(2 * G1 - 1), 3 * G1 - 1);
	expect_eq(atomic64_read(&root.leaves[2]), 0);
	expect_eq(atomic64_read(&root.leaves[1]), 511);
	expect_eq(atomic64_read(&root.leaves[0]), 1024);

	/* one table: the 1 GiB step is done, the 2 MiB step is not */
	ept_cache_fill(&none, 1);
	expect_eq(map(4 * G1, 2 * G1, 3, EPT_RWX), 0);
	expect_eq(ept_split(&root, &none, 4 * G1, 1), -ENOMEM);
	expect_eq(level_at(4 * G1), 2);
	end();
}

static void test_collapse(void)
{
	struct ept_zap z = {};
	int i;

	begin(&full);
	expect_eq(ept_collapse(&root, 0, 0, 2, EPT_RWX, EPT_MT_WB, 0, &z), -ENOENT);
	expect_eq(ept_collapse(&root, 0, 0, 1, EPT_RWX, EPT_MT_WB, 0, &z), -EINVAL);
	expect_eq(ept_collapse(&root, 0, K4, 2, EPT_RWX, EPT_MT_WB, 0, &z), -EINVAL);

	for (i = 0; i < 500; i++)
		expect_eq(map(M2 + i * K4, 9 * M2 + i * K4, 1, EPT_R), 0);
	expect_eq(ept_collapse(&root, M2 + 77, 10 * M2, 2, EPT_RWX, EPT_MT_WB, 0, &z), 0);
	expect_eq(entry_at(M2), 10 * M2 | 0xb7);	/* no leaf had a flag */
	expect_eq(z.nr_tables, 1);
	expect_eq(atomic64_read(&root.leaves[0]), 0);
	expect_eq(atomic64_read(&root.leaves[1]), 1);
	/* a leaf of this size or a larger one: nothing to collapse */
	expect_eq(ept_collapse(&root, M2, 10 * M2, 2, EPT_RWX, EPT_MT_WB, 0, &z), -ENOENT);
	ept_zap_free(&z);
	check_census();

	/* one dirty page makes the whole dirty */
	expect_eq(ept_split(&root, &cache, M2, 1), 0);
	touch(M2 + 8 * K4, EPT_A | EPT_D);
	expect_eq(ept_collapse(&root, M2, 10 * M2, 2, EPT_R, EPT_MT_WB, 0, &z), 0);
	expect_eq(entry_at(M2), 10 * M2 | 0x3b1);
	/* a whole tree into 1 GiB */
	ept_cache_fill(&cache, EPT_CACHE_MAX);
	expect_eq(map(5 * K4, 5 * K4, 1, EPT_R), 0);
	expect_eq(ept_collapse(&root, 0, G1, 3, EPT_RWX, EPT_MT_WB, 0, &z), 0);
	expect_eq(entry_at(0), G1 | 0x3b7);
	expect_eq(atomic64_read(&root.tables), 2);
	expect_eq(ept_collapse(&root, 0, G1, 2, EPT_RWX, EPT_MT_WB, 0, &z), -ENOENT);
	ept_zap_free(&z);
	end();
}

static int count_leaf(void *ctx, gfn_t gfn, int level, u64 entry)
{
	++*(int *)ctx;
	return 0;
}

/* A table of @root, in another hierarchy too. */
static void test_link(void)
{
	struct ept_root two = {};
	struct ept_zap z = {};
	struct ept_walk w;
	u64 *table;
	int i, nr = 0;

	begin(&full);
	for (i = 0; i < 512; i += 2)
		expect_eq(map(M2 + i * K4, G1 + i * K4, 1, i & 2 ? EPT_RWX : EPT_R | EPT_X), 0);
	expect(ept_walk(&root, M2, &w), "leaf");
	table = (u64 *)((uintptr_t)w.ptr & ~(uintptr_t)(K4 - 1));
	expect_eq(ept_init(&two, &full), 0);

	expect_eq(ept_linked(&two, 5 * M2), 0);
	expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_W | EPT_X), -EINVAL);
	expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_R | EPT_A), -EINVAL);
	expect_eq(ept_link(&two, &cache, 1ULL << 48, table, EPT_R), -EINVAL);
	expect_eq(ept_link(&two, NULL, 5 * M2, table, EPT_R), -ENOMEM);
	expect_eq(ept_link(&two, &cache, 5 * M2 + 3 * K4, table, EPT_R), 0);
	expect_eq(ept_linked(&two, 5 * M2 + K4), __pa(table) | EPT_LINK | EPT_R);
	expect_eq(ept_check_entry(&full, ept_linked(&two, 5 * M2), 2), EPT_OK);
	expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_R), -EEXIST);
	expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_RWX), 0);
	expect_eq(ept_linked(&two, 5 * M2) & EPT_RWX, EPT_RWX);
	expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_R), -EEXIST);
	expect_eq(ept_link(&two, &cache, 5 * M2, root.pml4, EPT_R), -EBUSY);
	/* the way to it is its own, the table is not */
	expect_eq(atomic64_read(&two.tables), 3);
	expect_eq(atomic64_read(&two.leaves[0]), 0);

	/* the CPU finds the leaves, and nothing else does */
	expect(ept_walk(&two, 5 * M2 + 6 * K4, &w) && w.level == 1 && w.ptr == &table[6], "walk");
	expect(!ept_walk(&two, 5 * M2 + K4, &w) && w.level == 1, "hole");
	expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
	expect_eq(ept_map(&two, &cache, 5 * M2 + K4, 0, 1, EPT_R, EPT_MT_WB, 0), -EBUSY);
	expect_eq(ept_map(&two, &cache, 5 * M2, 0, 2, EPT_R, EPT_MT_WB, 0), -ENOTEMPTY);
	expect(!ept_wrprot_range(&two, 0, EPT_GFN_END), "nothing of its own");
	expect(!ept_harvest(&two, 0, EPT_GFN_END, EPT_A, EPT_A, NULL, NULL), "no flags");
	ept_mark(&two, 0, EPT_GFN_END, EPT_A);
	expect_eq(ept_visit(&two, 0, EPT_GFN_END, count_leaf, &nr), 0);
	expect_eq(nr, 0);
	expect_eq(table[2] & (EPT_RWX | EPT_A), EPT_RWX);
	/* what the other loses, it has not */
	expect(zap(512 + 6, 512 + 7, 0), "flush needed");
	expect(!ept_walk(&two, 5 * M2 + 6 * K4, &w), "gone from both");

	/* away by itself, by a range in part or whole, and with everything */
	expect(ept_unlink(&two, 5 * M2), "flush needed");
	expect(!ept_unlink(&two, 5 * M2), "none");
	for (i = 0; i < 3; i++) {
		expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_R), 0);
		expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
		expect(ept_zap_range(&two, 5 * 512 + (i == 0), i == 2 ? EPT_GFN_END : 6 * 512, 0,
				     NULL, &z), "flush needed");
		expect_eq(ept_linked(&two, 5 * M2), 0);
		ept_zap_free(&z);
	}
	expect_eq(ept_map(&two, &cache, 5 * M2, 0, 1, EPT_R, EPT_MT_WB, 0), 0);
	expect_eq(ept_link(&two, &cache, 5 * M2, table, EPT_R), -ENOTEMPTY);
	expect_eq(ept_map(&two, &cache, 6 * M2, 0, 2, EPT_R, EPT_MT_WB, 0), 0);
	expect_eq(ept_link(&two, &cache, 6 * M2, table, EPT_R), -EBUSY);
	expect(!ept_unlink(&two, 5 * M2) && !ept_unlink(&two, 6 * M2), "no links");
	expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
	expect_eq(ept_link(&two, &cache, 7 * M2, table, EPT_R), 0);
	ept_destroy(&two);
	expect_eq(at(M2 + 2 * K4), G1 + 2 * K4);
	expect_eq(atomic64_read(&root.leaves[0]), 255);
	end();
}

static void test_wrprot(void)
{
	begin(&full);
	expect_eq(map(0, 0, 1, EPT_RWX), 0);
	expect_eq(map(K4, K4, 1, EPT_R | EPT_X), 0);
	expect_eq(map(2 * K4, 2 * K4, 1, EPT_RWX), 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	touch(0, EPT_A | EPT_D);

	expect(!ept_wrprot_range(&root, 1, 2), "was read-only already");
	expect(ept_wrprot_range(&root, 0, 2), "flush needed");
	expect_eq(entry_at(0), 0x335);			/* flags stay */
	expect_eq(entry_at(2 * K4) & EPT_RWX, EPT_RWX);	/* outside */
	expect(!ept_wrprot_range(&root, 0, 2), "nothing left");
	/* a large leaf is protected whole */
	expect(ept_wrprot_range(&root, 512 + 3, 512 + 4), "flush needed");
	expect_eq(entry_at(M2) & EPT_RWX, EPT_R | EPT_X);
	/* the write fault gives it back */
	expect_eq(map(0, 0, 1, EPT_RWX), 0);
	expect_eq(entry_at(0), 0x337);
	end();
}

static struct {
	gfn_t gfn[1024];
	int level[1024];
	u64 bits[1024];
	int n;
} seen;

static void note_harvest(void *ctx, gfn_t gfn, int level, u64 bits)
{
	expect(ctx == &seen, "context lost");
	seen.gfn[seen.n] = gfn;
	seen.level[seen.n] = level;
	seen.bits[seen.n++] = bits;
}

static bool harvest(gfn_t start, gfn_t end, u64 want, u64 clear)
{
	seen.n = 0;
	return ept_harvest(&root, start, end, want, clear, note_harvest, &seen);
}

static void test_harvest(void)
{
	begin(&full);
	expect_eq(map(0, 0, 1, EPT_RWX), 0);
	expect_eq(map(K4, K4, 1, EPT_RWX), 0);
	expect_eq(map(2 * K4, 2 * K4, 1, EPT_RWX), 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	expect(!harvest(0, EPT_GFN_END, EPT_A | EPT_D, EPT_A | EPT_D), "all clear");
	expect_eq(seen.n, 0);

	touch(K4, EPT_A);
	touch(2 * K4, EPT_A | EPT_D);
	touch(M2, EPT_A | EPT_D);
	/* looking clears nothing */
	expect(!harvest(0, EPT_GFN_END, EPT_D, 0), "no flush for looking");
	expect_eq(seen.n, 2);
	expect_eq(seen.gfn[0], 2);
	expect_eq(seen.bits[0], EPT_D);
	expect_eq(seen.gfn[1], 512);
	expect_eq(seen.level[1], 2);
	expect(!harvest(0, EPT_GFN_END, EPT_A, 0), "no flush for looking");
	expect_eq(seen.n, 3);
	/* only the range, only the flag */
	expect(harvest(0, 512, EPT_D, EPT_D), "flush needed");
	expect_eq(seen.n, 1);
	expect(!harvest(0, 512, EPT_D, EPT_D), "clear now");
	expect_eq(seen.n, 0);
	expect(harvest(0, 512, EPT_A, EPT_A), "flags cleared");
	expect_eq(seen.n, 2);
	expect_eq(entry_at(2 * K4), 2 * K4 | 0x37);
	expect_eq(entry_at(M2), M2 | 0x3b7);
	/* no callback */
	expect(ept_harvest(&root, 0, EPT_GFN_END, EPT_D, EPT_A | EPT_D, NULL, NULL), "flush");
	expect_eq(entry_at(M2), M2 | 0xb7);
	end();

	/* without A/D, writable means dirty */
	begin(&poor);
	expect_eq(map(0, 0, 1, EPT_RWX), 0);
	expect_eq(map(K4, K4, 1, EPT_R), 0);
	expect(!harvest(0, EPT_GFN_END, EPT_D, 0), "no flush for looking");
	expect_eq(seen.n, 1);
	expect_eq(seen.gfn[0], 0);
	expect(!harvest(0, EPT_GFN_END, EPT_A, EPT_A), "nothing to clear");
	expect_eq(seen.n, 2);
	expect(harvest(0, EPT_GFN_END, EPT_D, EPT_D), "flush needed");
	expect_eq(seen.n, 1);
	expect_eq(entry_at(0) & EPT_RWX, EPT_R | EPT_X);
	expect(!harvest(0, EPT_GFN_END, EPT_D, EPT_D), "clean now");
	expect_eq(seen.n, 0);
	expect_eq(map(0, 0, 1, EPT_RWX), 0);	/* the write fault */
	expect(!harvest(0, EPT_GFN_END, EPT_D, 0), "looking");
	expect_eq(seen.n, 1);
	end();
}

static void test_mark(void)
{
	begin(&full);
	expect_eq(map(0, 0, 1, EPT_RWX), 0);
	expect_eq(map(K4, K4, 1, EPT_R), 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	expect_eq(map(2 * M2, 2 * M2, 2, EPT_RWX), 0);

	/* only the range, only the flag, whoever may write there */
	ept_mark(&root, 1, 2, EPT_D);
	expect_eq(entry_at(0), 0x37);
	expect_eq(entry_at(K4), K4 | 0x231);
	/* a part of a large leaf is all of it; what is not mapped stays so */
	ept_mark(&root, 2, 513, EPT_A | EPT_D);
	expect_eq(entry_at(2 * K4), 0);
	expect_eq(entry_at(M2), M2 | 0x3b7);
	expect_eq(entry_at(2 * M2), 2 * M2 | 0xb7);
	/* nothing but flags can be set, and what is set stays */
	ept_mark(&root, 0, 1, ~0ULL);
	expect_eq(entry_at(0), 0x337);
	ept_mark(&root, 0, 1, 0);
	expect_eq(entry_at(0), 0x337);
	end();

	begin(&poor);
	expect_eq(map(0, 0, 1, EPT_R), 0);
	ept_mark(&root, 0, 1, EPT_A | EPT_D);
	expect_eq(entry_at(0), 0x31);
	end();
}

static int stop_at(void *ctx, gfn_t gfn, int level, u64 entry)
{
	(void)level;
	(void)entry;
	return gfn == *(gfn_t *)ctx ? 7 : 0;
}

/* -- traces of writes ------------------------------------------------------------- */

/* What the CPU finds in the table for @gpa: the vector of its page; 0 and *@miss */
static u64 spp_vector(gpa_t gpa, bool *miss)
{
	u64 *table = shim_va(ept_spptp(&root));
	u64 entry;
	int level;

	*miss = false;
	for (level = EPT_LEVELS; level > 1; level--) {
		entry = table[gpa >> (12 + 9 * (level - 1)) & 511];
		if (!(entry & 1)) {
			*miss = true;
			return 0;
		}
		expect_eq(entry & 0xffe, 0);
		table = shim_va(entry & ~0xfffULL);
	}
	return table[gpa >> 12 & 511];
}

static void test_trace(void)
{
	static const gpa_t page[] = { 5 * K4, 6 * K4, 3 * G1 + 7 * K4, (1ULL << 47) + M2 };
	struct ept_format fmt = full;
	struct ept_zap z = {};
	unsigned int i, sub;
	u32 written;
	bool miss;

	fmt.spp = true;
	begin(&fmt);
	expect_eq(ept_trace(&root, &cache, 0), -ENOENT);
	for (i = 0; i < 4; i++) {
		expect_eq(map(page[i], (i + 1) * M2, 1, EPT_RWX), 0);
		expect(!ept_trace_write(&root, page[i]), "not traced");
		expect_eq(ept_trace_read(&root, page[i], false, &written), -ENOENT);
		expect_eq(ept_trace(&root, &cache, page[i] + 123), 0);
		expect_eq(ept_cache_fill(&cache, EPT_CACHE_MAX), 0);
		expect_eq(entry_at(page[i]) & (EPT_RWX | EPT_SPP), EPT_R | EPT_X | EPT_SPP);
		expect_eq(spp_vector(page[i], &miss), 0);
		expect(!miss, "a miss");
		expect_eq(ept_trace(&root, &cache, page[i]), -ENOENT);	/* not writable */
	}
	/* each sub-page is let through once, and shows */
	for (sub = 0; sub < EPT_SUBPAGES; sub += 3) {
		expect(ept_trace_write(&root, page[1] + 128 * sub + 127), "let through");
		expect(!ept_trace_write(&root, page[1] + 128 * sub), "a second time");
		expect(spp_vector(page[1], &miss) >> 2 * sub & 1, "not allowed");
	}
	expect_eq(spp_vector(page[1], &miss) & 0xaaaaaaaaaaaaaaaaULL, 0);
	expect_eq(spp_vector(page[0], &miss), 0);
	expect_eq(ept_trace_read(&root, page[1], false, &written), 0);
	expect_eq(written, 0x49249249);
	touch(page[1], EPT_A | EPT_D);
	expect_eq(ept_trace_read(&root, page[1], true, &written), 0);
	expect_eq(written, 0x49249249);
	expect_eq(entry_at(page[1]) & (EPT_RWX | EPT_SPP | EPT_D), EPT_RWX | EPT_D);
	expect_eq(ept_trace_read(&root, page[1], true, &written), -ENOENT);
	/* again, from nothing */
	expect_eq(ept_trace(&root, &cache, page[1]), 0);
	expect_eq(ept_trace_read(&root, page[1], true, &written), 0);
	expect_eq(written, 0);

	/* what needs to write takes the trace away, and so does write protection */
	expect_eq(map(page[0], M2, 1, EPT_RWX), 0);
	expect_eq(entry_at(page[0]) & (EPT_RWX | EPT_SPP), EPT_RWX);
	expect_eq(ept_trace_read(&root, page[0], true, &written), -ENOENT);
	expect(ept_wrprot_range(&root, page[2] / K4, page[2] / K4 + 1), "flush needed");
	expect_eq(entry_at(page[2]) & (EPT_RWX | EPT_SPP), EPT_R | EPT_X);
	expect(!ept_trace_write(&root, page[2]), "not traced");
	expect(ept_zap_range(&root, page[3] / K4, page[3] / K4 + 1, 0, NULL, &z), "flush needed");
	ept_zap_free(&z);
	expect(!ept_trace_write(&root, page[3]), "gone");
	/* a large leaf is not traced */
	expect_eq(map(7 * M2, 7 * M2, 2, EPT_RWX), 0);
	expect_eq(ept_trace(&root, &cache, 7 * M2), -ENOENT);

	/* no tables to be had: nothing has changed */
	expect_eq(map(9 * G1, M2, 1, EPT_RWX), 0);
	ept_cache_drain(&cache);
	expect_eq(ept_trace(&root, &cache, 9 * G1), -ENOMEM);
	expect_eq(entry_at(9 * G1) & (EPT_RWX | EPT_SPP), EPT_RWX);
	ept_destroy(&root);
	expect_eq(backend_live(), 0);
	backend_reset();
}

static void test_visit(void)
{
	gfn_t stop = 512;

	begin(&full);
	expect_eq(map(0, 0, 1, EPT_R), 0);
	expect_eq(map(M2, M2, 2, EPT_R), 0);
	expect_eq(map(G1, G1, 3, EPT_R), 0);
	expect_eq(ept_visit(&root, 0, EPT_GFN_END, stop_at, &stop), 7);
	expect_eq(ept_visit(&root, 513, 514, stop_at, &stop), 7);
	expect_eq(ept_visit(&root, 0, 512, stop_at, &stop), 0);
	expect_eq(ept_visit(&root, 1024, EPT_GFN_END, stop_at, &stop), 0);
	end();
}

/*
 * Lost races, one at a time: what @inject does happens between the look at an
 * entry and the exchange.
 */
static void (*inject)(void);
static struct ept_cache other;

static void inject_once(void)
{
	shim_race_point = NULL;
	inject();
}

static void race_with(void (*fn)(void))
{
	ept_cache_fill(&cache, EPT_CACHE_MAX);
	ept_cache_fill(&other, EPT_CACHE_MAX);
	inject = fn;
	shim_race_point = inject_once;
}

static void other_maps_neighbour(void)
{
	expect_eq(ept_map(&root, &other, K4, K4, 1, EPT_R, EPT_MT_WB, 0), 0);
}

static void other_maps_same(void)
{
	expect_eq(ept_map(&root, &other, 2 * K4, 2 * K4, 1, EPT_RWX, EPT_MT_WB, 0), 0);
}

static void other_maps_different(void)
{
	expect_eq(ept_map(&root, &other, 3 * K4, 9 * K4, 1, EPT_RWX, EPT_MT_WB, 0), 0);
}

static void other_maps_large(void)
{
	expect_eq(ept_map(&root, &other, G1, G1, 3, EPT_R, EPT_MT_WB, 0), 0);
}

static void other_maps_in_large(void)
{
	expect_eq(ept_map(&root, &other, 2 * G1, 2 * G1, 1, EPT_R, EPT_MT_WB, 0), 0);
}

static void other_splits(void)
{
	expect_eq(ept_split(&root, &other, M2, 1), 0);
}

static void cpu_touches(void)
{
	touch(M2, EPT_A | EPT_D);
}

/* No real CPU clears A, but a scanner beside one does */
static void cpu_keeps_touching(void)
{
	struct ept_walk w;

	ept_walk(&root, M2, &w);
	__atomic_xor_fetch(w.ptr, EPT_A, __ATOMIC_SEQ_CST);
}

static void check_cache_zero(void)
{
	unsigned int i, j;

	for (i = 0; i < cache.nr; i++)
		for (j = 0; j < EPT_ENTRIES; j++)
			expect_eq(((u64 *)cache.table[i])[j], 0);
}

static void test_lost_races(void)
{
	struct ept_walk w;

	begin(&full);
	/* both need the same new tables: the loser keeps its own */
	race_with(other_maps_neighbour);
	expect_eq(ept_map(&root, &cache, 0, 0, 1, EPT_R, EPT_MT_WB, 0), 0);
	expect_eq(cache.nr, EPT_CACHE_MAX);
	expect_eq(at(0), 0);
	expect_eq(at(K4), K4);
	expect_eq(atomic64_read(&root.tables), 4);
	/* the same leaf */
	race_with(other_maps_same);
	expect_eq(ept_map(&root, &cache, 2 * K4, 2 * K4, 1, EPT_R, EPT_MT_WB, 0), -EEXIST);
	race_with(other_maps_different);
	expect_eq(ept_map(&root, &cache, 3 * K4, 3 * K4, 1, EPT_R, EPT_MT_WB, 0), -EBUSY);
	expect_eq(at(3 * K4), 9 * K4);
	/* another size */
	race_with(other_maps_large);
	expect_eq(ept_map(&root, &cache, G1, G1, 1, EPT_R, EPT_MT_WB, 0), -EEXIST);
	expect_eq(cache.nr, EPT_CACHE_MAX);
	race_with(other_maps_in_large);
	expect_eq(ept_map(&root, &cache, 2 * G1, 2 * G1, 3, EPT_R, EPT_MT_WB, 0), -ENOTEMPTY);

	/* the CPU sets flags while rights are widened */
	expect_eq(map(M2, M2, 2, EPT_R), 0);
	race_with(cpu_touches);
	expect_eq(ept_map(&root, &cache, M2, M2, 2, EPT_RWX, EPT_MT_WB, 0), 0);
	expect_eq(entry_at(M2), M2 | 0x3b7);
	/* while they are taken */
	__atomic_and_fetch((ept_walk(&root, M2, &w), w.ptr), ~(EPT_A | EPT_D),
			   __ATOMIC_SEQ_CST);
	race_with(cpu_touches);
	expect(ept_wrprot_range(&root, 512, 513), "flush");
	expect_eq(entry_at(M2), M2 | 0x3b5);
	/* while flags are read: those that came in between are seen */
	__atomic_and_fetch(w.ptr, ~EPT_D, __ATOMIC_SEQ_CST);
	race_with(cpu_touches);
	expect(harvest(512, 513, EPT_A | EPT_D, EPT_A | EPT_D), "flush");
	expect_eq(seen.bits[0], EPT_A | EPT_D);
	expect_eq(entry_at(M2), M2 | 0xb5);
	/* while the leaf is split: all small ones are dirty then */
	race_with(cpu_touches);
	expect_eq(ept_split(&root, &cache, M2, 1), 0);
	expect_eq(entry_at(M2 + 511 * K4), (M2 + 511 * K4) | 0x335);

	/* two split the same leaf: the loser's table is clean again */
	zap(512, 1024, 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	race_with(other_splits);
	expect_eq(ept_split(&root, &cache, M2, 1), 0);
	expect_eq(cache.nr, EPT_CACHE_MAX);
	check_cache_zero();
	/* a split meets write protection, and harvesting */
	zap(512, 1024, 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	race_with(other_splits);
	expect(ept_wrprot_range(&root, 512, 513), "flush");
	expect_eq(entry_at(M2) & EPT_RWX, EPT_R | EPT_X);
	expect_eq(entry_at(M2 + K4) & EPT_RWX, EPT_RWX);
	zap(512, 1024, 0);
	expect_eq(map(M2, M2, 2, EPT_RWX), 0);
	touch(M2, EPT_D);
	race_with(other_splits);
	expect(harvest(512, 1024, EPT_D, EPT_D), "flush");
	ept_cache_drain(&other);
	expect(!harvest(512, 1024, EPT_D, 0), "nothing dirty is left");
	expect_eq(seen.n, 0);

	/* an entry that never holds still: give up, the guest tries again */
	zap(512, 1024, 0);
	expect_eq(map(M2, M2, 2, EPT_R), 0);
	shim_race_point = cpu_keeps_touching;
	expect_eq(ept_map(&root, &cache, M2, M2, 2, EPT_RWX, EPT_MT_WB, 0), -EAGAIN);
	shim_race_point = NULL;
	expect_eq(entry_at(M2) & EPT_RWX, EPT_R);
	end();
}

/*
 * Several threads map, split, write-protect and harvest the same memory, one
 * plays the CPU that sets flags; gpa always maps to gpa + SHIFT. What is left
 * must be consistent, and no return value outside the contract may appear.
 */
#define THREADS		4
#define RACE_ROUNDS	300
#define RACE_OPS	300
#define SHIFT		(4 * G1)
#define SPAN		(2 * G1)

static pthread_barrier_t race_start;
static int race_bad;
static bool race_stop;

static unsigned int next_random(u64 *s)
{
	*s = *s * 6364136223846793005ULL + 1442695040888963407ULL;
	return *s >> 33;
}

/* Give way now and then between looking at an entry and exchanging it */
static void race_yield(void)
{
	static __thread u64 s = 1;

	if (next_random(&s) % 4 == 0)
		sched_yield();
}

static void race_one(u64 *s, struct ept_cache *c)
{
	/* few places, so that threads meet: 2 x 1 GiB, 4 x 2 MiB, 4 pages */
	gpa_t gpa = (next_random(s) % 2) * G1 + (next_random(s) % 4) * M2 +
		    (next_random(s) % 4) * K4;
	int level = next_random(s) % 16 ? 1 + next_random(s) % 2 : 3;
	u64 prot = EPT_R | (next_random(s) % 2 ? EPT_W : 0);
	gpa_t base = gpa & ~(ept_level_size(level) - 1);
	int ret;

	ept_cache_fill(c, EPT_CACHE_MAP);
	switch (next_random(s) % 8) {
	case 0:
		ret = ept_split(&root, c, gpa, 1 + next_random(s) % 2);
		if (ret && ret != -ENOENT)
			__atomic_add_fetch(&race_bad, 1, __ATOMIC_SEQ_CST);
		break;
	case 1:
		ept_wrprot_range(&root, base / K4, base / K4 + 3);
		break;
	case 2:
		ept_harvest(&root, 0, SPAN / K4, EPT_A | EPT_D, EPT_A | EPT_D,
			    NULL, NULL);
		break;
	default:
		ret = ept_map(&root, c, gpa, base + SHIFT, level, prot,
			      EPT_MT_WB, 0);
		if (ret && ret != -EEXIST && ret != -EBUSY &&
		    ret != -ENOTEMPTY && ret != -EAGAIN)
			__atomic_add_fetch(&race_bad, 1, __ATOMIC_SEQ_CST);
	}
}

static void *race_worker(void *arg)
{
	u64 s = (unsigned long)arg;
	struct ept_cache c = {};
	int i;

	pthread_barrier_wait(&race_start);
	for (i = 0; i < RACE_OPS; i++)
		race_one(&s, &c);
	ept_cache_drain(&c);
	return NULL;
}

static void *race_cpu(void *arg)
{
	u64 s = (unsigned long)arg;

	while (!READ_ONCE(race_stop)) {
		gpa_t gpa = (next_random(&s) % 2) * G1 +
			    (next_random(&s) % 4) * M2 +
			    (next_random(&s) % 4) * K4;
		struct ept_walk w;
		u64 set;

		if (!ept_walk(&root, gpa, &w))
			continue;
		if (ept_leaf_hpa(w.val, w.level) +
		    (gpa & (ept_level_size(w.level) - 1)) != gpa + SHIFT)
			__atomic_add_fetch(&race_bad, 1, __ATOMIC_SEQ_CST);
		set = EPT_A | (w.val & EPT_W ? EPT_D : 0);
		/* as the CPU does it: only if it is still what was walked */
		cmpxchg(w.ptr, w.val, w.val | set);
	}
	return NULL;
}

static int race_leaf(void *ctx, gfn_t gfn, int level, u64 entry)
{
	(void)ctx;
	if (ept_leaf_hpa(entry, level) != gfn * K4 + SHIFT)
		race_bad++;
	return 0;
}

static void test_race(void)
{
	pthread_t t[THREADS], cpu;
	unsigned long i, round;

	pthread_barrier_init(&race_start, NULL, THREADS);
	shim_race_point = race_yield;
	for (round = 0; round < RACE_ROUNDS; round++) {
		begin(&full);
		race_bad = 0;
		race_stop = false;
		pthread_create(&cpu, NULL, race_cpu, (void *)(round + 99));
		for (i = 0; i < THREADS; i++)
			pthread_create(&t[i], NULL, race_worker,
				       (void *)(round * 1000 + i + 1));
		for (i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		WRITE_ONCE(race_stop, true);
		pthread_join(cpu, NULL);
		ept_visit(&root, 0, EPT_GFN_END, race_leaf, NULL);
		expect_eq(race_bad, 0);
		end();
	}
	shim_race_point = NULL;
	pthread_barrier_destroy(&race_start);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "ept: check_entry knows each misconfiguration", test_check_entry },
		{ "ept: map never misconfigures", test_map_never_misconfigures },
		{ "ept: init, destroy and cache, with failing memory", test_init },
		{ "ept: flush generation", test_generation },
		{ "ept: map each size, walk back", test_map_and_walk },
		{ "ept: map over what is there", test_map_again },
		{ "ept: map with a short cache", test_map_cache },
		{ "ept: zap", test_zap },
		{ "ept: zap splits at the edges", test_zap_split },
		{ "ept: split keeps everything", test_split },
		{ "ept: collapse keeps the flags", test_collapse },
		{ "ept: a table in two hierarchies", test_link },
		{ "ept: write-protect", test_wrprot },
		{ "ept: harvest with and without A/D", test_harvest },
		{ "ept: flags from elsewhere", test_mark },
		{ "ept: trace which sub-pages are written", test_trace },
		{ "ept: visit in order, stop early", test_visit },
		{ "ept: each lost race", test_lost_races },
		{ "ept: concurrent map, split, protect, harvest", test_race },
	};

	return tap_run(tests, sizeof(tests) / sizeof(*tests));
}
