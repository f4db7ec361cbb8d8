// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the VMCS that L1 keeps, of the capability MSRs, and of MSR lists */

#include <string.h>

#include <asm/msr-index.h>

#include "../../kmod/nested/caps.h"
#include "../../kmod/nested/check.h"
#include "../../kmod/nested/vmcs12.h"
#include "tap.h"

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

/*
 * The fields as the manual lists them: those of one width and type have rising
 * indices, from @index on, and lie at these offsets.
 */
static const struct group {
	const char *name;
	int width, type, index, n;
	u16 offset[20];
} groups[] = {
	{ "16-bit control", 0, 0, 0, 2, { 960, 962 } },
	{ "16-bit guest", 0, 2, 0, 10,
	  { 964, 966, 968, 970, 972, 974, 976, 978, 980, 996 } },
	{ "16-bit host", 0, 3, 0, 7, { 982, 984, 986, 988, 990, 992, 994 } },
	{ "64-bit control: bitmaps, MSR lists", 1, 0, 0, 6, { 40, 48, 56, 64, 72, 80 } },
	{ "64-bit control: PML to EPTP", 1, 0, 7, 7, { 312, 88, 96, 104, 112, 296, 120 } },
	{ "64-bit control: EOI to VMWRITE", 1, 0, 14, 7,
	  { 128, 136, 144, 152, 304, 280, 288 } },
	{ "64-bit control: XSS, ENCLS", 1, 0, 22, 2, { 160, 320 } },
	{ "64-bit control: TSC multiplier", 1, 0, 25, 1, { 328 } },
	{ "64-bit information", 1, 1, 0, 1, { 168 } },
	{ "64-bit guest", 1, 2, 0, 10,
	  { 176, 184, 192, 200, 208, 216, 224, 232, 240, 248 } },
	{ "64-bit host", 1, 3, 0, 3, { 256, 264, 272 } },
	{ "32-bit control", 2, 0, 0, 16,
	  { 744, 748, 752, 756, 760, 764, 768, 772, 776, 780, 784, 788, 792, 796, 800, 804 } },
	{ "32-bit information", 2, 1, 0, 8, { 808, 812, 816, 820, 824, 828, 832, 836 } },
	{ "32-bit guest", 2, 2, 0, 20,
	  { 840, 844, 848, 852, 856, 860, 864, 868, 872, 876, 880, 884, 888, 892, 896, 900,
	    904, 908, 912, 916 } },
	{ "32-bit guest: SMBASE, SYSENTER_CS", 2, 2, 20, 2, { 932, 920 } },
	{ "32-bit guest: preemption timer", 2, 2, 23, 1, { 928 } },
	{ "32-bit host", 2, 3, 0, 1, { 924 } },
	{ "natural control", 3, 0, 0, 8, { 344, 352, 360, 368, 376, 384, 392, 400 } },
	{ "exit qualification", 3, 1, 0, 1, { 408 } },
	{ "guest linear address", 3, 1, 5, 1, { 416 } },
	{ "natural guest", 3, 2, 0, 20,
	  { 424, 432, 440, 448, 456, 464, 472, 480, 488, 496, 504, 512, 520, 528, 536, 544,
	    552, 560, 568, 576 } },
	{ "natural host", 3, 3, 0, 12,
	  { 584, 592, 600, 608, 616, 624, 632, 640, 648, 656, 664, 672 } },
};

static const int width_bytes[] = { 2, 8, 4, 8 };

static u32 encode(const struct group *g, int i)
{
	return g->width << 13 | g->type << 10 | (g->index + i) << 1;
}

static void test_layout(void)
{
	expect_eq(sizeof(struct vmcs12), 4096);
	expect_eq(offsetof(struct vmcs12, revision), 0);
	expect_eq(offsetof(struct vmcs12, abort), 4);
	expect_eq(offsetof(struct vmcs12, launch_state), 8);
	expect_eq(VMCS12_REVISION, 0x11e57ed0);
	/* one of each list by its name */
	expect_eq(offsetof(struct vmcs12, ept_pointer), 120);
	expect_eq(offsetof(struct vmcs12, guest_rip), 544);
	expect_eq(offsetof(struct vmcs12, host_rip), 672);
	expect_eq(offsetof(struct vmcs12, vm_exit_reason), 812);
	expect_eq(offsetof(struct vmcs12, guest_pml_index), 996);
}

