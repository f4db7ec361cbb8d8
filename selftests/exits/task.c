// SPDX-License-Identifier: GPL-2.0-only
/* exits/task: task switches in 32-bit protected mode */
#include "vmm.h"

#define PORT		0x2f0
#define CODE		0x1000		/* the blob below */
#define GDT		0x2000
#define LDT		0x2800
#define IDT		0x3000
#define TSS_A		0x4000		/* the first task's */
#define TSS_B		0x4100
#define TSS_16		0x4200
#define STACK_A		0x7000
#define STACK_B		0x6000
#define STACK_0		0x5800		/* of CPL 0, from a task at CPL 3 */
#define FAR_TSS		0x180000	/* a page of its own, for tables that are elsewhere */
#define DIR_A		0x200000	/* page tables: 4 MiB pages, or PAE with 2 MiB */
#define DIR_B		0x202000
#define WINDOW		0x400000	/* maps to 0x400000 in A, to 0x800000 in B */

enum {
	S_CODE = 0x08, S_DATA = 0x10, S_A = 0x18, S_B = 0x20, S_16 = 0x28,
	S_LDT = 0x30, S_GATE = 0x38, S_UCODE = 0x40, S_UDATA = 0x48,
	S_ABSENT = 0x50, S_CODE16 = 0x58, S_DATA16 = 0x60, S_TABLE_END = 0x68,
	S_OUTSIDE = 0x100,
};

#define D_CODE		0x00cf9b000000ffffull
#define D_DATA		0x00cf93000000ffffull
#define D_UCODE		0x00cffb000000ffffull
#define D_UDATA		0x00cff3000000ffffull
#define D_PRESENT	(1ull << 47)
#define D_BUSY		(1ull << 41)
#define TSS_TYPE	0x89ull
#define TSS16_TYPE	0x81ull

#define X86_NT		(1u << 14)
#define X86_VM		(1u << 17)

struct tss32 {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
};

struct tss16 {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
	u16 ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

/*
 * Code of both tasks, at CODE. An entry point ends in OUTs that the host reads;
 * the handlers of faults say their vector, the error code, and the task that
 * they found themselves in.
 */
#define AT(label)	"(0x1000 + " #label " - task_blob)"
#define OUT(value)	"mov $" #value ", %eax\nout %eax, %dx\n"

asm(".pushsection .rodata\n"
    ".globl task_blob, task_blob_end\n"
    ".code32\n"
    "task_blob:\n"
    "t_jmp: ljmp $0x20, $0\n"
    "t_after_jmp:" OUT(0xa1)
    "hlt\n"
    "t_call: lcall $0x20, $0\n"
    "t_after_call:" OUT(0xa2)
    "hlt\n"
    "t_gate: lcall $0x38, $0\n" OUT(0xa3)
    "hlt\n"
    "t_ud: ud2\n" OUT(0xa4)
    "hlt\n"
    "t_int: int $0x40\n"
    "t_after_int:" OUT(0xa5)
    "hlt\n"
    "t_irq: sti\n"
    "1: jmp 1b\n"
    "t_gp: mov $0x100, %eax\n"
    "t_gp_here: mov %ax, %es\n" OUT(0xa6)
    "hlt\n"
    "t_16: ljmp $0x28, $0\n" OUT(0xa7)
    "hlt\n"
    "t_outside: ljmp $0x100, $0\n"
    "t_busy: ljmp $0x18, $0\n"
    "t_iret: pushf\n"
    "orl $0x4000, (%esp)\n"
    "popf\n"
    "t_iret_here: iret\n"
    "t_window: ljmp $0x20, $0\n"
    "mov 0x400000, %eax\n"
    "out %eax, %dx\n"
    "hlt\n"
    /* the second task */
    "b_window: mov 0x400000, %eax\n"
    "out %eax, %dx\n"
    "ljmp $0x18, $0\n"
    "b_out: str %eax\n"
    "out %eax, %dx\n"
    "hlt\n"
    "b_jmp: str %eax\n"
    "out %eax, %dx\n"
    "ljmp $0x18, $0\n"
    "b_iret: str %eax\n"
    "out %eax, %dx\n"
    "iret\n" OUT(0xb2)			/* entered again here */
    "hlt\n"
    "b_skip: addl $2, 0x4020\n"		/* A goes on behind its instruction */
    "iret\n"
    "b_irq: addl $2, 0x4020\n"
    "iret\n"
    "b_error: pop %eax\n"
    "out %eax, %dx\n"
    "mov %esp, %eax\n"
    "out %eax, %dx\n"
    "addl $2, 0x4020\n"
    "iret\n"
    ".code16\n"
    "b_16: mov %bx, %ax\n"
    "out %ax, %dx\n"
    "ljmp $0x18, $0\n"
    "b_v86: mov %ds:0, %ax\n"
    "out %ax, %dx\n"
    "1: jmp 1b\n"
    ".code32\n"
    /* interrupt gates: vector << 16 | error code, and TR */
    ".irp v, 10, 11, 12, 13, 14\n"
    "h_\\v: pop %eax\n"
    "or $(\\v << 16), %eax\n"
    "mov $0x2f0, %edx\n"
    "out %eax, %dx\n"
    "str %eax\n"
    "out %eax, %dx\n"
    "hlt\n"
    ".endr\n"
    "h_1: mov $0x2f0, %edx\n"
    "mov $0x10000, %eax\n"
    "out %eax, %dx\n"
    "str %eax\n"
    "out %eax, %dx\n"
    "hlt\n"
    "task_blob_end:\n"
    ".code64\n"
    ".popsection\n");

extern const u8 task_blob[], task_blob_end[];
extern const u8 t_jmp[], t_after_jmp[], t_call[], t_after_call[], t_gate[], t_ud[], t_int[],
	t_after_int[], t_irq[], t_gp[], t_gp_here[], t_16[], t_outside[], t_busy[], t_iret[],
	t_iret_here[], t_window[], b_window[], b_out[], b_jmp[], b_iret[], b_skip[], b_irq[],
	b_error[], b_16[], b_v86[], h_1[], h_10[], h_11[], h_12[], h_13[], h_14[];

static u32 at(const u8 *label)
{
	return CODE + (label - task_blob);
}

static u64 tss_desc(u32 base, u32 limit, u64 type)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | type << 40 |
	       (u64)(limit >> 16) << 48 | (u64)(base >> 24) << 56;
}

