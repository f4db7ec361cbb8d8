// SPDX-License-Identifier: GPL-2.0-only
/* exits/modes: reset state, real, protected and long mode, bad guest state */
#include "vmm.h"

#define PORT	0x2f0
#define CODE	0x1000		/* where 16-bit code is copied to */

/* The state after KVM_CREATE_VCPU is the CPU's after INIT. */
static void test_reset(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add_reset(vm, 0);
	struct kvm_sregs s;
	struct kvm_regs r;

	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rip, 0xfff0);
	CHECK_EQ(r.rflags, 2);
	CHECK_EQ(r.rsp, 0);
	CHECK_EQ(r.rax, 0);
	/* family, model, stepping: some of them */
	CHECK(r.rdx & 0xf00);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cs.selector, 0xf000);
	CHECK_EQ(s.cs.base, 0xffff0000);
	CHECK_EQ(s.cs.limit, 0xffff);
	CHECK_EQ(s.ds.base, 0);
	CHECK_EQ(s.ss.selector, 0);
	CHECK_EQ(s.gdt.base, 0);
	CHECK_EQ(s.gdt.limit, 0xffff);
	CHECK_EQ(s.idt.limit, 0xffff);
	CHECK_EQ(s.cr0, 0x60000010);
	CHECK_EQ(s.cr2, 0);
	CHECK_EQ(s.cr3, 0);
	CHECK_EQ(s.cr4, 0);
	CHECK_EQ(s.efer, 0);
	CHECK_EQ(s.apic_base, 0xfee00900);
}

/* jmp far to 0xf000:0x1000, from the reset vector in a ROM of the test's */
static const u8 reset_code[] = {
	0xb0, 0x5a,			/* mov $0x5a, %al */
	0xba, 0xf0, 0x02,		/* mov $0x2f0, %dx */
	0xee,				/* out %al, %dx */
	0xea, 0x00, 0x10, 0x00, 0x00,	/* ljmp $0, $0x1000 */
};

static const u8 after_reset[] = {
	0xb8, 0x34, 0x12,		/* mov $0x1234, %ax */
	0xef,				/* out %ax, %dx */
	0xf4,				/* hlt */
};

static void expect_out(struct vcpu *vcpu, u16 port, u32 value, u8 size)
{
	struct kvm_run *run = vcpu->run;
	u32 v = 0;

	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(run->io.direction, KVM_EXIT_IO_OUT);
	CHECK_EQ(run->io.port, port);
	CHECK_EQ(run->io.size, size);
	memcpy(&v, (u8 *)run + run->io.data_offset, size);
	CHECK_EQ(v, value);
}

/* A guest starts at the reset vector below 4 GiB, in real mode. */
static void test_reset_vector(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add_reset(vm, 0);
	u8 *rom = host_memory(0x10000);
	struct kvm_regs r;
	struct kvm_sregs s;

	memcpy(rom + 0xfff0, reset_code, sizeof(reset_code));
	memcpy(vm_ptr(vm, CODE), after_reset, sizeof(after_reset));
	vm_region(vm, 1, 0, 0xffff0000, 0x10000, rom);
	expect_out(vcpu, PORT, 0x5a, 1);
	expect_out(vcpu, PORT, 0x1234, 2);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rip, CODE + sizeof(after_reset));
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cs.selector, 0);
	CHECK_EQ(s.cs.base, 0);
}

/*
 * The code of these tests is assembled here and copied to CODE: it may not
 * refer to anything outside of itself but by offsets from CODE.
 */
#define BLOB(name, bits, text)						\
	asm(".pushsection .rodata\n"					\
	    ".globl " #name ", " #name "_end\n"				\
	    ".code" #bits "\n"						\
	    #name ":\n" text "\n"					\
	    #name "_end:\n"						\
	    ".code64\n"							\
	    ".popsection\n");						\
	extern const u8 name[], name##_end[]

