/* SPDX-License-Identifier: GPL-2.0-only */
/* mitigations.h - what the host has on against speculation, as far as a module may know. */
#ifndef _EMYS_COMPAT_MITIGATIONS_H
#define _EMYS_COMPAT_MITIGATIONS_H

#include <asm/cpufeatures.h>
#include <asm/processor.h>

#ifndef X86_FEATURE_CLEAR_CPU_BUF_VM
#define X86_FEATURE_CLEAR_CPU_BUF_VM X86_FEATURE_CLEAR_CPU_BUF
#endif

#ifdef HAVE_L1TF_VMX
#include <asm/vmx.h>
static inline bool compat_l1tf_flush_wanted(void)
{
	return l1tf_mitigation != L1TF_MITIGATION_OFF &&
	       l1tf_vmx_mitigation != VMENTER_L1D_FLUSH_NEVER &&
	       l1tf_vmx_mitigation != VMENTER_L1D_FLUSH_EPT_DISABLED &&
	       l1tf_vmx_mitigation != VMENTER_L1D_FLUSH_NOT_REQUIRED;
}
#else
/* What the user chose cannot be seen: flush where the CPU has the bug. */
static inline bool compat_l1tf_flush_wanted(void)
{
	return true;
}
#endif

#endif
