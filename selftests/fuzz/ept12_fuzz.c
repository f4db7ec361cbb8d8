// SPDX-License-Identifier: GPL-2.0-only
/* Fuzz target: the walk through L1's EPT, with any content, that may change meanwhile */

/*
 * Any address leads to one of a few tables, often to the one it stands in, or to nowhere. What
 * the walk was told by its reads is recorded, and a model that knows nothing but that record says
 * what the result has to be.
 */

#include <errno.h>
#include <string.h>

#include "../../kmod/nested/ept12.h"
#include "ept_rules.h"
#include "fuzz.h"

#define TABLES	4

static struct {
	struct input in;
	u64 table[TABLES][EPT_ENTRIES];
	u64 at[8], val[8];		/* the reads */
	unsigned int reads, writes;
	bool steal, lost;
} w;

static int read8(void *ctx, u64 gpa1, u64 *val)
{
	u64 *word = &w.table[gpa1 >> 12 & (TABLES - 1)][gpa1 >> 3 & 511];

	check(ctx == &w && !(gpa1 & 7), "%#llx", gpa1);
	check(w.reads < 4, "more than 4 reads");
	w.at[w.reads] = gpa1;
	w.val[w.reads++] = *word;
	if (gpa1 & BIT_ULL(31)) {
		w.val[w.reads - 1] = ~0ULL;
		return -EFAULT;
	}
	*val = *word;
	if (w.steal)
		*word ^= take(&w.in, 8);
	return 0;
}

static int cmpxchg8(void *ctx, u64 gpa1, u64 old, u64 new)
{
	u64 *word = &w.table[gpa1 >> 12 & (TABLES - 1)][gpa1 >> 3 & 511];
	unsigned int i;

	check(w.writes++ < 4, "more than 4 writes");
	for (i = w.reads; i; i--)
		if (w.at[i - 1] == gpa1 && w.val[i - 1] == old)
			break;
	check(i, "%#llx was not read", gpa1);
	check(new != old && !(old & ~new) && !((new ^ old) & ~0x300), "%#llx to %#llx", old, new);
	check(i == w.reads || !((new ^ old) & 0x200), "D above the leaf");
	if (gpa1 & BIT_ULL(30))
		return -EFAULT;
	if (*word != old) {
		w.lost = true;
		return -EAGAIN;
	}
	*word = new;
	return 0;
}

static const struct ept12_ops ops = { .read8 = read8, .cmpxchg8 = cmpxchg8 };

static void judge(const struct ept12_format *f, u64 eptp, u64 gpa2, u32 access, int ret,
		  const struct ept12_walk *out)
{
	u64 table = eptp & 0xffffffffff000ULL;
	unsigned int i;
	u64 and = 7;
	int level;

	if (gpa2 >> 48) {
		check(ret == EPT12_VIOLATION && out->qual == access && !w.reads, "%d", ret);
		return;
	}
	for (i = 0, level = 4;; i++, level--) {
		u64 e = w.val[i];

		check(i < w.reads, "too few reads");
		check(w.at[i] == table + (gpa2 >> (3 + 9 * level) & 511) * 8, "%#llx", w.at[i]);
		if (!(e & 7)) {
			check(ret == EPT12_VIOLATION && out->qual == access, "%d", ret);
			break;
		}
		if (misconfigured(&f->entry, e, level)) {
			check(ret == EPT12_MISCONFIG, "%d", ret);
			break;
		}
		and &= e;
		table = e & 0xffffffffff000ULL;
		if (level > 1 && !(e >> 7 & 1))
			continue;
		if (access & ~and) {
			check(ret == EPT12_VIOLATION && out->qual == (access | and << 3), "%d", ret);
			break;
		}
		check(ret == (w.lost ? -EAGAIN : EPT12_OK), "%d", ret);
		if (ret)
			return;
		check(out->level == level && out->rights == and, "%d %#llx", out->level,
		      out->rights);
		check(out->memtype == (e >> 3 & 7) && out->ipat == (e >> 6 & 1), "%#llx", e);
		check(out->gpa1 == table + (gpa2 & (BIT_ULL(3 + 9 * level) - 1)), "%#llx",
		      out->gpa1);
		check(!(out->gpa1 >> f->entry.maxphyaddr), "%#llx", out->gpa1);
		if (!(eptp & EPT12_EPTP_AD))
			check(out->accessed && out->dirty && !w.writes, "flags are off");
		else if (access)
			check(out->accessed && (out->dirty || !(access & EPT_W)), "no flags");
		else
			check(!w.writes && out->dirty == (e >> 9 & 1), "%#llx", e);
		check(!(ept12_map_rights(out) & ~and), "%#llx", and);
		return;
	}
	check(i + 1 == w.reads && !w.writes, "%u reads, %u writes", w.reads, w.writes);
}

