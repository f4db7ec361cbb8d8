// SPDX-License-Identifier: GPL-2.0-only
/* What this CPU's VMX can do, and the refusal when it is not enough. */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/vmx.h>

#include "../compat/fred.h"
#include "../emys.h"
#include "internal.h"
#include "own.h"
#include "usermsr.h"

struct vmx_caps vmx_caps __ro_after_init;

static bool enable_apicv = true;
module_param(enable_apicv, bool, 0444);
MODULE_PARM_DESC(enable_apicv, "Use APIC-register virtualization and virtual-interrupt delivery (default on)");
static bool enable_vpid = true;
module_param(enable_vpid, bool, 0444);
MODULE_PARM_DESC(enable_vpid, "Tag guest TLB entries with VPIDs (default on)");
static bool enable_ept_ad = true;
module_param(enable_ept_ad, bool, 0444);
MODULE_PARM_DESC(enable_ept_ad, "Use EPT accessed and dirty flags (default on)");

/*
 * Controls as data: what must be, what is taken when the CPU has it. What is in
 * neither list is off unless the CPU forces it on.
 */
#define PIN_ONE		(PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING)
#define PIN_OPT		(PIN_BASED_VIRTUAL_NMIS)
#define PROC_ONE	(CPU_BASED_HLT_EXITING | CPU_BASED_USE_TSC_OFFSETTING | \
			 CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS | \
			 CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING | \
			 CPU_BASED_RDPMC_EXITING | CPU_BASED_MOV_DR_EXITING | \
			 CPU_BASED_ACTIVATE_SECONDARY_CONTROLS | \
			 CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING)
#define PROC_ZERO	(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING | \
			 CPU_BASED_INVLPG_EXITING)
#define PROC_OPT	(CPU_BASED_TPR_SHADOW)
#define PROC2_ONE	(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_UNRESTRICTED_GUEST)
#define PROC2_OPT	(SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_WBINVD_EXITING | \
			 SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID | \
			 SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | \
			 SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
			 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
			 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY | \
			 SECONDARY_EXEC_PAUSE_LOOP_EXITING | SECONDARY_EXEC_ENCLS_EXITING | \
			 SECONDARY_EXEC_XSAVES | SECONDARY_EXEC_TSC_SCALING | \
			 SECONDARY_EXEC_SPP)
#define EXIT_ONE	(VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_SAVE_DEBUG_CONTROLS | \
			 VM_EXIT_LOAD_IA32_EFER)
#define EXIT_OPT	(VM_EXIT_SAVE_IA32_PAT | VM_EXIT_LOAD_IA32_PAT | \
			 VM_EXIT_CLEAR_BNDCFGS | VM_EXIT_PT_CONCEAL_PIP | \
			 VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)
#define ENTRY_ONE	(VM_ENTRY_LOAD_DEBUG_CONTROLS | VM_ENTRY_LOAD_IA32_EFER)
#define ENTRY_OPT	(VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_PT_CONCEAL_PIP | \
			 VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)

/* The value of one control word, or the bits that are wanted and missing. */
static u32 control(u32 msr, u32 one, u32 opt, u32 *missing)
{
	u64 cap;

	rdmsrq(msr, cap);
	*missing = one & ~(u32)(cap >> 32);
	return ((one | opt) & (u32)(cap >> 32)) | (u32)cap;
}

static int refuse(const char *what, const char *how)
{
	pr_err("cannot run guests on this CPU: %s%s%s\n", what, *how ? "; " : "", how);
	return -EOPNOTSUPP;
}

