// SPDX-License-Identifier: GPL-2.0-only
/* exits/cpuid: CPUID answers what KVM_SET_CPUID2 said */
#include <stdlib.h>

#include "vmm.h"

struct regs4 {
	u32 a, b, c, d;
};

static struct regs4 want[4];

static void guest_leaves(u64 arg)
{
	struct regs4 r;

	(void)arg;
	cpuid(0, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.a, want[0].a);
	GUEST_ASSERT_EQ(r.b, want[0].b);
	GUEST_ASSERT_EQ(r.c, want[0].c);
	GUEST_ASSERT_EQ(r.d, want[0].d);
	cpuid(0x40000000, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.a, want[1].a);
	GUEST_ASSERT_EQ(r.b, want[1].b);
	GUEST_ASSERT_EQ(r.c, want[1].c);
	GUEST_ASSERT_EQ(r.d, want[1].d);
}

/* A leaf that was set is answered with the four values that were set. */
static void test_leaves(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e;

	e = vcpu_leaf(vcpu, 0, 0);
	CHECK(e);
	e->ebx = 0x11111111;
	e->ecx = 0x22222222;
	e->edx = 0x33333333;
	VM_VAR(vm, want[0]).a = e->eax;
	VM_VAR(vm, want[0]).b = e->ebx;
	VM_VAR(vm, want[0]).c = e->ecx;
	VM_VAR(vm, want[0]).d = e->edx;
	e = vcpu_leaf(vcpu, 0x40000000, 0);
	if (!e) {
		e = &vcpu->cpuid->entries[vcpu->cpuid->nent++];
		memset(e, 0, sizeof(*e));
		e->function = 0x40000000;
	}
	e->eax = 0x40000001;
	e->ebx = 0x44444444;
	e->ecx = 0x55555555;
	e->edx = 0x66666666;
	VM_VAR(vm, want[1]).a = e->eax;
	VM_VAR(vm, want[1]).b = e->ebx;
	VM_VAR(vm, want[1]).c = e->ecx;
	VM_VAR(vm, want[1]).d = e->edx;
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_leaves, 0);
	vcpu_done(vcpu);
}

static void guest_upper(u64 arg)
{
	u64 a = 0xffffffff00000000ull, c = 0xffffffff00000000ull, b, d;

	(void)arg;
	asm volatile("mov $-1, %%rbx; mov $-1, %%rdx; cpuid"
		     : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	GUEST_ASSERT_EQ(a >> 32, 0);
	GUEST_ASSERT_EQ(b >> 32, 0);
	GUEST_ASSERT_EQ(c >> 32, 0);
	GUEST_ASSERT_EQ(d >> 32, 0);
}

/* In 64-bit mode CPUID clears bits 63:32 of all four registers. */
static void test_upper(void)
{
	guest_run(guest_upper, 0);
}

static void guest_subleaves(u64 arg)
{
	struct regs4 r;

	(void)arg;
	cpuid(4, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.b, 0x100);
	cpuid(4, 1, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.b, 0x101);
	/* leaf 1 has no subleaves: ECX is not looked at */
	cpuid(1, 77, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.a, want[2].a);
}

/*
 * An entry with KVM_CPUID_FLAG_SIGNIFCANT_INDEX answers its own subleaf only;
 * one without answers every subleaf.
 */
static void test_subleaves(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid2 *c = vcpu->cpuid;
	unsigned int i, n = 0;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function != 4)
			c->entries[n++] = c->entries[i];
	for (i = 0; i < 2; i++)
		c->entries[n++] = (struct kvm_cpuid_entry2) {
			.function = 4, .index = i, .ebx = 0x100 + i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
	c->nent = n;
	VM_VAR(vm, want[2]).a = vcpu_leaf(vcpu, 1, 0)->eax;
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_subleaves, 0);
	vcpu_done(vcpu);
}

static void guest_beyond(u64 arg)
{
	struct regs4 r, last;

	(void)arg;
	cpuid(want[0].a, 0, &last.a, &last.b, &last.c, &last.d);
	cpuid(want[0].a + 0x10, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.a, last.a);
	GUEST_ASSERT_EQ(r.b, last.b);
	GUEST_ASSERT_EQ(r.c, last.c);
}

