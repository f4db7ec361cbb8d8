/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmcs12.h - the VMCS that L1 keeps for its guest, in software: layout and fields.
 *
 * Pure: no lock, no allocation; also compiles in userspace. The caller owns the
 * memory and keeps others away while it is used.
 *
 * A field is named by its encoding, as VMREAD takes it; the names of encodings
 * are those of <asm/vmx.h>, and a member is called like its encoding, in small
 * letters. Which fields exist does not depend on which controls L1 was offered.
 *
 * Source: Intel SDM volume 3, appendix "Field Encoding in VMCS", and sections
 * "Format of the VMCS Region" and "Field Encoding". The layout is KVM's: the
 * region is ABI of KVM_GET_NESTED_STATE and KVM_SET_NESTED_STATE.
 */
#ifndef _EMYS_NESTED_VMCS12_H
#define _EMYS_NESTED_VMCS12_H

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/vmx.h>

#ifndef GUEST_SMBASE		/* not in every <asm/vmx.h> */
#define GUEST_SMBASE		0x00004828
#endif

#define VMCS12_SIZE		0x1000		/* bytes of a region */
#define VMCS12_REVISION		0x11e57ed0	/* bits 30:0 of the region's first word */
#define VMCS12_SHADOW		0x80000000u	/* its bit 31: a shadow VMCS */
#define VMCS12_NONE		(~0ULL)		/* no VMCS, as link pointer or current */

/* X(offset, encoding, member), comma-separated, by width; the rows of a list leave no gap */
#define VMCS12_FIELDS_64(X) \
	X(40, IO_BITMAP_A, io_bitmap_a), \
	X(48, IO_BITMAP_B, io_bitmap_b), \
	X(56, MSR_BITMAP, msr_bitmap), \
	X(64, VM_EXIT_MSR_STORE_ADDR, vm_exit_msr_store_addr), \
	X(72, VM_EXIT_MSR_LOAD_ADDR, vm_exit_msr_load_addr), \
	X(80, VM_ENTRY_MSR_LOAD_ADDR, vm_entry_msr_load_addr), \
	X(88, TSC_OFFSET, tsc_offset), \
	X(96, VIRTUAL_APIC_PAGE_ADDR, virtual_apic_page_addr), \
	X(104, APIC_ACCESS_ADDR, apic_access_addr), \
	X(112, POSTED_INTR_DESC_ADDR, posted_intr_desc_addr), \
	X(120, EPT_POINTER, ept_pointer), \
	X(128, EOI_EXIT_BITMAP0, eoi_exit_bitmap0), \
	X(136, EOI_EXIT_BITMAP1, eoi_exit_bitmap1), \
	X(144, EOI_EXIT_BITMAP2, eoi_exit_bitmap2), \
	X(152, EOI_EXIT_BITMAP3, eoi_exit_bitmap3), \
	X(160, XSS_EXIT_BITMAP, xss_exit_bitmap), \
	X(168, GUEST_PHYSICAL_ADDRESS, guest_physical_address), \
	X(176, VMCS_LINK_POINTER, vmcs_link_pointer), \
	X(184, GUEST_IA32_DEBUGCTL, guest_ia32_debugctl), \
	X(192, GUEST_IA32_PAT, guest_ia32_pat), \
	X(200, GUEST_IA32_EFER, guest_ia32_efer), \
	X(208, GUEST_IA32_PERF_GLOBAL_CTRL, guest_ia32_perf_global_ctrl), \
	X(216, GUEST_PDPTR0, guest_pdptr0), \
	X(224, GUEST_PDPTR1, guest_pdptr1), \
	X(232, GUEST_PDPTR2, guest_pdptr2), \
	X(240, GUEST_PDPTR3, guest_pdptr3), \
	X(248, GUEST_BNDCFGS, guest_bndcfgs), \
	X(256, HOST_IA32_PAT, host_ia32_pat), \
	X(264, HOST_IA32_EFER, host_ia32_efer), \
	X(272, HOST_IA32_PERF_GLOBAL_CTRL, host_ia32_perf_global_ctrl), \
	X(280, VMREAD_BITMAP, vmread_bitmap), \
	X(288, VMWRITE_BITMAP, vmwrite_bitmap), \
	X(296, VM_FUNCTION_CONTROL, vm_function_control), \
	X(304, EPTP_LIST_ADDRESS, eptp_list_address), \
	X(312, PML_ADDRESS, pml_address), \
	X(320, ENCLS_EXITING_BITMAP, encls_exiting_bitmap), \
	X(328, TSC_MULTIPLIER, tsc_multiplier)

