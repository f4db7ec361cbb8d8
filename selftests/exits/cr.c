// SPDX-License-Identifier: GPL-2.0-only
/* exits/cr: control-register accesses */
#include "vmm.h"

/* a page of the test's own, mapped by a 4K entry */
#define PAGE_A	0x180000ull
#define PAGE_B	0x181000ull

static u64 features7;		/* CPUID.(7,0).EBX of the vCPU */
static u64 features1;		/* CPUID.1.ECX */

static void run(void *fn)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 7, 0);

	vm_split_page(vm, PAGE_A);
	VM_VAR(vm, features7) = e ? e->ebx : 0;
	VM_VAR(vm, features1) = vcpu_leaf(vcpu, 1, 0)->ecx;
	vcpu_call(vcpu, fn, 0);
	vcpu_done(vcpu);
}

static void guest_cr0_bad(void)
{
	u64 cr0 = read_cr0();
	int i;

	for (i = 32; i < 64; i++)
		GUEST_ASSERT_AT(try_write_cr0(cr0 | 1ull << i) ==
				FAULT(GP_VECTOR), i, 0);
	GUEST_ASSERT_EQ(try_write_cr0(cr0 & ~X86_CR0_PE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	GUEST_ASSERT_EQ(try_write_cr0((cr0 | X86_CR0_NW) & ~X86_CR0_CD),
			FAULT(GP_VECTOR));
	/* paging off in 64-bit code */
	GUEST_ASSERT_EQ(try_write_cr0(cr0 & ~X86_CR0_PG), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(read_cr0(), cr0);
	/* reserved bits of the low half are ignored, not faulted on */
	GUEST_ASSERT_EQ(try_write_cr0(cr0 | 1 << 6), 0);
	GUEST_ASSERT_EQ(read_cr0() & ~(1ull << 6), cr0);
	GUEST_ASSERT_EQ(try_write_cr0(cr0), 0);
}

/*
 * MOV to CR0: #GP(0) for bits 63:32, PG without PE, NW without CD, PG cleared
 * in 64-bit mode. Vol. 2, "MOV - Move to/from Control Registers".
 */
static void test_cr0_bad(void)
{
	run(guest_cr0_bad);
}

static void guest_cr0_good(void)
{
	u64 cr0 = read_cr0();
	u64 msw;
	u64 f;

	/* every bit that may change, changes and reads back */
	write_cr0(cr0 | X86_CR0_CD | X86_CR0_NW);
	GUEST_ASSERT_EQ(read_cr0(), cr0 | X86_CR0_CD | X86_CR0_NW);
	write_cr0(cr0 & ~X86_CR0_AM);
	GUEST_ASSERT_EQ(read_cr0(), cr0 & ~X86_CR0_AM);
	write_cr0(cr0 & ~X86_CR0_MP);
	GUEST_ASSERT_EQ(read_cr0(), cr0 & ~X86_CR0_MP);
	write_cr0(cr0 & ~X86_CR0_NE);
	GUEST_ASSERT_EQ(read_cr0(), cr0 & ~X86_CR0_NE);
	write_cr0(cr0);

	/* CLTS and LMSW */
	write_cr0(cr0 | X86_CR0_TS);
	GUEST_ASSERT_EQ(read_cr0(), cr0 | X86_CR0_TS);
	asm volatile("smsw %0" : "=r"(msw));
	GUEST_ASSERT(msw & X86_CR0_TS);
	asm volatile("clts");
	GUEST_ASSERT_EQ(read_cr0(), cr0);
	asm volatile("lmsw %w0" : : "r"((u32)(cr0 | X86_CR0_TS)));
	GUEST_ASSERT_EQ(read_cr0(), cr0 | X86_CR0_TS);
	/* LMSW cannot clear PE */
	asm volatile("lmsw %w0" : : "r"((u32)(cr0 & 0xe & ~X86_CR0_TS)));
	GUEST_ASSERT_EQ(read_cr0() & X86_CR0_PE, X86_CR0_PE);
	write_cr0(cr0);

	/* LMSW from memory */
	msw = cr0 | X86_CR0_TS;
	asm volatile("lmsw %0" : : "m"(msw));
	GUEST_ASSERT_EQ(read_cr0(), cr0 | X86_CR0_TS);

	/* TS makes an FPU instruction #NM, EM too */
	GUEST_TRY(f, "fnop", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(NM_VECTOR));
	write_cr0(cr0);
	GUEST_TRY(f, "fnop", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, 0);
	write_cr0(cr0 | X86_CR0_EM);
	GUEST_TRY(f, "fnop", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(NM_VECTOR));
	write_cr0(cr0);
}

/* The bits of CR0 that software may change read back as written and work. */
static void test_cr0_good(void)
{
	run(guest_cr0_good);
}

static void guest_cr0_wp(void)
{
	u64 *pte = guest_pte(PAGE_A);
	u64 cr0 = read_cr0();
	int i;

	for (i = 0; i < 4; i++) {
		*pte &= ~PTE_W;
		write_cr0(cr0 | X86_CR0_WP);
		invlpg(PAGE_A);
		GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, i),
				FAULT(PF_VECTOR));
		GUEST_ASSERT_EQ(guest_fault_error, 3);
		GUEST_ASSERT_EQ(guest_fault_address, PAGE_A);
		write_cr0(cr0 & ~X86_CR0_WP);
		GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 100 + i), 0);
		GUEST_ASSERT_EQ(*(volatile u32 *)PAGE_A, 100 + i);
	}
	write_cr0(cr0);
}

