/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nested: tests whose guest is a hypervisor: host, L1 and L2 in one C file.
 *
 * L1 is a guest function as any other. L2 is C code of the same image, in the
 * same address space and with the same descriptor tables, on a stack of its
 * own; a fault in L2 that L1 does not take goes to the same guest_trap(), and
 * GUEST_ASSERT and GUEST_SYNC work there as long as L1 lets port accesses
 * through. One vCPU of a VM may use this.
 */
#ifndef _NESTED_H
#define _NESTED_H

#include <stdbool.h>

#include "guest.h"
#include "vmcs.h"
#include "vmm.h"

/* -- the VMM's half -------------------------------------------------------------- */

/* A VM and a vCPU with VMX that is to run FN(ARG); skips the case where there is no VMX. */
struct vcpu *nested_vcpu(void *fn, u64 arg);
/* the same with the interrupt controllers in the kernel */
struct vcpu *nested_vcpu_irqchip(void *fn, u64 arg);
/* the same, every page is CPL 3's too, and to the end of FN */
void nested_run(void *fn, u64 arg);
/* As L1 reads it, before it ran: the value of a VMX capability MSR. */
u64 nested_msr(struct vcpu *vcpu, u32 msr);
/* Are all BITS of a control field (PIN_CTL, PROC_CTL, ...) allowed to be 1? */
bool nested_can(struct vcpu *vcpu, enum vmcs_field control, u32 bits);
/* nested_vcpu() that skips the case where they are not */
struct vcpu *nested_vcpu_with(void *fn, u64 arg, enum vmcs_field control, u32 bits);
void nested_run_with(void *fn, u64 arg, enum vmcs_field control, u32 bits);

/* -- VMX instructions, in L1 and L2 ------------------------------------------------ */

/*
 * What an instruction did: VMX_OK, VMX_INVALID, VMX_VALID(error number), FAULT(vector),
 * or, with flags that the manual does not allow, VMX_FLAGS and the flags.
 */
#define VMX_OK		0ull
#define VMX_INVALID	0x1000ull
#define VMX_VALID(n)	(0x2000ull | (n))
#define VMX_FLAGS	0x4000ull

u64 vmx_result(u64 fault, u64 flags);

/* As GUEST_TRY: one instruction, the first of INSN, with its outputs and its inputs. */
#define VMX_TRY_OUT(insn, out, ...)					\
	({								\
		u64 _fl = 0, _fault;					\
									\
		asm volatile("xor %%r8d, %%r8d\n"			\
			     "771: " insn "\n"				\
			     "pushfq\n"				\
			     "pop %[fl]\n"				\
			     "772:\n"					\
			     ".pushsection guest_fixups, \"a\"\n"	\
			     ".quad 771b, 772b\n"			\
			     ".popsection\n"				\
			     "mov %%r8, %[f]\n"				\
			     : out [fl] "+r"(_fl), [f] "=r"(_fault)	\
			     : __VA_ARGS__				\
			     : "r8", "r9", "memory", "cc");		\
		vmx_result(_fault, _fl);				\
	})
#define VMX_TRY(insn, ...)	VMX_TRY_OUT(insn, GUEST_NO_OUT, __VA_ARGS__)

static inline u64 try_vmxon(u64 pa)
{
	return VMX_TRY("vmxon %[pa]", [pa] "m"(pa));
}

static inline u64 try_vmxoff(void)
{
	return VMX_TRY("vmxoff", "a"(0));
}

static inline u64 try_vmclear(u64 pa)
{
	return VMX_TRY("vmclear %[pa]", [pa] "m"(pa));
}

static inline u64 try_vmptrld(u64 pa)
{
	return VMX_TRY("vmptrld %[pa]", [pa] "m"(pa));
}

static inline u64 try_vmptrst(u64 *pa)
{
	return VMX_TRY("vmptrst (%[p])", [p] "r"(pa));
}

static inline u64 try_vmread(u64 field, u64 *v)
{
	u64 got = 0x5a5a5a5a5a5a5a5aull;
	u64 r = VMX_TRY_OUT("vmread %[field], %[v]", [v] "+r"(got) _GUEST_COMMA,
			    [field] "r"(field));

	*v = got;
	return r;
}

static inline u64 try_vmwrite(u64 field, u64 v)
{
	return VMX_TRY("vmwrite %[v], %[field]", [v] "r"(v), [field] "r"(field));
}

/* VMLAUNCH and VMRESUME that must fail: where they do not, L2 runs lost */
static inline u64 try_vmlaunch(void)
{
	return VMX_TRY("vmlaunch", "a"(0));
}

static inline u64 try_vmresume(void)
{
	return VMX_TRY("vmresume", "a"(0));
}

struct inv_desc {
	u64 low, high;
};

static inline u64 try_invept(u64 type, u64 eptp, u64 reserved)
{
	struct inv_desc d = { eptp, reserved };

	return VMX_TRY("invept %[d], %[type]", [d] "m"(d), [type] "r"(type));
}

