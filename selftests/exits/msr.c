// SPDX-License-Identifier: GPL-2.0-only
/* exits/msr: model-specific registers, from the guest and from userspace */
#include <stdlib.h>

#include "vmm.h"

#define MSR_HV_TIME_REF_COUNT	0x40000020

static struct kvm_msr_list *msr_list(int fd, unsigned long request)
{
	struct kvm_msr_list *l = calloc(1, sizeof(*l) + 1024 * 4);

	CHECK(l);
	l->nmsrs = 0;
	CHECK_ERRNO(ioctl(fd, request, l), E2BIG);
	CHECK(l->nmsrs > 0 && l->nmsrs < 1024);
	CHECK_OK(ioctl(fd, request, l));
	return l;
}

/*
 * Every MSR of KVM_GET_MSR_INDEX_LIST can be read, and written back as read:
 * what a VMM does to save and restore a vCPU.
 */
static void test_index_list(void)
{
	struct vm *vm = vm_create();
	struct kvm_msr_list *l = msr_list(vm->dev, KVM_GET_MSR_INDEX_LIST);
	struct vcpu *vcpu;
	u64 v, again;
	u32 i;

	/* some of KVM's own MSRs want the APIC in the kernel */
	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	for (i = 0; i < l->nmsrs; i++) {
		if (!vcpu_get_msr(vcpu, l->indices[i], &v))
			FAIL("MSR 0x%x cannot be read", l->indices[i]);
		if (!vcpu_set_msr(vcpu, l->indices[i], v))
			FAIL("MSR 0x%x refuses its own value 0x%llx",
			     l->indices[i], (unsigned long long)v);
		vcpu_get_msr(vcpu, l->indices[i], &again);
		/* counters of time go on */
		if (l->indices[i] == MSR_TSC ||
		    l->indices[i] == MSR_HV_TIME_REF_COUNT)
			CHECK(again >= v);
		else if (again != v)
			FAIL("MSR 0x%x was 0x%llx, is 0x%llx", l->indices[i],
			     (unsigned long long)v, (unsigned long long)again);
	}
}

/* The list has what Linux guests and VMMs cannot do without. */
static void test_index_list_content(void)
{
	static const u32 needed[] = {
		MSR_TSC, MSR_TSC_ADJUST, MSR_SYSENTER_CS, MSR_SYSENTER_ESP,
		MSR_SYSENTER_EIP, MSR_PAT, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
		MSR_FMASK, MSR_KERNEL_GS_BASE, MSR_MISC_ENABLE,
	};
	struct vm *vm = vm_create_bare(ksft_device);
	struct kvm_msr_list *l = msr_list(vm->dev, KVM_GET_MSR_INDEX_LIST);
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		for (j = 0; j < l->nmsrs; j++)
			if (l->indices[j] == needed[i])
				break;
		CHECK_MSG(j < l->nmsrs, "MSR 0x%x is not listed", needed[i]);
	}
}

static const struct {
	u32 msr;
	u64 a, b;
} rw_msrs[] = {
	{ MSR_STAR, 0x0023001000000000ull, 0 },
	{ MSR_LSTAR, 0xffffffff81000000ull, 0x1000 },
	{ MSR_CSTAR, 0xffffffff82000000ull, 0x2000 },
	{ MSR_FMASK, 0x47700, 0 },
	{ MSR_FS_BASE, 0x7f0012345678ull, 0 },
	{ MSR_GS_BASE, 0xffff888000000000ull, 0 },
	{ MSR_KERNEL_GS_BASE, 0xffff888012345000ull, 0 },
	{ MSR_SYSENTER_CS, 0x10, 0 },
	{ MSR_SYSENTER_ESP, 0xfffffe0000002000ull, 0 },
	{ MSR_SYSENTER_EIP, 0xffffffff81800000ull, 0 },
	{ MSR_PAT, 0x0407010600070106ull, 0x0007040600070406ull },
	{ MSR_TSC_ADJUST, 0x1000, 0 },
};

static void guest_rw(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rw_msrs); i++) {
		wrmsr(rw_msrs[i].msr, rw_msrs[i].a);
		GUEST_ASSERT_AT(rdmsr(rw_msrs[i].msr) == rw_msrs[i].a,
				rw_msrs[i].msr, rdmsr(rw_msrs[i].msr));
	}
	GUEST_SYNC(1);
	for (i = 0; i < ARRAY_SIZE(rw_msrs); i++)
		GUEST_ASSERT_AT(rdmsr(rw_msrs[i].msr) == rw_msrs[i].b,
				rw_msrs[i].msr, rdmsr(rw_msrs[i].msr));
	/* none of them was the host's */
	GUEST_SYNC(2);
}

/*
 * The MSRs of system calls, segment bases, PAT and TSC_ADJUST read back in the
 * guest, are seen by KVM_GET_MSRS, and take what KVM_SET_MSRS says.
 */
