// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/caps: the VMX capability MSRs, for L1 and for the VMM.
 * Vol. 3, "VMX Capability Reporting Facility".
 */
#include <stdlib.h>
#include <unistd.h>

#include "nested.h"

struct pair {
	u32 plain, correct;
	u32 default1;		/* bits that are 1 in the plain MSR's allowed 0-settings */
};

static const struct pair pairs[] = {
	{ MSR_VMX_PIN, MSR_VMX_TRUE_PIN, 0x16 },
	{ MSR_VMX_PROC, MSR_VMX_TRUE_PROC, 0x0401e172 },
	{ MSR_VMX_EXIT, MSR_VMX_TRUE_EXIT, 0x36dff },
	{ MSR_VMX_ENTRY, MSR_VMX_TRUE_ENTRY, 0x11ff },
};

static volatile u64 msrs[MSR_VMX_VMFUNC - MSR_VMX_BASIC + 1];
static volatile u64 read_ok[MSR_VMX_VMFUNC - MSR_VMX_BASIC + 1];

static void guest_read(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		u64 v;

		read_ok[i] = !try_rdmsr(MSR_VMX_BASIC + i, &v);
		msrs[i] = v;
		/* read-only, whether it is there or not */
		GUEST_ASSERT_AT(try_wrmsr(MSR_VMX_BASIC + i, v) == FAULT(GP_VECTOR), i, v);
	}
}

/* L1 and the VMM read the same; L1 can write none of them. */
static void test_read(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_read, 0);
	u32 i;

	vcpu_done(vcpu);
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		u64 v = 0;
		int ok = vcpu_get_msr(vcpu, MSR_VMX_BASIC + i, &v);

		if (!VM_VAR(vcpu->vm, read_ok[i]))
			continue;
		CHECK_MSG(ok, "0x%x: L1 reads it, the VMM does not", MSR_VMX_BASIC + i);
		CHECK_MSG(v == VM_VAR(vcpu->vm, msrs[i]), "0x%x: 0x%llx, for L1 0x%llx",
			  MSR_VMX_BASIC + i, (unsigned long long)v,
			  (unsigned long long)VM_VAR(vcpu->vm, msrs[i]));
	}
}

static void check_pair(struct vcpu *vcpu, const struct pair *p)
{
	u64 plain = nested_msr(vcpu, p->plain);

	CHECK_MSG(!((u32)plain & ~(plain >> 32)), "0x%x: 0x%llx must be 1 and may not", p->plain,
		  (unsigned long long)plain);
	CHECK_MSG(((u32)plain & p->default1) == p->default1, "0x%x: a default1 bit may be 0: 0x%llx",
		  p->plain, (unsigned long long)plain);
	if (nested_msr(vcpu, MSR_VMX_BASIC) & BASIC_TRUE) {
		u64 correct = nested_msr(vcpu, p->correct);

		CHECK_MSG(!((u32)correct & ~(correct >> 32)), "0x%x: 0x%llx", p->correct,
			  (unsigned long long)correct);
		CHECK_MSG(correct >> 32 == plain >> 32, "0x%x, 0x%x: allowed 1-settings differ",
			  p->plain, p->correct);
		CHECK_MSG(((u32)correct | p->default1) == (u32)plain,
			  "0x%x, 0x%x: allowed 0-settings differ in more than default1",
			  p->plain, p->correct);
	}
}

/* What one MSR says agrees with what the others say. */
static void test_consistent(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_read, 0);
	u64 basic = nested_msr(vcpu, MSR_VMX_BASIC);
	u64 misc = nested_msr(vcpu, MSR_VMX_MISC);
	u64 fixed0, fixed1;
	u32 i;

	CHECK_EQ(basic >> 31 & 1, 0);
	CHECK_MSG((basic >> 32 & 0x1fff) > 8 && (basic >> 32 & 0x1fff) <= 4096, "size: 0x%llx",
		  (unsigned long long)basic);
	CHECK_EQ(basic >> 48 & 1, 0);
	CHECK_EQ(basic >> 50 & 15, 6);
	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		check_pair(vcpu, &pairs[i]);
	if (nested_can(vcpu, PROC_CTL, PROC_PROC2)) {
		CHECK_EQ((u32)nested_msr(vcpu, MSR_VMX_PROC2), 0);
		/* what only works on top of EPT */
		if (nested_can(vcpu, PROC2_CTL, PROC2_UNRESTRICTED) ||
		    nested_can(vcpu, PROC2_CTL, PROC2_PML))
			CHECK(nested_can(vcpu, PROC2_CTL, PROC2_EPT));
	}
	/* "if bit 5 is 1 ... unrestricted guest may be 1" */
	if (nested_can(vcpu, PROC2_CTL, PROC2_UNRESTRICTED))
		CHECK(misc & MISC_LMA);
	if (nested_can(vcpu, PROC2_CTL, PROC2_EPT)) {
		u64 ept = nested_msr(vcpu, MSR_VMX_EPT_VPID);

		CHECK(ept & EPT_CAP_WALK4);
		CHECK(ept & EPT_CAP_WB);
		if (ept & (EPT_CAP_INVEPT_ONE | EPT_CAP_INVEPT_ALL))
			CHECK(ept & EPT_CAP_INVEPT);
	}
	for (i = MSR_VMX_CR0_FIXED0; i <= MSR_VMX_CR4_FIXED0; i += 2) {
		fixed0 = nested_msr(vcpu, i);
		fixed1 = nested_msr(vcpu, i + 1);
		CHECK_MSG(!(fixed0 & ~fixed1), "0x%x: 0x%llx, 0x%llx", i,
			  (unsigned long long)fixed0, (unsigned long long)fixed1);
	}
	CHECK_EQ(nested_msr(vcpu, MSR_VMX_CR0_FIXED0), X86_CR0_PG | X86_CR0_NE | X86_CR0_PE);
	CHECK(nested_msr(vcpu, MSR_VMX_CR4_FIXED0) & X86_CR4_VMXE);
}