BLOB(real_blob, 16,
     "mov $0x2f0, %dx\n"
     "mov $0x40, %ax\n"
     "mov %ax, %ds\n"			/* base 0x400 */
     "mov %ax, %es\n"
     "movw $0xbeef, 0x10\n"
     "mov 0x10, %ax\n"
     "out %ax, %dx\n"
     /* 0xfffff + something: above 1 MiB */
     "mov $0xffff, %ax\n"
     "mov %ax, %es\n"
     "movw $0x7777, %es:0x20\n"
     "mov %es:0x20, %ax\n"
     "out %ax, %dx\n"
     /* an interrupt through the table at 0 */
     "xor %ax, %ax\n"
     "mov %ax, %ds\n"
     "mov %ax, %es\n"
     "movw $(0x1000 + real_int - real_blob), 0x21 * 4\n"
     "movw %ax, 0x21 * 4 + 2\n"
     "int $0x21\n"
     /* a fault, likewise: #DE is vector 0 */
     "movw $(0x1000 + real_div - real_blob), 0\n"
     "movw %ax, 2\n"
     "xor %cl, %cl\n"
     "div %cl\n"
     /* string I/O */
     "mov $0x800, %si\n"
     "movl $0x44434241, 0x800\n"
     "mov $4, %cx\n"
     "cld\n"
     "rep outsb\n"
     "mov $0x900, %di\n"
     "mov $2, %cx\n"
     "rep insw\n"
     "mov 0x900, %eax\n"
     "out %eax, %dx\n"
     "hlt\n"
     "real_int: mov $0x2121, %ax\n"
     "out %ax, %dx\n"
     "xor %ax, %ax\n"
     "iret\n"
     "real_div: mov $0x0d0d, %ax\n"
     "out %ax, %dx\n"
     "pop %bx\n"
     "add $2, %bx\n"
     "push %bx\n"
     "iret");

/*
 * Real mode: segments, wrap above 1 MiB, interrupts and faults through the
 * table at 0, string I/O.
 */
static void test_real(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add_reset(vm, 0);
	struct kvm_run *run = vcpu->run;
	u8 text[4];
	u32 got = 0, n;

	memcpy(vm_ptr(vm, CODE), real_blob, real_blob_end - real_blob);
	vcpu_real_mode(vcpu, CODE);
	expect_out(vcpu, PORT, 0xbeef, 2);
	expect_out(vcpu, PORT, 0x7777, 2);
	CHECK_EQ(*(u16 *)vm_ptr(vm, 0x100010), 0x7777);
	expect_out(vcpu, PORT, 0x2121, 2);
	expect_out(vcpu, PORT, 0x0d0d, 2);
	while (got < 4) {
		vcpu_expect(vcpu, KVM_EXIT_IO);
		CHECK_EQ(run->io.direction, KVM_EXIT_IO_OUT);
		CHECK_EQ(run->io.size, 1);
		n = run->io.count;
		CHECK(got + n <= 4);
		memcpy(text + got, (u8 *)run + run->io.data_offset, n);
		got += n;
	}
	CHECK_EQ(memcmp(text, "ABCD", 4), 0);
	for (got = 0; got < 2; got += n) {
		vcpu_expect(vcpu, KVM_EXIT_IO);
		CHECK_EQ(run->io.direction, KVM_EXIT_IO_IN);
		CHECK_EQ(run->io.size, 2);
		n = run->io.count;
		CHECK(n && got + n <= 2);
		memcpy((u8 *)run + run->io.data_offset,
		       (u16[]){ 0x1111, 0x2222 } + got, 2 * n);
	}
	expect_out(vcpu, PORT, 0x22221111, 4);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
}

/*
 * 16-bit to 32-bit to PAE paging to long mode and back, in one guest, with the
 * GDT of the library (0x18 is 32-bit code, 0x10 data, 8 64-bit code, 0x40 and
 * 0x48 16-bit).
 */