static u64 *gdt(struct vm *vm, u16 sel)
{
	return vm_ptr(vm, GDT + (sel & ~7));
}

static struct tss32 *tss(struct vm *vm, u32 base)
{
	return vm_ptr(vm, base);
}

static void int_gate(struct vm *vm, u8 vector, const u8 *label)
{
	u64 *gate = vm_ptr(vm, IDT + vector * 8);

	*gate = (at(label) & 0xffff) | (u64)S_CODE << 16 | 0x8eull << 40 |
		(u64)(at(label) >> 16) << 48;
}

static void task_gate(struct vm *vm, u8 vector, u16 sel)
{
	u64 *gate = vm_ptr(vm, IDT + vector * 8);

	*gate = (u64)sel << 16 | 0x85ull << 40;
}

/* Task A runs ENTRY in flat 32-bit protected mode; task B waits at WAITS. */
static void set_up(struct vcpu *vcpu, const u8 *entry, const u8 *waits)
{
	struct vm *vm = vcpu->vm;
	struct kvm_regs r = {
		.rip = at(entry), .rsp = STACK_A, .rflags = 2,
		.rax = 0xa0000000, .rcx = 0xa0000001, .rdx = PORT,
		.rbx = 0xa0000003, .rbp = 0xa0000005, .rsi = 0xa0000006,
		.rdi = 0xa0000007,
	};
	struct kvm_sregs s;
	struct tss32 *b = tss(vm, TSS_B);
	unsigned int v;

	/* from there it is not far */
	vcpu_long_mode(vcpu);
	memcpy(vm_ptr(vm, CODE), task_blob, task_blob_end - task_blob);
	*gdt(vm, 0) = 0;
	*gdt(vm, S_CODE) = D_CODE;
	*gdt(vm, S_DATA) = D_DATA;
	*gdt(vm, S_A) = tss_desc(TSS_A, 0x67, TSS_TYPE) | D_BUSY;
	*gdt(vm, S_B) = tss_desc(TSS_B, 0x67, TSS_TYPE);
	*gdt(vm, S_16) = tss_desc(TSS_16, 0x2b, TSS16_TYPE);
	*gdt(vm, S_LDT) = tss_desc(LDT, 0xf, 0x82);
	*gdt(vm, S_GATE) = (u64)S_B << 16 | 0x85ull << 40;
	*gdt(vm, S_UCODE) = D_UCODE;
	*gdt(vm, S_UDATA) = D_UDATA;
	*gdt(vm, S_ABSENT) = D_DATA & ~D_PRESENT;
	*gdt(vm, S_CODE16) = 0x00009b000000ffff;
	*gdt(vm, S_DATA16) = 0x000093000000ffff;
	*(u64 *)vm_ptr(vm, LDT + 8) = D_DATA & ~(1ull << 40);	/* not accessed */
	for (v = 0; v < 256; v++)
		*(u64 *)vm_ptr(vm, IDT + v * 8) = 0;
	int_gate(vm, 1, h_1);
	int_gate(vm, 10, h_10);
	int_gate(vm, 11, h_11);
	int_gate(vm, 12, h_12);
	int_gate(vm, 13, h_13);
	int_gate(vm, 14, h_14);

	memset(tss(vm, TSS_A), 0, sizeof(struct tss32));
	*b = (struct tss32){
		.esp0 = STACK_0, .ss0 = S_DATA, .eip = at(waits), .eflags = 2,
		.eax = 0xb0000000, .ecx = 0xb0000001, .edx = PORT,
		.ebx = 0xb0000003, .esp = STACK_B, .ebp = 0xb0000005,
		.esi = 0xb0000006, .edi = 0xb0000007,
		.es = S_DATA, .cs = S_CODE, .ss = S_DATA, .ds = S_DATA,
		.fs = 8 | 4,		/* entry 1 of the LDT */
		.gs = 0, .ldt = S_LDT, .iomap = 0x68,
	};

	vcpu_get_sregs(vcpu, &s);
	s.cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE;
	s.cr4 = 0;
	s.cr3 = 0;
	s.efer = 0;
	s.cs.l = 0;
	s.cs.db = 1;
	s.cs.selector = S_CODE;
	s.ds.selector = S_DATA;
	s.es = s.ds;
	s.ss = s.ds;
	s.fs = s.ds;
	s.gs = s.ds;
	s.tr.base = TSS_A;
	s.tr.limit = 0x67;
	s.tr.selector = S_A;
	s.tr.type = 11;
	s.tr.present = 1;
	s.gdt.base = GDT;
	s.gdt.limit = S_TABLE_END - 1;
	s.idt.base = IDT;
	s.idt.limit = 0x7ff;
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_regs(vcpu, &r);
}