static void guest_hlt_exiting(u64 allowed)
{
	u64 r;

	l1_vmx_on();
	GUEST_ASSERT_EQ(l1_can(PROC_CTL, PROC_HLT), allowed);
	l1_make_vmcs(l1_vmcs, guest_return, 0);
	r = vmread(PROC_CTL);
	vmwrite(PROC_CTL, r | PROC_HLT);
	r = try_vmresume();
	GUEST_ASSERT_EQ(r, VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
	GUEST_ASSERT_EQ(l2_enter_by(false), L2_FAILED | VMX_VALID(ERR_CONTROLS));
}

/* What the VMM takes away is gone for L1: from the MSR, and for an entry. */
static void test_take_away(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_hlt_exiting, 0);
	u64 proc = nested_msr(vcpu, MSR_VMX_TRUE_PROC);

	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_TRUE_PROC, proc & ~((u64)PROC_HLT << 32)), 1);
	CHECK_EQ(nested_msr(vcpu, MSR_VMX_TRUE_PROC), proc & ~((u64)PROC_HLT << 32));
	CHECK_EQ(nested_msr(vcpu, MSR_VMX_PROC) >> 32 & PROC_HLT, 0);
	vcpu_done(vcpu);
}

static const u32 control_msrs[] = {
	MSR_VMX_TRUE_PIN, MSR_VMX_TRUE_PROC, MSR_VMX_TRUE_EXIT, MSR_VMX_TRUE_ENTRY, MSR_VMX_PROC2,
};

/* The VMM cannot promise more than there is, nor let go what must be. */
static void test_add(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_read, 0);
	u64 v;
	u32 i, bit;

	for (i = 0; i < ARRAY_SIZE(control_msrs); i++) {
		v = nested_msr(vcpu, control_msrs[i]);
		for (bit = 0; bit < 32; bit++) {
			if (!(v >> (32 + bit) & 1))
				CHECK_MSG(!vcpu_set_msr(vcpu, control_msrs[i], v | 1ull << (32 + bit)),
					  "0x%x: bit %u was added", control_msrs[i], bit);
			if (v >> bit & 1)
				CHECK_MSG(!vcpu_set_msr(vcpu, control_msrs[i], v & ~(1ull << bit)),
					  "0x%x: bit %u was freed", control_msrs[i], bit);
		}
		CHECK_EQ(vcpu_set_msr(vcpu, control_msrs[i], v), 1);
		CHECK_EQ(nested_msr(vcpu, control_msrs[i]), v);
	}
	v = nested_msr(vcpu, MSR_VMX_EPT_VPID);
	for (bit = 0; bit < 64; bit++)
		if (!(v >> bit & 1))
			CHECK_MSG(!vcpu_set_msr(vcpu, MSR_VMX_EPT_VPID, v | 1ull << bit),
				  "EPT and VPID: bit %u was added", bit);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_EPT_VPID, v & ~EPT_CAP_1G), 1);
	CHECK_EQ(nested_msr(vcpu, MSR_VMX_EPT_VPID), v & ~EPT_CAP_1G);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_EPT_VPID, v), 1);
	/* the layout of a VMCS is the module's own */
	v = nested_msr(vcpu, MSR_VMX_BASIC);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_BASIC, v), 1);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_BASIC, v ^ 1), 0);
	v = nested_msr(vcpu, MSR_VMX_MISC);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, v), 1);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, v | MISC_SHUTDOWN | 1ull << 15), 0);
	v = nested_msr(vcpu, MSR_VMX_CR0_FIXED0);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_CR0_FIXED0, v), 1);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_CR0_FIXED0, v & ~X86_CR0_NE), 0);
}

