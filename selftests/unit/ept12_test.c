// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the walk through L1's EPT */

/*
 * L1's memory is 64 pages, enough for the tables: a walk reads nothing else. Accesses are
 * counted by page and may be made to fail, to refuse writes, or to change what was read.
 */

#include <errno.h>
#include <string.h>

#include "../../kmod/nested/ept12.h"
#include "tap.h"

#define PAGES	64
#define AD	EPT12_EPTP_AD
#define WALK4	(3ULL << 3)

static u64 memory[PAGES][EPT_ENTRIES];
static struct ept12_format fmt;
static int reads, writes;
static int fail_read;		/* errno of reads, or 0 */
static int fail_write;		/* errno of writes, or 0 */
static u64 steal;		/* address that changes right after it was read, or 0 */

static u64 *word(u64 gpa1)
{
	return gpa1 < sizeof(memory) ? &memory[0][0] + gpa1 / 8 : NULL;
}

static int read8(void *ctx, u64 gpa1, u64 *val)
{
	expect(ctx == memory, "context lost");
	expect_eq(gpa1 % 8, 0);
	expect(!(gpa1 >> fmt.entry.maxphyaddr), "%#llx", gpa1);
	reads++;
	if (fail_read)
		return fail_read;
	if (!word(gpa1))
		return -EFAULT;
	*val = *word(gpa1);
	if (steal && gpa1 == steal)
		*word(gpa1) ^= EPT_W;
	return 0;
}

static int cmpxchg8(void *ctx, u64 gpa1, u64 old, u64 new)
{
	expect(ctx == memory, "context lost");
	expect_eq(gpa1 % 8, 0);
	writes++;
	/* Only flags are ever set */
	expect(!(old & ~new) && !((new ^ old) & ~(EPT_A | EPT_D)), "%#llx to %#llx", old, new);
	if (fail_write)
		return fail_write;
	if (!word(gpa1))
		return -EFAULT;
	if (*word(gpa1) != old)
		return -EAGAIN;
	*word(gpa1) = new;
	return 0;
}

static const struct ept12_ops ops = { .read8 = read8, .cmpxchg8 = cmpxchg8 };

/* A different index at each level; tables in pages 1 to 4, from the top down */
#define GPA2	((3ULL << 39) | (5ULL << 30) | (7ULL << 21) | (9ULL << 12) | 0x123)
#define EPTP	(0x1000 | EPT_MT_WB | WALK4)
#define TARGET	0x12345000ULL

static u64 entry_at(int level)
{
	return (5 - level) * 0x1000 + (GPA2 >> (12 + 9 * (level - 1)) & 511) * 8;
}

static u64 *entry(int level)
{
	return word(entry_at(level));
}

static void make(void)
{
	int level;

	memset(memory, 0, sizeof(memory));
	fmt = (struct ept12_format){
		.entry = { .maxphyaddr = 40, .ad = true, .exec_only = true, .has_2m = true,
			   .has_1g = true },
		.walk4 = true, .wb = true,
	};
	reads = 0;
	writes = 0;
	fail_read = 0;
	fail_write = 0;
	steal = 0;
	for (level = 4; level > 1; level--)
		*entry(level) = (6 - level) * 0x1000 | EPT_RWX;
	*entry(1) = TARGET | EPT_RWX | (u64)EPT_MT_WB << EPT_MT_SHIFT;
}

static struct ept12_walk out;

static int walk(u64 eptp, u32 access)
{
	memset(&out, 0x55, sizeof(out));
	return ept12_walk(&fmt, eptp, GPA2, access, &ops, memory, &out);
}

static void test_format(void)
{
	make();
	ept12_format_set(&fmt, 0, 36);
	expect_eq(fmt.entry.maxphyaddr, 36);
	expect_eq(fmt.entry.ad | fmt.entry.exec_only | fmt.entry.has_2m | fmt.entry.has_1g |
		  fmt.walk4 | fmt.uc | fmt.wb, 0);
	ept12_format_set(&fmt, BIT_ULL(0) | BIT_ULL(6) | BIT_ULL(14) | BIT_ULL(16), 52);
	expect_eq(fmt.entry.maxphyaddr, 52);
	expect(fmt.entry.exec_only && fmt.walk4 && fmt.wb && fmt.entry.has_2m, "lost");
	expect(!fmt.entry.ad && !fmt.uc && !fmt.entry.has_1g, "invented");
	ept12_format_set(&fmt, BIT_ULL(8) | BIT_ULL(17) | BIT_ULL(21), 40);
	expect(fmt.entry.ad && fmt.uc && fmt.entry.has_1g, "lost");
	expect(!fmt.entry.exec_only && !fmt.walk4 && !fmt.wb && !fmt.entry.has_2m, "invented");
}