#define VMCS12_FIELDS_NATURAL(X) \
	X(344, CR0_GUEST_HOST_MASK, cr0_guest_host_mask), \
	X(352, CR4_GUEST_HOST_MASK, cr4_guest_host_mask), \
	X(360, CR0_READ_SHADOW, cr0_read_shadow), \
	X(368, CR4_READ_SHADOW, cr4_read_shadow), \
	X(376, CR3_TARGET_VALUE0, cr3_target_value0), \
	X(384, CR3_TARGET_VALUE1, cr3_target_value1), \
	X(392, CR3_TARGET_VALUE2, cr3_target_value2), \
	X(400, CR3_TARGET_VALUE3, cr3_target_value3), \
	X(408, EXIT_QUALIFICATION, exit_qualification), \
	X(416, GUEST_LINEAR_ADDRESS, guest_linear_address), \
	X(424, GUEST_CR0, guest_cr0), \
	X(432, GUEST_CR3, guest_cr3), \
	X(440, GUEST_CR4, guest_cr4), \
	X(448, GUEST_ES_BASE, guest_es_base), \
	X(456, GUEST_CS_BASE, guest_cs_base), \
	X(464, GUEST_SS_BASE, guest_ss_base), \
	X(472, GUEST_DS_BASE, guest_ds_base), \
	X(480, GUEST_FS_BASE, guest_fs_base), \
	X(488, GUEST_GS_BASE, guest_gs_base), \
	X(496, GUEST_LDTR_BASE, guest_ldtr_base), \
	X(504, GUEST_TR_BASE, guest_tr_base), \
	X(512, GUEST_GDTR_BASE, guest_gdtr_base), \
	X(520, GUEST_IDTR_BASE, guest_idtr_base), \
	X(528, GUEST_DR7, guest_dr7), \
	X(536, GUEST_RSP, guest_rsp), \
	X(544, GUEST_RIP, guest_rip), \
	X(552, GUEST_RFLAGS, guest_rflags), \
	X(560, GUEST_PENDING_DBG_EXCEPTIONS, guest_pending_dbg_exceptions), \
	X(568, GUEST_SYSENTER_ESP, guest_sysenter_esp), \
	X(576, GUEST_SYSENTER_EIP, guest_sysenter_eip), \
	X(584, HOST_CR0, host_cr0), \
	X(592, HOST_CR3, host_cr3), \
	X(600, HOST_CR4, host_cr4), \
	X(608, HOST_FS_BASE, host_fs_base), \
	X(616, HOST_GS_BASE, host_gs_base), \
	X(624, HOST_TR_BASE, host_tr_base), \
	X(632, HOST_GDTR_BASE, host_gdtr_base), \
	X(640, HOST_IDTR_BASE, host_idtr_base), \
	X(648, HOST_IA32_SYSENTER_ESP, host_ia32_sysenter_esp), \
	X(656, HOST_IA32_SYSENTER_EIP, host_ia32_sysenter_eip), \
	X(664, HOST_RSP, host_rsp), \
	X(672, HOST_RIP, host_rip)

