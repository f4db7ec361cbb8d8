// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/fields: every field of the VMCS that the capability MSRs promise.
 * Vol. 3, "Field Encoding in VMCS".
 */
#include "nested.h"

/* reserved bits of access rights need not be kept */
#define AR_BITS		0x1f0ffull

/* a field that is only where a control may be 1 */
#define NEEDS(control, bits)	control, bits

struct field_rule {
	u32 first, last;
	u32 control;
	u32 bits;
};

static const struct field_rule rules[] = {
	{ VPID, VPID, NEEDS(PROC2_CTL, PROC2_VPID) },
	{ POSTED_VECTOR, POSTED_VECTOR, NEEDS(PIN_CTL, PIN_POSTED) },
	{ EPTP_INDEX, EPTP_INDEX, NEEDS(PROC2_CTL, PROC2_VE) },
	{ GUEST_INTR_STATUS, GUEST_INTR_STATUS, NEEDS(PROC2_CTL, PROC2_VID) },
	{ PML_INDEX, PML_INDEX, NEEDS(PROC2_CTL, PROC2_PML) },
	{ IO_BITMAP_A, IO_BITMAP_B, NEEDS(PROC_CTL, PROC_IO_BITMAPS) },
	{ MSR_BITMAP, MSR_BITMAP, NEEDS(PROC_CTL, PROC_MSR_BITMAPS) },
	{ PML_ADDR, PML_ADDR, NEEDS(PROC2_CTL, PROC2_PML) },
	{ VIRTUAL_APIC, VIRTUAL_APIC, NEEDS(PROC_CTL, PROC_TPR_SHADOW) },
	{ APIC_ACCESS, APIC_ACCESS, NEEDS(PROC2_CTL, PROC2_APIC_ACCESS) },
	{ POSTED_DESC, POSTED_DESC, NEEDS(PIN_CTL, PIN_POSTED) },
	{ VMFUNC_CTL, VMFUNC_CTL, NEEDS(PROC2_CTL, PROC2_VMFUNC) },
	{ EPTP, EPTP, NEEDS(PROC2_CTL, PROC2_EPT) },
	{ EOI_EXIT0, EOI_EXIT3, NEEDS(PROC2_CTL, PROC2_VID) },
	{ EPTP_LIST, EPTP_LIST, NEEDS(PROC2_CTL, PROC2_VMFUNC) },
	{ VMREAD_BITMAP, VMWRITE_BITMAP, NEEDS(PROC2_CTL, PROC2_SHADOW_VMCS) },
	{ VE_INFO, VE_INFO, NEEDS(PROC2_CTL, PROC2_VE) },
	{ XSS_EXITING, XSS_EXITING, NEEDS(PROC2_CTL, PROC2_XSAVES) },
	{ TSC_MULTIPLIER, TSC_MULTIPLIER, NEEDS(PROC2_CTL, PROC2_TSC_SCALING) },
	{ PHYSICAL_ADDRESS, PHYSICAL_ADDRESS, NEEDS(PROC2_CTL, PROC2_EPT) },
	{ GUEST_PAT, GUEST_PAT, NEEDS(ENTRY_CTL, ENTRY_LOAD_PAT) },
	{ GUEST_EFER, GUEST_EFER, NEEDS(ENTRY_CTL, ENTRY_LOAD_EFER) },
	{ GUEST_PERF, GUEST_PERF, NEEDS(ENTRY_CTL, ENTRY_LOAD_PERF) },
	{ GUEST_PDPTE0, GUEST_PDPTE3, NEEDS(PROC2_CTL, PROC2_EPT) },
	{ HOST_PAT, HOST_PAT, NEEDS(EXIT_CTL, EXIT_LOAD_PAT) },
	{ HOST_EFER, HOST_EFER, NEEDS(EXIT_CTL, EXIT_LOAD_EFER) },
	{ HOST_PERF, HOST_PERF, NEEDS(EXIT_CTL, EXIT_LOAD_PERF) },
	{ TPR_THRESHOLD, TPR_THRESHOLD, NEEDS(PROC_CTL, PROC_TPR_SHADOW) },
	{ PROC2_CTL, PROC2_CTL, NEEDS(PROC_CTL, PROC_PROC2) },
	{ PLE_GAP, PLE_WINDOW, NEEDS(PROC2_CTL, PROC2_PLE) },
	{ PREEMPTION_TIMER, PREEMPTION_TIMER, NEEDS(PIN_CTL, PIN_TIMER) },
};

#define FIELD_ENCODING(name, encoding)	encoding,
static const u32 fields[] = { VMCS_FIELDS(FIELD_ENCODING) };

/* what L1 found wrong: index of the field, what was expected, what there was */
#define WRONG_STAGE		1
#define WRONG(i, want, got)	ucall(UCALL_SYNC, WRONG_STAGE, i, want, got, 0)

static bool promised(u32 f)
{
	unsigned int i;

	/* a case of its own: KVM has none */
	if (f == GUEST_SMBASE)
		return false;
	if (f >= CR3_TARGET0 && f <= CR3_TARGET3)
		return (f - CR3_TARGET0) / 2 < MISC_CR3_TARGETS(l1_caps.misc);
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (f >= rules[i].first && f <= rules[i].last)
			return l1_can(rules[i].control, rules[i].bits);
	return true;
}

static u64 width_mask(u32 f)
{
	switch (FIELD_WIDTH(f)) {
	case FIELD_WIDTH_16:
		return 0xffff;
	case FIELD_WIDTH_32:
		return f >= GUEST_ES_AR && f <= GUEST_TR_AR ? AR_BITS : 0xffffffff;
	default:
		return ~0ull;
	}
}

