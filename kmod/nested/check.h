/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * check.h - the checks of VM entry on a vmcs12, one function per group of the manual.
 *
 * Pure: no lock, no allocation, no access to guest memory; also compiles in
 * userspace. The functions look at nothing but their arguments, so what passed
 * once passes again while neither the fields nor the environment changed.
 *
 * Each returns NULL when all rules hold, else the text of the first rule broken:
 * a static string for the trace.
 *
 * Left to the caller, because it needs guest memory: the VTPR against the TPR
 * threshold (vmcs12_check_vtpr()), the PDPTEs of a guest without EPT
 * (vmcs12_check_pdptes()), the region that the VMCS link pointer names, and the
 * MSR lists (nested_msr_entry_check()). Also left: the checks on the instruction
 * itself (current VMCS, launch state, blocking by MOV SS).
 *
 * System-management mode does not exist here: no CPU is in SMM at a VM entry, and
 * the two SMM controls are never offered.
 *
 * Source: Intel SDM volume 3, chapter "VM Entries".
 */
#ifndef _EMYS_NESTED_CHECK_H
#define _EMYS_NESTED_CHECK_H

#include <linux/bits.h>
#include <linux/types.h>

#include "caps.h"
#include "vmcs12.h"

/**
 * struct vmcs12_env - what the checks know beside the vmcs12
 * @caps: of the vCPU; its FIXED MSRs say which bits of CR0 and CR4 may be set
 * @vmptr: physical address of the current VMCS, the one that is checked
 * @efer: bits of IA32_EFER that the vCPU has; the others are reserved
 * @debugctl: the same of IA32_DEBUGCTL
 * @perf_global: the same of IA32_PERF_GLOBAL_CTRL
 * @maxphyaddr: width of a physical address of L1, 32..52
 * @linear_bits: width of a linear address, 48 or 57
 * @ia32e: L1 is in IA-32e mode (IA32_EFER.LMA)
 * @rtm: the vCPU has RTM; @sgx: it has SGX; @bus_lock: it has bus-lock detection
 */
struct vmcs12_env {
	const struct nested_caps *caps;
	u64 vmptr;
	u64 efer;
	u64 debugctl;
	u64 perf_global;
	u8 maxphyaddr;
	u8 linear_bits;
	bool ia32e;
	bool rtm, sgx, bus_lock;
};

/* Exit qualification of a VM-entry failure due to invalid guest state (exit reason 33) */
enum {
	VMCS12_FAIL_DEFAULT = 0,
	VMCS12_FAIL_PDPTE = 2,
	VMCS12_FAIL_NMI = 3,
	VMCS12_FAIL_LINK = 4,
};

/*
 * The rules in groups, so that an entry may look again at only those whose fields
 * changed since they held last. What an exit saved in the guest's fields is the
 * CPU's own state: it need not be looked at until L1 writes one of them.
 */
#define VMCS12_RULES_CONTROLS	BIT(0)	/* vmcs12_check_controls(), vmcs12_check_vtpr() */
#define VMCS12_RULES_HOST	BIT(1)	/* vmcs12_check_host() */
#define VMCS12_RULES_REGISTERS	BIT(2)	/* guest: CRs, DR7, MSRs, PDPTEs, VMCS link pointer */
#define VMCS12_RULES_SEGMENTS	BIT(3)	/* guest: segments and descriptor tables */
#define VMCS12_RULES_FLOW	BIT(4)	/* guest: RIP, RFLAGS, non-register state */
#define VMCS12_RULES_GUEST \
	(VMCS12_RULES_REGISTERS | VMCS12_RULES_SEGMENTS | VMCS12_RULES_FLOW)

/* The groups with a rule that reads the field; 0 for one that no rule reads, or unknown */
u32 vmcs12_rules(u32 encoding);

/* Secondary controls count only when the primary word activates them. */
static inline u32 vmcs12_proc2(const struct vmcs12 *v)
{
	return v->cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS ?
	       v->secondary_vm_exec_control : 0;
}

/* Will the guest use PAE paging, so that it has PDPTEs? */
static inline bool vmcs12_pae(const struct vmcs12 *v)
{
	return v->guest_cr0 & BIT(31) && v->guest_cr4 & BIT(5) &&
	       !(v->vm_entry_controls & VM_ENTRY_IA32E_MODE);
}

/* "Checks on VMX Controls". A rule broken: VMfailValid, error 7. */
const char *vmcs12_check_controls(const struct vmcs12 *v, const struct vmcs12_env *env);

/* The rules for an EPT pointer alone, which VMFUNC's EPTP switching asks for too */
const char *vmcs12_check_eptp(u64 eptp, const struct vmcs12_env *env);

/*
 * One more rule of these, when the TPR shadow is used with neither APIC accesses
 * virtualized nor interrupts delivered virtually. @vtpr: bits 7:0 at offset 0x80 of
 * the virtual-APIC page. Error 7 too.
 */
const char *vmcs12_check_vtpr(const struct vmcs12 *v, u8 vtpr);

/*
 * "Checks on Host Control Registers, MSRs, and SSP", "Checks on Host Segment and
 * Descriptor-Table Registers" and "Checks Related to Address-Space Size". A rule
 * broken: VMfailValid, error 8.
 */
const char *vmcs12_check_host(const struct vmcs12 *v, const struct vmcs12_env *env);

/*
 * "Checks on the Guest State Area". A rule broken: VM exit with reason 33, the bit
 * for entry failure and qualification *@qual (VMCS12_FAIL_*), which is written
 * then only. The PDPTEs are looked at when the guest has EPT.
 */
const char *vmcs12_check_guest(const struct vmcs12 *v, const struct vmcs12_env *env, u64 *qual);

/* The same of the groups in @rules (VMCS12_RULES_GUEST are all) */
const char *vmcs12_check_guest_rules(const struct vmcs12 *v, const struct vmcs12_env *env,
				     u32 rules, u64 *qual);

/*
 * "Checks on Guest Page-Directory-Pointer-Table Entries". Without EPT, the caller reads
 * them from where CR3 points if vmcs12_pae(). Broken: VMCS12_FAIL_PDPTE.
 */
const char *vmcs12_check_pdptes(const u64 p[4], const struct vmcs12_env *env);

/* An entry of the MSR lists, as it lies in memory */
struct nested_msr_entry {
	u32 index;
	u32 reserved;
	u64 value;
};

enum nested_msr_list {
	NESTED_MSR_ENTRY_LOAD,	/* fails the entry: reason 34 */
	NESTED_MSR_EXIT_STORE,	/* VMX abort 1 */
	NESTED_MSR_EXIT_LOAD,	/* VMX abort 4 */
};

/**
 * nested_msr_entry_check() - may an entry be in the list?
 * @x2apic: the local APIC is in x2APIC mode
 *
 * Whether the MSR exists and takes the value is found by RDMSR or WRMSR itself.
 *
 * Source: SDM volume 3, sections "Loading MSRs" (of entries and of exits) and
 * "Saving MSRs".
 *
 * Return: 0, or -EINVAL.
 */
int nested_msr_entry_check(enum nested_msr_list list, const struct nested_msr_entry *e,
			   bool x2apic);

#endif
