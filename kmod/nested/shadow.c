// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU's VMCS shadowing, for L1: what L1 reads and writes often it has without an exit.
 *
 * While L1 runs with a current VMCS, the fields below are in the shadow VMCS that vmcs01 links to,
 * and vmcs12 has them only after nested_shadow_store(). None of them is changed by emys while it
 * carries out a VMX instruction other than an entry. Which they are was counted:
 * selftests/bench/nested --fields.
 *
 * Source: SDM volume 3, "VMCS Link Pointer", "VMCS Shadowing Bitmap Addresses".
 */
#include <linux/gfp.h>
#include <asm/io.h>

#include "../emys.h"
#include "internal.h"

/* X(encoding, member): read without exit */
#define SHADOW_READ(X) \
	X(VM_EXIT_REASON, vm_exit_reason), \
	X(VM_EXIT_INTR_INFO, vm_exit_intr_info), \
	X(VM_EXIT_INTR_ERROR_CODE, vm_exit_intr_error_code), \
	X(IDT_VECTORING_INFO_FIELD, idt_vectoring_info_field), \
	X(IDT_VECTORING_ERROR_CODE, idt_vectoring_error_code), \
	X(VM_EXIT_INSTRUCTION_LEN, vm_exit_instruction_len), \
	X(VMX_INSTRUCTION_INFO, vmx_instruction_info), \
	X(EXIT_QUALIFICATION, exit_qualification), \
	X(GUEST_LINEAR_ADDRESS, guest_linear_address), \
	X(GUEST_PHYSICAL_ADDRESS, guest_physical_address), \
	X(GUEST_CR3, guest_cr3), \
	X(GUEST_CS_AR_BYTES, guest_cs_ar_bytes), \
	X(GUEST_SS_AR_BYTES, guest_ss_ar_bytes)

/* and written */
#define SHADOW_WRITE(X) \
	X(GUEST_RIP, guest_rip), \
	X(GUEST_RSP, guest_rsp), \
	X(GUEST_RFLAGS, guest_rflags), \
	X(GUEST_INTERRUPTIBILITY_INFO, guest_interruptibility_info), \
	X(GUEST_CR0, guest_cr0), \
	X(GUEST_CR4, guest_cr4), \
	X(CR0_READ_SHADOW, cr0_read_shadow), \
	X(CR4_READ_SHADOW, cr4_read_shadow), \
	X(CPU_BASED_VM_EXEC_CONTROL, cpu_based_vm_exec_control), \
	X(EXCEPTION_BITMAP, exception_bitmap), \
	X(TPR_THRESHOLD, tpr_threshold), \
	X(TSC_OFFSET, tsc_offset), \
	X(VM_ENTRY_INTR_INFO_FIELD, vm_entry_intr_info_field), \
	X(VM_ENTRY_EXCEPTION_ERROR_CODE, vm_entry_exception_error_code), \
	X(VM_ENTRY_INSTRUCTION_LEN, vm_entry_instruction_len), \
	X(HOST_RSP, host_rsp), \
	X(HOST_FS_BASE, host_fs_base), \
	X(HOST_GS_BASE, host_gs_base)

/*
 * X(encoding, member, there): likewise, on CPUs that have it. Debian's KVM writes the timer for
 * each entry with a deadline, and reads the other two each time.
 */
#define SHADOW_WHERE_THERE(X) \
	X(VMX_PREEMPTION_TIMER_VALUE, vmx_preemption_timer_value, vmx_caps.preemption_timer); \
	X(GUEST_PML_INDEX, guest_pml_index, vmx_caps.pml); \
	X(GUEST_INTR_STATUS, guest_intr_status, \
	  vmx_caps.proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

#define ENCODING(encoding, member)	encoding
static const u16 read_fields[] = { SHADOW_READ(ENCODING), SHADOW_WRITE(ENCODING) };
static const u16 write_fields[] = { SHADOW_WRITE(ENCODING) };
#undef ENCODING

/* A set bit is an exit. NULL: the CPU does not shadow. */
static unsigned long *read_bitmap, *write_bitmap;

/* 64-bit fields have a second encoding, of their upper half. */
static void pass(unsigned long *map, const u16 *fields, unsigned int nr)
{
	unsigned int i;

	memset(map, 0xff, PAGE_SIZE);
	for (i = 0; i < nr; i++) {
		__clear_bit(fields[i], map);
		if (fields[i] >> 13 == VMCS_W64)
			__clear_bit(fields[i] | 1, map);
	}
}

int __init nested_shadow_init(void)
{
	if (!vmx_caps.shadow_vmcs)
		return 0;
	read_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	write_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	if (!read_bitmap || !write_bitmap) {
		nested_shadow_exit();
		return -ENOMEM;
	}
	pass(read_bitmap, read_fields, ARRAY_SIZE(read_fields));
	pass(write_bitmap, write_fields, ARRAY_SIZE(write_fields));
#define PASS(encoding, member, there)					\
	do {								\
		__assign_bit(encoding, read_bitmap, !(there));		\
		__assign_bit(encoding, write_bitmap, !(there));		\
	} while (0)
	SHADOW_WHERE_THERE(PASS);
#undef PASS
	return 0;
}

void nested_shadow_exit(void)
{
	free_page((unsigned long)read_bitmap);
	free_page((unsigned long)write_bitmap);
	read_bitmap = NULL;
	write_bitmap = NULL;
}

int nested_shadow_alloc(struct nested_vcpu *n)
{
	if (!read_bitmap)
		return 0;
	n->shadow = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!n->shadow)
		return -ENOMEM;
	*(u32 *)n->shadow = vmx_caps.rev | VMCS12_SHADOW;
	n->shadow_new = true;
	return 0;
}