static struct vcpu *start(const u8 *entry, const u8 *waits)
{
	struct vcpu *vcpu = vcpu_add(vm_create(), 0);

	set_up(vcpu, entry, waits);
	return vcpu;
}

static void expect_out(struct vcpu *vcpu, u32 value)
{
	struct kvm_run *run = vcpu->run;
	u32 v = 0;

	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(run->io.direction, KVM_EXIT_IO_OUT);
	CHECK_EQ(run->io.port, PORT);
	memcpy(&v, (u8 *)run + run->io.data_offset, run->io.size);
	CHECK_EQ(v, value);
}

/* Vector and error code as the handler saw them, and whose task it was. */
static void expect_fault(struct vcpu *vcpu, u8 vector, u16 error, u16 task)
{
	expect_out(vcpu, (u32)vector << 16 | error);
	expect_out(vcpu, task);
}

static void expect_busy(struct vm *vm, int a, int b)
{
	CHECK_EQ(!!(*gdt(vm, S_A) & D_BUSY), a);
	CHECK_EQ(!!(*gdt(vm, S_B) & D_BUSY), b);
}

static void expect_saved(struct vm *vm, u32 eip)
{
	const struct tss32 *a = tss(vm, TSS_A);

	CHECK_EQ(a->eip, eip);
	CHECK_EQ(a->eax, 0xa0000000);
	CHECK_EQ(a->ecx, 0xa0000001);
	CHECK_EQ(a->edx, PORT);
	CHECK_EQ(a->ebx, 0xa0000003);
	CHECK_EQ(a->esp, STACK_A);
	CHECK_EQ(a->ebp, 0xa0000005);
	CHECK_EQ(a->esi, 0xa0000006);
	CHECK_EQ(a->edi, 0xa0000007);
	CHECK_EQ((u16)a->cs, S_CODE);
	CHECK_EQ((u16)a->ss, S_DATA);
	CHECK_EQ((u16)a->gs, S_DATA);
	/* what is not saved stays as it was */
	CHECK_EQ(a->link, 0);
	CHECK_EQ(a->cr3, 0);
	CHECK_EQ(a->ldt, 0);
}

/*
 * JMP to a TSS: registers saved and loaded, busy flags, TR, LDTR, CR0.TS, DR7,
 * and back again. Vol. 3, "Task Switching".
 */
static void test_jmp(void)
{
	struct vcpu *vcpu = start(t_jmp, b_jmp);
	struct vm *vm = vcpu->vm;
	struct kvm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x755 };
	struct kvm_regs r;
	struct kvm_sregs s;

	CHECK_OK(ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &d));
	expect_out(vcpu, S_B);
	expect_saved(vm, at(t_after_jmp));
	CHECK_EQ(tss(vm, TSS_A)->eflags, 2);
	CHECK_EQ(tss(vm, TSS_B)->link, 0);
	expect_busy(vm, 0, 1);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rcx, 0xb0000001);
	CHECK_EQ(r.rbx, 0xb0000003);
	CHECK_EQ(r.rsp, STACK_B);
	CHECK_EQ(r.rbp, 0xb0000005);
	CHECK_EQ(r.rsi, 0xb0000006);
	CHECK_EQ(r.rdi, 0xb0000007);
	CHECK_EQ(r.rflags, 2);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.tr.selector, S_B);
	CHECK_EQ(s.tr.base, TSS_B);
	CHECK_EQ(s.tr.type, 11);
	CHECK_EQ(s.ldt.selector, S_LDT);
	CHECK_EQ(s.ldt.base, LDT);
	CHECK_EQ(s.fs.selector, 8 | 4);
	CHECK_EQ(s.fs.limit, 0xffffffff);
	CHECK_EQ(s.gs.selector, 0);
	CHECK_EQ(s.cr0 & X86_CR0_TS, X86_CR0_TS);
	/* the descriptor from the LDT is marked as accessed */
	CHECK_EQ(*(u64 *)vm_ptr(vm, LDT + 8), D_DATA);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &d));
	CHECK_EQ(d.dr7, 0x600);
	expect_out(vcpu, 0xa1);
	expect_busy(vm, 1, 0);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.tr.selector, S_A);
	/* A's TSS names no LDT */
	CHECK_EQ(s.ldt.selector, 0);
}