static void test_find(void)
{
	int g, i, fields = 0, key, known = 0;

	for (g = 0; g < N(groups); g++) {
		for (i = 0; i < groups[g].n; i++) {
			u32 enc = encode(&groups[g], i);

			expect(vmcs12_find(enc) == groups[g].offset[i], "%s, %#x: %d",
			       groups[g].name, enc, vmcs12_find(enc));
			expect(vmcs12_find(enc | 1) ==
			       (groups[g].width == 1 ? groups[g].offset[i] : -ENOENT),
			       "high half of %s, %#x", groups[g].name, enc);
			expect_eq(vmcs_width(enc), width_bytes[groups[g].width]);
			expect_eq(vmcs12_read_only(enc), groups[g].type == 1);
			fields++;
		}
	}
	/* and there are no others */
	for (key = 0; key < 512; key++)
		known += vmcs12_offsets[key] != 0;
	expect_eq(known, fields);
	expect_eq(vmcs12_enum_max(), 25);
}

/* Every encoding of 16 bits that is not in the groups, and reserved bits above */
static void test_refused(void)
{
	static bool listed[0x10000];
	int g, i;
	u32 enc;

	for (g = 0; g < N(groups); g++) {
		for (i = 0; i < groups[g].n; i++) {
			enc = encode(&groups[g], i);
			listed[enc] = true;
			listed[enc | 1] = groups[g].width == 1;
		}
	}
	for (enc = 0; enc < 0x10000; enc++) {
		if (!listed[enc])
			expect(vmcs12_find(enc) == -ENOENT, "%#x is %d", enc, vmcs12_find(enc));
		else
			for (i = 15; i < 32; i++)
				expect(vmcs12_find(enc | 1u << i) == -ENOENT, "%#x, bit %d",
				       enc, i);
	}
}

static void test_access(void)
{
	static struct vmcs12 v, was;
	const u64 pattern = 0x8796a5b4c3d2e1f0;
	int g, i;

	for (g = 0; g < N(groups); g++) {
		for (i = 0; i < groups[g].n; i++) {
			int off = groups[g].offset[i], bytes = width_bytes[groups[g].width];
			u32 enc = encode(&groups[g], i);
			u64 want = bytes == 8 ? pattern : pattern & ((1ULL << 8 * bytes) - 1);

			memset(&v, 0x5a, sizeof(v));
			memset(&was, 0x5a, sizeof(was));
			vmcs12_set(&v, enc, off, pattern);
			expect(vmcs12_get(&v, enc, off) == want, "%#x: %#llx", enc,
			       vmcs12_get(&v, enc, off));
			memcpy((char *)&was + off, &want, bytes);
			expect(!memcmp(&v, &was, sizeof(v)), "%#x writes beside the field", enc);
			if (groups[g].width != 1)
				continue;
			expect_eq(vmcs12_get(&v, enc | 1, off), 0x8796a5b4);
			vmcs12_set(&v, enc | 1, off, 0xdead000011112222);
			expect_eq(vmcs12_get(&v, enc, off), 0x11112222c3d2e1f0);
			memcpy((char *)&was + off + 4, "\x22\x22\x11\x11", 4);
			expect(!memcmp(&v, &was, sizeof(v)), "%#x writes beside its half", enc);
		}
	}
}