BLOB(climb_blob, 16,
     "cli\n"
     "lgdtl 0x1000 + climb_gdt - climb_blob\n"
     "mov %cr0, %eax\n"
     "or $1, %eax\n"
     "mov %eax, %cr0\n"
     "ljmpl $0x18, $(0x1000 + climb_32 - climb_blob)\n"
     ".code32\n"
     "climb_32: mov $0x10, %ax\n"
     "mov %ax, %ds\n"
     "mov %ax, %es\n"
     "mov %ax, %ss\n"
     "mov $0x2f0, %edx\n"
     "mov $0x32, %eax\n"
     "out %eax, %dx\n"
     /* 32-bit paging: one 4 MiB page, PSE */
     "movl $0x83, 0x100000\n"
     "mov %cr4, %eax\n"
     "or $0x10, %eax\n"
     "mov %eax, %cr4\n"
     "mov $0x100000, %eax\n"
     "mov %eax, %cr3\n"
     "mov %cr0, %eax\n"
     "or $0x80000000, %eax\n"
     "mov %eax, %cr0\n"
     "movl $0x33, 0x200000\n"
     "mov 0x200000, %eax\n"
     "out %eax, %dx\n"
     /* paging off, PAE on, paging on: PDPT at 0x101000, PD at 0x102000 */
     "mov %cr0, %eax\n"
     "and $0x7fffffff, %eax\n"
     "mov %eax, %cr0\n"
     "movl $0x102001, 0x101000\n"
     "movl $0, 0x101004\n"
     "movl $0x83, 0x102000\n"
     "movl $0x200083, 0x102008\n"
     "mov %cr4, %eax\n"
     "or $0x20, %eax\n"
     "mov %eax, %cr4\n"
     "mov $0x101000, %eax\n"
     "mov %eax, %cr3\n"
     "mov %cr0, %eax\n"
     "or $0x80000000, %eax\n"
     "mov %eax, %cr0\n"
     "incl 0x200000\n"
     "mov 0x200000, %eax\n"
     "out %eax, %dx\n"
     /* long mode with the library's tables */
     "mov %cr0, %eax\n"
     "and $0x7fffffff, %eax\n"
     "mov %eax, %cr0\n"
     "mov $0x10000, %eax\n"
     "mov %eax, %cr3\n"
     "mov $0xc0000080, %ecx\n"
     "rdmsr\n"
     "or $0x100, %eax\n"
     "wrmsr\n"
     "mov %cr0, %eax\n"
     "or $0x80000000, %eax\n"
     "mov %eax, %cr0\n"
     /* still compatibility mode */
     "mov $0x2f0, %edx\n"
     "mov $0x35, %eax\n"
     "out %eax, %dx\n"
     "ljmp $8, $(0x1000 + climb_64 - climb_blob)\n"
     ".code64\n"
     "climb_64: mov $0x123456789abcdef0, %rax\n"
     "shr $32, %rax\n"
     "out %eax, %dx\n"
     "mov $0xc0000080, %ecx\n"
     "rdmsr\n"
     "mov $0x2f0, %edx\n"
     "out %eax, %dx\n"
     /* and down again */
     "lea climb_far(%rip), %rbx\n"
     "ljmpl *(%rbx)\n"
     "climb_far: .long 0x1000 + climb_down - climb_blob\n"
     ".word 0x18\n"
     ".code32\n"
     "climb_down: mov %cr0, %eax\n"
     "and $0x7fffffff, %eax\n"
     "mov %eax, %cr0\n"
     "mov $0xc0000080, %ecx\n"
     "rdmsr\n"
     "and $~0x100, %eax\n"
     "wrmsr\n"
     "mov $0x2f0, %edx\n"
     "out %eax, %dx\n"
     "ljmp $0x40, $(0x1000 + climb_16 - climb_blob)\n"
     ".code16\n"
     "climb_16: mov $0x48, %ax\n"
     "mov %ax, %ds\n"
     "mov %ax, %es\n"
     "mov %ax, %ss\n"
     "mov %cr0, %eax\n"
     "and $~1, %eax\n"
     "mov %eax, %cr0\n"
     "ljmp $0, $(0x1000 + climb_real - climb_blob)\n"
     "climb_real: xor %ax, %ax\n"
     "mov %ax, %ds\n"
     "mov $0x16, %ax\n"
     "out %ax, %dx\n"
     "hlt\n"
     "climb_gdt: .word 0x57\n"
     ".long 0x8000");

/*
 * All paging modes, up and down, with CR0, CR3, CR4 and EFER written by the
 * guest. Vol. 3, "Switching to Protected Mode", "Initializing IA-32e Mode".
 */