/*
 * CALL nests: link, NT, both tasks busy. IRET goes back, and clears NT in what
 * it saves.
 */
static void test_call(void)
{
	struct vcpu *vcpu = start(t_call, b_iret);
	struct vm *vm = vcpu->vm;
	struct kvm_regs r;

	expect_out(vcpu, S_B);
	expect_saved(vm, at(t_after_call));
	CHECK_EQ(tss(vm, TSS_B)->link, S_A);
	expect_busy(vm, 1, 1);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags, 2 | X86_NT);
	expect_out(vcpu, 0xa2);
	expect_busy(vm, 1, 0);
	CHECK_EQ(tss(vm, TSS_B)->eflags, 2);
	CHECK_EQ(tss(vm, TSS_B)->link, S_A);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags & X86_NT, 0);
}

/* CALL of a task gate. */
static void test_gate(void)
{
	struct vcpu *vcpu = start(t_gate, b_iret);

	expect_out(vcpu, S_B);
	expect_busy(vcpu->vm, 1, 1);
	expect_out(vcpu, 0xa3);
	expect_busy(vcpu->vm, 1, 0);
}

/* An exception through a task gate: the saved EIP is that of the instruction. */
static void test_ud(void)
{
	struct vcpu *vcpu = start(t_ud, b_skip);

	task_gate(vcpu->vm, UD_VECTOR, S_B);
	expect_out(vcpu, 0xa4);
	CHECK_EQ(tss(vcpu->vm, TSS_A)->eip, at(t_ud) + 2);
	CHECK_EQ(tss(vcpu->vm, TSS_B)->link, S_A);
	expect_busy(vcpu->vm, 1, 0);
}

/* The error code goes to the stack of the new task. */
static void test_error(void)
{
	struct vcpu *vcpu = start(t_gp, b_error);

	task_gate(vcpu->vm, GP_VECTOR, S_B);
	expect_out(vcpu, S_OUTSIDE);
	expect_out(vcpu, STACK_B);
	CHECK_EQ(tss(vcpu->vm, TSS_A)->eip, at(t_gp_here));
	expect_out(vcpu, 0xa6);
}

/* A double fault with a task of its own. */
static void test_df(void)
{
	struct vcpu *vcpu = start(t_gp, b_error);

	/* no gate for #GP: #NP, and that while #GP is delivered */
	*(u64 *)vm_ptr(vcpu->vm, IDT + NP_VECTOR * 8) = 0;
	*(u64 *)vm_ptr(vcpu->vm, IDT + GP_VECTOR * 8) = 0;
	task_gate(vcpu->vm, DF_VECTOR, S_B);
	expect_out(vcpu, 0);
	expect_out(vcpu, STACK_B);
	expect_out(vcpu, 0xa6);
}

/* INT n through a task gate: the saved EIP is the next instruction's. */
static void test_int(void)
{
	struct vcpu *vcpu = start(t_int, b_iret);

	task_gate(vcpu->vm, 0x40, S_B);
	expect_out(vcpu, S_B);
	expect_saved(vcpu->vm, at(t_after_int));
	expect_out(vcpu, 0xa5);
}

/* An external interrupt through a task gate, taken once. */
static void test_irq(void)
{
	struct vcpu *vcpu = start(t_irq, b_out);
	struct kvm_interrupt irq = { .irq = 0x41 };
	struct kvm_regs r;

	task_gate(vcpu->vm, 0x41, S_B);
	vcpu->run->request_interrupt_window = 1;
	vcpu_expect(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	vcpu->run->request_interrupt_window = 0;
	CHECK_OK(ioctl(vcpu->fd, KVM_INTERRUPT, &irq));
	expect_out(vcpu, S_B);
	CHECK_EQ(tss(vcpu->vm, TSS_A)->eip, at(t_irq) + 1);
	CHECK_EQ(tss(vcpu->vm, TSS_A)->eflags & X86_IF, X86_IF);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags, 2 | X86_NT);
}

/*
 * What KVM 6.1 does otherwise: a fault in the middle of a task switch is lost,
 * the T flag is not looked at, and the old TSS is taken to have the size of the
 * new one.
 */
static void only_emys(void)
{
	REQUIRE(ksft_is_emys(), "KVM does not do this as the manual says");
}