#define VMCS12_FIELDS_32(X) \
	X(744, PIN_BASED_VM_EXEC_CONTROL, pin_based_vm_exec_control), \
	X(748, CPU_BASED_VM_EXEC_CONTROL, cpu_based_vm_exec_control), \
	X(752, EXCEPTION_BITMAP, exception_bitmap), \
	X(756, PAGE_FAULT_ERROR_CODE_MASK, page_fault_error_code_mask), \
	X(760, PAGE_FAULT_ERROR_CODE_MATCH, page_fault_error_code_match), \
	X(764, CR3_TARGET_COUNT, cr3_target_count), \
	X(768, VM_EXIT_CONTROLS, vm_exit_controls), \
	X(772, VM_EXIT_MSR_STORE_COUNT, vm_exit_msr_store_count), \
	X(776, VM_EXIT_MSR_LOAD_COUNT, vm_exit_msr_load_count), \
	X(780, VM_ENTRY_CONTROLS, vm_entry_controls), \
	X(784, VM_ENTRY_MSR_LOAD_COUNT, vm_entry_msr_load_count), \
	X(788, VM_ENTRY_INTR_INFO_FIELD, vm_entry_intr_info_field), \
	X(792, VM_ENTRY_EXCEPTION_ERROR_CODE, vm_entry_exception_error_code), \
	X(796, VM_ENTRY_INSTRUCTION_LEN, vm_entry_instruction_len), \
	X(800, TPR_THRESHOLD, tpr_threshold), \
	X(804, SECONDARY_VM_EXEC_CONTROL, secondary_vm_exec_control), \
	X(808, VM_INSTRUCTION_ERROR, vm_instruction_error), \
	X(812, VM_EXIT_REASON, vm_exit_reason), \
	X(816, VM_EXIT_INTR_INFO, vm_exit_intr_info), \
	X(820, VM_EXIT_INTR_ERROR_CODE, vm_exit_intr_error_code), \
	X(824, IDT_VECTORING_INFO_FIELD, idt_vectoring_info_field), \
	X(828, IDT_VECTORING_ERROR_CODE, idt_vectoring_error_code), \
	X(832, VM_EXIT_INSTRUCTION_LEN, vm_exit_instruction_len), \
	X(836, VMX_INSTRUCTION_INFO, vmx_instruction_info), \
	X(840, GUEST_ES_LIMIT, guest_es_limit), \
	X(844, GUEST_CS_LIMIT, guest_cs_limit), \
	X(848, GUEST_SS_LIMIT, guest_ss_limit), \
	X(852, GUEST_DS_LIMIT, guest_ds_limit), \
	X(856, GUEST_FS_LIMIT, guest_fs_limit), \
	X(860, GUEST_GS_LIMIT, guest_gs_limit), \
	X(864, GUEST_LDTR_LIMIT, guest_ldtr_limit), \
	X(868, GUEST_TR_LIMIT, guest_tr_limit), \
	X(872, GUEST_GDTR_LIMIT, guest_gdtr_limit), \
	X(876, GUEST_IDTR_LIMIT, guest_idtr_limit), \
	X(880, GUEST_ES_AR_BYTES, guest_es_ar_bytes), \
	X(884, GUEST_CS_AR_BYTES, guest_cs_ar_bytes), \
	X(888, GUEST_SS_AR_BYTES, guest_ss_ar_bytes), \
	X(892, GUEST_DS_AR_BYTES, guest_ds_ar_bytes), \
	X(896, GUEST_FS_AR_BYTES, guest_fs_ar_bytes), \
	X(900, GUEST_GS_AR_BYTES, guest_gs_ar_bytes), \
	X(904, GUEST_LDTR_AR_BYTES, guest_ldtr_ar_bytes), \
	X(908, GUEST_TR_AR_BYTES, guest_tr_ar_bytes), \
	X(912, GUEST_INTERRUPTIBILITY_INFO, guest_interruptibility_info), \
	X(916, GUEST_ACTIVITY_STATE, guest_activity_state), \
	X(920, GUEST_SYSENTER_CS, guest_sysenter_cs), \
	X(924, HOST_IA32_SYSENTER_CS, host_ia32_sysenter_cs), \
	X(928, VMX_PREEMPTION_TIMER_VALUE, vmx_preemption_timer_value), \
	X(932, GUEST_SMBASE, guest_smbase)

#define VMCS12_FIELDS_16(X) \
	X(960, VIRTUAL_PROCESSOR_ID, virtual_processor_id), \
	X(962, POSTED_INTR_NV, posted_intr_nv), \
	X(964, GUEST_ES_SELECTOR, guest_es_selector), \
	X(966, GUEST_CS_SELECTOR, guest_cs_selector), \
	X(968, GUEST_SS_SELECTOR, guest_ss_selector), \
	X(970, GUEST_DS_SELECTOR, guest_ds_selector), \
	X(972, GUEST_FS_SELECTOR, guest_fs_selector), \
	X(974, GUEST_GS_SELECTOR, guest_gs_selector), \
	X(976, GUEST_LDTR_SELECTOR, guest_ldtr_selector), \
	X(978, GUEST_TR_SELECTOR, guest_tr_selector), \
	X(980, GUEST_INTR_STATUS, guest_intr_status), \
	X(982, HOST_ES_SELECTOR, host_es_selector), \
	X(984, HOST_CS_SELECTOR, host_cs_selector), \
	X(986, HOST_SS_SELECTOR, host_ss_selector), \
	X(988, HOST_DS_SELECTOR, host_ds_selector), \
	X(990, HOST_FS_SELECTOR, host_fs_selector), \
	X(992, HOST_GS_SELECTOR, host_gs_selector), \
	X(994, HOST_TR_SELECTOR, host_tr_selector), \
	X(996, GUEST_PML_INDEX, guest_pml_index)

#define VMCS12_FIELDS(X) \
	VMCS12_FIELDS_64(X), VMCS12_FIELDS_NATURAL(X), VMCS12_FIELDS_32(X), VMCS12_FIELDS_16(X)