static inline u64 try_invvpid(u64 type, u64 vpid, u64 address)
{
	struct inv_desc d = { vpid, address };

	return VMX_TRY("invvpid %[d], %[type]", [d] "m"(d), [type] "r"(type));
}

static inline u64 try_vmcall(void)
{
	u64 f;

	GUEST_TRY(f, "vmcall", GUEST_NO_OUT, "a"(0));
	return f;
}

/* those that must work; the report has the field's number and what happened */
u64 vmread(u64 field);
void vmwrite(u64 field, u64 v);
/* set and clear bits of a field */
void vmset(u64 field, u64 bits);
void vmunset(u64 field, u64 bits);

/* -- L1 ------------------------------------------------------------------------------ */

#define VMX_PAGE	__attribute__((aligned(4096)))

/* pages that L1 has: the VMXON region, a VMCS, and for any use */
extern u8 l1_vmxon[4096], l1_vmcs[4096], l1_vmcs2[4096];
extern u8 l1_io_bitmaps[8192], l1_msr_bitmap[4096];

struct l1_caps {
	u64 basic, misc, ept_vpid;
	u64 pin, proc, proc2, exit, entry;	/* the TRUE ones where they are */
};

extern struct l1_caps l1_caps;

static inline u64 pa(const volatile void *p)
{
	return (uintptr_t)p;
}

static inline u32 l1_revision(void)
{
	return l1_caps.basic & 0x7fffffff;
}

/* Is it allowed to be 1? */
bool l1_can(enum vmcs_field control, u32 bits);
/* IA32_FEATURE_CONTROL, CR0 and CR4 as VMXON wants them, and l1_caps */
void l1_enable(void);
/* l1_enable(), VMXON */
void l1_vmx_on(void);
/* VMCLEAR, VMPTRLD and all fields of a VMCS, with the fewest controls; L2 is to run FN(ARG) */
void l1_make_vmcs(void *vmcs, void *fn, u64 arg);
/* all of it */
void l1_start(void *fn, u64 arg);
/* Turn controls on or off; what is not allowed fails the case. PROC2 turns on its own switch. */
void l1_control(enum vmcs_field control, u32 on, u32 off);
/* VMXOFF, CR4.VMXE = 0 */
void l1_vmx_off(void);

/*
 * EPT12: tables from a pool. A new root maps nothing. ept_entry() makes the tables to the
 * entry of this level (1: 4K, 2: 2M, 3: 1G, 4: 512G) and splits a large leaf on the way.
 */
u64 ept_root(void);
u64 *ept_entry(u64 eptp, u64 gpa, int level);
/* one leaf */
void ept_map(u64 eptp, u64 gpa, u64 to, int level, u64 bits);
/* a root that maps the VM's memory one to one with leaves of this size */
u64 ept_identity(int level);
/* use it in the current VMCS */
void l1_use_ept(u64 eptp);

/* -- L2 ------------------------------------------------------------------------------ */

struct l2_regs {
	u64 rax, rcx, rdx, rbx, rbp, rsi, rdi;
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
};

/* L2's registers that the VMCS does not hold; loaded at each entry, saved at each exit */
extern struct l2_regs l2_regs;
extern u8 l2_stack[8192];
extern const char l2_end_call[];	/* the VMCALL that ends L2's function */
void l2_exited(void);			/* HOST_RIP */

/* the next entry starts FN(ARG) on an empty stack */
void l2_call(void *fn, u64 arg);

/* l2_run()'s value where the instruction failed: with its VMX_ result */
#define L2_FAILED	(1ull << 32)

/* the last instruction that entered was a VMLAUNCH, and VMCLEAR has not been since */
extern bool l2_launched;

/* VMLAUNCH or VMRESUME by l2_launched: L2_FAILED | result, or the exit reason field */
u64 l2_run(void);
/* by the caller's choice */
u64 l2_enter_by(bool resume);
/* RIP behind the instruction that exited */
void l2_skip(void);

/* L2 runs to an exit with this reason */
#define L2_EXIT(reason)		GUEST_ASSERT_EQ(l2_run(), reason)
/* L2's function comes to its end */
#define L2_DONE()							\
	do {								\
		L2_EXIT(REASON_VMCALL);					\
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_end_call); \
	} while (0)
/* an exit of an instruction, which is then skipped */
#define L2_EXIT_SKIP(reason)	do { L2_EXIT(reason); l2_skip(); } while (0)

/*
 * A piece of L2 in assembly: PRE, then INSN, which stands at NAME_at and may fault, and RET.
 * No register needs to be kept.
 */
#define L2_SNIPPET(name, pre, insn)					\
	asm(".text\n"							\
	    ".globl " #name ", " #name "_at\n"				\
	    #name ":\n"						\
	    pre "\n"							\
	    #name "_at: " insn "\n"					\
	    "3: ret\n"							\
	    ".pushsection guest_fixups, \"a\"\n"			\
	    ".quad " #name "_at, 3b\n"					\
	    ".popsection\n");						\
	void name(void);						\
	extern const char name##_at[]

static inline void vmcall(void)
{
	asm volatile("vmcall" : : "a"(0) : "memory");
}

#endif /* _NESTED_H */
