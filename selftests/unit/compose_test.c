// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the composition of two translations */

#include <errno.h>
#include <string.h>

#include "../../kmod/mem/compose.h"
#include "tap.h"

#define GIB(n)	((u64)(n) << 30)
#define WB	((u64)EPT_MT_WB << EPT_MT_SHIFT | EPT_IPAT)

static struct ept_format fmt;
static struct mem_derived_leaf outer;
static struct derived_map map;

/* gpa2 in GiB 7, gpa1 in GiB 3, memory in GiB 9: the same offset in all */
#define OFFSET	0x12345678ULL
#define GPA2	(GIB(7) + OFFSET)

static void make(void)
{
	fmt = (struct ept_format){
		.maxphyaddr = 40, .ad = true, .exec_only = true, .has_2m = true, .has_1g = true,
	};
	outer = (struct mem_derived_leaf){
		.gpa1 = GIB(3) + OFFSET, .level = 3, .rights = EPT_RWX,
	};
}

/* A leaf of EPT01 that maps gpa1 at @level */
static u64 leaf(int level, u64 prot)
{
	u64 hpa = (GIB(9) + OFFSET) & ~(ept_level_size(level) - 1);

	return hpa | prot | WB | (level > 1 ? EPT_PS : 0);
}

static int compose(u64 entry, int level, u32 access)
{
	memset(&map, 0x55, sizeof(map));
	return derived_compose(&fmt, GPA2, &outer, entry, level, access, &map);
}

static void test_sizes(void)
{
	int mine, theirs;

	for (theirs = 1; theirs <= 3; theirs++) {
		for (mine = 1; mine <= 3; mine++) {
			int level = mine < theirs ? mine : theirs;
			u64 mask = ept_level_size(level) - 1;

			make();
			outer.level = theirs;
			expect_eq(compose(leaf(mine, EPT_RWX), mine, EPT_R), 0);
			expect_eq(map.level, level);
			expect_eq(map.gpa2, GPA2 & ~mask);
			expect_eq(map.first, (outer.gpa1 & ~mask) >> 12);
			expect_eq(map.hpa, (GIB(9) + OFFSET) & ~mask);
			expect_eq(map.memtype, EPT_MT_WB);
			expect_eq(map.flags, EPT_MAP_IPAT | EPT_MAP_ACCESSED);
		}
	}
	/* What the CPU cannot is mapped smaller */
	make();
	fmt.has_1g = false;
	expect_eq(compose(leaf(3, EPT_RWX), 3, EPT_R), 0);
	expect_eq(map.level, 2);
	fmt.nx_large = true;
	expect_eq(compose(leaf(3, EPT_RWX), 3, EPT_R), 0);
	expect_eq(map.level, 1);
	expect_eq(map.hpa, (GIB(9) + OFFSET) & ~0xfffULL);
	/* EPT01 has no large leaf that is executable there */
	expect_eq(compose(leaf(2, EPT_R | EPT_W), 2, EPT_R), 0);
	expect_eq(map.level, 2);
}

static void test_rights(void)
{
	u64 mine, theirs;
	u32 access;
	int exec_only;

	for (exec_only = 0; exec_only < 2; exec_only++)
	for (mine = 1; mine <= EPT_RWX; mine++)
	for (theirs = 0; theirs <= EPT_RWX; theirs++)
	for (access = 0; access <= EPT_RWX; access++) {
		u64 and = mine & theirs;
		int want = 0;

		if (!(and & EPT_R))
			and = exec_only ? and & EPT_X : 0;
		if (access & ~theirs || (!(theirs & EPT_R) && !exec_only))
			want = -EINVAL;
		else if (!and || access & ~and)
			want = -EACCES;

		make();
		fmt.exec_only = exec_only;
		outer.rights = theirs;
		expect_eq(compose(leaf(1, mine), 1, access), want);
		if (want)
			continue;
		expect_eq(map.prot, and);
		expect(!!(map.flags & EPT_MAP_DIRTY) == !!(access & EPT_W), "%#x", map.flags);
	}
}

/* What EPT01 wants to see is not allowed to pass by: write protection, traces */
static void test_no_write(void)
{
	make();
	expect_eq(compose(leaf(2, EPT_R | EPT_X), 2, EPT_W), -EACCES);
	expect_eq(compose(leaf(1, EPT_R | EPT_X) | EPT_SPP, 1, EPT_W), -EACCES);
	expect_eq(compose(leaf(1, EPT_R | EPT_X) | EPT_SPP, 1, EPT_R), 0);
	expect_eq(map.prot, EPT_R | EPT_X);
	/* and what the owner wants to see neither */
	outer.rights = EPT_R | EPT_X;
	expect_eq(compose(leaf(1, EPT_RWX), 1, EPT_W), -EINVAL);
	expect_eq(compose(leaf(1, EPT_RWX), 1, EPT_X), 0);
	expect_eq(map.prot, EPT_R | EPT_X);
}

static void test_memory_type(void)
{
	make();
	expect_eq(compose((leaf(1, EPT_RWX) & ~(EPT_MT_MASK | EPT_IPAT)), 1, EPT_R), 0);
	expect_eq(map.memtype, EPT_MT_UC);
	expect_eq(map.flags, EPT_MAP_ACCESSED);
}

static void test_senseless(void)
{
	int level;

	for (level = 1; level <= 3; level++) {
		make();
		outer.level = level;
		outer.gpa1 ^= ept_level_size(level);
		expect_eq(compose(leaf(1, EPT_RWX), 1, EPT_R), 0);
		outer.gpa1 ^= ept_level_size(level) >> 1;
		expect_eq(compose(leaf(1, EPT_RWX), 1, EPT_R), -EINVAL);
	}
	make();
	outer.level = 0;
	expect_eq(compose(leaf(1, EPT_RWX), 1, EPT_R), -EINVAL);
	outer.level = 4;
	expect_eq(compose(leaf(1, EPT_RWX), 1, EPT_R), -EINVAL);
	make();
	expect_eq(derived_compose(&fmt, GPA2 | BIT_ULL(48), &outer, leaf(1, EPT_RWX), 1, EPT_R,
				  &map), -EINVAL);
}

static const struct tap_test tests[] = {
	{ "the smaller size", test_sizes },
	{ "the lesser rights, all of them", test_rights },
	{ "writes that somebody wants to see", test_no_write },
	{ "EPT01's memory type", test_memory_type },
	{ "senseless translations", test_senseless },
};

int main(void)
{
	return tap_run(tests, sizeof(tests) / sizeof(*tests));
}