static void test_eptp(void)
{
	u64 good = 0x1000 | EPT_MT_WB | WALK4;
	unsigned int i;

	make();
	expect(ept12_eptp_valid(&fmt, good), "write-back");
	expect(ept12_eptp_valid(&fmt, good | AD), "with flags");
	fmt.entry.ad = false;
	expect(!ept12_eptp_valid(&fmt, good | AD), "no flags");
	fmt.entry.ad = true;

	for (i = 0; i < 8; i++)
		expect(ept12_eptp_valid(&fmt, (good & ~7ULL) | i) == (i == EPT_MT_WB),
		       "memory type %u", i);
	fmt.uc = true;
	for (i = 0; i < 8; i++)
		expect(ept12_eptp_valid(&fmt, (good & ~7ULL) | i) ==
		       (i == EPT_MT_WB || i == EPT_MT_UC), "memory type %u", i);
	fmt.wb = false;
	expect(!ept12_eptp_valid(&fmt, good), "no write-back");
	fmt.wb = true;

	for (i = 0; i < 8; i++)
		expect(ept12_eptp_valid(&fmt, (good & ~WALK4) | i << 3) == (i == 3),
		       "walk of %u levels", i + 1);
	fmt.walk4 = false;
	expect(!ept12_eptp_valid(&fmt, good), "no walk of 4 levels");
	fmt.walk4 = true;

	for (i = 7; i < 12; i++)
		expect(!ept12_eptp_valid(&fmt, good | BIT_ULL(i)), "bit %u", i);
	for (i = 12; i < 64; i++)
		expect(ept12_eptp_valid(&fmt, good | BIT_ULL(i)) == (i < 40), "bit %u", i);
	fmt.entry.maxphyaddr = 52;
	for (i = 12; i < 64; i++)
		expect(ept12_eptp_valid(&fmt, good | BIT_ULL(i)) == (i < 52), "bit %u", i);
}

static void test_sizes(void)
{
	int level;

	for (level = 1; level <= 3; level++) {
		u64 size = ept_level_size(level);

		make();
		*entry(level) = 0x8000000000ULL / 2 | EPT_RWX | (level > 1 ? EPT_PS : 0) |
				(u64)EPT_MT_WT << EPT_MT_SHIFT | EPT_IPAT;
		expect_eq(walk(EPTP, EPT_R), EPT12_OK);
		expect_eq(reads, 5 - level);
		expect_eq(out.level, level);
		expect_eq(out.gpa1, 0x4000000000ULL | (GPA2 & (size - 1)));
		expect_eq(out.rights, EPT_RWX);
		expect_eq(out.memtype, EPT_MT_WT);
		expect(out.ipat, "IPAT lost");
		expect(out.accessed && out.dirty, "no flags, so nothing is missing");
		expect_eq(writes, 0);

		/* A size that the virtual CPU has not is reserved */
		fmt.entry.has_2m = level != 2;
		fmt.entry.has_1g = level != 3;
		expect_eq(walk(EPTP, EPT_R), level == 1 ? EPT12_OK : EPT12_MISCONFIG);
	}
	make();
	expect_eq(walk(EPTP, EPT_R), EPT12_OK);
	expect_eq(out.gpa1, TARGET | 0x123);
	expect_eq(out.memtype, EPT_MT_WB);
	expect(!out.ipat, "IPAT invented");
	/* PS of a 4 KiB leaf is ignored, and so are the ignored bits */
	*entry(1) |= EPT_PS | GENMASK_ULL(63, 52) | GENMASK_ULL(11, 10);
	expect_eq(walk(EPTP, EPT_R), EPT12_OK);
	expect_eq(out.gpa1, TARGET | 0x123);
}

static void test_not_present(void)
{
	u32 access;
	int level;

	for (level = 1; level <= 4; level++) {
		for (access = 0; access <= EPT_RWX; access++) {
			make();
			/* What is not present is not misconfigured either */
			*entry(level) = ~(u64)EPT_RWX;
			expect_eq(walk(EPTP | AD, access), EPT12_VIOLATION);
			expect_eq(out.qual, access);
			expect_eq(reads, 5 - level);
			expect_eq(writes, 0);
		}
	}
}

