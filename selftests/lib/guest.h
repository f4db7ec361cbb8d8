/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest: the half of a test that runs inside the virtual machine.
 *
 * The guest gets a copy of the test program's own image at the same addresses
 * (the programs are linked at a fixed address below the guest's memory size),
 * identity page tables, a GDT, an IDT whose stubs lead to guest_trap(), and a
 * stack. So a guest function is any C function that calls nothing of libc, and
 * a pointer means the same on both sides; only what one side writes after
 * vm_create() is not seen by the other, except through vm_ptr().
 */
#ifndef _GUEST_H
#define _GUEST_H

#include "ksft.h"

/* guest to host: a 32-bit OUT to this port carries the address of a ucall */
#define UCALL_PORT	0x5e5

enum ucall_cmd {
	UCALL_NONE,
	UCALL_DONE,		/* the guest function is finished */
	UCALL_SYNC,		/* arg[0]: stage, arg[1..3]: values */
	UCALL_ASSERT,		/* arg[0]: text, [1]: file, [2]: line, [3], [4] */
	UCALL_TRAP,		/* arg[0]: vector, [1] error, [2] rip, [3] cr2 */
};

struct ucall {
	u64 cmd;
	u64 arg[6];
};

/* what guest_trap() finds on the stack */
struct guest_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

typedef void (*guest_handler_t)(struct guest_frame *frame);

/* selectors of the guest's GDT */
#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_UDATA	0x20
#define SEL_UCODE64	0x28
#define SEL_TSS		0x30	/* two entries */
#define SEL_CODE16	0x40
#define SEL_DATA16	0x48
#define SEL_ABSENT	0x50	/* a data segment that is not present */

#define DE_VECTOR	0
#define DB_VECTOR	1
#define NMI_VECTOR	2
#define BP_VECTOR	3
#define OF_VECTOR	4
#define UD_VECTOR	6
#define NM_VECTOR	7
#define DF_VECTOR	8
#define TS_VECTOR	10
#define NP_VECTOR	11
#define SS_VECTOR	12
#define GP_VECTOR	13
#define PF_VECTOR	14
#define MF_VECTOR	16
#define AC_VECTOR	17
#define XM_VECTOR	19

/* RFLAGS, CR0, CR4, EFER, as far as the tests name them */
#define X86_TF		(1ul << 8)
#define X86_IF		(1ul << 9)
#define X86_DF		(1ul << 10)
#define X86_AC		(1ul << 18)
#define X86_RF		(1ul << 16)

#define X86_CR0_PE	(1ul << 0)
#define X86_CR0_MP	(1ul << 1)
#define X86_CR0_EM	(1ul << 2)
#define X86_CR0_TS	(1ul << 3)
#define X86_CR0_ET	(1ul << 4)
#define X86_CR0_NE	(1ul << 5)
#define X86_CR0_WP	(1ul << 16)
#define X86_CR0_AM	(1ul << 18)
#define X86_CR0_NW	(1ul << 29)
#define X86_CR0_CD	(1ul << 30)
#define X86_CR0_PG	(1ul << 31)

#define X86_CR4_DE	(1ul << 3)
#define X86_CR4_PSE	(1ul << 4)
#define X86_CR4_PAE	(1ul << 5)
#define X86_CR4_PGE	(1ul << 7)
#define X86_CR4_PCE	(1ul << 8)
#define X86_CR4_OSFXSR	(1ul << 9)
#define X86_CR4_OSXMMEXCPT (1ul << 10)
#define X86_CR4_UMIP	(1ul << 11)
#define X86_CR4_LA57	(1ul << 12)
#define X86_CR4_VMXE	(1ul << 13)
#define X86_CR4_FSGSBASE (1ul << 16)
#define X86_CR4_PCIDE	(1ul << 17)
#define X86_CR4_OSXSAVE	(1ul << 18)
#define X86_CR4_SMEP	(1ul << 20)
#define X86_CR4_SMAP	(1ul << 21)
#define X86_CR4_PKE	(1ul << 22)

#define X86_EFER_SCE	(1ul << 0)
#define X86_EFER_LME	(1ul << 8)
#define X86_EFER_LMA	(1ul << 10)
#define X86_EFER_NX	(1ul << 11)

#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_FEATURE_CONTROL	0x3a
#define MSR_TSC_ADJUST		0x3b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_MISC_ENABLE		0x1a0
#define MSR_PAT			0x277
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_EFER		0xc0000080u
#define MSR_STAR		0xc0000081u
#define MSR_LSTAR		0xc0000082u
#define MSR_CSTAR		0xc0000083u
#define MSR_FMASK		0xc0000084u
#define MSR_FS_BASE		0xc0000100u
#define MSR_GS_BASE		0xc0000101u
#define MSR_KERNEL_GS_BASE	0xc0000102u
#define MSR_TSC_AUX		0xc0000103u

/* handlers by vector; a vector with none is looked up in the fixup table */
extern volatile guest_handler_t guest_handlers[256];

/* the guest function's return address */
void guest_return(void);
/* called by the IDT stubs */
void guest_trap(struct guest_frame *frame);
/* run FN(ARG) at CPL 3 on its own stack; the value is what FN returned */
u64 guest_user_call(u64 (*fn)(u64 arg), u64 arg);

/* the IDT stubs are this far apart */
#define GUEST_STUB_SIZE	16
extern const char guest_stubs[];
extern const char guest_iret[];		/* the IRET of every handler */
extern const char guest_user_done[];
/* software interrupt that ends guest_user_call() */
#define USER_DONE_VECTOR 0xfe

static inline void outb(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;

	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;

	asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32))
		     : "memory");
}