/*
 * "CR0.WP: when set, inhibits supervisor-level procedures from writing into
 * read-only pages." Vol. 3, "Control Registers".
 */
static void test_cr0_wp(void)
{
	run(guest_cr0_wp);
}

static void guest_cr3(void)
{
	u64 *copy = (u64 *)GPA_TEST;
	u64 cr3 = read_cr3();
	u32 a, b, c, d;
	int bits, i;

	cpuid(0x80000008, 0, &a, &b, &c, &d);
	bits = a & 0xff;
	for (i = 0; i < 512; i++)
		copy[i] = ((u64 *)cr3)[i];
	/* another root that maps the same, and back */
	write_cr3(GPA_TEST);
	GUEST_ASSERT_EQ(read_cr3(), GPA_TEST);
	write_cr3(cr3);
	/* PWT and PCD are kept */
	write_cr3(cr3 | 0x18);
	GUEST_ASSERT_EQ(read_cr3(), cr3 | 0x18);
	write_cr3(cr3);
	for (i = bits; i < 64; i++)
		GUEST_ASSERT_AT(try_write_cr3(cr3 | 1ull << i) ==
				FAULT(GP_VECTOR), i, bits);
	GUEST_ASSERT_EQ(read_cr3(), cr3);
}

/*
 * MOV to CR3: #GP(0) for a set bit above MAXPHYADDR (and for bit 63 without
 * CR4.PCIDE); the value reads back.
 */
static void test_cr3(void)
{
	run(guest_cr3);
}

static void guest_cr4(void)
{
	u64 cr4 = read_cr4();
	int i;

	for (i = 32; i < 64; i++)
		GUEST_ASSERT_AT(try_write_cr4(cr4 | 1ull << i) ==
				FAULT(GP_VECTOR), i, 0);
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | 1 << 15), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | 1 << 19), FAULT(GP_VECTOR));
	/* PAE cannot be cleared in IA-32e mode */
	GUEST_ASSERT_EQ(try_write_cr4(cr4 & ~X86_CR4_PAE), FAULT(GP_VECTOR));
	/* nor can LA57 change there */
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_LA57), FAULT(GP_VECTOR));
	/* features that CPUID does not show */
	if (!(features1 & 1 << 5))
		GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_VMXE),
				FAULT(GP_VECTOR));
	if (!(features7 & 1 << 7))
		GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_SMEP),
				FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(read_cr4(), cr4);

	for (i = 0; i < 11; i++) {
		u64 bit = 1ull << i;

		/* all of 0..10 exist but PAE must stay */
		if (bit == X86_CR4_PAE)
			continue;
		GUEST_ASSERT_AT(!try_write_cr4(cr4 ^ bit), i, 0);
		GUEST_ASSERT_AT(read_cr4() == (cr4 ^ bit), i, read_cr4());
		write_cr4(cr4);
	}
}

/*
 * MOV to CR4: #GP(0) for a reserved bit, for one of a feature that CPUID does
 * not show, and for clearing PAE in IA-32e mode; other bits read back.
 */
static void test_cr4(void)
{
	run(guest_cr4);
}