static void test_too_high(void)
{
	int bit;

	make();
	for (bit = 48; bit < 64; bit++) {
		expect_eq(ept12_walk(&fmt, EPTP, BIT_ULL(bit), EPT_W, &ops, memory, &out),
			  EPT12_VIOLATION);
		expect_eq(out.qual, EPT_W);
	}
	expect_eq(reads, 0);
}

/* Every combination of rights in four levels, for every access */
static void test_rights(void)
{
	static const u64 legal[] = { EPT_R, EPT_R | EPT_W, EPT_R | EPT_X, EPT_RWX, EPT_X };
	unsigned int i[4], n = sizeof(legal) / sizeof(*legal);
	u32 access;
	int level;

	for (i[0] = 0; i[0] < n; i[0]++)
	for (i[1] = 0; i[1] < n; i[1]++)
	for (i[2] = 0; i[2] < n; i[2]++)
	for (i[3] = 0; i[3] < n; i[3]++) {
		u64 all = EPT_RWX;

		make();
		for (level = 1; level <= 4; level++) {
			*entry(level) = (*entry(level) & ~EPT_RWX) | legal[i[level - 1]];
			all &= legal[i[level - 1]];
		}
		for (access = 0; access <= EPT_RWX; access++) {
			bool ok = !(access & ~all);

			expect_eq(walk(EPTP, access), ok ? EPT12_OK : EPT12_VIOLATION);
			if (ok)
				expect_eq(out.rights, all);
			else
				expect_eq(out.qual, access | all << 3);
		}
	}
}

static void expect_misconfig(int level, u64 bits)
{
	make();
	*entry(level) |= bits;
	expect(walk(EPTP | AD, EPT_R) == EPT12_MISCONFIG, "level %d, %#llx", level, bits);
	expect_eq(writes, 0);
}

static void test_misconfigurations(void)
{
	int level, bit;
	unsigned int type;

	for (level = 1; level <= 4; level++) {
		for (bit = 40; bit < 52; bit++)
			expect_misconfig(level, BIT_ULL(bit));
		for (bit = 3; level > 1 && bit < 7; bit++)
			expect_misconfig(level, BIT_ULL(bit));
		if (level == 4)
			expect_misconfig(level, EPT_PS);
		for (bit = 12; level == 2 && bit < 21; bit++)
			expect_misconfig(level, EPT_PS | BIT_ULL(bit));
		for (bit = 12; level == 3 && bit < 30; bit++)
			expect_misconfig(level, EPT_PS | BIT_ULL(bit));

		/* Write-only, and execute-only where there is no such */
		make();
		*entry(level) &= ~(EPT_R | EPT_X);
		expect_eq(walk(EPTP, 0), EPT12_MISCONFIG);
		make();
		*entry(level) &= ~EPT_R;
		expect_eq(walk(EPTP, 0), EPT12_MISCONFIG);
		make();
		*entry(level) &= ~(EPT_R | EPT_W);
		expect_eq(walk(EPTP, 0), EPT12_OK);
		fmt.entry.exec_only = false;
		expect_eq(walk(EPTP, 0), EPT12_MISCONFIG);
	}
	for (type = 0; type < 8; type++) {
		bool bad = type == 2 || type == 3 || type == 7;

		make();
		*entry(1) = TARGET | EPT_R | (u64)type << EPT_MT_SHIFT;
		expect_eq(walk(EPTP, EPT_R), bad ? EPT12_MISCONFIG : EPT12_OK);
	}
}

/* In the order of the walk, and rights last */
static void test_priority(void)
{
	make();
	*entry(3) &= ~EPT_W;
	*entry(1) |= BIT_ULL(50);
	expect_eq(walk(EPTP, EPT_W), EPT12_MISCONFIG);
	*entry(2) = 0;
	expect_eq(walk(EPTP, EPT_W), EPT12_VIOLATION);
	/* Nobody knows the rights of a walk that did not end */
	expect_eq(out.qual, EPT_W);
	*entry(4) |= EPT_PS;
	expect_eq(walk(EPTP, EPT_W), EPT12_MISCONFIG);
}