/* A CPU that has everything, and one that has the least */
static void hardware(struct nested_caps *hw, bool all)
{
	const u64 ctl = all ? 0xffffffff00000000 : 0;
	u32 msr;

	memset(hw, 0, sizeof(*hw));
	for (msr = MSR_IA32_VMX_BASIC; msr <= MSR_IA32_VMX_VMFUNC; msr++)
		expect_eq(nested_caps_put(hw, msr, ctl), 0);
	expect_eq(nested_caps_put(hw, MSR_IA32_VMX_CR0_FIXED1, 0xffffffff), 0);
	expect_eq(nested_caps_put(hw, MSR_IA32_VMX_CR4_FIXED1, 0x3767ff), 0);
	expect_eq(nested_caps_put(hw, MSR_IA32_VMX_MISC, all ? 0x300481e5 : 7), 0);
	expect_eq(nested_caps_put(hw, MSR_IA32_VMX_EPT_VPID_CAP, all ? ~0ULL : 0), 0);
}

static u64 get(const struct nested_caps *c, u32 msr)
{
	u64 val = 0xbad;

	expect_eq(nested_caps_get(c, msr, &val), 0);
	return val;
}

static void expect_msr(const struct nested_caps *c, u32 msr, u64 want)
{
	u64 val = get(c, msr);

	expect(val == want, "MSR %#x is %#llx, not %#llx", msr, val, want);
}

static void test_caps_all(void)
{
	struct nested_caps hw, c;

	hardware(&hw, true);
	/* zero length injection, which the hardware has here */
	hw.misc |= BIT_ULL(30);
	nested_caps_init(&c, &hw);
	expect_msr(&c, MSR_IA32_VMX_BASIC, 0x00d8100011e57ed0);
	expect_msr(&c, MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0x000000ff00000016);
	expect_msr(&c, MSR_IA32_VMX_PINBASED_CTLS, 0x000000ff00000016);
	expect_msr(&c, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0xfff9fffe04006172);
	expect_msr(&c, MSR_IA32_VMX_PROCBASED_CTLS, 0xfff9fffe0401e172);
	expect_msr(&c, MSR_IA32_VMX_PROCBASED_CTLS2, 0x02137bff00000000);
	expect_msr(&c, MSR_IA32_VMX_TRUE_EXIT_CTLS, 0x007fffff00036dfb);
	expect_msr(&c, MSR_IA32_VMX_EXIT_CTLS, 0x007fffff00036dff);
	expect_msr(&c, MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0x0000f3ff000011fb);
	expect_msr(&c, MSR_IA32_VMX_ENTRY_CTLS, 0x0000f3ff000011ff);
	expect_msr(&c, MSR_IA32_VMX_MISC, 0x60040165);
	expect_msr(&c, MSR_IA32_VMX_CR0_FIXED0, 0x80000021);
	expect_msr(&c, MSR_IA32_VMX_CR0_FIXED1, 0xffffffff);
	expect_msr(&c, MSR_IA32_VMX_CR4_FIXED0, 0x2000);
	expect_msr(&c, MSR_IA32_VMX_CR4_FIXED1, 0x3767ff);
	expect_msr(&c, MSR_IA32_VMX_VMCS_ENUM, 50);
	expect_msr(&c, MSR_IA32_VMX_EPT_VPID_CAP, 0x00000f0106334041);
	expect_msr(&c, MSR_IA32_VMX_VMFUNC, 1);
	expect_eq(nested_misc_cr3_targets(c.misc), 4);
	expect_eq(nested_misc_msr_list_max(c.misc), 512);
}

/* What is emulated wholly is there without the hardware, the rest is not. */
static void test_caps_least(void)
{
	struct nested_caps hw, c;

	hardware(&hw, false);
	nested_caps_init(&c, &hw);
	expect_msr(&c, MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0x0000001f00000016);
	expect_msr(&c, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0x9601e17204006172);
	expect_msr(&c, MSR_IA32_VMX_PROCBASED_CTLS2, 0x0002402200000000);
	expect_msr(&c, MSR_IA32_VMX_TRUE_EXIT_CTLS, 0x0033efff00036dfb);
	expect_msr(&c, MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0x000093ff000011fb);
	expect_msr(&c, MSR_IA32_VMX_MISC, 0x20040167);
	expect_msr(&c, MSR_IA32_VMX_EPT_VPID_CAP, 0x00000f0106334040);
	expect_msr(&c, MSR_IA32_VMX_VMFUNC, 0);
}