static bool writable(u32 f)
{
	return FIELD_TYPE(f) != FIELD_TYPE_RO || l1_caps.misc & MISC_VMWRITE_ANY;
}

static u64 pattern(u32 f, u64 n)
{
	return (f * 0x9e3779b97f4a7c15ull ^ n * 0xbf58476d1ce4e5b9ull) | 1ull << 63 | 1ull << 31 |
		1ull << 15;
}

/* the error field changes with each instruction that fails; none does here */
static void check(unsigned int i, u64 want)
{
	u64 mask = width_mask(fields[i]);
	u64 got, r = try_vmread(fields[i], &got);

	if (r != VMX_OK)
		WRONG(i, VMX_OK, r);
	else if ((got & mask) != (want & mask) ||
		 (FIELD_WIDTH(fields[i]) == FIELD_WIDTH_32 && got >> 32))
		WRONG(i, want & mask, got);
}

static void guest_round_trip(void)
{
	unsigned int i;
	u64 r;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	/* all are written, and then all are read: none is another's storage */
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		u64 v;

		if (!promised(fields[i]))
			continue;
		r = try_vmread(fields[i], &v);
		if (r != VMX_OK)
			WRONG(i, VMX_OK, r);
		if (!writable(fields[i]))
			continue;
		r = try_vmwrite(fields[i], pattern(fields[i], 1));
		if (r != VMX_OK)
			WRONG(i, VMX_OK, r);
	}
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (promised(fields[i]) && writable(fields[i]))
			check(i, pattern(fields[i], 1));
	/* the same after a VMCLEAR, and while another was there */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs2)), VMX_OK);
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (promised(fields[i]) && writable(fields[i]))
			GUEST_ASSERT_AT(try_vmwrite(fields[i], 0) == VMX_OK, i, 0);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (promised(fields[i]) && writable(fields[i]))
			check(i, pattern(fields[i], 1));
}

static void guest_high(void)
{
	unsigned int i;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		u32 f = fields[i];
		u64 want = pattern(f, 2), got, r;

		if (!promised(f))
			continue;
		if (FIELD_WIDTH(f) != FIELD_WIDTH_64) {
			/* no high half: reading and writing it fail */
			r = try_vmread(f | FIELD_HIGH, &got);
			if (r != VMX_VALID(ERR_FIELD))
				WRONG(i, VMX_VALID(ERR_FIELD), r);
			r = try_vmwrite(f | FIELD_HIGH, 0);
			if (r != VMX_VALID(ERR_FIELD))
				WRONG(i, VMX_VALID(ERR_FIELD), r);
			continue;
		}
		if (!writable(f))
			continue;
		vmwrite(f, want);
		r = try_vmread(f | FIELD_HIGH, &got);
		if (r != VMX_OK || got != want >> 32)
			WRONG(i, want >> 32, r == VMX_OK ? got : r);
		/* bits 63:32 of the operand go nowhere */
		r = try_vmwrite(f | FIELD_HIGH, 0xdeadbeef12345678ull);
		if (r != VMX_OK)
			WRONG(i, VMX_OK, r);
		got = vmread(f);
		want = (want & 0xffffffff) | 0x12345678ull << 32;
		if (got != want)
			WRONG(i, want, got);
	}
}

static void guest_smbase(void)
{
	u64 v;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmwrite(GUEST_SMBASE, 0x9876543210ull), VMX_OK);
	GUEST_ASSERT_EQ(try_vmread(GUEST_SMBASE, &v), VMX_OK);
	GUEST_ASSERT_EQ(v, 0x76543210);
}

static void guest_enum(void)
{
	u64 highest = rdmsr(MSR_VMX_VMCS_ENUM) >> 1 & 0x1ff;
	unsigned int i, top = 0;

	l1_vmx_on();
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (promised(fields[i]) && (fields[i] >> 1 & 0x1ff) > top)
			top = fields[i] >> 1 & 0x1ff;
	GUEST_ASSERT_AT(highest >= top, top, highest);
}

static void run(void *fn)
{
#define FIELD_NAME(name, encoding)	#name,
	static const char * const names[] = { VMCS_FIELDS(FIELD_NAME) };
	struct vcpu *vcpu = nested_vcpu(fn, 0);
	unsigned int wrong = 0;

	for (;;) {
		vcpu_expect(vcpu, EXIT_UCALL);
		if (vcpu->uc.cmd == UCALL_DONE)
			break;
		CHECK_EQ(vcpu->uc.arg[0], WRONG_STAGE);
		ksft_print("%s (0x%x): 0x%llx, expected 0x%llx", names[vcpu->uc.arg[1]],
			   fields[vcpu->uc.arg[1]], (unsigned long long)vcpu->uc.arg[3],
			   (unsigned long long)vcpu->uc.arg[2]);
		wrong++;
	}
	CHECK_MSG(!wrong, "%u answers are wrong", wrong);
}

/*
 * Each field holds what was written, as wide as it is, and no other's. Read-only
 * ones are written where IA32_VMX_MISC[29] allows it.
 */
static void test_round_trip(void)
{
	run(guest_round_trip);
}

/* The high access type is for the upper 32 bits of 64-bit fields, and for no other. */
static void test_high(void)
{
	run(guest_high);
}

/* SMBASE is a field whether there is SMM or not. */
static void test_smbase(void)
{
	REQUIRE(ksft_is_emys(), "KVM has no such field");
	run(guest_smbase);
}

/* IA32_VMX_VMCS_ENUM names the highest index, or one above it. */
static void test_enum(void)
{
	run(guest_enum);
}

KSFT_MAIN(
	{ "fields: round trip", test_round_trip },
	{ "fields: high halves", test_high },
	{ "fields: SMBASE", test_smbase },
	{ "fields: IA32_VMX_VMCS_ENUM", test_enum },
)