#define VMCS12_MEMBER(offset, encoding, member)	member
#define VMCS12_MEMBERS_64	VMCS12_FIELDS_64(VMCS12_MEMBER)
#define VMCS12_MEMBERS_NATURAL	VMCS12_FIELDS_NATURAL(VMCS12_MEMBER)
#define VMCS12_MEMBERS_32	VMCS12_FIELDS_32(VMCS12_MEMBER)
#define VMCS12_MEMBERS_16	VMCS12_FIELDS_16(VMCS12_MEMBER)

/**
 * struct vmcs12 - a VMCS region
 * @revision: VMCS12_REVISION, and VMCS12_SHADOW
 * @abort: VMX-abort indicator
 * @launch_state: 0 clear, 1 launched
 */
struct vmcs12 {
	u32 revision;
	u32 abort;
	u32 launch_state;
	u32 unused[7];
	u64 VMCS12_MEMBERS_64;
	u64 unused64[1];
	u64 VMCS12_MEMBERS_NATURAL;
	u64 unused_natural[8];
	u32 VMCS12_MEMBERS_32;
	u32 unused32[6];
	u16 VMCS12_MEMBERS_16;
	u8 tail[VMCS12_SIZE - 998];
};

static_assert(sizeof(struct vmcs12) == VMCS12_SIZE);

/* Offset of the member of a field's index, type and width; 0 is none. Use vmcs12_find(). */
extern const u16 vmcs12_offsets[512];

/*
 * Index, type and width of an encoding, as a number below 512. An encoding may have
 * bits that are not in it: the access type, and 12, 9:6 and 31:15, which no field has.
 */
#define VMCS12_KEY(encoding) \
	(((encoding) >> 1 & 0x1f) | ((encoding) >> 5 & 0x60) | ((encoding) >> 6 & 0x180))

/**
 * vmcs12_find() - look a field up
 * @encoding: any value, as L1 gave it to VMREAD or VMWRITE. If that was 64 bits,
 *	the upper half must have been 0; the caller checks.
 *
 * Return: the offset of the member in struct vmcs12, the same for the full and
 * the high access; -ENOENT when there is no such field: a reserved bit is set,
 * the high half of a field that is not 64-bit, or a field not known here.
 */
static inline int vmcs12_find(u32 encoding)
{
	u16 offset;

	/* access type 0, index 5:1 (9:6 are in no field), type 11:10, width 14:13 */
	if (encoding & ~0x6c3fu)
		return -ENOENT;
	if (encoding & 1 && (encoding & 0x6000) != 0x2000)
		return -ENOENT;
	/* below 512 by construction, whatever is speculated */
	offset = vmcs12_offsets[VMCS12_KEY(encoding)];
	return offset ? offset : -ENOENT;
}

/* Bytes of the field that @encoding names: 2, 4 or 8 (natural width is 8); access type ignored */
static inline int vmcs_width(u32 encoding)
{
	static const u8 bytes[4] = { 2, 8, 4, 8 };

	return bytes[encoding >> 13 & 3];
}

/* Does VMWRITE need the capability "VMWRITE to any field"? Exit information: type 1. */
static inline bool vmcs12_read_only(u32 encoding)
{
	return (encoding & 0xc00) == 0x400;
}

/**
 * vmcs12_get() - read a field
 * @encoding: one that vmcs12_find() knows; @off: what it answered
 *
 * Return: the value, zero-extended; of a high access the field's bits 63:32.
 */
static inline u64 vmcs12_get(const struct vmcs12 *v, u32 encoding, int off)
{
	const void *p = (const char *)v + off;

	switch (vmcs_width(encoding)) {
	case 2:
		return *(const u16 *)p;
	case 4:
		return *(const u32 *)p;
	default:
		return encoding & 1 ? *(const u64 *)p >> 32 : *(const u64 *)p;
	}
}

/*
 * vmcs12_set() - write a field; arguments as of vmcs12_get(). Bits of @val beyond
 * the width are ignored; a high access changes bits 63:32 of the field only.
 */
static inline void vmcs12_set(struct vmcs12 *v, u32 encoding, int off, u64 val)
{
	void *p = (char *)v + off;

	switch (vmcs_width(encoding)) {
	case 2:
		*(u16 *)p = val;
		break;
	case 4:
		*(u32 *)p = val;
		break;
	default:
		if (encoding & 1)
			val = val << 32 | (u32)*(u64 *)p;
		*(u64 *)p = val;
		break;
	}
}

/* The highest index of any field, for IA32_VMX_VMCS_ENUM (whose bits 9:1 it is) */
u32 vmcs12_enum_max(void);

#endif