static void test_outside(void)
{
	int level;

	for (level = 2; level <= 4; level++) {
		make();
		*entry(level) = 0x10000000 | EPT_RWX;
		expect_eq(walk(EPTP | AD, EPT_R), EPT12_MISCONFIG);
		expect_eq(reads, 6 - level);
	}
	make();
	expect_eq(ept12_walk(&fmt, 0x7000000000ULL | EPT_MT_WB | WALK4, GPA2, EPT_R, &ops,
			     memory, &out), EPT12_MISCONFIG);
	/* All ones are reserved even where the address has all bits */
	fmt.entry.maxphyaddr = 52;
	expect_eq(ept12_walk(&fmt, 0x7000000000ULL | EPT_MT_WB | WALK4, GPA2, EPT_R, &ops,
			     memory, &out), EPT12_MISCONFIG);
	for (level = 2; level <= 4; level++) {
		make();
		fmt.entry.maxphyaddr = 52;
		*entry(level) = 0x10000000 | EPT_RWX;
		expect_eq(walk(EPTP, EPT_R), EPT12_MISCONFIG);
	}
	/* What else goes wrong is not the guest's */
	make();
	fail_read = -ENOMEM;
	expect_eq(walk(EPTP, EPT_R), -ENOMEM);
}

static u64 flags_of(int level)
{
	return *entry(level) & (EPT_A | EPT_D);
}

static void test_flags(void)
{
	int level;

	/* A look sets none */
	make();
	expect_eq(walk(EPTP | AD, 0), EPT12_OK);
	expect_eq(writes, 0);
	expect(!out.accessed && !out.dirty, "%d %d", out.accessed, out.dirty);
	expect_eq(ept12_map_rights(&out), EPT_R | EPT_X);

	/* A read sets A everywhere */
	expect_eq(walk(EPTP | AD, EPT_R), EPT12_OK);
	expect_eq(writes, 4);
	for (level = 1; level <= 4; level++)
		expect_eq(flags_of(level), EPT_A);
	expect(out.accessed && !out.dirty, "%d %d", out.accessed, out.dirty);
	expect_eq(ept12_map_rights(&out), EPT_R | EPT_X);
	/* and not again */
	writes = 0;
	expect_eq(walk(EPTP | AD, EPT_X), EPT12_OK);
	expect_eq(writes, 0);

	/* A write sets D, in the leaf alone */
	expect_eq(walk(EPTP | AD, EPT_R | EPT_W), EPT12_OK);
	expect_eq(writes, 1);
	expect_eq(flags_of(1), EPT_A | EPT_D);
	for (level = 2; level <= 4; level++)
		expect_eq(flags_of(level), EPT_A);
	expect(out.accessed && out.dirty, "%d %d", out.accessed, out.dirty);
	expect_eq(ept12_map_rights(&out), EPT_RWX);
	expect_eq(walk(EPTP | AD, EPT_R), EPT12_OK);
	expect(out.dirty, "D stays");
	expect_eq(walk(EPTP | AD, 0), EPT12_OK);
	expect(out.accessed && out.dirty, "seen by a look");

	/* One entry without A is enough to say so */
	for (level = 1; level <= 4; level++) {
		*entry(level) &= ~EPT_A;
		expect_eq(walk(EPTP | AD, 0), EPT12_OK);
		expect(!out.accessed, "level %d", level);
		*entry(level) |= EPT_A;
	}

	/* A large leaf has both */
	for (level = 2; level <= 3; level++) {
		make();
		*entry(level) = EPT_RWX | EPT_PS | (u64)EPT_MT_WB << EPT_MT_SHIFT;
		expect_eq(walk(EPTP | AD, EPT_W), EPT12_OK);
		expect_eq(writes, 5 - level);
		expect_eq(flags_of(level), EPT_A | EPT_D);
		expect_eq(flags_of(4), EPT_A);
	}

	/* Where they are off nothing is set, and nothing is waited for */
	make();
	expect_eq(walk(EPTP, EPT_W), EPT12_OK);
	expect_eq(writes, 0);
	expect(out.accessed && out.dirty, "%d %d", out.accessed, out.dirty);

	/* An access that is refused leaves nothing */
	make();
	*entry(1) &= ~EPT_W;
	expect_eq(walk(EPTP | AD, EPT_W), EPT12_VIOLATION);
	expect_eq(writes, 0);
}

static void test_read_only_tables(void)
{
	make();
	fail_write = -EFAULT;
	expect_eq(walk(EPTP | AD, EPT_R), EPT12_OK);
	expect(out.accessed && out.dirty, "%d %d", out.accessed, out.dirty);
	expect_eq(ept12_map_rights(&out), EPT_RWX);
	expect_eq(walk(EPTP | AD, EPT_W), EPT12_OK);
	expect_eq(flags_of(1), 0);
	fail_write = -ENOMEM;
	expect_eq(walk(EPTP | AD, EPT_W), -ENOMEM);
}