/* To a 16-bit task and back: the other layout, 16 bits saved. */
static void test_16(void)
{
	struct vcpu *vcpu = start(t_16, b_out);
	struct vm *vm = vcpu->vm;
	struct tss16 *t = vm_ptr(vm, TSS_16);
	struct kvm_sregs s;
	struct kvm_regs r;

	only_emys();
	*t = (struct tss16){
		.ip = at(b_16), .flags = 2, .ax = 0x1600, .cx = 0x1601,
		.dx = PORT, .bx = 0x1603, .sp = 0x5000, .bp = 0x1605,
		.si = 0x1606, .di = 0x1607, .es = S_DATA16, .cs = S_CODE16,
		.ss = S_DATA16, .ds = S_DATA16,
	};
	expect_out(vcpu, 0x1603);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ((u16)r.rcx, 0x1601);
	CHECK_EQ((u16)r.rsp, 0x5000);
	CHECK_EQ((u16)r.rdi, 0x1607);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.tr.selector, S_16);
	CHECK_EQ(s.tr.type, 3);
	CHECK_EQ(s.cs.db, 0);
	CHECK_EQ(!!(*gdt(vm, S_16) & D_BUSY), 1);
	expect_busy(vm, 0, 0);
	expect_out(vcpu, 0xa7);
	CHECK_EQ(!!(*gdt(vm, S_16) & D_BUSY), 0);
	CHECK_EQ(t->cx, 0x1601);
	CHECK_EQ(t->ax, 0x1603);
	CHECK_EQ(t->cs, S_CODE16);
	CHECK_EQ(t->ds, S_DATA16);
	CHECK_EQ(t->ldt, 0);
}

/* A task in virtual-8086 mode. */
static void test_v86(void)
{
	struct vcpu *vcpu = start(t_jmp, b_v86);
	struct vm *vm = vcpu->vm;
	struct tss32 *b = tss(vm, TSS_B);
	struct kvm_sregs s;
	struct kvm_regs r;

	*(u16 *)vm_ptr(vm, 0x12340) = 0x8086;
	b->eflags = 2 | X86_VM | 3 << 12;
	b->cs = CODE >> 4;
	b->eip = at(b_v86) - CODE;
	b->ss = STACK_0 >> 4;
	b->esp = 0x100;
	b->ds = 0x1234;
	b->es = 0x1234;
	b->fs = 0;
	b->ldt = 0;
	/* a permission map of zeros */
	*gdt(vm, S_B) = tss_desc(TSS_B, 0x1fff, TSS_TYPE);
	b->iomap = 0xa00;
	memset(vm_ptr(vm, TSS_B + 0xa00), 0, 0x80);
	expect_out(vcpu, 0x8086);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags & X86_VM, X86_VM);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.ds.base, 0x12340);
	CHECK_EQ(s.ds.limit, 0xffff);
	CHECK_EQ(s.ss.dpl, 3);
}

/* Identity tables at DIR but for WINDOW; with PAE the first page is the PDPT. */
static void make_tables(struct vm *vm, u32 dir, u32 window, int pae)
{
	u32 *pd32 = vm_ptr(vm, dir);
	u64 *pdpt = vm_ptr(vm, dir), *pd = vm_ptr(vm, dir + 0x1000);

	if (!pae) {
		pd32[0] = 0x83;
		pd32[WINDOW >> 22] = window | 0x83;
		return;
	}
	pdpt[0] = (dir + 0x1000) | 1;
	pd[0] = 0x83;
	pd[1] = 0x200083;
	pd[WINDOW >> 21] = window | 0x83;
}

static void use_paging(struct vcpu *vcpu, int pae)
{
	struct vm *vm = vcpu->vm;
	struct kvm_sregs s;

	make_tables(vm, DIR_A, WINDOW, pae);
	make_tables(vm, DIR_B, 0x800000, pae);
	tss(vm, TSS_A)->cr3 = DIR_A;
	tss(vm, TSS_B)->cr3 = DIR_B;
	vcpu_get_sregs(vcpu, &s);
	s.cr4 = pae ? X86_CR4_PAE : X86_CR4_PSE;
	s.cr3 = DIR_A;
	s.cr0 |= X86_CR0_PG | X86_CR0_WP;
	vcpu_set_sregs(vcpu, &s);
}

static void try_paging(int pae)
{
	struct vcpu *vcpu = start(t_window, b_window);
	struct vm *vm = vcpu->vm;
	struct kvm_sregs s;

	*(u32 *)vm_ptr(vm, WINDOW) = 0xaaaa;
	*(u32 *)vm_ptr(vm, 0x800000) = 0xbbbb;
	use_paging(vcpu, pae);
	expect_out(vcpu, 0xbbbb);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cr3, DIR_B);
	CHECK_EQ(tss(vm, TSS_A)->cr3, DIR_A);
	expect_out(vcpu, 0xaaaa);
	vm_free(vm);
}

/* CR3 comes from the TSS; under PAE the PDPTEs with it. */
static void test_paging(void)
{
	try_paging(0);
	try_paging(1);
}

/* The T flag of the new TSS: #DB with DR6.BT, before its first instruction. */
static void test_trap(void)
{
	struct vcpu *vcpu = start(t_jmp, b_out);
	struct kvm_debugregs d;

	only_emys();
	tss(vcpu->vm, TSS_B)->trap = 1;
	expect_fault(vcpu, DB_VECTOR, 0, S_B);
	CHECK_EQ(*(u32 *)vm_ptr(vcpu->vm, STACK_B - 12), at(b_out));
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &d));
	CHECK_EQ(d.dr6 & 1 << 15, 1 << 15);
}