static void test_rw(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	unsigned int i;
	u64 v;

	vcpu_call(vcpu, guest_rw, 0);
	vcpu_sync(vcpu, 1);
	for (i = 0; i < ARRAY_SIZE(rw_msrs); i++) {
		CHECK(vcpu_get_msr(vcpu, rw_msrs[i].msr, &v));
		CHECK_MSG(v == rw_msrs[i].a, "MSR 0x%x: 0x%llx",
			  rw_msrs[i].msr, (unsigned long long)v);
		CHECK(vcpu_set_msr(vcpu, rw_msrs[i].msr, rw_msrs[i].b));
	}
	vcpu_sync(vcpu, 2);
	vcpu_done(vcpu);
}

static void guest_faults(void)
{
	static const u32 canonical[] = {
		MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR,
		MSR_CSTAR, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
	};
	u64 efer = rdmsr(MSR_EFER);
	unsigned int i;
	u64 v;

	/* an MSR that no CPU has, in both ranges and outside of them */
	GUEST_ASSERT_EQ(try_rdmsr(0x1fff, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	GUEST_ASSERT_EQ(try_wrmsr(0x1fff, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_rdmsr(0xc0001fff, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_rdmsr(0x80000000, &v), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(0x12345678, 0), FAULT(GP_VECTOR));

	for (i = 0; i < ARRAY_SIZE(canonical); i++)
		GUEST_ASSERT_AT(try_wrmsr(canonical[i], 1ull << 63) ==
				FAULT(GP_VECTOR), canonical[i], 0);
	/* PAT: a memory type that does not exist */
	GUEST_ASSERT_EQ(try_wrmsr(MSR_PAT, 2), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_PAT, 0x0800000000000000ull),
			FAULT(GP_VECTOR));
	/* EFER: reserved bits; LME cannot change while paging is on */
	GUEST_ASSERT_EQ(try_wrmsr(MSR_EFER, efer | 1ull << 63),
			FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_EFER, efer | 2), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_wrmsr(MSR_EFER, efer & ~X86_EFER_LME),
			FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(rdmsr(MSR_EFER), efer);
	GUEST_ASSERT_EQ(try_wrmsr(MSR_EFER, efer & ~X86_EFER_SCE), 0);
	GUEST_ASSERT_EQ(rdmsr(MSR_EFER), efer & ~X86_EFER_SCE);
}

/*
 * RDMSR and WRMSR: #GP(0) for an MSR that is not there, a reserved bit, an
 * address that is not canonical. Vol. 2, "WRMSR - Write to Model Specific
 * Register".
 */
static void test_faults(void)
{
	guest_run(guest_faults, 0);
}

static u64 user_msr(u64 write)
{
	u64 v;

	return write ? try_wrmsr(MSR_TSC_ADJUST, 0) :
		       try_rdmsr(MSR_TSC_ADJUST, &v);
}

static void guest_user(void)
{
	GUEST_ASSERT_EQ(guest_user_call(user_msr, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_msr, 1), FAULT(GP_VECTOR));
}

/* RDMSR and WRMSR at CPL 3 are #GP(0). */
static void test_user(void)
{
	guest_run_user(guest_user);
}

static void guest_tsc(void)
{
	u64 t0 = rdtsc(), t1, adjust;

	t1 = rdmsr(MSR_TSC);
	GUEST_ASSERT(t1 >= t0);
	GUEST_ASSERT(rdtsc() >= t1);
	/* a write to the TSC moves TSC_ADJUST by as much */
	adjust = rdmsr(MSR_TSC_ADJUST);
	wrmsr(MSR_TSC_ADJUST, adjust + (1ull << 40));
	t1 = rdtsc();
	GUEST_ASSERT(t1 - t0 >= 1ull << 40);
	GUEST_ASSERT(t1 - t0 < 1ull << 41);
	wrmsr(MSR_TSC, 0x1000);
	t0 = rdtsc();
	GUEST_ASSERT(t0 >= 0x1000 && t0 < 1ull << 32);
	GUEST_ASSERT(rdmsr(MSR_TSC_ADJUST) != adjust + (1ull << 40));
	wrmsr(MSR_TSC_ADJUST, adjust);
}

/* RDTSC and MSR 10H agree; IA32_TSC_ADJUST moves both. */
static void test_tsc(void)
{
	guest_run(guest_tsc, 0);
}

/* IA32_TSC of KVM_GET_MSRS is the guest's; KVM_SET_MSRS moves it. */
static void guest_tsc_read(void)
{
	GUEST_SYNC2(1, rdtsc(), 0);
	GUEST_SYNC2(2, rdtsc(), 0);
}

static void test_tsc_host(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 v, guest;

	vcpu_call(vcpu, guest_tsc_read, 0);
	vcpu_sync(vcpu, 1);
	guest = vcpu->uc.arg[1];
	CHECK(vcpu_get_msr(vcpu, MSR_TSC, &v));
	CHECK(v >= guest && v - guest < 1ull << 36);
	CHECK(vcpu_set_msr(vcpu, MSR_TSC, 1ull << 50));
	vcpu_sync(vcpu, 2);
	CHECK(vcpu->uc.arg[1] >= 1ull << 50);
	CHECK(vcpu->uc.arg[1] < 1ull << 51);
}

/*
 * KVM_GET_MSRS and KVM_SET_MSRS stop at the first MSR they do not know and
 * return how many they did; a count that is too large is E2BIG.
 */
static void test_partial(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[3];
	} m = {
		.head.nmsrs = 3,
		.e = { { .index = MSR_LSTAR, .data = 0x1234 },
		       { .index = 0x12345678 },
		       { .index = MSR_CSTAR, .data = 0x1234 } },
	};
	u64 v;

	CHECK_EQ(CHECK_OK(ioctl(vcpu->fd, KVM_SET_MSRS, &m)), 1);
	CHECK(vcpu_get_msr(vcpu, MSR_LSTAR, &v));
	CHECK_EQ(v, 0x1234);
	CHECK(vcpu_get_msr(vcpu, MSR_CSTAR, &v));
	CHECK_EQ(v, 0);
	CHECK_EQ(CHECK_OK(ioctl(vcpu->fd, KVM_GET_MSRS, &m)), 1);
	m.head.nmsrs = 1 << 20;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_GET_MSRS, &m), E2BIG);
	m.head.nmsrs = 0;
	CHECK_EQ(CHECK_OK(ioctl(vcpu->fd, KVM_GET_MSRS, &m)), 0);
}