static void guest_hidden(void)
{
	u64 cr4 = read_cr4();

	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_SMEP), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_SMAP), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_FSGSBASE),
			FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_PCIDE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_OSXSAVE),
			FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_VMXE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_PKE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(read_cr4(), cr4);
}

/* A CR4 bit of a feature hidden by KVM_SET_CPUID2 is reserved in that vCPU. */
static void test_hidden(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 7, 0);

	if (e)
		e->ebx = e->ecx = e->edx = 0;
	e = vcpu_leaf(vcpu, 1, 0);
	/* VMX, PCID, XSAVE, OSXSAVE, AVX */
	e->ecx &= ~(1u << 5 | 1u << 17 | 1u << 26 | 1u << 27 | 1u << 28);
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_hidden, 0);
	vcpu_done(vcpu);
}

static void guest_pcid(void)
{
	u64 cr3 = read_cr3();
	u64 cr4 = read_cr4();
	u64 *pte = guest_pte(PAGE_A);
	volatile u32 *p = (u32 *)PAGE_A;

	/* bit 63 of the source is reserved as long as PCIDE is clear */
	GUEST_ASSERT_EQ(try_write_cr3(cr3 | 1ull << 63), FAULT(GP_VECTOR));
	/* PCIDE cannot be set while CR3[11:0] is not 0 */
	write_cr3(cr3 | 0x18);
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_PCIDE), FAULT(GP_VECTOR));
	write_cr3(cr3);
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | X86_CR4_PCIDE), 0);
	GUEST_ASSERT_EQ(read_cr4(), cr4 | X86_CR4_PCIDE);

	*p = 1;
	write_cr3(cr3 | 5);
	GUEST_ASSERT_EQ(read_cr3(), cr3 | 5);
	/* bit 63 means no flush and does not read back */
	write_cr3(cr3 | 6 | 1ull << 63);
	GUEST_ASSERT_EQ(read_cr3(), cr3 | 6);
	/* a load without bit 63 drops what this PCID has cached */
	GUEST_ASSERT_EQ(*p, 1);
	*pte &= ~PTE_P;
	write_cr3(cr3 | 6);
	GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 2), FAULT(PF_VECTOR));
	*pte |= PTE_P;
	write_cr3(cr3);
	GUEST_ASSERT_EQ(try_write_cr4(cr4), 0);
	GUEST_ASSERT_EQ(*p, 1);
}

/*
 * CR4.PCIDE: Vol. 3, "Process-Context Identifiers (PCIDs)".
 */
static void test_pcid(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	REQUIRE(vcpu_leaf(vcpu, 1, 0)->ecx & 1 << 17, "no PCID");
	vm_split_page(vm, PAGE_A);
	vcpu_call(vcpu, guest_pcid, 0);
	vcpu_done(vcpu);
}

static void guest_tlb(void)
{
	u64 *pte = guest_pte(PAGE_A);
	volatile u32 *p = (u32 *)PAGE_A;
	u64 cr4 = read_cr4();

	*p = 0x1111;
	*(volatile u32 *)PAGE_B = 0x2222;
	GUEST_ASSERT_EQ(*p, 0x1111);
	*pte = (*pte & ~0xffffffffff000ull) | PAGE_B;
	invlpg(PAGE_A);
	GUEST_ASSERT_EQ(*p, 0x2222);
	*pte = (*pte & ~0xffffffffff000ull) | PAGE_A;
	write_cr3(read_cr3());
	GUEST_ASSERT_EQ(*p, 0x1111);
	/* a global page survives a CR3 load but not a change of CR4.PGE */
	write_cr4(cr4 | X86_CR4_PGE);
	*pte = (*pte & ~0xffffffffff000ull) | PAGE_B | PTE_G;
	invlpg(PAGE_A);
	GUEST_ASSERT_EQ(*p, 0x2222);
	*pte = (*pte & ~0xffffffffff000ull) | PAGE_A | PTE_G;
	write_cr4(cr4);
	GUEST_ASSERT_EQ(*p, 0x1111);
	*pte &= ~PTE_G;
}

/* INVLPG, a CR3 load and a change of CR4.PGE each drop a stale translation. */
static void test_tlb(void)
{
	run(guest_tlb);
}

