// SPDX-License-Identifier: GPL-2.0-only
/* Fuzz target: walks through EPT tables of any content */

/*
 * Tables hold the input's bytes, and whatever address an entry has leads to one
 * of them, often to itself. Every walk must end, in bounds, after the number of
 * steps that the range allows.
 */

#include <string.h>

#include "../../kmod/ept/ept.h"
#include "../../kmod/ept/table.h"
#include "../unit/shim/ept_backend.h"
#include "ept_rules.h"
#include "fuzz.h"

#define TABLES	6
#define RANGE	2048

static int count_leaf(void *ctx, gfn_t gfn, int level, u64 entry)
{
	check(ept_present(entry) && ept_is_leaf(entry, level), "%#llx", entry);
	++*(unsigned int *)ctx;
	return 0;
}

static void note_flags(void *ctx, gfn_t gfn, int level, u64 bits)
{
	check(bits && !(bits & ~(EPT_A | EPT_D)), "%#llx", bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .data = data, .size = size };
	u8 bits = take(&in, 1);
	struct ept_format fmt = {
		.maxphyaddr = 32 + take(&in, 1) % 21, .ad = bits & 1,
		.exec_only = bits & 2, .has_2m = bits & 4, .has_1g = bits & 8,
	};
	struct ept_root root = {};
	void *table[TABLES];
	gpa_t gpa[8];
	unsigned int i, j, leaves = 0;

	for (i = 0; i < 8; i++)
		gpa[i] = take(&in, 7);

	check(!ept_init(&root, &fmt), "init");
	table[0] = root.pml4;
	for (i = 1; i < TABLES; i++)
		table[i] = ept_page_alloc();
	backend_wrap(1);
	/* the same few entries everywhere, so that walks find them */
	for (i = 0; i < TABLES; i++) {
		size_t at = in.pos;

		for (j = 0; j < EPT_ENTRIES; j++) {
			if (in.pos >= size)
				in.pos = at;
			((u64 *)table[i])[j] = take(&in, 8);
		}
		in.pos = at + 64;
	}

	for (i = 0; i < 8; i++) {
		gfn_t gfn = gpa[i] >> EPT_PAGE_SHIFT;
		struct ept_walk w;
		bool found = ept_walk(&root, gpa[i], &w);
		int level;

		check(w.level >= 1 && w.level <= 4, "level %d", w.level);
		check(found == (w.ptr && ept_present(w.val)), "%#llx", w.val);
		if (found)
			check(ept_is_leaf(w.val, w.level), "%#llx", w.val);
		for (level = 1; level <= 4; level++)
			check(misconfigured(&fmt, w.val, level) ==
			      (ept_check_entry(&fmt, w.val, level) != EPT_OK),
			      "entry %#llx at level %d", w.val, level);

		ept_visit(&root, gfn, gfn + RANGE, count_leaf, &leaves);
		ept_harvest(&root, gfn, gfn + RANGE, EPT_A | EPT_D,
			    bits & 16 ? EPT_A | EPT_D : 0, note_flags, NULL);
		if (bits & 32)
			ept_wrprot_range(&root, gfn, gfn + RANGE);
		check(leaves <= (i + 1) * RANGE, "%u leaves", leaves);
	}

	backend_wrap(0);
	backend_reset();
	return 0;
}
