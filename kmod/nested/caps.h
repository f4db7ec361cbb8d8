/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * caps.h - what the VMX of a virtual CPU offers: IA32_VMX_BASIC to IA32_VMX_VMFUNC.
 *
 * Pure: no lock, no allocation; also compiles in userspace. Each vCPU has one
 * struct nested_caps; the caller keeps others away while it is changed.
 *
 * Source: Intel SDM volume 3, appendix "VMX Capability Reporting Facility"; what
 * the VMM may set is as in KVM.
 */
#ifndef _EMYS_NESTED_CAPS_H
#define _EMYS_NESTED_CAPS_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/types.h>

/* Bits that not every kernel's <asm/vmx.h> names */
#define NESTED_BASIC_INOUT		BIT_ULL(54)	/* INS and OUTS report information */
#define NESTED_BASIC_TRUE_CTLS		BIT_ULL(55)
#define NESTED_MISC_SAVE_LMA		BIT_ULL(5)	/* exits store LMA in the entry controls */
#define NESTED_MISC_HLT			BIT_ULL(6)	/* activity states */
#define NESTED_MISC_SHUTDOWN		BIT_ULL(7)
#define NESTED_MISC_WAIT_SIPI		BIT_ULL(8)
#define NESTED_MISC_WRITE_ANY		BIT_ULL(29)	/* VMWRITE to exit information */
#define NESTED_MISC_ZERO_LEN		BIT_ULL(30)	/* events with instruction length 0 */

/* One word of controls. L1's value must have all of @must and nothing beyond @may. */
struct nested_ctl {
	u32 must;	/* low half of the capability MSR: allowed 0-settings are its zeros */
	u32 may;	/* high half: allowed 1-settings; contains @must */
};

/* Words of controls are those of the TRUE MSRs; the plain ones are derived. */
struct nested_caps {
	u64 basic, misc, vmcs_enum, ept_vpid, vmfunc;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	struct nested_ctl pin, proc, proc2, exit, entry;
};

/* What of the virtual CPU's CPUID decides about its VMX */
struct nested_cpuid {
	u64 cr4;		/* bits of CR4 that may be 1, VMXE among them */
	bool rdtscp, invpcid, xsaves;
	bool perf_global;	/* IA32_PERF_GLOBAL_CTRL */
};

/* Is @val an allowed value of the word? */
static inline bool nested_ctl_ok(struct nested_ctl ctl, u32 val)
{
	return (val & ctl.must) == ctl.must && !(val & ~ctl.may);
}

/* IA32_VMX_MISC: how many CR3-target values, how many entries of an MSR list */
static inline u32 nested_misc_cr3_targets(u64 misc)
{
	return misc >> 16 & 0x1ff;
}

static inline u32 nested_misc_msr_list_max(u64 misc)
{
	return 512 * ((misc >> 25 & 7) + 1);
}

/**
 * nested_caps_init() - what emys offers at most
 * @hw: the CPU's own, each MSR of it brought in by nested_caps_put(); MSRs that
 *	the CPU does not have are 0
 *
 * For a vCPU whose CPUID has everything; nested_caps_cpuid() takes away.
 */
void nested_caps_init(struct nested_caps *c, const struct nested_caps *hw);

/**
 * nested_caps_cpuid() - follow a change of the vCPU's CPUID
 * @max: of nested_caps_init()
 *
 * Sets IA32_VMX_CR4_FIXED1, and gives or takes the controls that the CPUID decides
 * about, as KVM does: what the VMM took away of these comes back.
 */
void nested_caps_cpuid(struct nested_caps *c, const struct nested_caps *max,
		       const struct nested_cpuid *cpuid);

/**
 * nested_caps_get() - value of a capability MSR, for RDMSR and the VMM
 *
 * Return: 0 and *@val; -ENOENT when @msr is none of 0x480 to 0x491.
 */
int nested_caps_get(const struct nested_caps *c, u32 msr, u64 *val);

/**
 * nested_caps_set() - the VMM sets a capability MSR: it may take away, never add
 * @max: of nested_caps_init()
 *
 * The caller refuses it while the vCPU is in VMX operation.
 *
 * Return: 0; -EINVAL when @val offers what @max does not, lacks what cannot be
 * taken away, or the MSR cannot be set because it follows from others (the plain
 * control words) or from CPUID (FIXED1); -ENOENT when @msr is no capability MSR.
 */
int nested_caps_set(struct nested_caps *c, const struct nested_caps *max, u32 msr, u64 val);

/**
 * nested_caps_put() - record the value that the hardware's MSR has, unchecked
 *
 * A TRUE control word takes the place of the plain one that was put before, so a
 * loop over the MSRs that the CPU has, upwards, is right with and without TRUE ones.
 *
 * Return: 0; -ENOENT when @msr is no capability MSR.
 */
int nested_caps_put(struct nested_caps *c, u32 msr, u64 val);

#endif