static void guest_smep(void)
{
	u64 *pte = guest_pte(PAGE_A);
	u64 cr4 = read_cr4();
	u64 f;

	*(volatile u8 *)PAGE_A = 0xc3;	/* ret */
	*pte |= PTE_U;
	invlpg(PAGE_A);
	GUEST_TRY(f, "call *%[p]", GUEST_NO_OUT, [p] "r"(PAGE_A));
	GUEST_ASSERT_EQ(f, 0);
	*pte &= ~PTE_U;
	write_cr4(cr4 | X86_CR4_SMEP);
	GUEST_TRY(f, "call *%[p]", GUEST_NO_OUT, [p] "r"(PAGE_A));
	GUEST_ASSERT_EQ(f, 0);
	write_cr4(cr4);
}

static volatile u64 smep_error;

static void smep_fault(struct guest_frame *frame)
{
	smep_error = frame->error;
	/* go back to the caller of the page */
	frame->rip = *(u64 *)frame->rsp;
	frame->rsp += 8;
}

static void guest_smep_fault(void)
{
	u64 *pte = guest_pte(PAGE_A);
	u64 cr4 = read_cr4();

	*(volatile u8 *)PAGE_A = 0xc3;
	guest_handlers[PF_VECTOR] = smep_fault;
	*pte |= PTE_U;
	invlpg(PAGE_A);
	write_cr4(cr4 | X86_CR4_SMEP);
	((void (*)(void))PAGE_A)();
	GUEST_ASSERT_EQ(smep_error, 0x11);
	/* NX says the same of a supervisor page */
	write_cr4(cr4);
	smep_error = 0;
	*pte = (*pte & ~PTE_U) | PTE_NX;
	invlpg(PAGE_A);
	((void (*)(void))PAGE_A)();
	GUEST_ASSERT_EQ(smep_error, 0x11);
	*pte &= ~PTE_NX;
	guest_handlers[PF_VECTOR] = 0;
}

/* CR4.SMEP: the supervisor cannot fetch from a user page; EFER.NXE likewise. */
static void test_smep(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 7, 0);

	REQUIRE(e && e->ebx & 1 << 7, "no SMEP");
	vm_split_page(vm, PAGE_A);
	vcpu_call(vcpu, guest_smep, 0);
	vcpu_done(vcpu);
	vcpu_call(vcpu, guest_smep_fault, 0);
	vcpu_done(vcpu);
}

static void guest_smap(void)
{
	u64 *pte = guest_pte(PAGE_A);
	u64 cr4 = read_cr4();

	*pte |= PTE_U;
	invlpg(PAGE_A);
	GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 1), 0);
	write_cr4(cr4 | X86_CR4_SMAP);
	GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 1), FAULT(PF_VECTOR));
	asm volatile("stac" : : : "memory");
	GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 2), 0);
	asm volatile("clac" : : : "memory");
	GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 3), FAULT(PF_VECTOR));
	write_cr4(cr4);
}

/* CR4.SMAP: the supervisor cannot touch a user page unless RFLAGS.AC is set. */
static void test_smap(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 7, 0);

	REQUIRE(e && e->ebx & 1 << 20, "no SMAP");
	vm_split_page(vm, PAGE_A);
	vcpu_call(vcpu, guest_smap, 0);
	vcpu_done(vcpu);
}

static void guest_cr8(void)
{
	u64 i;

	for (i = 0; i < 16; i++) {
		write_cr8(i);
		GUEST_ASSERT_EQ(read_cr8(), i);
	}
	write_cr8(5);
}

static void guest_cr8_bad(u64 bits)
{
	u64 i;

	for (i = 4; i < bits; i++)
		GUEST_ASSERT_AT(try_write_cr8(1ull << i) == FAULT(GP_VECTOR),
				i, 0);
	GUEST_ASSERT_EQ(read_cr8(), 0);
}

/* MOV to CR8: anything above 15 is #GP(0). */
static void test_cr8_bad(void)
{
	/* KVM 6.1 looks at the low byte only */
	guest_run(guest_cr8_bad, ksft_is_emys() ? 64 : 8);
}

/* MOV to CR8: 0 to 15 read back. */
static void test_cr8(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	u32 reason;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_cr8, 0);
	vcpu_done(vcpu);
	CHECK_EQ(vcpu->run->cr8, 5);
	vm_free(vm);

	/* without a local APIC in the kernel, lowering it tells the VMM */
	vm = vm_create();
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_cr8, 0);
	do {
		reason = vcpu_exit(vcpu);
	} while (reason == KVM_EXIT_SET_TPR);
	CHECK_EQ(reason, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
	CHECK_EQ(vcpu->run->cr8, 5);
}