static void test_caps_unknown(void)
{
	struct nested_caps hw, c;
	u64 val;

	hardware(&hw, true);
	nested_caps_init(&c, &hw);
	expect_eq(nested_caps_get(&c, 0x47f, &val), -ENOENT);
	expect_eq(nested_caps_get(&c, 0x492, &val), -ENOENT);
	expect_eq(nested_caps_set(&c, &c, 0x47f, 0), -ENOENT);
	expect_eq(nested_caps_set(&c, &c, 0x492, 0), -ENOENT);
	expect_eq(nested_caps_put(&c, 0x47f, 0), -ENOENT);
	expect_eq(nested_caps_put(&c, 0x492, 0), -ENOENT);
}

/* A TRUE word takes the place of the plain one. */
static void test_caps_put(void)
{
	struct nested_caps c;

	memset(&c, 0, sizeof(c));
	nested_caps_put(&c, MSR_IA32_VMX_PROCBASED_CTLS, 0xf7f9fffe0401e172);
	expect_eq(c.proc.must, 0x0401e172);
	nested_caps_put(&c, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0xf7f9fffe04006172);
	expect_eq(c.proc.must, 0x04006172);
	expect_eq(c.proc.may, 0xf7f9fffe);
}

static void test_caps_cpuid(void)
{
	struct nested_cpuid cpuid = { .cr4 = ~0ULL };
	struct nested_caps hw, max, c;

	hardware(&hw, true);
	nested_caps_init(&max, &hw);
	c = max;
	nested_caps_cpuid(&c, &max, &cpuid);
	expect_msr(&c, MSR_IA32_VMX_CR4_FIXED1, 0x3767ff);
	expect_msr(&c, MSR_IA32_VMX_PROCBASED_CTLS2, 0x02036bf700000000);
	expect_msr(&c, MSR_IA32_VMX_TRUE_EXIT_CTLS, 0x007fefff00036dfb);
	expect_msr(&c, MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0x0000d3ff000011fb);
	cpuid = (struct nested_cpuid){
		.cr4 = 0x20, .rdtscp = true, .invpcid = true, .xsaves = true,
		.perf_global = true,
	};
	nested_caps_cpuid(&c, &max, &cpuid);
	/* VMXE is there whatever the CPUID says: without it there is no VMX */
	expect_msr(&c, MSR_IA32_VMX_CR4_FIXED1, 0x2020);
	c.cr4_fixed1 = max.cr4_fixed1;
	expect(!memcmp(&c, &max, sizeof(c)), "all is back");
	/* and nothing that the hardware has not */
	hardware(&hw, false);
	nested_caps_init(&max, &hw);
	c = max;
	nested_caps_cpuid(&c, &max, &cpuid);
	c.cr4_fixed1 = max.cr4_fixed1;
	expect(!memcmp(&c, &max, sizeof(c)), "nothing comes of nothing");
}