/* The old task is as before: its registers in use, its TSS untouched. */
static void expect_untouched(struct vcpu *vcpu, const u8 *insn)
{
	struct kvm_regs r;

	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rcx, 0xa0000001);
	CHECK_EQ(r.rdi, 0xa0000007);
	CHECK_EQ(tss(vcpu->vm, TSS_A)->ecx, 0);
	/* EIP in the frame of the fault */
	CHECK_EQ(*(u32 *)vm_ptr(vcpu->vm, STACK_A - 12), at(insn));
	expect_busy(vcpu->vm, 1, 0);
}

static struct vcpu *start_bad(u64 desc)
{
	struct vcpu *vcpu = start(t_jmp, b_out);

	*gdt(vcpu->vm, S_B) = desc;
	return vcpu;
}

/* What is wrong with the TSS or its descriptor is a fault of the old task. */
static void test_bad_tss(void)
{
	struct vcpu *vcpu;

	vcpu = start_bad(tss_desc(TSS_B, 0x67, TSS_TYPE) & ~D_PRESENT);
	expect_fault(vcpu, NP_VECTOR, S_B, S_A);
	expect_untouched(vcpu, t_jmp);

	vcpu = start_bad(tss_desc(TSS_B, 0x66, TSS_TYPE));
	expect_fault(vcpu, TS_VECTOR, S_B, S_A);
	expect_untouched(vcpu, t_jmp);

	vcpu = start_bad(tss_desc(TSS_B, 0x2a, TSS16_TYPE));
	expect_fault(vcpu, TS_VECTOR, S_B, S_A);
	expect_untouched(vcpu, t_jmp);

	/* a type that is none */
	vcpu = start_bad(tss_desc(TSS_B, 0x67, 0x80));
	expect_fault(vcpu, GP_VECTOR, S_B, S_A);
	expect_untouched(vcpu, t_jmp);

	vcpu = start(t_busy, b_out);
	expect_fault(vcpu, GP_VECTOR, S_A, S_A);
	expect_untouched(vcpu, t_busy);

	vcpu = start(t_outside, b_out);
	expect_fault(vcpu, GP_VECTOR, S_OUTSIDE, S_A);
	expect_untouched(vcpu, t_outside);
}

/* IRET wants a link to a busy TSS: #TS. */
static void test_bad_iret(void)
{
	struct vcpu *vcpu = start(t_iret, b_out);

	tss(vcpu->vm, TSS_A)->link = S_B;
	expect_fault(vcpu, TS_VECTOR, S_B, S_A);
	expect_untouched(vcpu, t_iret_here);

	vcpu = start(t_iret, b_out);
	tss(vcpu->vm, TSS_A)->link = S_LDT | 4;
	expect_fault(vcpu, TS_VECTOR, S_LDT | 4, S_A);
	expect_untouched(vcpu, t_iret_here);
}

/* A fault of the new task: in its context, on its stack, before it has run. */
static void try_new(struct vcpu *vcpu, void (*spoil)(struct vm *vm, struct tss32 *b), u8 vector,
		    u16 error)
{
	struct vm *vm = vcpu->vm;
	struct kvm_regs r;

	set_up(vcpu, t_jmp, b_out);
	spoil(vm, tss(vm, TSS_B));
	expect_fault(vcpu, vector, error, S_B);
	expect_busy(vm, 0, 1);
	expect_saved(vm, at(t_after_jmp));
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rcx, 0xb0000001);
}

static void bad_ldt(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->ldt = S_DATA;
}

static void bad_ldt_outside(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->ldt = S_OUTSIDE;
}

static void absent_ldt(struct vm *vm, struct tss32 *b)
{
	(void)b;
	*gdt(vm, S_LDT) &= ~D_PRESENT;
}

static void data_cs(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->cs = S_DATA;
}

static void null_cs(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->cs = 0;
}

static void absent_cs(struct vm *vm, struct tss32 *b)
{
	*gdt(vm, S_UCODE) = D_CODE & ~D_PRESENT;
	b->cs = S_UCODE;
}

static void code_ss(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->ss = S_CODE;
}

static void user_ss(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->ss = S_UDATA | 3;
}

static void absent_ss(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->ss = S_ABSENT;
}

static void absent_ds(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->ds = S_ABSENT;
}

static void tss_es(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->es = S_A;
}

static void outside_gs(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->gs = S_OUTSIDE;
}

/* entry 0 of an LDT is an ordinary one; entry 2 is beyond the limit */
static void outside_fs(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->fs = 0x10 | 4;
}

static void system_ds(struct vm *vm, struct tss32 *b)
{
	(void)vm;
	b->cs = S_UCODE | 3;
	b->ss = S_UDATA | 3;
	b->ds = S_DATA | 3;
	b->es = 0;
	b->fs = 0;
}