/* An entry that changes after it was read: what was read counts, and no flag is set in the new one */
static void test_stolen(void)
{
	int level;

	for (level = 1; level <= 4; level++) {
		make();
		steal = entry_at(level);
		expect_eq(walk(EPTP | AD, EPT_W), -EAGAIN);
		expect_eq(flags_of(level), 0);
		expect_eq(reads, 4);
		/* The new content: without W */
		steal = 0;
		expect_eq(walk(EPTP | AD, EPT_W), EPT12_VIOLATION);
		expect_eq(out.qual, EPT_W | (EPT_R | EPT_X) << 3);
		*entry(level) |= EPT_W;
		expect_eq(walk(EPTP | AD, EPT_W), EPT12_OK);

		make();
		steal = entry_at(level);
		expect_eq(walk(EPTP, EPT_W), EPT12_OK);
		expect_eq(out.rights, EPT_RWX);
	}
}

/* A table that names itself is walked 4 times and then is the memory */
static void test_self(void)
{
	u64 index;

	make();
	for (index = 0; index < EPT_ENTRIES; index++)
		memory[1][index] = 0x1000 | EPT_RWX;
	expect_eq(walk(EPTP, EPT_R), EPT12_OK);
	expect_eq(reads, 4);
	expect_eq(out.gpa1, 0x1123);
	expect_eq(out.memtype, EPT_MT_UC);
	/* One entry used twice: its flag, once set, makes the second exchange fail */
	for (index = 0; index < 4; index++)
		if (ept12_walk(&fmt, EPTP | AD, 0, EPT_W, &ops, memory, &out) == EPT12_OK)
			break;
	expect(index < 4, "no end");
	expect_eq(memory[1][0], 0x1000 | EPT_RWX | EPT_A | EPT_D);
}

static int log_ret, log_asked, log_counted;
static bool log_dirty;

static int log_write(void *ctx, u64 gpa2, bool dirty)
{
	expect(ctx == memory, "context lost");
	expect_eq(gpa2, GPA2);
	/* Before the first flag */
	expect_eq(writes, 0);
	log_asked++;
	log_dirty = dirty;
	return log_ret;
}

static void logged(void *ctx)
{
	expect(ctx == memory, "context lost");
	expect_eq(flags_of(1), fail_write ? 0 : EPT_A | EPT_D);
	log_counted++;
}

static int walk_log(u64 eptp, u32 access)
{
	static const struct ept12_ops log_ops = {
		.read8 = read8, .cmpxchg8 = cmpxchg8, .log = log_write, .logged = logged,
	};

	writes = 0;
	log_asked = 0;
	log_counted = 0;
	memset(&out, 0x55, sizeof(out));
	return ept12_walk(&fmt, eptp, GPA2, access, &log_ops, memory, &out);
}

static void expect_log(int asked, bool dirty, int counted)
{
	expect_eq(log_asked, asked);
	if (asked)
		expect_eq(log_dirty, dirty);
	expect_eq(log_counted, counted);
}

static void test_log(void)
{
	int level;

	log_ret = 0;
	make();
	/* Looks, and walks without flags, need none */
	expect_eq(walk_log(EPTP | AD, 0), EPT12_OK);
	expect_log(0, false, 0);
	expect_eq(walk_log(EPTP, EPT_W), EPT12_OK);
	expect_log(0, false, 0);
	/* A read needs room, a write counts, once */
	expect_eq(walk_log(EPTP | AD, EPT_R), EPT12_OK);
	expect_log(1, false, 0);
	expect_eq(walk_log(EPTP | AD, EPT_R), EPT12_OK);
	expect_log(0, false, 0);
	expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_OK);
	expect_log(1, true, 1);
	expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_OK);
	expect_log(0, false, 0);
	/* One accessed flag is enough to ask */
	for (level = 1; level <= 4; level++) {
		*entry(level) &= ~EPT_A;
		expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_OK);
		expect_log(1, false, 0);
	}
	/* What is refused is not logged */
	make();
	*entry(2) &= ~EPT_W;
	expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_VIOLATION);
	expect_log(0, false, 0);
	/* Full: nothing is set */
	make();
	log_ret = EPT12_LOG_FULL;
	expect_eq(walk_log(EPTP | AD, EPT_R), EPT12_LOG_FULL);
	expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_LOG_FULL);
	expect_log(1, true, 0);
	expect_eq(writes, 0);
	/* An entry that changes meanwhile: asked again, counted when it is done */
	log_ret = 0;
	steal = entry_at(1);
	expect_eq(walk_log(EPTP | AD, EPT_W), -EAGAIN);
	expect_log(1, true, 0);
	steal = 0;
	*entry(1) |= EPT_W;
	expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_OK);
	expect_log(1, true, 1);
	/* Where the flag cannot be kept, L1 knows by the log */
	make();
	fail_write = -EFAULT;
	expect_eq(walk_log(EPTP | AD, EPT_W), EPT12_OK);
	expect_log(1, true, 1);
}

