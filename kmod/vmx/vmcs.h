/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmcs.h - field accessors and VMX instructions, private to vmx/.
 *
 * An accessor acts on the current VMCS of this CPU: use it in the run section
 * or between vmx_vmcs_get() and vmx_vmcs_put(). The width is part of the name and
 * checked against the field at compile time. A failing instruction, or one
 * that faults because VMX operation went away (emergency VMXOFF), is
 * reported once and breaks the VM whose VMCS is current; nothing here panics.
 *
 * Source: SDM volume 3, "VMX Instruction Reference", "Field Encoding in VMCS".
 */
#ifndef _EMYS_VMX_VMCS_H
#define _EMYS_VMX_VMCS_H

#include <linux/build_bug.h>
#include <asm/vmx.h>

#include "fault.h"

/* Not in every kernel's <asm/vmx.h>. */
#define EMYS_EXIT_REASON_FAILED		BIT(31)

void vmcs_read_failed(unsigned long field);
void vmcs_write_failed(unsigned long field, unsigned long val);

enum { VMCS_W16 = 0, VMCS_W64 = 1, VMCS_W32 = 2, VMCS_WNAT = 3 };

#define vmcs_check_width(field, width) \
	BUILD_BUG_ON_MSG(__builtin_constant_p(field) && \
			 (((field) >> 13) & 3) != (width), "wrong width of VMCS field")

static __always_inline unsigned long __vmcs_read(unsigned long field)
{
	unsigned long val;

	asm volatile goto("1: vmread %1, %0\n\t"
			  "jbe %l[fail]\n\t"
			  VMX_FAULT_TO_FAIL
			  : "=r" (val) : "r" (field) : "cc" : fail);
	return val;
fail:
	vmcs_read_failed(field);
	return 0;
}

static __always_inline void __vmcs_write(unsigned long field, unsigned long val)
{
	asm volatile goto("1: vmwrite %1, %0\n\t"
			  "jbe %l[fail]\n\t"
			  VMX_FAULT_TO_FAIL
			  : : "r" (field), "rm" (val) : "cc" : fail);
	return;
fail:
	vmcs_write_failed(field, val);
}

static __always_inline u16 vmcs_read16(unsigned long field)
{
	vmcs_check_width(field, VMCS_W16);
	return __vmcs_read(field);
}

static __always_inline u32 vmcs_read32(unsigned long field)
{
	vmcs_check_width(field, VMCS_W32);
	return __vmcs_read(field);
}

static __always_inline u64 vmcs_read64(unsigned long field)
{
	vmcs_check_width(field, VMCS_W64);
	return __vmcs_read(field);
}

static __always_inline unsigned long vmcs_readl(unsigned long field)
{
	vmcs_check_width(field, VMCS_WNAT);
	return __vmcs_read(field);
}

static __always_inline void vmcs_write16(unsigned long field, u16 val)
{
	vmcs_check_width(field, VMCS_W16);
	__vmcs_write(field, val);
}

static __always_inline void vmcs_write32(unsigned long field, u32 val)
{
	vmcs_check_width(field, VMCS_W32);
	__vmcs_write(field, val);
}

static __always_inline void vmcs_write64(unsigned long field, u64 val)
{
	vmcs_check_width(field, VMCS_W64);
	__vmcs_write(field, val);
}

static __always_inline void vmcs_writel(unsigned long field, unsigned long val)
{
	vmcs_check_width(field, VMCS_WNAT);
	__vmcs_write(field, val);
}

/* Instructions with a memory operand: 0, or -EIO when they fail or fault. */
#define VMX_INSN_M64(name)						\
static __always_inline int vmx_insn_##name(u64 pa)			\
{									\
	asm volatile goto("1: " #name " %0\n\t"				\
			  "jbe %l[fail]\n\t"				\
			  VMX_FAULT_TO_FAIL				\
			  : : "m" (pa) : "cc", "memory" : fail);	\
	return 0;							\
fail:									\
	return -EIO;							\
}

VMX_INSN_M64(vmxon)
VMX_INSN_M64(vmclear)
VMX_INSN_M64(vmptrld)
#undef VMX_INSN_M64

/* The current VMCS pointer, ~0 when there is none. -EIO: not in VMX operation. */
static __always_inline int vmx_insn_vmptrst(u64 *pa)
{
	asm volatile goto("1: vmptrst %0\n\t"
			  VMX_FAULT_TO_FAIL
			  : : "m" (*pa) : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

static __always_inline int vmx_insn_vmxoff(void)
{
	asm volatile goto("1: vmxoff\n\t"
			  VMX_FAULT_TO_FAIL
			  : : : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

static __always_inline int vmx_insn_invept(unsigned long type, u64 eptp)
{
	struct { u64 eptp, zero; } desc = { eptp, 0 };

	asm volatile goto("1: invept %0, %1\n\t"
			  "jbe %l[fail]\n\t"
			  VMX_FAULT_TO_FAIL
			  : : "m" (desc), "r" (type) : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

static __always_inline int vmx_insn_invvpid(unsigned long type, u16 vpid, u64 gla)
{
	struct { u64 vpid, gla; } desc = { vpid, gla };

	asm volatile goto("1: invvpid %0, %1\n\t"
			  "jbe %l[fail]\n\t"
			  VMX_FAULT_TO_FAIL
			  : : "m" (desc), "r" (type) : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

#endif