static inline void cpuid(u32 leaf, u32 sub, u32 *a, u32 *b, u32 *c, u32 *d)
{
	asm volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d)
		     : "a"(leaf), "c"(sub) : "memory");
}

#define GUEST_READ_REG(reg)						\
	static inline u64 read_##reg(void)				\
	{								\
		u64 v;							\
									\
		asm volatile("mov %%" #reg ", %0" : "=r"(v) : : "memory"); \
		return v;						\
	}								\
	static inline void write_##reg(u64 v)				\
	{								\
		asm volatile("mov %0, %%" #reg : : "r"(v) : "memory");	\
	}

GUEST_READ_REG(cr0)
GUEST_READ_REG(cr2)
GUEST_READ_REG(cr3)
GUEST_READ_REG(cr4)
GUEST_READ_REG(cr8)
GUEST_READ_REG(dr0)
GUEST_READ_REG(dr1)
GUEST_READ_REG(dr2)
GUEST_READ_REG(dr3)
GUEST_READ_REG(dr6)
GUEST_READ_REG(dr7)

static inline u64 read_flags(void)
{
	u64 v;

	asm volatile("pushfq; pop %0" : "=r"(v) : : "memory");
	return v;
}

static inline void sti(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void cli(void)
{
	asm volatile("cli" : : : "memory");
}

/* let one pending interrupt in */
static inline void sti_nop_cli(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

static inline void safe_halt(void)
{
	asm volatile("sti; hlt" : : : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void invlpg(u64 addr)
{
	asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

/*
 * Run one instruction that may fault. Where it does, guest_trap() finds it in
 * the fixup table and goes on after it with R8 = GUEST_FAULT | vector and R9 =
 * the error code; R8 is 0 where it did not. The instruction's own operands are
 * OUT (a list of outputs, each with a trailing comma) and the inputs.
 */
#define GUEST_FAULT	0x100

#define GUEST_TRY(fault, insn, out, ...)				\
	do {								\
		u64 _f;							\
									\
		asm volatile("xor %%r8d, %%r8d\n"			\
			     "771: " insn "\n"				\
			     "772:\n"					\
			     ".pushsection guest_fixups, \"a\"\n"	\
			     ".quad 771b, 772b\n"			\
			     ".popsection\n"				\
			     "mov %%r8, %[f]\n"				\
			     : out [f] "=r"(_f)				\
			     : __VA_ARGS__				\
			     : "r8", "r9", "memory", "cc");		\
		(fault) = _f;						\
	} while (0)

#define GUEST_NO_OUT
#define _GUEST_COMMA ,
#define FAULT(vec)	(GUEST_FAULT | (vec))

/* error code and CR2 of the last fault that was fixed up */
extern volatile u64 guest_fault_error;
extern volatile u64 guest_fault_address;

static inline u64 try_rdmsr(u32 msr, u64 *v)
{
	u32 lo = 0, hi = 0;
	u64 f;

	GUEST_TRY(f, "rdmsr", "+a"(lo) _GUEST_COMMA "+d"(hi) _GUEST_COMMA,
		  "c"(msr));
	*v = (u64)hi << 32 | lo;
	return f;
}

static inline u64 try_wrmsr(u32 msr, u64 v)
{
	u64 f;

	GUEST_TRY(f, "wrmsr", GUEST_NO_OUT, "c"(msr), "a"((u32)v),
		  "d"((u32)(v >> 32)));
	return f;
}

#define GUEST_TRY_WRITE(reg)						\
	static inline u64 try_write_##reg(u64 v)			\
	{								\
		u64 f;							\
									\
		GUEST_TRY(f, "mov %[v], %%" #reg, GUEST_NO_OUT,		\
			  [v] "r"(v));					\
		return f;						\
	}

GUEST_TRY_WRITE(cr0)
GUEST_TRY_WRITE(cr3)
GUEST_TRY_WRITE(cr4)
GUEST_TRY_WRITE(cr8)
GUEST_TRY_WRITE(dr6)
GUEST_TRY_WRITE(dr7)

static inline u64 try_write32(volatile u32 *p, u32 v)
{
	u64 f;

	GUEST_TRY(f, "movl %[v], (%[p])", GUEST_NO_OUT, [p] "r"(p),
		  [v] "r"(v));
	return f;
}

static inline u64 try_read32(volatile u32 *p, u32 *v)
{
	u32 got = 0;
	u64 f;

	GUEST_TRY(f, "movl (%[p]), %[v]", [v] "+r"(got) _GUEST_COMMA,
		  [p] "r"(p));
	*v = got;
	return f;
}

static inline void ucall(u64 cmd, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
	volatile struct ucall uc = {
		.cmd = cmd, .arg = { a0, a1, a2, a3, a4 },
	};

	outl(UCALL_PORT, (u32)(uintptr_t)&uc);
}

#define GUEST_SYNC(stage)	ucall(UCALL_SYNC, stage, 0, 0, 0, 0)
#define GUEST_SYNC2(stage, a, b)					\
	ucall(UCALL_SYNC, stage, (u64)(a), (u64)(b), 0, 0)
#define GUEST_DONE()		ucall(UCALL_DONE, 0, 0, 0, 0, 0)

/* the strings are the host's own: it prints them from its own image */
#define GUEST_ASSERT(cond)						\
	do {								\
		if (!(cond))						\
			ucall(UCALL_ASSERT, (uintptr_t)#cond,		\
			      (uintptr_t)__FILE__, __LINE__, 0, 0);	\
	} while (0)

#define GUEST_ASSERT_EQ(a, b)						\
	do {								\
		u64 _a = (u64)(a), _b = (u64)(b);			\
		if (_a != _b)						\
			ucall(UCALL_ASSERT, (uintptr_t)(#a " == " #b),	\
			      (uintptr_t)__FILE__, __LINE__, _a, _b);	\
	} while (0)

/* index: the case or loop count, for the report */
#define GUEST_ASSERT_AT(cond, index, value)				\
	do {								\
		if (!(cond))						\
			ucall(UCALL_ASSERT, (uintptr_t)#cond,		\
			      (uintptr_t)__FILE__, __LINE__, index, value); \
	} while (0)

/* page-table entries of the identity map, for the guest to change */
#define PTE_P		(1ull << 0)
#define PTE_W		(1ull << 1)
#define PTE_U		(1ull << 2)
#define PTE_A		(1ull << 5)
#define PTE_D		(1ull << 6)
#define PTE_PS		(1ull << 7)
#define PTE_G		(1ull << 8)
#define PTE_NX		(1ull << 63)

/*
 * The last-level entry that maps ADDR. After vm_split_page() on the host side,
 * that is a 4K entry; otherwise a 2M one.
 */
u64 *guest_pte(u64 addr);

#endif /* _GUEST_H */
