// SPDX-License-Identifier: GPL-2.0-only
/* A vmcs12 that passes every check */

#include <string.h>

#include <asm/msr-index.h>

#include "vmcs12_world.h"

void world_hardware(struct nested_caps *hw)
{
	u32 msr;

	memset(hw, 0, sizeof(*hw));
	for (msr = MSR_IA32_VMX_BASIC; msr <= MSR_IA32_VMX_VMFUNC; msr++)
		nested_caps_put(hw, msr, 0xffffffff00000000);
	nested_caps_put(hw, MSR_IA32_VMX_CR0_FIXED1, 0xffffffff);
	nested_caps_put(hw, MSR_IA32_VMX_CR4_FIXED1, 0xb767ff);
	nested_caps_put(hw, MSR_IA32_VMX_MISC, 0x700481e5);
	nested_caps_put(hw, MSR_IA32_VMX_EPT_VPID_CAP, ~0ULL);
}

static void init_host(struct vmcs12 *v)
{
	v->host_cr0 = CR0;
	v->host_cr3 = 0x1234000;
	v->host_cr4 = CR4;
	v->host_cs_selector = 0x8;
	v->host_ss_selector = 0x10;
	v->host_ds_selector = 0x18;
	v->host_es_selector = 0x18;
	v->host_fs_selector = 0x20;
	v->host_gs_selector = 0x28;
	v->host_tr_selector = 0x40;
	v->host_fs_base = 0x00007fffffffffff;
	v->host_gs_base = 0xffff800000000000;
	v->host_tr_base = 0xffffffff80001000;
	v->host_gdtr_base = 0xffffffff80002000;
	v->host_idtr_base = 0xffffffff80003000;
	v->host_ia32_sysenter_esp = 0xffffffff80004000;
	v->host_ia32_sysenter_eip = 0xffffffff80005000;
	v->host_ia32_pat = 0x0007040600070406;
	v->host_ia32_efer = EFER;
	v->host_rip = 0xffffffff80006000;
	v->host_rsp = 0xffffffff80007000;
}

static void init_segments(struct vmcs12 *v)
{
	v->guest_cs_selector = 0x8;
	v->guest_ss_selector = 0x10;
	v->guest_ds_selector = 0x18;
	v->guest_es_selector = 0x18;
	v->guest_fs_selector = 0x20;
	v->guest_gs_selector = 0x28;
	v->guest_ldtr_selector = 0x30;
	v->guest_tr_selector = 0x40;
	v->guest_cs_limit = 0xffffffff;
	v->guest_ss_limit = 0xffffffff;
	v->guest_ds_limit = 0xffffffff;
	v->guest_es_limit = 0xffffffff;
	v->guest_fs_limit = 0xffffffff;
	v->guest_gs_limit = 0xffffffff;
	v->guest_ldtr_limit = 0xff;
	v->guest_tr_limit = 0x67;
	v->guest_cs_ar_bytes = 0xa09b;
	v->guest_ss_ar_bytes = 0xc093;
	v->guest_ds_ar_bytes = 0xc093;
	v->guest_es_ar_bytes = 0xc093;
	v->guest_fs_ar_bytes = 0xc093;
	v->guest_gs_ar_bytes = 0xc093;
	v->guest_ldtr_ar_bytes = 0x82;
	v->guest_tr_ar_bytes = 0x8b;
	v->guest_fs_base = 0x00007fffffffffff;
	v->guest_gs_base = 0xffff800000000000;
	v->guest_ldtr_base = 0xffffffff80001000;
	v->guest_tr_base = 0xffffffff80002000;
}

void world_init(struct vmcs12 *v, struct vmcs12_env *env, struct nested_caps *caps)
{
	struct nested_caps hw;

	world_hardware(&hw);
	nested_caps_init(caps, &hw);
	*env = (struct vmcs12_env){
		.caps = caps, .vmptr = VMPTR, .efer = EFER, .debugctl = 3,
		.perf_global = 0x70000000f, .maxphyaddr = WIDTH, .linear_bits = 48, .ia32e = true,
	};

	memset(v, 0, sizeof(*v));
	v->revision = VMCS12_REVISION;
	v->vmcs_link_pointer = VMCS12_NONE;
	v->pin_based_vm_exec_control = PIN;
	v->cpu_based_vm_exec_control = PROC;
	v->secondary_vm_exec_control = PROC2;
	v->vm_exit_controls = EXIT;
	v->vm_entry_controls = ENTRY;
	v->virtual_processor_id = 1;
	v->ept_pointer = 0x5000 | 0x1e;
	init_host(v);
	init_segments(v);
	v->guest_cr0 = CR0;
	v->guest_cr3 = 0x9000;
	v->guest_cr4 = CR4;
	v->guest_dr7 = 0x400;
	v->guest_ia32_pat = 0x0007040600070406;
	v->guest_ia32_efer = EFER;
	v->guest_rip = 0x100000;
	v->guest_rflags = 0x202;
}

static void legacy(struct vmcs12 *v)
{
	v->vm_entry_controls &= ~VM_ENTRY_IA32E_MODE;
	v->guest_ia32_efer = 0x801;
}

#define V86_SEGMENT(name, sel) do {			\
	v->guest_##name##_selector = (sel);		\
	v->guest_##name##_base = (sel) << 4;		\
	v->guest_##name##_limit = 0xffff;		\
	v->guest_##name##_ar_bytes = 0xf3;		\
} while (0)

void world_v86(struct vmcs12 *v)
{
	legacy(v);
	v->guest_rflags |= 1 << 17;
	V86_SEGMENT(cs, 0x1237);
	V86_SEGMENT(ss, 0xffff);
	V86_SEGMENT(ds, 0x40);
	V86_SEGMENT(es, 0);
	V86_SEGMENT(fs, 0x7);
	V86_SEGMENT(gs, 0xb800);
}

#define REAL_SEGMENT(name, sel) do {			\
	v->guest_##name##_selector = (sel);		\
	v->guest_##name##_base = (sel) << 4;		\
	v->guest_##name##_limit = 0xffff;		\
	v->guest_##name##_ar_bytes = 0x93;		\
} while (0)

void world_real(struct vmcs12 *v)
{
	legacy(v);
	v->secondary_vm_exec_control |= SECONDARY_EXEC_UNRESTRICTED_GUEST;
	v->guest_cr0 = 0x30;
	v->guest_cr4 = 0x2000;
	REAL_SEGMENT(cs, 0xf003);
	REAL_SEGMENT(ss, 0x1001);
	REAL_SEGMENT(ds, 0x2002);
	REAL_SEGMENT(es, 0x3003);
	REAL_SEGMENT(fs, 0x4000);
	REAL_SEGMENT(gs, 0x5000);
}