/* "Exception Conditions Checked During a Task Switch", in the new task's context. */
static void test_bad_segments(void)
{
	struct vcpu *vcpu = vcpu_add(vm_create(), 0);

	only_emys();
	try_new(vcpu, bad_ldt, TS_VECTOR, S_DATA);
	try_new(vcpu, bad_ldt_outside, TS_VECTOR, S_OUTSIDE);
	try_new(vcpu, absent_ldt, TS_VECTOR, S_LDT);
	try_new(vcpu, data_cs, TS_VECTOR, S_DATA);
	try_new(vcpu, null_cs, TS_VECTOR, 0);
	try_new(vcpu, absent_cs, NP_VECTOR, S_UCODE);
	try_new(vcpu, code_ss, TS_VECTOR, S_CODE);
	try_new(vcpu, user_ss, TS_VECTOR, S_UDATA);
	try_new(vcpu, absent_ss, SS_VECTOR, S_ABSENT);
	try_new(vcpu, absent_ds, NP_VECTOR, S_ABSENT);
	try_new(vcpu, tss_es, TS_VECTOR, S_A);
	try_new(vcpu, outside_gs, TS_VECTOR, S_OUTSIDE);
	try_new(vcpu, outside_fs, TS_VECTOR, 0x10 | 4);
	/* more privileged than its user */
	try_new(vcpu, system_ds, TS_VECTOR, S_DATA);
}

/* A task at CPL 3. */
static void test_user(void)
{
	struct vcpu *vcpu = start(t_jmp, b_out);
	struct tss32 *b = tss(vcpu->vm, TSS_B);
	struct kvm_sregs s;

	b->cs = S_UCODE | 3;
	b->ss = S_UDATA | 3;
	b->ds = S_UDATA | 3;
	b->es = S_UDATA | 3;
	b->fs = 0;
	b->eflags = 2 | 3 << 12;
	/* STR works at CPL 3, OUT by IOPL, and HLT is #GP on the stack of CPL 0 */
	expect_out(vcpu, S_B);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cs.selector, S_UCODE | 3);
	CHECK_EQ(s.cs.dpl, 3);
	CHECK_EQ(s.ss.dpl, 3);
	expect_fault(vcpu, GP_VECTOR, 0, S_B);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.ss.selector, S_DATA);
}

/* Page faults on a TSS are the old task's, with nothing saved. */
static void test_page_fault(void)
{
	struct vcpu *vcpu = start(t_jmp, b_out);
	struct kvm_sregs s;
	u32 *pd, *pt;
	int i;

	only_emys();
	use_paging(vcpu, 0);
	/* nothing is mapped at 0xc0000000 */
	*gdt(vcpu->vm, S_B) = tss_desc(0xc0000ff0, 0x67, TSS_TYPE);
	expect_fault(vcpu, PF_VECTOR, 0, S_A);
	vcpu_get_sregs(vcpu, &s);
	CHECK_EQ(s.cr2 & ~0xfffull, 0xc0000000);
	expect_untouched(vcpu, t_jmp);

	/* the second page of a TSS that lies in two, and then the old TSS read-only */
	for (i = 0; i < 2; i++) {
		vcpu = start(t_jmp, b_out);
		use_paging(vcpu, 0);
		pd = vm_ptr(vcpu->vm, DIR_A);
		pt = vm_ptr(vcpu->vm, DIR_A + 0x1000);
		pd[0x300] = (DIR_A + 0x1000) | 3;
		pt[0] = FAR_TSS | (i ? 1 : 3);
		vcpu_get_sregs(vcpu, &s);
		if (i)
			s.tr.base = 0xc0000000;
		else
			*gdt(vcpu->vm, S_B) = tss_desc(0xc0000ff0, 0x67, TSS_TYPE);
		vcpu_set_sregs(vcpu, &s);
		expect_fault(vcpu, PF_VECTOR, i ? 3 : 0, S_A);
		vcpu_get_sregs(vcpu, &s);
		CHECK_EQ(s.cr2 & ~0xfffull, i ? 0xc0000000 : 0xc0001000);
		if (!i)
			expect_untouched(vcpu, t_jmp);
	}
}

/* Tables in no memory end the run in a clear way, and the host stays well. */
static void test_mmio(void)
{
	static const u32 bases[] = { 0xd0000000, 0xfffffff0, 0x40000000 };
	struct vcpu *vcpu;
	unsigned int i;
	u32 reason;
	int n;

	only_emys();
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		vcpu = start(t_jmp, b_out);
		*gdt(vcpu->vm, S_B) = tss_desc(bases[i], 0x67, TSS_TYPE);
		for (n = 0; n < 10; n++) {
			reason = vcpu_exit(vcpu);
			if (reason != KVM_EXIT_MMIO)
				break;
		}
		ksft_print("TSS at 0x%x: exit %s", bases[i], exit_name(reason));
		CHECK(reason == KVM_EXIT_INTERNAL_ERROR || reason == KVM_EXIT_SHUTDOWN);
		vm_free(vcpu->vm);
	}
}