static void guest_lower_cr8(void)
{
	write_cr8(7);
	GUEST_SYNC(1);
	write_cr8(3);
	GUEST_SYNC(2);
}

/* KVM_EXIT_SET_TPR: a CR8 that becomes lower, without an irqchip. */
static void test_set_tpr(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_sregs s;

	vcpu_call(vcpu, guest_lower_cr8, 0);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu->run->cr8, 7);
	vcpu_expect(vcpu, KVM_EXIT_SET_TPR);
	CHECK_EQ(vcpu->run->cr8, 3);
	vcpu_sync(vcpu, 2);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cr8, 3);
}

static u64 user_cr(u64 which)
{
	u64 v = 0, f = 0;

	switch (which) {
	case 0:
		GUEST_TRY(f, "mov %%cr0, %[v]", [v] "+r"(v) _GUEST_COMMA,
			  "a"(0));
		break;
	case 1:
		GUEST_TRY(f, "mov %[v], %%cr3", GUEST_NO_OUT, [v] "r"(v));
		break;
	case 2:
		GUEST_TRY(f, "mov %[v], %%cr8", GUEST_NO_OUT, [v] "r"(v));
		break;
	case 3:
		GUEST_TRY(f, "clts", GUEST_NO_OUT, "a"(0));
		break;
	case 4:
		GUEST_TRY(f, "lmsw %w[v]", GUEST_NO_OUT, [v] "r"((u32)v));
		break;
	}
	return f;
}

static void guest_user_cr(void)
{
	u64 i;

	for (i = 0; i < 5; i++)
		GUEST_ASSERT_EQ(guest_user_call(user_cr, i),
				FAULT(GP_VECTOR));
}

/* At CPL 3 every control-register instruction is #GP(0). */
static void test_user_cr(void)
{
	guest_run_user(guest_user_cr);
}

static void guest_absent_cr(void)
{
	u64 f;

	/* CR1, CR5, CR9 do not exist */
	GUEST_TRY(f, ".byte 0x0f, 0x20, 0xc8", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(UD_VECTOR));
	GUEST_TRY(f, ".byte 0x0f, 0x22, 0xe8", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(UD_VECTOR));
}

/* A control register that does not exist is #UD. */
static void test_absent_cr(void)
{
	run(guest_absent_cr);
}

static void guest_sync_cr(void)
{
	write_cr0(read_cr0() | X86_CR0_TS);
	write_cr4(read_cr4() | X86_CR4_PGE);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(read_cr0() & X86_CR0_TS, 0);
	GUEST_ASSERT_EQ(read_cr0() & X86_CR0_WP, 0);
	GUEST_ASSERT_EQ(read_cr4() & X86_CR4_PGE, 0);
}

/* KVM_GET_SREGS shows what the guest wrote, and the guest what was set. */
static void test_sregs(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_sregs s;

	vcpu_call(vcpu, guest_sync_cr, 0);
	vcpu_sync(vcpu, 1);
	vcpu_get_sregs(vcpu, &s);
	CHECK(s.cr0 & X86_CR0_TS);
	CHECK(s.cr4 & X86_CR4_PGE);
	CHECK_EQ(s.cr3, GPA_PML4);
	s.cr0 &= ~(X86_CR0_TS | X86_CR0_WP);
	s.cr4 &= ~X86_CR4_PGE;
	vcpu_set_sregs(vcpu, &s);
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "cr: CR0 refuses bad values", test_cr0_bad },
	{ "cr: CR0 takes good values, CLTS, LMSW", test_cr0_good },
	{ "cr: CR0.WP", test_cr0_wp },
	{ "cr: CR3", test_cr3 },
	{ "cr: CR4", test_cr4 },
	{ "cr: CR4 bits of hidden features", test_hidden },
	{ "cr: PCID", test_pcid },
	{ "cr: stale translations", test_tlb },
	{ "cr: SMEP and NX", test_smep },
	{ "cr: SMAP", test_smap },
	{ "cr: CR8", test_cr8 },
	{ "cr: CR8 refuses bad values", test_cr8_bad },
	{ "cr: KVM_EXIT_SET_TPR", test_set_tpr },
	{ "cr: CPL 3", test_user_cr },
	{ "cr: absent registers", test_absent_cr },
	{ "cr: KVM_GET_SREGS and KVM_SET_SREGS", test_sregs },
)