static struct ept12_tables tables;

static int read_table(void *ctx, u64 gpa1, u64 *table)
{
	expect(ctx == memory, "context lost");
	expect_eq(gpa1 % 4096, 0);
	reads++;
	if (fail_read)
		return fail_read;
	if (!word(gpa1))
		return -EFAULT;
	memcpy(table, word(gpa1), 4096);
	return 0;
}

static int look(u64 gpa2)
{
	memset(&out, 0x55, sizeof(out));
	return ept12_look(&fmt, EPTP | AD, gpa2, &tables, read_table, memory, &out);
}

static void test_look(void)
{
	u64 i, base = GPA2 & ~0x1fffffULL;
	int level;

	make();
	ept12_tables_init(&tables);
	for (i = 0; i < EPT_ENTRIES; i++)
		memory[4][i] = (TARGET + (i << 13)) | EPT_R | EPT_W | (i & 1 ? EPT_A | EPT_D : 0);
	for (i = 0; i < EPT_ENTRIES; i++) {
		expect_eq(look(base + (i << 12)), EPT12_OK);
		expect_eq(out.gpa1, TARGET + (i << 13));
		expect_eq(out.rights, EPT_R | EPT_W);
		expect_eq(out.dirty, i & 1);
		expect(!out.accessed, "no A above");
	}
	expect_eq(reads, 4);
	expect_eq(writes, 0);

	/* Another table at one level alone: those below it are read again where they differ */
	memcpy(memory[5], memory[4], 4096);
	*word(0x3000 + ((GPA2 >> 21 & 511) + 1) * 8) = 0x5000 | EPT_RWX;
	expect_eq(look(base + 0x200000), EPT12_VIOLATION);	/* the copy is the old one */
	expect_eq(reads, 4);
	ept12_tables_init(&tables);
	expect_eq(look(base), EPT12_OK);
	expect_eq(look(base + 0x200000), EPT12_OK);
	expect_eq(reads, 4 + 5);

	/* Outside of memory, and remembered as such */
	for (level = 2; level <= 4; level++) {
		make();
		ept12_tables_init(&tables);
		*entry(level) = 0x10000000 | EPT_RWX;
		expect_eq(look(GPA2), EPT12_MISCONFIG);
		expect_eq(look(GPA2), EPT12_MISCONFIG);
		expect_eq(reads, 6 - level);
	}
	/* What went wrong once is asked again */
	make();
	ept12_tables_init(&tables);
	fail_read = -EINTR;
	expect_eq(look(GPA2), -EINTR);
	fail_read = 0;
	expect_eq(look(GPA2), EPT12_OK);
	/* One table at several levels */
	make();
	ept12_tables_init(&tables);
	for (i = 0; i < EPT_ENTRIES; i++)
		memory[1][i] = 0x1000 | EPT_RWX;
	expect_eq(look(GPA2), EPT12_OK);
	expect_eq(out.gpa1, 0x1123);
}

static const struct tap_test tests[] = {
	{ "format from the capabilities", test_format },
	{ "EPTP: every bit", test_eptp },
	{ "4K, 2M and 1G leaves", test_sizes },
	{ "not present at each level", test_not_present },
	{ "addresses beyond 48 bits", test_too_high },
	{ "rights of four levels, all accesses", test_rights },
	{ "misconfigurations at each level", test_misconfigurations },
	{ "priority of misconfiguration and violation", test_priority },
	{ "tables outside of memory", test_outside },
	{ "accessed and dirty flags", test_flags },
	{ "tables in read-only memory", test_read_only_tables },
	{ "tables that change under the walk", test_stolen },
	{ "tables that name themselves", test_self },
	{ "a log of what is written", test_log },
	{ "looks at many addresses", test_look },
};

int main(void)
{
	return tap_run(tests, sizeof(tests) / sizeof(*tests));
}