void nested_shadow_free(struct nested_vcpu *n)
{
	free_page((unsigned long)n->shadow);
	n->shadow = NULL;
}

/* Make the shadow VMCS current, and the running one again. */
static void begin(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	vmx_vmcs_get(vcpu);
	if (n->shadow_new)
		vmx_insn_vmclear(__pa(n->shadow));
	n->shadow_new = false;
	if (vmx_insn_vmptrld(__pa(n->shadow)))
		emys_vm_broken(vcpu->vm, "VMPTRLD of a shadow VMCS failed");
}

static void end(struct emys_vcpu *vcpu)
{
	vmx_insn_vmclear(__pa(vcpu->nested->shadow));
	if (vmx_insn_vmptrld(vcpu->vmx.cur->pa))
		emys_vm_broken(vcpu->vm, "VMPTRLD failed");
	vmx_vmcs_put(vcpu);
}

void nested_shadow_load(struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	if (!vcpu->vmx.vmcs01.shadow_pa)
		return;
	begin(vcpu);
#define LOAD(encoding, member)	__vmcs_write(encoding, v->member)
	SHADOW_READ(LOAD);
	SHADOW_WRITE(LOAD);
#undef LOAD
#define LOAD(encoding, member, there)					\
	do {								\
		if (there)						\
			__vmcs_write(encoding, v->member);		\
	} while (0)
	SHADOW_WHERE_THERE(LOAD);
#undef LOAD
	end(vcpu);
}

void nested_shadow_store(struct emys_vcpu *vcpu)
{
	struct vmcs12 *v = vcpu->nested->v12;
	u32 rules = 0;

	if (!vcpu->vmx.vmcs01.shadow_pa)
		return;
	begin(vcpu);
#define STORE(encoding, member)						\
	({								\
		typeof(v->member) _new = __vmcs_read(encoding);		\
									\
		if (_new != v->member) {				\
			v->member = _new;				\
			rules |= vmcs12_rules(encoding);		\
			if (nested_is_control(encoding))		\
				vcpu->nested->controls_02 = false;	\
		}							\
	})
	SHADOW_WRITE(STORE);
#undef STORE
	/* No rule reads these. */
#define STORE(encoding, member, there)					\
	do {								\
		if (there)						\
			v->member = __vmcs_read(encoding);		\
	} while (0)
	SHADOW_WHERE_THERE(STORE);
#undef STORE
	end(vcpu);
	vcpu->nested->rules |= rules;
}

/* Those that L1 does not write there itself. */
void nested_shadow_renew(struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	begin(vcpu);
#define LOAD(encoding, member)	__vmcs_write(encoding, v->member)
	SHADOW_READ(LOAD);
#undef LOAD
	end(vcpu);
}

bool nested_shadow_reads(const struct emys_vcpu *vcpu, u32 field)
{
	return vcpu->vmx.vmcs01.shadow_pa && !test_bit(field & 0x7fff, read_bitmap);
}

/* vmcs01 links to the shadow VMCS, or to none. L1 runs. */
static void link_shadow(struct emys_vcpu *vcpu, bool on)
{
	struct vmx_vmcs *vmcs = &vcpu->vmx.vmcs01;

	vmx_vmcs_get(vcpu);
	if (on) {
		vmcs_write64(VMREAD_BITMAP, __pa(read_bitmap));
		vmcs_write64(VMWRITE_BITMAP, __pa(write_bitmap));
		vmcs->exec2 |= SECONDARY_EXEC_SHADOW_VMCS;
	} else {
		vmcs->exec2 &= ~SECONDARY_EXEC_SHADOW_VMCS;
	}
	vmcs_write64(VMCS_LINK_POINTER, on ? __pa(vcpu->nested->shadow) : ~0ull);
	vmcs_write32(SECONDARY_VM_EXEC_CONTROL, vmcs->exec2);
	vmx_vmcs_put(vcpu);
	vmcs->shadow_pa = on ? __pa(vcpu->nested->shadow) : 0;
}

void nested_shadow_on(struct emys_vcpu *vcpu)
{
	if (!vcpu->nested->shadow)
		return;
	link_shadow(vcpu, true);
	nested_shadow_load(vcpu);
}

void nested_shadow_off(struct emys_vcpu *vcpu)
{
	if (!vcpu->vmx.vmcs01.shadow_pa)
		return;
	nested_shadow_store(vcpu);
	link_shadow(vcpu, false);
}