/* A double fault whose task cannot be entered is a triple fault. */
static void test_bad_df(void)
{
	struct vcpu *vcpu = start(t_gp, b_error);

	*(u64 *)vm_ptr(vcpu->vm, IDT + NP_VECTOR * 8) = 0;
	*(u64 *)vm_ptr(vcpu->vm, IDT + GP_VECTOR * 8) = 0;
	task_gate(vcpu->vm, DF_VECTOR, S_B);
	*gdt(vcpu->vm, S_B) = tss_desc(TSS_B, 0x10, TSS_TYPE);
	vcpu_expect(vcpu, KVM_EXIT_SHUTDOWN);
}

static u64 seed = 1;

static u32 any(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 33;
}

/* Something that a table could hold, more often than not. */
static u32 any_selector(void)
{
	u32 r = any();

	return r & 0x300 ? (r & 0x78) | (r & 0x80 ? 3 : 0) | (r & 0xc00 ? 0 : 4) : r;
}

static void spoil_tables(struct vm *vm)
{
	struct tss32 *b = tss(vm, any() & 7 ? TSS_B : TSS_A);
	u32 *field = (u32 *)b, i;
	u8 *desc;

	for (i = any() & 3; i; i--)
		(&b->es)[any() % 7] = any_selector();
	if (!(any() & 3))
		b->eflags = any();
	if (!(any() & 7))
		field[any() % (sizeof(*b) / 4)] = any();
	for (i = any() & 3; i; i--) {
		desc = vm_ptr(vm, GDT + any() % S_TABLE_END);
		*desc ^= 1 << (any() & 7);
	}
	if (!(any() & 3))
		*(u8 *)vm_ptr(vm, LDT + any() % 16) ^= 1 << (any() & 7);
	if (!(any() & 3))
		task_gate(vm, any() & 15, any() & 7 ? S_B : any_selector());
}

/*
 * Tables with something wrong in them, by a fixed sequence of random numbers:
 * whatever the guest makes of it, KVM_RUN comes back and the vCPU can be set
 * right again.
 */
static void test_random(void)
{
	static const u8 *const entries[] = { t_jmp, t_call, t_ud, t_int, t_gp, t_iret, t_gate };
	struct kvm_vcpu_events ev, none;
	struct vcpu *vcpu = start(t_jmp, b_jmp);
	u32 reason, seen[KVM_EXIT_INTERNAL_ERROR + 1] = { 0 };
	unsigned int i, n;

	only_emys();
	vcpu_get_events(vcpu, &none);
	for (i = 0; i < 400; i++) {
		set_up(vcpu, entries[any() % ARRAY_SIZE(entries)], b_jmp);
		tss(vcpu->vm, TSS_A)->link = S_B;
		task_gate(vcpu->vm, any() & 1 ? UD_VECTOR : GP_VECTOR, S_B);
		spoil_tables(vcpu->vm);
		vcpu_kick_after(vcpu, 20000);
		for (n = 0; n < 4; n++) {
			reason = vcpu_exit(vcpu);
			if (reason < ARRAY_SIZE(seen))
				seen[reason]++;
			if (reason != KVM_EXIT_IO)
				break;
		}
		vcpu_kick_cancel();
		vcpu_get_events(vcpu, &ev);
		vcpu_set_events(vcpu, &none);
	}
	ksft_print("%u I/O, %u HLT, %u shutdown, %u MMIO, %u error, %u entry", seen[KVM_EXIT_IO],
		   seen[KVM_EXIT_HLT], seen[KVM_EXIT_SHUTDOWN], seen[KVM_EXIT_MMIO],
		   seen[KVM_EXIT_INTERNAL_ERROR], seen[KVM_EXIT_FAIL_ENTRY]);
	/* no guest may bring itself into a state that cannot be entered */
	CHECK_EQ(seen[KVM_EXIT_FAIL_ENTRY], 0);
	set_up(vcpu, t_jmp, b_jmp);
	expect_out(vcpu, S_B);
	expect_out(vcpu, 0xa1);
}

KSFT_MAIN(
	{ "task: JMP", test_jmp },
	{ "task: CALL and IRET", test_call },
	{ "task: call of a task gate", test_gate },
	{ "task: exception through a task gate", test_ud },
	{ "task: error code on the new stack", test_error },
	{ "task: double fault", test_df },
	{ "task: INT n", test_int },
	{ "task: external interrupt", test_irq },
	{ "task: 16-bit TSS", test_16 },
	{ "task: virtual-8086 task", test_v86 },
	{ "task: CR3", test_paging },
	{ "task: T flag", test_trap },
	{ "task: CPL 3", test_user },
	{ "task: bad TSS", test_bad_tss },
	{ "task: bad link for IRET", test_bad_iret },
	{ "task: bad segments in the new TSS", test_bad_segments },
	{ "task: page faults", test_page_fault },
	{ "task: tables in no memory", test_mmio },
	{ "task: double fault that cannot be delivered", test_bad_df },
	{ "task: random tables", test_random, 60 },
)
