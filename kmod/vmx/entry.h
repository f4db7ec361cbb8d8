/* SPDX-License-Identifier: GPL-2.0-only */
/* entry.h - what entry.S and run.c agree on; private to vmx/. */
#ifndef _EMYS_VMX_ENTRY_H
#define _EMYS_VMX_ENTRY_H

#define VMX_ENTER_RESUME	1	/* VMRESUME, else VMLAUNCH */
#define VMX_ENTER_VERW		2	/* clear CPU buffers first */
#define VMX_ENTER_SPEC_CTRL	4	/* load the guest's SPEC_CTRL */

/* Offsets of struct vmx_enter_args, asserted in run.c. */
#define ARGS_REGS		0
#define ARGS_SPEC_GUEST		8
#define ARGS_SPEC_HOST		12
#define ARGS_SPEC_SWAP		16

/* Register numbers as the CPU encodes them. RSP is in the VMCS. */
#define GPR_RAX	0
#define GPR_RCX	8
#define GPR_RDX	16
#define GPR_RBX	24
#define GPR_RBP	40
#define GPR_RSI	48
#define GPR_RDI	56
#define GPR_R8	64
#define GPR_R9	72
#define GPR_R10	80
#define GPR_R11	88
#define GPR_R12	96
#define GPR_R13	104
#define GPR_R14	112
#define GPR_R15	120

#ifndef __ASSEMBLY__
#include <linux/types.h>

/*
 * @regs: vcpu->regs
 * @spec_guest, @spec_host: low halves of IA32_SPEC_CTRL (the high half is reserved)
 * @spec_swap: read the guest's value after the exit and put the host's back
 */
struct vmx_enter_args {
	u64 *regs;
	u32 spec_guest, spec_host;
	u8 spec_swap;
};

int vmx_enter(struct vmx_enter_args *args, unsigned int flags);
extern char vmx_exit_here[];
#endif

#endif