/* a well-mixed value for every index; not an address in the guest's memory */
static u64 noise(u32 msr)
{
	u64 x = msr * 0x9e3779b97f4a7c15ull;

	return (x ^ x >> 29) | 0x4000000000000000ull;
}

static void guest_write_all(void)
{
	static const u32 start[] = { 0, 0xc0000000, 0x40000000, 0x4b564d00 };
	static const u32 count[] = { 0x2000, 0x2000, 0x100, 0x10 };
	u64 read = 0, written = 0, v;
	unsigned int i;
	u32 msr;

	for (i = 0; i < ARRAY_SIZE(start); i++) {
		for (msr = start[i]; msr < start[i] + count[i]; msr++) {
			if (!try_rdmsr(msr, &v)) {
				read++;
				try_wrmsr(msr, v);
			}
			if (!try_wrmsr(msr, noise(msr)))
				written++;
		}
	}
	GUEST_ASSERT(read > 8);
	GUEST_ASSERT(written < 0x2000);
	GUEST_SYNC2(1, read, written);
}

/*
 * A guest that reads and writes every MSR of both ranges gets values or #GP,
 * never more; then the vCPU and the host still work.
 */
static void test_write_all(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	struct kvm_regs regs;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_write_all, 0);
	vcpu_sync(vcpu, 1);
	ksft_print("%llu MSRs readable, %llu took noise",
		   (unsigned long long)vcpu->uc.arg[1],
		   (unsigned long long)vcpu->uc.arg[2]);
	vcpu_get_regs(vcpu, &regs);
	vm_free(vm);
	guest_run(guest_tsc, 0);
}

/* MSR features: KVM_GET_MSRS on the device reads what the list names. */
static void test_feature_msrs(void)
{
	struct vm *vm = vm_create_bare(ksft_device);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} m;
	struct kvm_msr_list *l;
	u32 i;

	REQUIRE(dev_cap(KVM_CAP_GET_MSR_FEATURES) > 0,
		"no KVM_CAP_GET_MSR_FEATURES");
	l = msr_list(vm->dev, KVM_GET_MSR_FEATURE_INDEX_LIST);
	for (i = 0; i < l->nmsrs; i++) {
		memset(&m, 0, sizeof(m));
		m.head.nmsrs = 1;
		m.e.index = l->indices[i];
		CHECK_EQ(CHECK_OK(ioctl(vm->dev, KVM_GET_MSRS, &m)), 1);
	}
}

KSFT_MAIN(
	{ "msr: the index list saves and restores", test_index_list },
	{ "msr: the index list is long enough", test_index_list_content },
	{ "msr: read back on both sides", test_rw },
	{ "msr: #GP", test_faults },
	{ "msr: CPL 3", test_user },
	{ "msr: TSC and TSC_ADJUST", test_tsc },
	{ "msr: TSC from userspace", test_tsc_host },
	{ "msr: partial lists", test_partial },
	{ "msr: a guest writes every MSR", test_write_all, 60 },
	{ "msr: feature MSRs", test_feature_msrs },
)