static void test_climb(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add_reset(vm, 0);
	struct kvm_sregs s;

	memcpy(vm_ptr(vm, CODE), climb_blob, climb_blob_end - climb_blob);
	vcpu_real_mode(vcpu, CODE);
	expect_out(vcpu, PORT, 0x32, 4);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cs.selector, SEL_CODE32);
	CHECK_EQ(s.cs.db, 1);
	CHECK_EQ(s.cr0 & (X86_CR0_PE | X86_CR0_PG), X86_CR0_PE);
	expect_out(vcpu, PORT, 0x33, 4);
	expect_out(vcpu, PORT, 0x34, 4);
	expect_out(vcpu, PORT, 0x35, 4);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.efer & (X86_EFER_LME | X86_EFER_LMA),
		 X86_EFER_LME | X86_EFER_LMA);
	expect_out(vcpu, PORT, 0x12345678, 4);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(*(u32 *)((u8 *)vcpu->run + vcpu->run->io.data_offset) & 0x500,
		 0x500);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(*(u32 *)((u8 *)vcpu->run + vcpu->run->io.data_offset) & 0x500,
		 0);
	expect_out(vcpu, PORT, 0x16, 2);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cr0 & (X86_CR0_PE | X86_CR0_PG), 0);
	CHECK_EQ(s.efer & (X86_EFER_LME | X86_EFER_LMA), 0);
}

BLOB(v86_blob, 32,
     /* IRET to virtual-8086 mode: GS FS DS ES SS ESP EFLAGS CS EIP */
     "push $0\n"
     "push $0\n"
     "push $0\n"
     "push $0\n"
     "push $0\n"
     "push $0x6000\n"
     "push $0x23002\n"			/* VM, IOPL 3 */
     "push $0\n"
     "push $(0x1000 + v86_16 - v86_blob)\n"
     "iret\n"
     ".code16\n"
     "v86_16: mov $0x100, %ax\n"
     "mov %ax, %ds\n"
     "mov $0x2f0, %dx\n"
     "mov %ds:(v86_data - v86_blob), %ax\n"
     "out %ax, %dx\n"
     "1: jmp 1b\n"
     "v86_data: .word 0x8086");

/* Virtual-8086 mode, entered by IRET in 32-bit protected mode. */
static void test_v86(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs r = { .rip = CODE, .rsp = 0x7000, .rflags = 2 };
	struct kvm_sregs s;

	memcpy(vm_ptr(vm, CODE), v86_blob, v86_blob_end - v86_blob);
	/* the library's TSS is a 64-bit one; 32-bit mode reads it as its own */
	vcpu_get_sregs(vcpu, &s);
	s.cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
	s.cr4 = 0;
	s.efer = 0;
	s.cs.l = 0;
	s.cs.db = 1;
	s.cs.selector = SEL_CODE32;
	s.tr.limit = 0xffff;
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_regs(vcpu, &r);
	/* an I/O permission map of zeros: every port is allowed */
	*(u16 *)vm_ptr(vm, s.tr.base + 0x66) = 0x2000;
	expect_out(vcpu, PORT, 0x8086, 2);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags & 1 << 17, 1 << 17);
}

static void guest_nop(void)
{
}

/* one attempt to run with sregs that a VM entry would refuse */
static void try_bad(const char *what, void (*spoil)(struct kvm_sregs *s))
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_sregs s;
	int r;

	vcpu_call(vcpu, guest_nop, 0);
	vcpu_get_sregs(vcpu, &s);
	spoil(&s);
	r = ioctl(vcpu->fd, KVM_SET_SREGS, &s);
	if (r) {
		CHECK_EQ(errno, EINVAL);
		ksft_print("%s: KVM_SET_SREGS refuses", what);
		vm_free(vm);
		return;
	}
	/* whatever becomes of it has to end */
	vcpu_kick_after(vcpu, 50000);
	r = vcpu_run_raw(vcpu);
	vcpu_kick_cancel();
	if (r)
		ksft_print("%s: KVM_RUN %s", what, strerror(-r));
	else
		ksft_print("%s: exit %s", what,
			   exit_name(vcpu->run->exit_reason));
	CHECK(r == -EINTR || r == -EINVAL || r == -EFAULT || r == -EIO || !r);
	/* the vCPU can be set right again */
	vcpu_long_mode(vcpu);
	vcpu_call(vcpu, guest_nop, 0);
	if (vcpu->run->exit_reason != KVM_EXIT_IO || r)
		vcpu_done(vcpu);
	vm_free(vm);
}

static void bad_cs_type(struct kvm_sregs *s)
{
	s->cs.type = 2;
}

static void bad_ss_dpl(struct kvm_sregs *s)
{
	s->ss.dpl = 3;
}

static void bad_l_and_db(struct kvm_sregs *s)
{
	s->cs.db = 1;
}