/*
 * "If a value entered for CPUID.EAX is higher than the maximum input value for
 * basic or extended function for that processor then the data for the highest
 * basic information leaf is returned."
 * Vol. 2, "CPUID - CPU Identification". The highest leaf here has no subleaves.
 */
static void test_beyond(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid2 *c = vcpu->cpuid;
	unsigned int i, n = 0;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function <= 1 ||
		    c->entries[i].function >= 0x40000000)
			c->entries[n++] = c->entries[i];
	c->entries[n++] = (struct kvm_cpuid_entry2) {
		.function = 2, .eax = 0xaaaa, .ebx = 0xbbbb, .ecx = 0xcccc,
		.edx = 0xdddd,
	};
	c->nent = n;
	vcpu_leaf(vcpu, 0, 0)->eax = 2;
	/* KVM leaves the rule to AMD's vendors' CPUs: this is an Intel one */
	memcpy(&vcpu_leaf(vcpu, 0, 0)->ebx, "Genu", 4);
	memcpy(&vcpu_leaf(vcpu, 0, 0)->edx, "ineI", 4);
	memcpy(&vcpu_leaf(vcpu, 0, 0)->ecx, "ntel", 4);
	VM_VAR(vm, want[0]).a = 2;
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_beyond, 0);
	vcpu_done(vcpu);
}

static void guest_osxsave(u64 arg)
{
	struct regs4 r;

	(void)arg;
	cpuid(1, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.c >> 27 & 1, 0);
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	cpuid(1, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.c >> 27 & 1, 1);
	write_cr4(read_cr4() & ~X86_CR4_OSXSAVE);
	cpuid(1, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(r.c >> 27 & 1, 0);
}

/* CPUID.01H:ECX.OSXSAVE mirrors CR4.OSXSAVE, whatever was set. */
static void test_osxsave(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	REQUIRE(vcpu_leaf(vcpu, 1, 0)->ecx & 1u << 26, "no XSAVE");
	vcpu_call(vcpu, guest_osxsave, 0);
	vcpu_done(vcpu);
}

static u64 user_cpuid(u64 leaf)
{
	struct regs4 r;

	cpuid(leaf, 0, &r.a, &r.b, &r.c, &r.d);
	return r.b;
}

static void guest_user(u64 arg)
{
	struct regs4 r;

	cpuid(arg, 0, &r.a, &r.b, &r.c, &r.d);
	GUEST_ASSERT_EQ(guest_user_call(user_cpuid, arg), r.b);
}

/* CPUID is not privileged. */
static void test_user(void)
{
	guest_run_user(guest_user);
}

/* KVM_GET_CPUID2 gives back what was set; one entry too few is E2BIG. */
static void test_get_cpuid2(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid2 *got;
	unsigned int i;

	got = calloc(1, sizeof(*got) + 256 * sizeof(got->entries[0]));
	got->nent = vcpu->cpuid->nent - 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_GET_CPUID2, got), E2BIG);
	CHECK_EQ(got->nent, vcpu->cpuid->nent - 1);
	got->nent = 256;
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_CPUID2, got));
	/* KVM before 6.3 leaves the count as it was handed in */
	if (ksft_is_emys())
		CHECK_EQ(got->nent, vcpu->cpuid->nent);
	for (i = 0; i < vcpu->cpuid->nent; i++) {
		CHECK_EQ(got->entries[i].function,
			 vcpu->cpuid->entries[i].function);
		CHECK_EQ(got->entries[i].index,
			 vcpu->cpuid->entries[i].index);
	}
}

KSFT_MAIN(
	{ "cpuid: leaves as set", test_leaves },
	{ "cpuid: upper halves cleared", test_upper },
	{ "cpuid: subleaves", test_subleaves },
	{ "cpuid: beyond the highest leaf", test_beyond },
	{ "cpuid: OSXSAVE follows CR4", test_osxsave },
	{ "cpuid: at CPL 3", test_user },
	{ "cpuid: KVM_GET_CPUID2", test_get_cpuid2 },
)