static int require_features(void)
{
	struct vmx_caps *c = &vmx_caps;
	u32 missing;
	u64 fc, cap;

	if (!boot_cpu_has(X86_FEATURE_VMX))
		return refuse("no VMX (Intel VT-x)",
			      "it is absent, hidden by a hypervisor, or switched off in the firmware setup");
	rdmsrq(MSR_IA32_FEAT_CTL, fc);
	if (!(fc & FEAT_CTL_LOCKED) || !(fc & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX))
		return refuse("VMX is locked off by the firmware (IA32_FEATURE_CONTROL)",
			      "enable virtualization in the firmware setup");
	/* NMIs and machine checks that exit are handed to the host by way of the IDT. */
	if (compat_fred_on())
		return refuse("the kernel delivers events by FRED", "boot it with fred=off");

	rdmsrq(MSR_IA32_VMX_BASIC, c->basic);
	c->rev = vmx_basic_vmcs_revision_id(c->basic);
	if (vmx_basic_vmcs_size(c->basic) > PAGE_SIZE)
		return refuse("VMCS larger than a page", "");
	if (!(c->basic & BIT_ULL(55)))
		return refuse("no true VMX controls", "");
	rdmsrq(MSR_IA32_VMX_MISC, c->misc);
	rdmsrq(MSR_IA32_VMX_CR0_FIXED0, c->cr0_fixed0);
	rdmsrq(MSR_IA32_VMX_CR0_FIXED1, c->cr0_fixed1);
	rdmsrq(MSR_IA32_VMX_CR4_FIXED0, c->cr4_fixed0);
	rdmsrq(MSR_IA32_VMX_CR4_FIXED1, c->cr4_fixed1);

	c->pin = control(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_ONE, PIN_OPT, &missing);
	if (missing)
		return refuse("no external-interrupt or NMI exiting", "");
	rdmsrq(MSR_IA32_VMX_TRUE_PINBASED_CTLS, cap);
	c->preemption_timer = cap >> 32 & PIN_BASED_VMX_PREEMPTION_TIMER;
	c->proc = control(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, PROC_ONE, PROC_OPT, &missing);
	if (missing & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		return refuse("no EPT (no secondary VM-execution controls)", "");
	if (missing || (c->proc & PROC_ZERO))
		return refuse("a needed primary VM-execution control is missing", "");
	rdmsrq(MSR_IA32_VMX_PROCBASED_CTLS2, cap);
	if (!(cap >> 32 & SECONDARY_EXEC_ENABLE_EPT))
		return refuse("no EPT", "");
	if (!(cap >> 32 & SECONDARY_EXEC_UNRESTRICTED_GUEST))
		return refuse("no unrestricted guest", "");
	c->pml = cap >> 32 & SECONDARY_EXEC_ENABLE_PML;
	c->shadow_vmcs = (cap >> 32 & SECONDARY_EXEC_SHADOW_VMCS) && (c->misc & BIT(29));
	c->proc2 = control(MSR_IA32_VMX_PROCBASED_CTLS2, PROC2_ONE, PROC2_OPT, &missing);
	rdmsrq(MSR_IA32_VMX_EPT_VPID_CAP, c->ept_vpid);
	if (!(c->ept_vpid & VMX_EPT_PAGE_WALK_4_BIT) || !(c->ept_vpid & VMX_EPTP_WB_BIT))
		return refuse("no write-back EPT with a 4-level walk", "");
	if (!(c->ept_vpid & VMX_EPT_INVEPT_BIT) ||
	    !(c->ept_vpid & (VMX_EPT_EXTENT_CONTEXT_BIT | VMX_EPT_EXTENT_GLOBAL_BIT)))
		return refuse("no INVEPT", "");
	c->exit = control(MSR_IA32_VMX_TRUE_EXIT_CTLS, EXIT_ONE, EXIT_OPT, &missing);
	if (missing)
		return refuse("a needed VM-exit control is missing", "");
	c->entry = control(MSR_IA32_VMX_TRUE_ENTRY_CTLS, ENTRY_ONE, ENTRY_OPT, &missing);
	if (missing)
		return refuse("a needed VM-entry control is missing", "");
	return 0;
}

/* The host's counters: are there any, and does the CPU switch them off for a guest? */
static void derive_perf(struct vmx_caps *c)
{
	u64 val;

	c->perf_global = boot_cpu_data.cpuid_level >= 10 && (cpuid_eax(10) & 0xff) >= 2 &&
			 !rdmsrq_safe(MSR_CORE_PERF_GLOBAL_CTRL, &val);
	c->pebs = c->perf_global && boot_cpu_has(X86_FEATURE_DS) &&
		  !rdmsrq_safe(MSR_IA32_MISC_ENABLE, &val) &&
		  !(val & MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL) &&
		  !rdmsrq_safe(MSR_IA32_PEBS_ENABLE, &val);
	c->perf_load = c->perf_global && (c->exit & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) &&
		       (c->entry & VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL);
	if (c->perf_load)
		return;
	c->exit &= ~VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL;
	c->entry &= ~VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL;
}

static void derive(void)
{
	struct vmx_caps *c = &vmx_caps;
	u32 apicv = SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	u64 proc;

	c->ept_2m = c->ept_vpid & VMX_EPT_2MB_PAGE_BIT;
	c->ept_1g = c->ept_vpid & VMX_EPT_1GB_PAGE_BIT;
	c->ept_exec_only = c->ept_vpid & VMX_EPT_EXECUTE_ONLY_BIT;
	c->ept_ad = enable_ept_ad && (c->ept_vpid & VMX_EPT_AD_BIT);
	c->invept_context = c->ept_vpid & VMX_EPT_EXTENT_CONTEXT_BIT;
	c->invvpid_context = (c->ept_vpid >> 32 & VMX_VPID_INVVPID_BIT) &&
			     (c->ept_vpid >> 32 & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT);
	/* What is written shows in the dirty flag there too, and only there */
	c->spp = c->ept_ad && (c->proc2 & SECONDARY_EXEC_SPP);
	if (!c->spp)
		c->proc2 &= ~SECONDARY_EXEC_SPP;
	/* A VPID that cannot be flushed by itself is no use. */
	c->vpid = enable_vpid && c->invvpid_context && (c->proc2 & SECONDARY_EXEC_ENABLE_VPID);
	if (!c->vpid)
		c->proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	c->vnmi = c->pin & PIN_BASED_VIRTUAL_NMIS;
	c->tpr_shadow = c->proc & CPU_BASED_TPR_SHADOW;
	rdmsrq(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, proc);
	c->mtf = proc >> 32 & CPU_BASED_MONITOR_TRAP_FLAG;
	c->apic_access = c->tpr_shadow && (c->proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	c->apicv = enable_apicv && c->apic_access && (c->proc2 & apicv) == apicv &&
		   (c->proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE);
	c->tsc_scaling = c->proc2 & SECONDARY_EXEC_TSC_SCALING;
	c->xsaves = c->proc2 & SECONDARY_EXEC_XSAVES;
	c->rdtscp = c->proc2 & SECONDARY_EXEC_ENABLE_RDTSCP;
	c->invpcid = c->proc2 & SECONDARY_EXEC_ENABLE_INVPCID;
	c->ple = c->proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	derive_perf(c);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrq(MSR_IA32_XSS, c->host_xss);
	if (boot_cpu_has(X86_FEATURE_OSXSAVE)) {
		c->host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
		c->xcr0 = c->host_xcr0 & (XFEATURE_MASK_FP | XFEATURE_MASK_SSE |
					  XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512);
	}
}

int __init vmx_init(void)
{
	int r = require_features();

	if (r)
		return r;
	derive();
	usermsr_init();
	r = vmx_vpid_init();
	if (r)
		return r;
	r = vmx_own_init();
	if (r) {
		vmx_vpid_exit();
		return r;
	}
	pr_info("VMX ownership %s; EPT%s%s%s%s%s\n", vmx_own_describe(),
		vmx_caps.ept_1g ? " with 1G pages" : vmx_caps.ept_2m ? " with 2M pages" : "",
		vmx_caps.ept_ad ? ", A/D bits" : "", vmx_caps.vpid ? ", VPID" : "",
		vmx_caps.apicv ? ", APICv" : "", vmx_caps.xsaves ? ", XSAVES" : "");
	return 0;
}

void vmx_exit(void)
{
	vmx_own_exit();
	vmx_vpid_exit();
}

int vmx_caps_show(struct seq_file *m, void *v)
{
	const struct vmx_caps *c = &vmx_caps;
	const struct { const char *name; bool on; } flags[] = {
		{ "ept_ad", c->ept_ad }, { "ept_2m", c->ept_2m }, { "ept_1g", c->ept_1g },
		{ "ept_exec_only", c->ept_exec_only }, { "ept_spp", c->spp },
		{ "vpid", c->vpid }, { "apicv", c->apicv },
		{ "shadow_vmcs", c->shadow_vmcs }, { "tpr_shadow", c->tpr_shadow },
		{ "apic_access", c->apic_access },
		{ "virtual_nmi", c->vnmi }, { "tsc_scaling", c->tsc_scaling },
		{ "xsaves", c->xsaves }, { "rdtscp", c->rdtscp }, { "invpcid", c->invpcid },
		{ "pause_loop_exiting", c->ple }, { "perf_global_ctrl", c->perf_global },
		{ "perf_global_ctrl_load", c->perf_load },
	};
	unsigned int i;

	seq_printf(m, "ownership: %s\n", vmx_own_describe());
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		seq_printf(m, "%s: %c\n", flags[i].name, flags[i].on ? 'Y' : 'N');
	seq_printf(m, "vmcs_revision: 0x%x\nept_vpid_cap: 0x%llx\nguest_xcr0: 0x%llx\n",
		   c->rev, c->ept_vpid, c->xcr0);
	return 0;
}