/* For each MSR the VMM's values that are taken and that are not */
static void test_caps_set(void)
{
	static const struct {
		const char *what;
		u32 msr;
		u64 set, clear;		/* of what is offered */
		int want;
	} rows[] = {
		{ "BASIC as it is", MSR_IA32_VMX_BASIC, 0, 0, 0 },
		{ "no INS and OUTS information", MSR_IA32_VMX_BASIC, 0, BIT_ULL(54), 0 },
		{ "no TRUE MSRs", MSR_IA32_VMX_BASIC, 0, BIT_ULL(55), 0 },
		{ "dual monitor", MSR_IA32_VMX_BASIC, BIT_ULL(49), 0, -EINVAL },
		{ "32-bit addresses", MSR_IA32_VMX_BASIC, BIT_ULL(48), 0, -EINVAL },
		{ "bit 31 of BASIC", MSR_IA32_VMX_BASIC, BIT_ULL(31), 0, -EINVAL },
		{ "bit 45 of BASIC", MSR_IA32_VMX_BASIC, BIT_ULL(45), 0, -EINVAL },
		{ "bit 56 of BASIC", MSR_IA32_VMX_BASIC, BIT_ULL(56), 0, -EINVAL },
		{ "another revision", MSR_IA32_VMX_BASIC, 1, 0, -EINVAL },
		{ "a smaller region", MSR_IA32_VMX_BASIC, 0x400ULL << 32, 0x1000ULL << 32,
		  -EINVAL },
		{ "a larger region", MSR_IA32_VMX_BASIC, 0x400ULL << 32, 0, 0 },
		{ "plain pin", MSR_IA32_VMX_PINBASED_CTLS, 0, 0, -EINVAL },
		{ "plain proc", MSR_IA32_VMX_PROCBASED_CTLS, 0, 0, -EINVAL },
		{ "plain exit", MSR_IA32_VMX_EXIT_CTLS, 0, 0, -EINVAL },
		{ "plain entry", MSR_IA32_VMX_ENTRY_CTLS, 0, 0, -EINVAL },
		{ "pin without posted interrupts", MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0,
		  BIT_ULL(39), 0 },
		{ "pin with bit 8", MSR_IA32_VMX_TRUE_PINBASED_CTLS, BIT_ULL(40), 0, -EINVAL },
		{ "pin forced", MSR_IA32_VMX_TRUE_PINBASED_CTLS, 1, 0, 0 },
		{ "pin freed", MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0, 2, -EINVAL },
		{ "proc without MSR bitmaps", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0,
		  BIT_ULL(60), 0 },
		{ "proc with tertiary", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, BIT_ULL(49), 0,
		  -EINVAL },
		{ "proc with CR3 exits forced", MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0x18000, 0, 0 },
		{ "proc2 without EPT", MSR_IA32_VMX_PROCBASED_CTLS2, 0, BIT_ULL(33), 0 },
		{ "proc2 with ENCLS", MSR_IA32_VMX_PROCBASED_CTLS2, BIT_ULL(47), 0, -EINVAL },
		{ "proc2 with mode-based execution", MSR_IA32_VMX_PROCBASED_CTLS2,
		  BIT_ULL(54), 0, -EINVAL },
		{ "exit without PAT", MSR_IA32_VMX_TRUE_EXIT_CTLS, 0, BIT_ULL(51), 0 },
		{ "exit with BNDCFGS", MSR_IA32_VMX_TRUE_EXIT_CTLS, BIT_ULL(55), 0, -EINVAL },
		{ "entry without EFER", MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0, BIT_ULL(47), 0 },
		{ "entry to SMM", MSR_IA32_VMX_TRUE_ENTRY_CTLS, BIT_ULL(42), 0, -EINVAL },
		{ "MISC without HLT", MSR_IA32_VMX_MISC, 0, BIT_ULL(6), 0 },
		{ "MISC with shutdown", MSR_IA32_VMX_MISC, BIT_ULL(7), 0, -EINVAL },
		{ "MISC with bit 9", MSR_IA32_VMX_MISC, BIT_ULL(9), 0, -EINVAL },
		{ "MISC with SMBASE", MSR_IA32_VMX_MISC, BIT_ULL(15), 0, -EINVAL },
		{ "MISC with bit 31", MSR_IA32_VMX_MISC, BIT_ULL(31), 0, -EINVAL },
		{ "MISC with an MSEG revision", MSR_IA32_VMX_MISC, BIT_ULL(32), 0, -EINVAL },
		{ "no CR3 targets", MSR_IA32_VMX_MISC, 0, 4 << 16, 0 },
		{ "more CR3 targets", MSR_IA32_VMX_MISC, 1 << 16, 0, -EINVAL },
		{ "longer MSR lists", MSR_IA32_VMX_MISC, 1 << 25, 0, -EINVAL },
		{ "another rate of the timer", MSR_IA32_VMX_MISC, 2, 0, -EINVAL },
		{ "CR0 as it is", MSR_IA32_VMX_CR0_FIXED0, 0, 0, 0 },
		{ "CR0 with more fixed", MSR_IA32_VMX_CR0_FIXED0, 0x10000, 0, 0 },
		{ "CR0 with NE free", MSR_IA32_VMX_CR0_FIXED0, 0, 0x20, -EINVAL },
		{ "CR4 with VMXE free", MSR_IA32_VMX_CR4_FIXED0, 0, 0x2000, -EINVAL },
		{ "CR0_FIXED1", MSR_IA32_VMX_CR0_FIXED1, 0, 0, -EINVAL },
		{ "CR4_FIXED1", MSR_IA32_VMX_CR4_FIXED1, 0, 0, -EINVAL },
		{ "any VMCS_ENUM", MSR_IA32_VMX_VMCS_ENUM, 0xff00, 0, 0 },
		{ "EPT without 1G", MSR_IA32_VMX_EPT_VPID_CAP, 0, BIT_ULL(17), 0 },
		{ "EPT with uncacheable", MSR_IA32_VMX_EPT_VPID_CAP, BIT_ULL(8), 0, -EINVAL },
		{ "EPT with 5 levels", MSR_IA32_VMX_EPT_VPID_CAP, BIT_ULL(7), 0, -EINVAL },
		{ "no VMFUNC", MSR_IA32_VMX_VMFUNC, 0, 1, 0 },
		{ "another VMFUNC", MSR_IA32_VMX_VMFUNC, 2, 0, -EINVAL },
	};
	struct nested_caps hw, max, c;
	int i;

	hardware(&hw, true);
	nested_caps_init(&max, &hw);
	for (i = 0; i < N(rows); i++) {
		u64 val, now;

		c = max;
		val = (get(&max, rows[i].msr) & ~rows[i].clear) | rows[i].set;
		expect(nested_caps_set(&c, &max, rows[i].msr, val) == rows[i].want, "%s",
		       rows[i].what);
		now = get(&c, rows[i].msr);
		if (rows[i].want)
			expect(!memcmp(&c, &max, sizeof(c)), "%s: changed", rows[i].what);
		else
			expect(now == val, "%s: %#llx", rows[i].what, now);
	}
}