/* The plain MSRs follow from the TRUE ones: they are not set by themselves. */
static void test_plain(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_read, 0);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		u64 v = nested_msr(vcpu, pairs[i].plain);
		u64 less = nested_msr(vcpu, pairs[i].correct);
		u32 gone = (u32)(less >> 32) & ~(u32)less & ~pairs[i].default1;

		gone &= -gone;
		CHECK_EQ(vcpu_set_msr(vcpu, pairs[i].plain, v & ~(1ull << 32)), 0);
		CHECK_EQ(vcpu_set_msr(vcpu, pairs[i].correct, less & ~((u64)gone << 32)), 1);
		CHECK_EQ(nested_msr(vcpu, pairs[i].plain), v & ~((u64)gone << 32));
	}
}

static void guest_in_vmx(void)
{
	l1_vmx_on();
	GUEST_SYNC(1);
}

/* While L1 is in VMX operation its capabilities stay; newer KVMs fix them at the first run. */
static void test_in_vmx(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_in_vmx, 0);
	u64 v = nested_msr(vcpu, MSR_VMX_TRUE_PROC);

	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_TRUE_PROC, v & ~((u64)PROC_HLT << 32)), 0);
	CHECK_EQ(nested_msr(vcpu, MSR_VMX_TRUE_PROC), v);
	vcpu_done(vcpu);
}

static void guest_without(void)
{
	u64 v;
	u32 i;

	for (i = MSR_VMX_BASIC; i <= MSR_VMX_VMFUNC; i++)
		GUEST_ASSERT_AT(try_rdmsr(i, &v) == FAULT(GP_VECTOR), i, v);
	GUEST_ASSERT_EQ(try_write_cr4(read_cr4() | X86_CR4_VMXE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), FAULT(UD_VECTOR));
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP, &v), FAULT(UD_VECTOR));
}

/* A VM whose CPUID has no VMX has none of it. */
static void test_without(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_without, 0);

	vcpu_leaf(vcpu, 1, 0)->ecx &= ~(1u << 5);
	vcpu_set_cpuid(vcpu);
	vcpu_done(vcpu);
}

/* KVM_GET_MSRS of the device: what a vCPU begins with, and all of the list can be read. */
static void test_feature_msrs(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head.nmsrs = 1 };
	struct vcpu *vcpu = nested_vcpu(guest_read, 0);
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 256 * sizeof(u32));
	int dev = vcpu->vm->dev;
	u32 i, found = 0;

	CHECK(list);
	list->nmsrs = 256;
	CHECK_OK(ioctl(dev, KVM_GET_MSR_FEATURE_INDEX_LIST, list));
	for (i = 0; i < list->nmsrs; i++) {
		if (list->indices[i] < MSR_VMX_BASIC || list->indices[i] > MSR_VMX_VMFUNC)
			continue;
		found++;
		m.entry.index = list->indices[i];
		CHECK_EQ(CHECK_OK(ioctl(dev, KVM_GET_MSRS, &m)), 1);
		/* the vCPU's CR4 has what its CPUID has */
		if (m.entry.index == MSR_VMX_CR4_FIXED1)
			CHECK_EQ(nested_msr(vcpu, m.entry.index) & ~m.entry.data, 0);
		else
			CHECK_EQ(m.entry.data, nested_msr(vcpu, m.entry.index));
	}
	/* without those that follow from others, and with VMFUNC where it is */
	CHECK_MSG(found >= 12, "%u VMX MSRs are listed", found);
}

/* KVM_CAP_NESTED_STATE is the size of a buffer that holds any state. */
static void test_state_size(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_read, 0);
	int size = dev_cap(KVM_CAP_NESTED_STATE);
	struct kvm_nested_state *s;

	CHECK_MSG(size >= (int)sizeof(*s), "%d", size);
	s = calloc(1, size + 4096);
	CHECK(s);
	/* outside VMX operation there is the header only */
	s->size = sizeof(*s) - 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_GET_NESTED_STATE, s), E2BIG);
	s->size = size;
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_NESTED_STATE, s));
	CHECK_EQ(s->size, sizeof(*s));
	CHECK_EQ(s->format, KVM_STATE_NESTED_FORMAT_VMX);
	CHECK_EQ(s->flags & (KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING), 0);
	CHECK_EQ(s->hdr.vmx.vmxon_pa, -1ull);
	CHECK_EQ(s->hdr.vmx.vmcs12_pa, -1ull);
}

KSFT_MAIN(
	{ "caps: L1 and the VMM read the same", test_read },
	{ "caps: consistent", test_consistent },
	{ "caps: the VMM takes away", test_take_away },
	{ "caps: the VMM adds", test_add },
	{ "caps: plain and TRUE", test_plain },
	{ "caps: in VMX operation", test_in_vmx },
	{ "caps: no VMX in CPUID", test_without },
	{ "caps: of the device", test_feature_msrs },
	{ "caps: KVM_CAP_NESTED_STATE", test_state_size },
)