static int read_table(void *ctx, u64 gpa1, u64 *entry)
{
	check(ctx == &w && !(gpa1 & 4095), "%#llx", gpa1);
	if (gpa1 & BIT_ULL(31))
		return -EFAULT;
	memcpy(entry, w.table[gpa1 >> 12 & (TABLES - 1)], 4096);
	return 0;
}

/* In memory that stands still a look finds what a walk finds that asks for nothing */
static void compare(const struct ept12_format *f, u64 eptp, struct input in)
{
	static struct ept12_tables tables;
	struct ept12_walk walk, look;
	int i;

	ept12_tables_init(&tables);
	w.steal = false;
	for (i = 0; i < 8; i++) {
		u64 gpa2 = take(&in, 7);
		int ret;

		w.reads = 0;
		ret = ept12_walk(f, eptp, gpa2, 0, &ops, &w, &walk);
		check(ret == ept12_look(f, eptp, gpa2, &tables, read_table, &w, &look), "%d", ret);
		check(ret || (walk.gpa1 == look.gpa1 && walk.level == look.level &&
			      walk.rights == look.rights && walk.dirty == look.dirty &&
			      walk.accessed == look.accessed), "%#llx", gpa2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ept12_format f = {};
	struct input addresses;
	struct ept12_walk out;
	u8 bits, n;
	u64 eptp;

	memset(&w, 0, sizeof(w));
	w.in = (struct input){ .data = data, .size = size };
	bits = take(&w.in, 1);
	w.steal = bits & 1;
	f.entry.maxphyaddr = 32 + take(&w.in, 1) % 21;
	f.entry.ad = bits & 2;
	f.entry.exec_only = bits & 4;
	f.entry.has_2m = bits & 8;
	f.entry.has_1g = bits & 16;
	f.walk4 = true;
	f.wb = true;
	f.uc = bits & 32;
	eptp = take(&w.in, 8);
	if (bits & 64)
		eptp = (eptp & 0xffff040) | 0x1e;
	if (!ept12_eptp_valid(&f, eptp))
		return 0;
	check(!(eptp >> f.entry.maxphyaddr) && (eptp & 0xf80) == 0 && (eptp & 0x38) == 0x18,
	      "%#llx", eptp);

	for (n = take(&w.in, 1); n; n--) {
		u8 table = take(&w.in, 1) % TABLES;
		u64 index = take(&w.in, 2) & 511;

		w.table[table][index] = take(&w.in, 7);
	}
	addresses = w.in;
	for (n = 0; n < 8; n++) {
		u64 gpa2 = take(&w.in, 7);
		u32 access = take(&w.in, 1) & 7;

		if (!(bits & 128))
			gpa2 &= GENMASK_ULL(47, 0);
		w.reads = 0;
		w.writes = 0;
		w.lost = false;
		memset(&out, 0xaa, sizeof(out));
		judge(&f, eptp, gpa2, access,
		      ept12_walk(&f, eptp, gpa2, access, &ops, &w, &out), &out);
	}
	compare(&f, eptp, addresses);
	return 0;
}