static void bad_tr(struct kvm_sregs *s)
{
	s->tr.unusable = 1;
}

static void bad_tr_type(struct kvm_sregs *s)
{
	s->tr.type = 2;
}

static void bad_base(struct kvm_sregs *s)
{
	s->gdt.base = 1ull << 60;
}

static void bad_granularity(struct kvm_sregs *s)
{
	s->ds.g = 0;
}

static void bad_cr3(struct kvm_sregs *s)
{
	s->cr3 = 1ull << 62;
}

static void bad_cr4(struct kvm_sregs *s)
{
	s->cr4 |= 1ull << 30;
}

static void bad_cr0(struct kvm_sregs *s)
{
	s->cr0 |= 1ull << 40;
}

static void bad_paging(struct kvm_sregs *s)
{
	s->cr4 &= ~X86_CR4_PAE;
}

static void bad_efer(struct kvm_sregs *s)
{
	s->efer |= 1ull << 40;
}

/*
 * Guest state that the VM-entry checks refuse (Vol. 3, "Checks on the Guest
 * State Area") is an EINVAL of KVM_SET_SREGS, a FAIL_ENTRY or INTERNAL_ERROR
 * exit, or is emulated; the host stays well and the vCPU can be set right.
 */
static void test_bad_state(void)
{
	try_bad("CS is a data segment", bad_cs_type);
	try_bad("SS.DPL is not CS.DPL", bad_ss_dpl);
	try_bad("CS.L and CS.D", bad_l_and_db);
	try_bad("TR unusable", bad_tr);
	try_bad("TR is no TSS", bad_tr_type);
	try_bad("GDTR not canonical", bad_base);
	try_bad("DS limit without G", bad_granularity);
	try_bad("CR3 beyond MAXPHYADDR", bad_cr3);
}

/* KVM_SET_SREGS itself refuses reserved bits and impossible modes: EINVAL. */
static void test_bad_sregs(void)
{
	static void (*const spoil[])(struct kvm_sregs *) = {
		bad_cr4, bad_cr0, bad_paging,
		bad_efer,		/* KVM 6.1 lets it pass */
	};
	unsigned int n = ARRAY_SIZE(spoil) - !ksft_is_emys();
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_sregs s;
	unsigned int i;

	for (i = 0; i < n; i++) {
		vcpu_get_sregs(vcpu, &s);
		spoil[i](&s);
		if (ioctl(vcpu->fd, KVM_SET_SREGS, &s) != -1 ||
		    errno != EINVAL)
			FAIL("bad sregs %u were taken", i);
	}
	vcpu_call(vcpu, guest_nop, 0);
	vcpu_done(vcpu);
}

/* RIP or RFLAGS that cannot be: a clear exit or a fault in the guest. */
static void test_bad_regs(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs r;
	u32 reason;
	int ret;

	vcpu_call(vcpu, guest_nop, 0);
	vcpu_get_regs(vcpu, &r);
	r.rip = 1ull << 60;
	vcpu_set_regs(vcpu, &r);
	ret = vcpu_run_raw(vcpu);
	reason = vcpu->run->exit_reason;
	ksft_print("RIP not canonical: KVM_RUN %d, exit %s", ret,
		   exit_name(reason));
	CHECK(ret || reason == KVM_EXIT_FAIL_ENTRY || reason == KVM_EXIT_IO ||
	      reason == KVM_EXIT_INTERNAL_ERROR ||
	      reason == KVM_EXIT_SHUTDOWN);
	vcpu_long_mode(vcpu);
	vcpu_call(vcpu, guest_nop, 0);
	vcpu_get_regs(vcpu, &r);
	/* bit 1 must be one, and VM cannot be in long mode */
	r.rflags = 0;
	vcpu_set_regs(vcpu, &r);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags & 2, 2);
}

KSFT_MAIN(
	{ "modes: state after creation", test_reset },
	{ "modes: the reset vector", test_reset_vector },
	{ "modes: real mode", test_real },
	{ "modes: every paging mode and back", test_climb },
	{ "modes: virtual-8086 mode", test_v86 },
	{ "modes: state that cannot be entered", test_bad_state },
	{ "modes: KVM_SET_SREGS refuses", test_bad_sregs },
	{ "modes: bad RIP and RFLAGS", test_bad_regs },
)