/* The rate does not matter to a vCPU that has no preemption timer. */
static void test_caps_timer(void)
{
	struct nested_caps hw, max, c;

	hardware(&hw, true);
	nested_caps_init(&max, &hw);
	c = max;
	expect_eq(nested_caps_set(&c, &max, MSR_IA32_VMX_MISC, max.misc ^ 2), -EINVAL);
	expect_eq(nested_caps_set(&c, &max, MSR_IA32_VMX_TRUE_PINBASED_CTLS,
				  get(&max, MSR_IA32_VMX_TRUE_PINBASED_CTLS) & ~BIT_ULL(38)), 0);
	expect_eq(nested_caps_set(&c, &max, MSR_IA32_VMX_MISC, max.misc ^ 2), 0);
}

static void test_ctl_ok(void)
{
	const struct nested_ctl ctl = { .must = 0x16, .may = 0xff };

	expect(nested_ctl_ok(ctl, 0x16), "the least");
	expect(nested_ctl_ok(ctl, 0xff), "the most");
	expect(!nested_ctl_ok(ctl, 0x14), "one that must be is missing");
	expect(!nested_ctl_ok(ctl, 0x116), "one too many");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "layout", test_layout },
		{ "fields by encoding", test_find },
		{ "encodings that are no field", test_refused },
		{ "widths and halves", test_access },
		{ "capabilities on a CPU with everything", test_caps_all },
		{ "capabilities that need no hardware", test_caps_least },
		{ "MSRs that are no capability", test_caps_unknown },
		{ "TRUE words replace plain ones", test_caps_put },
		{ "capabilities follow the CPUID", test_caps_cpuid },
		{ "the VMM takes away and cannot add", test_caps_set },
		{ "rate of the preemption timer", test_caps_timer },
		{ "allowed settings of controls", test_ctl_ok },
	};

	return tap_run(tests, N(tests));
}
