// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/entry: the checks of a VM entry, as tables of what is wrong with a good VMCS.
 * Vol. 3, "VM Entries".
 */
#include "nested.h"

#define BEYOND		(1ull << 52)	/* no physical address is that wide */
#define ODD		(1ull << 63)	/* no canonical address */
#define NOWHERE		0xc0000000ull	/* no memory of the VM's */

enum want {
	RUNS,			/* L2 runs to its end */
	ENTERS,			/* whatever L2 does then */
	CONTROLS,		/* VMfail 7 */
	HOST,			/* VMfail 8 */
	GUEST,			/* an exit for invalid guest state */
	DROPPED,		/* the same, unless the VMWRITE dropped the bits, as CPUs may */
};

struct set {
	u32 field;
	u64 clear, set;
};

struct row {
	const char *name;
	enum want want;
	u32 control, bits;	/* L1 must be allowed these; 0: always there */
	u64 qualification;	/* of GUEST */
	bool kvm_differs;
	struct set sets[6];
};

/* bits of a field, a whole field, secondary controls */
#define BITS(field, clear, set)	{ field, clear, set }
#define VALUE(field, v)		{ field, ~0ull, v }
#define SET(field, v)		{ field, 0, v }
#define CLEAR(field, v)		{ field, v, 0 }
#define SECOND(bits)		SET(PROC_CTL, PROC_PROC2), SET(PROC2_CTL, bits)
#define EPT_ON(more)		SECOND(PROC2_EPT), VALUE(EPTP, (uintptr_t)root + (more))

/* beside the table's address: write-back, four levels */
#define GOOD			(EPTP_WB | EPTP_WALK4)

static u64 root[512] VMX_PAGE;
static u8 page[4096] VMX_PAGE;
static u8 list[4096] VMX_PAGE;

#define ALWAYS			0, 0, 0, false
#define NEEDS(control, bits)	control, bits, 0, false
#define KVM_DIFFERS		0, 0, 0, true
#define QUAL(q)			0, 0, q, false

static const struct row control_rows[] = {
	{ "nothing wrong", RUNS, ALWAYS, { } },
	{ "secondary controls that are not on", RUNS, NEEDS(PROC_CTL, PROC_PROC2), {
		CLEAR(PROC_CTL, PROC_PROC2), VALUE(PROC2_CTL, 0xffffffff) } },
	{ "CR3 targets: as many as there are", RUNS, ALWAYS, { VALUE(CR3_TARGETS, 0) } },
	{ "CR3 targets: too many", CONTROLS, ALWAYS, { VALUE(CR3_TARGETS, 5) } },
	{ "CR3 targets: far too many", CONTROLS, ALWAYS, { VALUE(CR3_TARGETS, 0x10000) } },
	{ "I/O bitmap A: aligned", ENTERS, NEEDS(PROC_CTL, PROC_IO_BITMAPS), {
		SET(PROC_CTL, PROC_IO_BITMAPS) } },
	{ "I/O bitmap A: not aligned", CONTROLS, NEEDS(PROC_CTL, PROC_IO_BITMAPS), {
		SET(PROC_CTL, PROC_IO_BITMAPS), SET(IO_BITMAP_A, 0x800) } },
	{ "I/O bitmap A: beyond the width", CONTROLS, NEEDS(PROC_CTL, PROC_IO_BITMAPS), {
		SET(PROC_CTL, PROC_IO_BITMAPS), SET(IO_BITMAP_A, BEYOND) } },
	{ "I/O bitmap B: not aligned", CONTROLS, NEEDS(PROC_CTL, PROC_IO_BITMAPS), {
		SET(PROC_CTL, PROC_IO_BITMAPS), SET(IO_BITMAP_B, 1) } },
	{ "I/O bitmap B: beyond the width", CONTROLS, NEEDS(PROC_CTL, PROC_IO_BITMAPS), {
		SET(PROC_CTL, PROC_IO_BITMAPS), SET(IO_BITMAP_B, BEYOND) } },
	{ "I/O bitmaps: bad, but not used", RUNS, NEEDS(PROC_CTL, PROC_IO_BITMAPS), {
		VALUE(IO_BITMAP_A, 1), VALUE(IO_BITMAP_B, ~0ull) } },
	{ "MSR bitmap: aligned", RUNS, NEEDS(PROC_CTL, PROC_MSR_BITMAPS), {
		SET(PROC_CTL, PROC_MSR_BITMAPS) } },
	{ "MSR bitmap: not aligned", CONTROLS, NEEDS(PROC_CTL, PROC_MSR_BITMAPS), {
		SET(PROC_CTL, PROC_MSR_BITMAPS), SET(MSR_BITMAP, 0x80) } },
	{ "MSR bitmap: beyond the width", CONTROLS, NEEDS(PROC_CTL, PROC_MSR_BITMAPS), {
		SET(PROC_CTL, PROC_MSR_BITMAPS), SET(MSR_BITMAP, BEYOND) } },
	{ "MSR bitmap: bad, but not used", RUNS, NEEDS(PROC_CTL, PROC_MSR_BITMAPS), {
		VALUE(MSR_BITMAP, 0x123) } },
	{ "virtual-APIC page: aligned", RUNS, NEEDS(PROC_CTL, PROC_TPR_SHADOW), {
		SET(PROC_CTL, PROC_TPR_SHADOW), VALUE(VIRTUAL_APIC, (uintptr_t)page),
		VALUE(TPR_THRESHOLD, 0) } },
	{ "virtual-APIC page: not aligned", CONTROLS, NEEDS(PROC_CTL, PROC_TPR_SHADOW), {
		SET(PROC_CTL, PROC_TPR_SHADOW), VALUE(VIRTUAL_APIC, (uintptr_t)page + 0x10),
		VALUE(TPR_THRESHOLD, 0) } },
	{ "virtual-APIC page: beyond the width", CONTROLS, NEEDS(PROC_CTL, PROC_TPR_SHADOW), {
		SET(PROC_CTL, PROC_TPR_SHADOW), VALUE(VIRTUAL_APIC, BEYOND),
		VALUE(TPR_THRESHOLD, 0) } },
	{ "virtual-APIC page: no memory", RUNS, NEEDS(PROC_CTL, PROC_TPR_SHADOW), {
		SET(PROC_CTL, PROC_TPR_SHADOW | PROC_CR8_LOAD | PROC_CR8_STORE),
		VALUE(VIRTUAL_APIC, NOWHERE), VALUE(TPR_THRESHOLD, 0) } },
	{ "TPR threshold: reserved bits", CONTROLS, NEEDS(PROC_CTL, PROC_TPR_SHADOW), {
		SET(PROC_CTL, PROC_TPR_SHADOW), VALUE(VIRTUAL_APIC, (uintptr_t)page),
		VALUE(TPR_THRESHOLD, 0x10) } },
	{ "TPR threshold: above the virtual TPR", CONTROLS, NEEDS(PROC_CTL, PROC_TPR_SHADOW), {
		SET(PROC_CTL, PROC_TPR_SHADOW), VALUE(VIRTUAL_APIC, (uintptr_t)page),
		VALUE(TPR_THRESHOLD, 1) } },
	{ "x2APIC mode without TPR shadow", CONTROLS, NEEDS(PROC2_CTL, PROC2_X2APIC), {
		SECOND(PROC2_X2APIC) } },
	{ "x2APIC mode with TPR shadow", RUNS, NEEDS(PROC2_CTL, PROC2_X2APIC), {
		SECOND(PROC2_X2APIC), SET(PROC_CTL, PROC_TPR_SHADOW),
		VALUE(VIRTUAL_APIC, (uintptr_t)page), VALUE(TPR_THRESHOLD, 0) } },
	{ "APIC registers without TPR shadow", CONTROLS, NEEDS(PROC2_CTL, PROC2_APIC_REGISTERS), {
		SECOND(PROC2_APIC_REGISTERS) } },
	{ "interrupt delivery without TPR shadow", CONTROLS, NEEDS(PROC2_CTL, PROC2_VID), {
		SECOND(PROC2_VID), SET(PIN_CTL, PIN_EXTINT) } },
	{ "interrupt delivery without external-interrupt exiting", CONTROLS,
		NEEDS(PROC2_CTL, PROC2_VID), {
		SECOND(PROC2_VID), SET(PROC_CTL, PROC_TPR_SHADOW),
		VALUE(VIRTUAL_APIC, (uintptr_t)page) } },
	{ "APIC access and x2APIC mode", CONTROLS,
		NEEDS(PROC2_CTL, PROC2_X2APIC | PROC2_APIC_ACCESS), {
		SECOND(PROC2_X2APIC | PROC2_APIC_ACCESS), SET(PROC_CTL, PROC_TPR_SHADOW),
		VALUE(VIRTUAL_APIC, (uintptr_t)page), VALUE(APIC_ACCESS, (uintptr_t)list) } },
	{ "APIC-access page: aligned", RUNS, NEEDS(PROC2_CTL, PROC2_APIC_ACCESS), {
		SECOND(PROC2_APIC_ACCESS), VALUE(APIC_ACCESS, (uintptr_t)list) } },
	{ "APIC-access page: not aligned", CONTROLS, NEEDS(PROC2_CTL, PROC2_APIC_ACCESS), {
		SECOND(PROC2_APIC_ACCESS), VALUE(APIC_ACCESS, (uintptr_t)list + 1) } },
	{ "APIC-access page: beyond the width", CONTROLS, NEEDS(PROC2_CTL, PROC2_APIC_ACCESS), {
		SECOND(PROC2_APIC_ACCESS), VALUE(APIC_ACCESS, BEYOND) } },
	{ "virtual NMIs without NMI exiting", CONTROLS, NEEDS(PIN_CTL, PIN_VIRTUAL_NMI), {
		SET(PIN_CTL, PIN_VIRTUAL_NMI) } },
	{ "virtual NMIs with NMI exiting", RUNS, NEEDS(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI), {
		SET(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI) } },
	{ "NMI window without virtual NMIs", CONTROLS, NEEDS(PROC_CTL, PROC_NMI_WINDOW), {
		SET(PIN_CTL, PIN_NMI), SET(PROC_CTL, PROC_NMI_WINDOW) } },
	{ "posted interrupts without interrupt delivery", CONTROLS, NEEDS(PIN_CTL, PIN_POSTED), {
		SET(PIN_CTL, PIN_POSTED | PIN_EXTINT), SET(EXIT_CTL, EXIT_ACK) } },
	{ "VPID 0", CONTROLS, NEEDS(PROC2_CTL, PROC2_VPID), {
		SECOND(PROC2_VPID), VALUE(VPID, 0) } },
	{ "VPID 1", RUNS, NEEDS(PROC2_CTL, PROC2_VPID), {
		SECOND(PROC2_VPID), VALUE(VPID, 1) } },
	{ "VPID 0xffff", RUNS, NEEDS(PROC2_CTL, PROC2_VPID), {
		SECOND(PROC2_VPID), VALUE(VPID, 0xffff) } },
	{ "EPT: good", ENTERS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(GOOD) } },
	{ "EPT: memory type 1", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(1 | EPTP_WALK4) } },
	{ "EPT: memory type 7", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(7 | EPTP_WALK4) } },
	{ "EPT: walk of three", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(EPTP_WB | 2 << 3) } },
	{ "EPT: walk of six", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(EPTP_WB | 5 << 3) } },
	{ "EPT: bit 8", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(GOOD | 1 << 8) } },
	{ "EPT: bit 11", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(GOOD | 1 << 11) } },
	{ "EPT: beyond the width", CONTROLS, NEEDS(PROC2_CTL, PROC2_EPT), { EPT_ON(GOOD | BEYOND) } },
	{ "EPT: bad, but not used", RUNS, NEEDS(PROC2_CTL, PROC2_EPT), {
		VALUE(EPTP, ~0ull) } },
	{ "unrestricted guest without EPT", CONTROLS, NEEDS(PROC2_CTL, PROC2_UNRESTRICTED), {
		SECOND(PROC2_UNRESTRICTED) } },
	{ "PML without EPT", CONTROLS, NEEDS(PROC2_CTL, PROC2_PML), {
		SECOND(PROC2_PML), VALUE(PML_ADDR, (uintptr_t)page) } },
	{ "PML: not aligned", CONTROLS, NEEDS(PROC2_CTL, PROC2_PML), {
		EPT_ON(GOOD), SET(PROC2_CTL, PROC2_PML), VALUE(PML_ADDR, (uintptr_t)page + 8) } },
	{ "PML: beyond the width", CONTROLS, NEEDS(PROC2_CTL, PROC2_PML), {
		EPT_ON(GOOD), SET(PROC2_CTL, PROC2_PML), VALUE(PML_ADDR, BEYOND) } },
	{ "VMFUNC: none enabled", RUNS, NEEDS(PROC2_CTL, PROC2_VMFUNC), {
		SECOND(PROC2_VMFUNC), VALUE(VMFUNC_CTL, 0) } },
	{ "VMFUNC: a reserved one", CONTROLS, NEEDS(PROC2_CTL, PROC2_VMFUNC), {
		SECOND(PROC2_VMFUNC), VALUE(VMFUNC_CTL, 1ull << 63) } },
	{ "VMFUNC: EPTP switching without EPT", CONTROLS, NEEDS(PROC2_CTL, PROC2_VMFUNC), {
		SECOND(PROC2_VMFUNC), VALUE(VMFUNC_CTL, 1), VALUE(EPTP_LIST, (uintptr_t)page) } },
	{ "VMFUNC: EPTP list not aligned", CONTROLS, NEEDS(PROC2_CTL, PROC2_VMFUNC), {
		EPT_ON(GOOD), SET(PROC2_CTL, PROC2_VMFUNC), VALUE(VMFUNC_CTL, 1),
		VALUE(EPTP_LIST, (uintptr_t)page + 8) } },
	{ "shadow VMCS: bitmaps aligned", RUNS, NEEDS(PROC2_CTL, PROC2_SHADOW_VMCS), {
		SECOND(PROC2_SHADOW_VMCS), VALUE(VMREAD_BITMAP, (uintptr_t)page),
		VALUE(VMWRITE_BITMAP, (uintptr_t)page) } },
	{ "shadow VMCS: VMREAD bitmap not aligned", CONTROLS, NEEDS(PROC2_CTL, PROC2_SHADOW_VMCS), {
		SECOND(PROC2_SHADOW_VMCS), VALUE(VMREAD_BITMAP, (uintptr_t)page + 8),
		VALUE(VMWRITE_BITMAP, (uintptr_t)page) } },
	{ "shadow VMCS: VMWRITE bitmap beyond the width", CONTROLS,
		NEEDS(PROC2_CTL, PROC2_SHADOW_VMCS), {
		SECOND(PROC2_SHADOW_VMCS), VALUE(VMREAD_BITMAP, (uintptr_t)page),
		VALUE(VMWRITE_BITMAP, BEYOND) } },

	{ "the timer is saved, and is not on", CONTROLS, NEEDS(EXIT_CTL, EXIT_SAVE_TIMER), {
		SET(EXIT_CTL, EXIT_SAVE_TIMER) } },
	{ "exit store list: not aligned", CONTROLS, ALWAYS, {
		VALUE(EXIT_STORE_ADDR, (uintptr_t)list + 8), VALUE(EXIT_STORE_COUNT, 1) } },
	{ "exit store list: beyond the width", CONTROLS, ALWAYS, {
		VALUE(EXIT_STORE_ADDR, BEYOND), VALUE(EXIT_STORE_COUNT, 1) } },
	{ "exit load list: not aligned", CONTROLS, ALWAYS, {
		VALUE(EXIT_LOAD_ADDR, (uintptr_t)list + 4), VALUE(EXIT_LOAD_COUNT, 1) } },
	{ "exit load list: beyond the width", CONTROLS, ALWAYS, {
		VALUE(EXIT_LOAD_ADDR, BEYOND), VALUE(EXIT_LOAD_COUNT, 1) } },
	{ "entry load list: not aligned", CONTROLS, ALWAYS, {
		VALUE(ENTRY_LOAD_ADDR, (uintptr_t)list + 1), VALUE(ENTRY_LOAD_COUNT, 1) } },
	{ "entry load list: beyond the width", CONTROLS, ALWAYS, {
		VALUE(ENTRY_LOAD_ADDR, BEYOND), VALUE(ENTRY_LOAD_COUNT, 1) } },
	{ "MSR lists: bad, but empty", RUNS, ALWAYS, {
		VALUE(EXIT_STORE_ADDR, 1), VALUE(EXIT_LOAD_ADDR, BEYOND),
		VALUE(ENTRY_LOAD_ADDR, ~0ull) } },

	{ "event: not valid, all else wrong", RUNS, ALWAYS, {
		VALUE(ENTRY_EVENT, 0x7ffff1ff), VALUE(ENTRY_ERROR, ~0u), VALUE(ENTRY_LENGTH, 77) } },
	{ "event: reserved type", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | 1u << 8 | 0x20) } },
	{ "event: other, and not MTF", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_OTHER | 1) } },
	{ "event: NMI with another vector", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_NMI | 3) } },
	{ "event: exception above 31", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | 32) } },
	{ "event: reserved bits", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | 1u << 12 | EVENT_HARD | UD_VECTOR) } },
	{ "event: bit 30", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | 1u << 30 | EVENT_HARD | UD_VECTOR) } },
	{ "event: #UD", ENTERS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | UD_VECTOR) } },
	{ "event: #UD with an error code", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_HARD | UD_VECTOR) } },
	{ "event: #GP with an error code", ENTERS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_HARD | GP_VECTOR) } },
	{ "event: #GP without one", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | GP_VECTOR) } },
	{ "event: NMI with an error code", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_NMI | NMI_VECTOR) } },
	{ "event: interrupt with an error code", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_EXTINT | 0x50),
		SET(GUEST_RFLAGS, X86_IF) } },
	{ "event: an error code too wide", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_ERROR | EVENT_HARD | GP_VECTOR),
		VALUE(ENTRY_ERROR, 0x10000) } },
	{ "event: software interrupt of length 16", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_SOFT_INT | 0x50), VALUE(ENTRY_LENGTH, 16) } },
	{ "event: software exception of length 16", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_SOFT_EXC | BP_VECTOR),
		VALUE(ENTRY_LENGTH, 16) } },
	{ "event: software exception of length 1", ENTERS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_SOFT_EXC | BP_VECTOR),
		VALUE(ENTRY_LENGTH, 1) } },
	{ "event: privileged software exception of length 16", CONTROLS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_PRIV_SOFT | DB_VECTOR),
		VALUE(ENTRY_LENGTH, 16) } },
	{ "entry to SMM", CONTROLS, ALWAYS, { SET(ENTRY_CTL, ENTRY_SMM) } },
	{ "deactivate dual-monitor treatment", CONTROLS, ALWAYS, {
		SET(ENTRY_CTL, ENTRY_DUAL_MONITOR) } },
};

static const struct row host_rows[] = {
	{ "CR0.NE = 0", HOST, ALWAYS, { CLEAR(HOST_CR0, X86_CR0_NE) } },
	{ "CR0.PE = 0", HOST, ALWAYS, { CLEAR(HOST_CR0, X86_CR0_PE) } },
	{ "CR0.PG = 0", HOST, ALWAYS, { CLEAR(HOST_CR0, X86_CR0_PG) } },
	{ "CR0: a reserved bit", HOST, ALWAYS, { SET(HOST_CR0, 1ull << 32) } },
	{ "CR0.TS", RUNS, ALWAYS, { SET(HOST_CR0, X86_CR0_TS) } },
	{ "CR4.VMXE = 0", HOST, ALWAYS, { CLEAR(HOST_CR4, X86_CR4_VMXE) } },
	{ "CR4.PAE = 0", HOST, ALWAYS, { CLEAR(HOST_CR4, X86_CR4_PAE) } },
	{ "CR4: a reserved bit", HOST, ALWAYS, { SET(HOST_CR4, 1ull << 63) } },
	{ "CR4.DE", RUNS, ALWAYS, { SET(HOST_CR4, X86_CR4_DE) } },
	{ "CR3: beyond the width", HOST, ALWAYS, { SET(HOST_CR3, BEYOND) } },
	{ "SYSENTER_ESP", HOST, ALWAYS, { VALUE(HOST_SYSENTER_ESP, ODD) } },
	{ "SYSENTER_EIP", HOST, ALWAYS, { VALUE(HOST_SYSENTER_EIP, ODD) } },
	{ "SYSENTER_EIP: canonical", RUNS, ALWAYS, {
		VALUE(HOST_SYSENTER_EIP, 0xffff800000000000ull) } },
	{ "PAT: type 2", HOST, NEEDS(EXIT_CTL, EXIT_LOAD_PAT), {
		SET(EXIT_CTL, EXIT_LOAD_PAT), VALUE(HOST_PAT, 0x0002060606060606ull) } },
	{ "PAT: type 8", HOST, NEEDS(EXIT_CTL, EXIT_LOAD_PAT), {
		SET(EXIT_CTL, EXIT_LOAD_PAT), VALUE(HOST_PAT, 0x0606060606060608ull) } },
	{ "PAT: bad, but not loaded", RUNS, NEEDS(EXIT_CTL, EXIT_LOAD_PAT), {
		CLEAR(EXIT_CTL, EXIT_LOAD_PAT), VALUE(HOST_PAT, 2) } },
	{ "PAT: good", RUNS, NEEDS(EXIT_CTL, EXIT_LOAD_PAT), { SET(EXIT_CTL, EXIT_LOAD_PAT) } },
	{ "EFER: a reserved bit", HOST, NEEDS(EXIT_CTL, EXIT_LOAD_EFER), {
		SET(EXIT_CTL, EXIT_LOAD_EFER), SET(HOST_EFER, 1ull << 1) } },
	{ "EFER.LMA = 0", HOST, NEEDS(EXIT_CTL, EXIT_LOAD_EFER), {
		SET(EXIT_CTL, EXIT_LOAD_EFER), CLEAR(HOST_EFER, X86_EFER_LMA) } },
	{ "EFER.LME = 0", HOST, NEEDS(EXIT_CTL, EXIT_LOAD_EFER), {
		SET(EXIT_CTL, EXIT_LOAD_EFER), CLEAR(HOST_EFER, X86_EFER_LME) } },
	{ "EFER: good", RUNS, NEEDS(EXIT_CTL, EXIT_LOAD_EFER), { SET(EXIT_CTL, EXIT_LOAD_EFER) } },
	{ "EFER: bad, but not loaded", RUNS, NEEDS(EXIT_CTL, EXIT_LOAD_EFER), {
		CLEAR(EXIT_CTL, EXIT_LOAD_EFER), VALUE(HOST_EFER, 0) } },
	{ "ES: RPL", HOST, ALWAYS, { SET(HOST_ES, 3) } },
	{ "CS: RPL", HOST, ALWAYS, { SET(HOST_CS, 1) } },
	{ "SS: RPL", HOST, ALWAYS, { SET(HOST_SS, 3) } },
	{ "DS: TI", HOST, ALWAYS, { SET(HOST_DS, 4) } },
	{ "FS: TI", HOST, ALWAYS, { SET(HOST_FS, 4) } },
	{ "GS: RPL", HOST, ALWAYS, { SET(HOST_GS, 2) } },
	{ "TR: TI", HOST, ALWAYS, { SET(HOST_TR, 4) } },
	{ "CS: null", HOST, ALWAYS, { VALUE(HOST_CS, 0) } },
	{ "TR: null", HOST, ALWAYS, { VALUE(HOST_TR, 0) } },
	{ "SS: null", RUNS, ALWAYS, { VALUE(HOST_SS, 0) } },
	{ "DS, ES, FS: null", RUNS, ALWAYS, {
		VALUE(HOST_DS, 0), VALUE(HOST_ES, 0), VALUE(HOST_FS, 0) } },
	{ "FS base", HOST, ALWAYS, { VALUE(HOST_FS_BASE, ODD) } },
	{ "GS base", HOST, ALWAYS, { VALUE(HOST_GS_BASE, ODD) } },
	{ "GDTR base", HOST, ALWAYS, { VALUE(HOST_GDTR_BASE, ODD) } },
	{ "IDTR base", HOST, ALWAYS, { VALUE(HOST_IDTR_BASE, ODD) } },
	{ "TR base", HOST, ALWAYS, { VALUE(HOST_TR_BASE, ODD) } },
	{ "RIP", HOST, ALWAYS, { VALUE(HOST_RIP, ODD) } },
	{ "address-space size", HOST, ALWAYS, { CLEAR(EXIT_CTL, EXIT_HOST_64) } },
	{ "controls come before", CONTROLS, ALWAYS, {
		VALUE(CR3_TARGETS, 5), CLEAR(HOST_CR4, X86_CR4_VMXE) } },
};

#define UNREST(...)	EPT_ON(GOOD), SET(PROC2_CTL, PROC2_UNRESTRICTED), __VA_ARGS__

static const struct row guest_rows[] = {
	{ "CR0.NE = 0", GUEST, ALWAYS, { CLEAR(GUEST_CR0, X86_CR0_NE) } },
	{ "CR0.PE = 0", GUEST, ALWAYS, { CLEAR(GUEST_CR0, X86_CR0_PE) } },
	{ "CR0.PG = 0", GUEST, ALWAYS, { CLEAR(GUEST_CR0, X86_CR0_PG) } },
	{ "CR0: a reserved bit", GUEST, ALWAYS, { SET(GUEST_CR0, 1ull << 33) } },
	{ "CR0.TS", RUNS, ALWAYS, { SET(GUEST_CR0, X86_CR0_TS) } },
	{ "CR0.PG without PE, unrestricted", GUEST, NEEDS(PROC2_CTL, PROC2_UNRESTRICTED), {
		UNREST(CLEAR(GUEST_CR0, X86_CR0_PE), CLEAR(ENTRY_CTL, ENTRY_IA32E)) } },
	{ "CR4.VMXE = 0", GUEST, ALWAYS, { CLEAR(GUEST_CR4, X86_CR4_VMXE) } },
	{ "CR4: a reserved bit", GUEST, ALWAYS, { SET(GUEST_CR4, 1ull << 63) } },
	{ "CR4.PAE = 0 in IA-32e mode", GUEST, ALWAYS, { CLEAR(GUEST_CR4, X86_CR4_PAE) } },
	{ "CR3: beyond the width", GUEST, ALWAYS, { SET(GUEST_CR3, BEYOND) } },
	{ "DEBUGCTL: LBR and BTF", RUNS, ALWAYS, {
		SET(ENTRY_CTL, ENTRY_LOAD_DEBUG), VALUE(GUEST_DEBUGCTL, 3) } },
	{ "DEBUGCTL: a reserved bit", GUEST, ALWAYS, {
		SET(ENTRY_CTL, ENTRY_LOAD_DEBUG), VALUE(GUEST_DEBUGCTL, 1ull << 5) } },
	{ "DR7: the high half", GUEST, ALWAYS, {
		SET(ENTRY_CTL, ENTRY_LOAD_DEBUG), SET(GUEST_DR7, 1ull << 32) } },
	{ "DR7: good", RUNS, ALWAYS, { SET(ENTRY_CTL, ENTRY_LOAD_DEBUG) } },
	{ "SYSENTER_ESP", GUEST, ALWAYS, { VALUE(GUEST_SYSENTER_ESP, ODD) } },
	{ "SYSENTER_EIP", GUEST, ALWAYS, { VALUE(GUEST_SYSENTER_EIP, ODD) } },
	{ "PAT: type 3", GUEST, NEEDS(ENTRY_CTL, ENTRY_LOAD_PAT), {
		SET(ENTRY_CTL, ENTRY_LOAD_PAT), VALUE(GUEST_PAT, 0x0306060606060606ull) } },
	{ "PAT: good", RUNS, NEEDS(ENTRY_CTL, ENTRY_LOAD_PAT), { SET(ENTRY_CTL, ENTRY_LOAD_PAT) } },
	{ "PAT: bad, but not loaded", RUNS, NEEDS(ENTRY_CTL, ENTRY_LOAD_PAT), {
		CLEAR(ENTRY_CTL, ENTRY_LOAD_PAT), VALUE(GUEST_PAT, 3) } },
	{ "EFER: a reserved bit", GUEST, NEEDS(ENTRY_CTL, ENTRY_LOAD_EFER), {
		SET(ENTRY_CTL, ENTRY_LOAD_EFER), SET(GUEST_EFER, 1ull << 20) } },
	{ "EFER.LMA = 0 in IA-32e mode", GUEST, NEEDS(ENTRY_CTL, ENTRY_LOAD_EFER), {
		SET(ENTRY_CTL, ENTRY_LOAD_EFER), CLEAR(GUEST_EFER, X86_EFER_LMA) } },
	{ "EFER.LME = 0 in IA-32e mode", GUEST, NEEDS(ENTRY_CTL, ENTRY_LOAD_EFER), {
		SET(ENTRY_CTL, ENTRY_LOAD_EFER), CLEAR(GUEST_EFER, X86_EFER_LME) } },
	{ "EFER: good", RUNS, NEEDS(ENTRY_CTL, ENTRY_LOAD_EFER), {
		SET(ENTRY_CTL, ENTRY_LOAD_EFER) } },
	{ "TR: TI", GUEST, ALWAYS, { SET(GUEST_TR, 4) } },
	{ "LDTR: TI, usable", GUEST, ALWAYS, {
		VALUE(GUEST_LDTR, 4), VALUE(GUEST_LDTR_AR, 0x82) } },
	{ "LDTR: TI, unusable", RUNS, ALWAYS, { VALUE(GUEST_LDTR, 4) } },
	{ "LDTR: usable", RUNS, ALWAYS, {
		VALUE(GUEST_LDTR, 0x10), VALUE(GUEST_LDTR_AR, 0x82) } },
	{ "SS: RPL is not CS's", GUEST, ALWAYS, { SET(GUEST_SS, 3) } },
	{ "TR base", GUEST, ALWAYS, { VALUE(GUEST_TR_BASE, ODD) } },
	{ "FS base", GUEST, ALWAYS, { VALUE(GUEST_FS_BASE, ODD) } },
	{ "GS base", GUEST, ALWAYS, { VALUE(GUEST_GS_BASE, ODD) } },
	{ "GS base: canonical", RUNS, ALWAYS, { VALUE(GUEST_GS_BASE, 0xffff800000000000ull) } },
	{ "LDTR base, usable", GUEST, ALWAYS, {
		VALUE(GUEST_LDTR, 0x10), VALUE(GUEST_LDTR_AR, 0x82), VALUE(GUEST_LDTR_BASE, ODD) } },
	{ "LDTR base, unusable", RUNS, ALWAYS, { VALUE(GUEST_LDTR_BASE, ODD) } },
	{ "CS base: the high half", GUEST, ALWAYS, { VALUE(GUEST_CS_BASE, 1ull << 32) } },
	{ "SS base: the high half", GUEST, ALWAYS, { VALUE(GUEST_SS_BASE, 1ull << 32) } },
	{ "DS base: the high half", GUEST, ALWAYS, { VALUE(GUEST_DS_BASE, 1ull << 32) } },
	{ "ES base: the high half", GUEST, ALWAYS, { VALUE(GUEST_ES_BASE, 1ull << 32) } },
	{ "ES base: the high half, unusable", RUNS, ALWAYS, {
		VALUE(GUEST_ES_BASE, 1ull << 32), VALUE(GUEST_ES_AR, AR_UNUSABLE) } },
	{ "CS: a data segment", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xa093) } },
	{ "CS: not accessed", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xa09a) } },
	{ "CS: a system segment", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xa08b) } },
	{ "CS: DPL is not SS's", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xa0fb) } },
	{ "CS: conforming", RUNS, ALWAYS, { VALUE(GUEST_CS_AR, 0xa09f) } },
	{ "CS: conforming, DPL above SS's", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xa0ff) } },
	{ "CS: not present", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xa01b) } },
	{ "CS: reserved bits", DROPPED, ALWAYS, { VALUE(GUEST_CS_AR, 0xa19b) } },
	{ "CS: L and D", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0xe09b) } },
	{ "CS: granularity 0 with a large limit", GUEST, ALWAYS, { VALUE(GUEST_CS_AR, 0x209b) } },
	{ "CS: granularity 1 with limit 0", GUEST, ALWAYS, { VALUE(GUEST_CS_LIMIT, 0) } },
	{ "CS: granularity 0 with limit 0", RUNS, ALWAYS, {
		VALUE(GUEST_CS_AR, 0x209b), VALUE(GUEST_CS_LIMIT, 0) } },
	{ "SS: a code segment", GUEST, ALWAYS, { VALUE(GUEST_SS_AR, 0xc09b) } },
	{ "SS: read-only", GUEST, ALWAYS, { VALUE(GUEST_SS_AR, 0xc091) } },
	{ "SS: DPL is not RPL", GUEST, ALWAYS, { VALUE(GUEST_SS_AR, 0xc0f3) } },
	{ "SS: not present", GUEST, ALWAYS, { VALUE(GUEST_SS_AR, 0xc013) } },
	{ "SS: a system segment", GUEST, ALWAYS, { VALUE(GUEST_SS_AR, 0xc083) } },
	{ "SS: reserved bits", DROPPED, ALWAYS, { VALUE(GUEST_SS_AR, 0xc893) } },
	{ "SS: unusable", RUNS, ALWAYS, { VALUE(GUEST_SS_AR, AR_UNUSABLE) } },
	{ "DS: not accessed", GUEST, ALWAYS, { VALUE(GUEST_DS_AR, 0xc092) } },
	{ "DS: code that cannot be read", GUEST, ALWAYS, { VALUE(GUEST_DS_AR, 0xc099) } },
	{ "DS: code that can", RUNS, ALWAYS, { VALUE(GUEST_DS_AR, 0xc09b) } },
	{ "DS: not present", GUEST, ALWAYS, { VALUE(GUEST_DS_AR, 0xc013) } },
	{ "DS: DPL below RPL", GUEST, ALWAYS, { SET(GUEST_DS, 3) } },
	{ "FS: a system segment", GUEST, ALWAYS, { VALUE(GUEST_FS_AR, 0xc083) } },
	{ "GS: granularity", GUEST, ALWAYS, { VALUE(GUEST_GS_AR, 0x4093) } },
	{ "GS: all wrong, unusable", RUNS, ALWAYS, { VALUE(GUEST_GS_AR, AR_UNUSABLE | 0xc083) } },
	{ "TR: available", GUEST, ALWAYS, { VALUE(GUEST_TR_AR, 0x89) } },
	{ "TR: 16-bit in IA-32e mode", GUEST, ALWAYS, { VALUE(GUEST_TR_AR, 0x83) } },
	{ "TR: not present", GUEST, ALWAYS, { VALUE(GUEST_TR_AR, 0x0b) } },
	{ "TR: S", GUEST, ALWAYS, { VALUE(GUEST_TR_AR, 0x9b) } },
	{ "TR: unusable", GUEST, ALWAYS, { VALUE(GUEST_TR_AR, AR_UNUSABLE | 0x8b) } },
	{ "TR: granularity", GUEST, ALWAYS, { VALUE(GUEST_TR_AR, 0x808b) } },
	{ "TR: reserved bits", DROPPED, ALWAYS, { VALUE(GUEST_TR_AR, 0x18b) } },
	{ "LDTR: not an LDT", GUEST, ALWAYS, { VALUE(GUEST_LDTR_AR, 0x83) } },
	{ "LDTR: not present", GUEST, ALWAYS, { VALUE(GUEST_LDTR_AR, 0x02) } },
	{ "GDTR base", GUEST, ALWAYS, { VALUE(GUEST_GDTR_BASE, ODD) } },
	{ "IDTR base", GUEST, ALWAYS, { VALUE(GUEST_IDTR_BASE, ODD) } },
	{ "GDTR limit", GUEST, ALWAYS, { VALUE(GUEST_GDTR_LIMIT, 0x10000) } },
	{ "IDTR limit", GUEST, ALWAYS, { VALUE(GUEST_IDTR_LIMIT, 0x10000) } },
	{ "RIP", GUEST, KVM_DIFFERS, { SET(GUEST_RIP, ODD) } },
	{ "RIP: high half with CS.L = 0", GUEST, ALWAYS, {
		SET(GUEST_RIP, 1ull << 32), VALUE(GUEST_CS_AR, 0xc09b) } },
	{ "RFLAGS: bit 1", GUEST, ALWAYS, { VALUE(GUEST_RFLAGS, 0) } },
	{ "RFLAGS: bit 3", GUEST, ALWAYS, { SET(GUEST_RFLAGS, 1 << 3) } },
	{ "RFLAGS: bit 15", GUEST, ALWAYS, { SET(GUEST_RFLAGS, 1 << 15) } },
	{ "RFLAGS: bit 22", GUEST, ALWAYS, { SET(GUEST_RFLAGS, 1 << 22) } },
	{ "RFLAGS: bit 63", GUEST, ALWAYS, { SET(GUEST_RFLAGS, 1ull << 63) } },
	{ "RFLAGS.VM in IA-32e mode", GUEST, ALWAYS, { SET(GUEST_RFLAGS, 1 << 17) } },
	{ "RFLAGS.IF = 0 with an interrupt", GUEST, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | 0x50) } },
	{ "RFLAGS.IF = 1 with an interrupt", ENTERS, ALWAYS, {
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | 0x50), SET(GUEST_RFLAGS, X86_IF) } },
	{ "activity: 4", GUEST, ALWAYS, { VALUE(GUEST_ACTIVITY, 4) } },
	{ "activity: HLT with STI blocking", GUEST, KVM_DIFFERS, {
		VALUE(GUEST_ACTIVITY, ACTIVITY_HLT), SET(GUEST_RFLAGS, X86_IF),
		VALUE(GUEST_BLOCKING, BLOCKING_STI) } },
	{ "activity: HLT at CPL 3", GUEST, KVM_DIFFERS, {
		VALUE(GUEST_ACTIVITY, ACTIVITY_HLT), VALUE(GUEST_SS, SEL_UDATA | 3),
		VALUE(GUEST_SS_AR, 0xc0f3), VALUE(GUEST_CS, SEL_UCODE64 | 3),
		VALUE(GUEST_CS_AR, 0xa0fb) } },
	{ "activity: active at CPL 3", ENTERS, ALWAYS, {
		VALUE(GUEST_SS, SEL_UDATA | 3), VALUE(GUEST_SS_AR, 0xc0f3),
		VALUE(GUEST_CS, SEL_UCODE64 | 3), VALUE(GUEST_CS_AR, 0xa0fb) } },
	{ "activity: HLT with #UD", GUEST, KVM_DIFFERS, {
		VALUE(GUEST_ACTIVITY, ACTIVITY_HLT),
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | UD_VECTOR) } },
	{ "activity: HLT with an interrupt", ENTERS, ALWAYS, {
		VALUE(GUEST_ACTIVITY, ACTIVITY_HLT), SET(GUEST_RFLAGS, X86_IF),
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | 0x50) } },
	{ "blocking: reserved bits", GUEST, ALWAYS, { VALUE(GUEST_BLOCKING, 1 << 5) } },
	{ "blocking: STI and MOV SS", GUEST, ALWAYS, {
		VALUE(GUEST_BLOCKING, BLOCKING_STI | BLOCKING_MOV_SS), SET(GUEST_RFLAGS, X86_IF) } },
	{ "blocking: STI with IF = 0", GUEST, ALWAYS, { VALUE(GUEST_BLOCKING, BLOCKING_STI) } },
	{ "blocking: STI with IF = 1", RUNS, ALWAYS, {
		VALUE(GUEST_BLOCKING, BLOCKING_STI), SET(GUEST_RFLAGS, X86_IF) } },
	{ "blocking: MOV SS", RUNS, ALWAYS, { VALUE(GUEST_BLOCKING, BLOCKING_MOV_SS) } },
	{ "blocking: STI with an interrupt", GUEST, ALWAYS, {
		VALUE(GUEST_BLOCKING, BLOCKING_STI), SET(GUEST_RFLAGS, X86_IF),
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | 0x50) } },
	{ "blocking: MOV SS with an interrupt", GUEST, ALWAYS, {
		VALUE(GUEST_BLOCKING, BLOCKING_MOV_SS), SET(GUEST_RFLAGS, X86_IF),
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | 0x50) } },
	{ "blocking: MOV SS with an NMI", GUEST, ALWAYS, {
		VALUE(GUEST_BLOCKING, BLOCKING_MOV_SS),
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_NMI | NMI_VECTOR) } },
	{ "blocking: SMI outside SMM", GUEST, ALWAYS, { VALUE(GUEST_BLOCKING, BLOCKING_SMI) } },
	{ "blocking: NMI with a virtual NMI", GUEST, PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI, 0, true, {
		SET(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI), VALUE(GUEST_BLOCKING, BLOCKING_NMI),
		VALUE(ENTRY_EVENT, EVENT_VALID | EVENT_NMI | NMI_VECTOR) } },
	{ "blocking: NMI", RUNS, NEEDS(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI), {
		SET(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI), VALUE(GUEST_BLOCKING, BLOCKING_NMI) } },
	{ "pending debug: reserved bits", GUEST, ALWAYS, { VALUE(GUEST_PENDING_DB, 1 << 4) } },
	{ "pending debug: bit 63", GUEST, KVM_DIFFERS, { VALUE(GUEST_PENDING_DB, 1ull << 63) } },
	{ "pending debug: TF and STI without BS", GUEST, KVM_DIFFERS, {
		VALUE(GUEST_BLOCKING, BLOCKING_STI), SET(GUEST_RFLAGS, X86_IF | X86_TF) } },
	{ "pending debug: BS and STI without TF", GUEST, KVM_DIFFERS, {
		VALUE(GUEST_BLOCKING, BLOCKING_STI), SET(GUEST_RFLAGS, X86_IF),
		VALUE(GUEST_PENDING_DB, 1 << 14) } },
	{ "link pointer: not aligned", GUEST, QUAL(4), { VALUE(LINK_POINTER, (uintptr_t)page + 8) } },
	{ "link pointer: beyond the width", GUEST, QUAL(4), { VALUE(LINK_POINTER, BEYOND) } },
	{ "link pointer: no VMCS", GUEST, QUAL(4), { VALUE(LINK_POINTER, (uintptr_t)page) } },
	{ "link pointer: the current VMCS", GUEST, 0, 0, 4, true, {
		VALUE(LINK_POINTER, (uintptr_t)l1_vmcs) } },
	{ "link pointer: another VMCS", RUNS, ALWAYS, { VALUE(LINK_POINTER, (uintptr_t)l1_vmcs2) } },
	{ "PDPTE: reserved bits", GUEST, PROC2_CTL, PROC2_EPT, 2, false, {
		EPT_ON(GOOD), CLEAR(ENTRY_CTL, ENTRY_IA32E), VALUE(GUEST_CS_AR, 0xc09b),
		VALUE(GUEST_PDPTE0, 0x1e7) } },
	{ "controls come before", CONTROLS, ALWAYS, {
		VALUE(CR3_TARGETS, 5), CLEAR(GUEST_CR4, X86_CR4_VMXE) } },
	{ "the host's state comes before", HOST, ALWAYS, {
		VALUE(HOST_CS, 0), CLEAR(GUEST_CR4, X86_CR4_VMXE) } },
};

#define ROW_STAGE	1
#define ROW_LEFT_OUT	~0ull

static const struct row *const tables[] = { control_rows, host_rows, guest_rows };
static const unsigned int sizes[] = {
	ARRAY_SIZE(control_rows), ARRAY_SIZE(host_rows), ARRAY_SIZE(guest_rows),
};

static void l2_nothing(void)
{
}

/* of events that rows inject */
static const u8 injected[] = { NMI_VECTOR, BP_VECTOR, UD_VECTOR, GP_VECTOR, 0x50 };

static void on_event(struct guest_frame *frame)
{
	(void)frame;
}

static bool as_wanted(const struct row *row, u64 r, u64 qualification)
{
	switch (row->want) {
	case RUNS:
		return r == REASON_VMCALL;
	case ENTERS:
		return r < 0x10000;
	case CONTROLS:
		return r == (L2_FAILED | VMX_VALID(ERR_CONTROLS));
	case HOST:
		return r == (L2_FAILED | VMX_VALID(ERR_HOST_STATE));
	case GUEST:
		return r == (REASON_GUEST_STATE | REASON_ENTRY_FAILURE) &&
		       qualification == row->qualification;
	default:
		if (vmread(row->sets[0].field) != row->sets[0].set)
			return r == REASON_VMCALL;
		return r == (REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	}
}

static void guest_one(const struct row *row, unsigned int n)
{
	u64 r, qualification = 0;
	unsigned int i;

	if (row->bits && !l1_can(row->control, row->bits)) {
		ucall(UCALL_SYNC, ROW_STAGE, n, ROW_LEFT_OUT, 0, 0);
		return;
	}
	l1_make_vmcs(l1_vmcs, l2_nothing, 0);
	/* an L2 that should not have come so far */
	vmwrite(EXCEPTION_BITMAP, ~0u);
	for (i = 0; i < ARRAY_SIZE(row->sets) && (row->sets[i].clear | row->sets[i].set); i++) {
		const struct set *s = &row->sets[i];

		vmwrite(s->field, (vmread(s->field) & ~s->clear) | s->set);
	}
	r = l2_run();
	if (r >> 32 == 0)
		qualification = vmread(QUALIFICATION);
	if (!as_wanted(row, r, qualification))
		ucall(UCALL_SYNC, ROW_STAGE, n, r, qualification, 0);
}

/* arg: the table, and 0x10 for the rows that KVM answers otherwise */
static void guest_table(u64 arg)
{
	const struct row *rows = tables[arg & 3];
	unsigned int n;

	l1_vmx_on();
	for (n = 0; n < ARRAY_SIZE(injected); n++)
		guest_handlers[injected[n]] = on_event;
	for (n = 0; n < sizes[arg & 3]; n++)
		if (rows[n].kvm_differs == !!(arg & 0x10))
			guest_one(&rows[n], n);
}

static void run_table(unsigned int table, bool kvm_differs)
{
	static const char * const wants[] = {
		"runs", "enters", "VMfail 7", "VMfail 8", "guest state", "guest state",
	};
	struct vcpu *vcpu = nested_vcpu(guest_table, table | (kvm_differs ? 0x10 : 0));
	unsigned int wrong = 0;

	for (;;) {
		const struct row *row;

		u32 got = vcpu_exit(vcpu);

		/* an L2 that entered halted: let it go on, and tell */
		if (got == KVM_EXIT_HLT) {
			ksft_print("L2 halts, in the next row");
			wrong++;
			continue;
		}
		if (got != EXIT_UCALL)
			vcpu_bad_exit(vcpu, got, EXIT_UCALL);
		if (vcpu->uc.cmd == UCALL_DONE)
			break;
		CHECK_EQ(vcpu->uc.arg[0], ROW_STAGE);
		row = &tables[table][vcpu->uc.arg[1]];
		if (vcpu->uc.arg[2] == ROW_LEFT_OUT) {
			ksft_print("left out, this CPU has no such control: %s", row->name);
			continue;
		}
		ksft_print("%s: 0x%llx, qualification 0x%llx; expected: %s", row->name,
			   (unsigned long long)vcpu->uc.arg[2],
			   (unsigned long long)vcpu->uc.arg[3], wants[row->want]);
		wrong++;
	}
	CHECK_MSG(!wrong, "%u answers are wrong", wrong);
}

/* Vol. 3, "Checks on VMX Controls": VMfail 7. */
static void test_controls(void)
{
	run_table(0, false);
}

/* Vol. 3, "Checks on Host Control Registers, MSRs, and SSP" and its neighbors: VMfail 8. */
static void test_host(void)
{
	run_table(1, false);
}

/* Vol. 3, "Checks on the Guest State Area": an exit with bit 31 in its reason. */
static void test_guest(void)
{
	run_table(2, false);
}

/*
 * KVM does not check the activity state, which it does not hand to the CPU, nor that the link
 * pointer is not the current VMCS. For RIP, virtual NMIs and pending debug exceptions it
 * relies on the CPU; the emulated one does not check them.
 */
static void test_strict_guest(void)
{
	REQUIRE(ksft_is_emys(), "KVM differs");
	run_table(2, true);
}

/* -- each bit of each control field -------------------------------------------------- */

static void bits_of(enum vmcs_field control, u64 caps)
{
	u64 value;
	u32 bit;

	l1_make_vmcs(l1_vmcs, l2_nothing, 0);
	if (control == PROC2_CTL)
		l1_control(PROC_CTL, PROC_PROC2, 0);
	value = vmread(control);
	for (bit = 0; bit < 32; bit++) {
		u64 mask = 1ull << bit;
		bool fixed = !(caps >> 32 & mask) || caps & mask;

		if (!fixed)
			continue;
		vmwrite(control, value ^ mask);
		GUEST_ASSERT_AT(l2_run() == (L2_FAILED | VMX_VALID(ERR_CONTROLS)), control, bit);
		vmwrite(control, value);
	}
	L2_DONE();
}

static void guest_bits(void)
{
	l1_vmx_on();
	bits_of(PIN_CTL, l1_caps.pin);
	bits_of(PROC_CTL, l1_caps.proc);
	bits_of(EXIT_CTL, l1_caps.exit);
	bits_of(ENTRY_CTL, l1_caps.entry);
	if (l1_can(PROC_CTL, PROC_PROC2))
		bits_of(PROC2_CTL, l1_caps.proc2);
}

/* A bit of a control field that the capability MSRs fix fails the entry when it is otherwise. */
static void test_bits(void)
{
	nested_run(guest_bits, 0);
}

/* -- what an entry that failed leaves behind ------------------------------------------- */

static void guest_failed(void)
{
	u64 fs, r;

	wrmsr(MSR_SYSENTER_EIP, 0x1111);
	l1_start(l2_nothing, 0);
	vmwrite(HOST_SYSENTER_EIP, 0x2222);
	vmwrite(HOST_FS_BASE, 0x3333);
	/* VMfail: the next instruction, and nothing is loaded */
	vmwrite(CR3_TARGETS, 5);
	fs = rdmsr(MSR_FS_BASE);
	GUEST_ASSERT_EQ(l2_run(), L2_FAILED | VMX_VALID(ERR_CONTROLS));
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_EIP), 0x1111);
	GUEST_ASSERT_EQ(rdmsr(MSR_FS_BASE), fs);
	vmwrite(CR3_TARGETS, 0);
	/* an exit for the guest's state: the host's is loaded, the guest's is not saved */
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | UD_VECTOR);
	vmwrite(GUEST_RFLAGS, 0);
	vmwrite(GUEST_CS, 0x1238);
	r = l2_run();
	GUEST_ASSERT_EQ(r, REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_EIP), 0x2222);
	GUEST_ASSERT_EQ(rdmsr(MSR_FS_BASE), 0x3333);
	GUEST_ASSERT_EQ(vmread(GUEST_RFLAGS), 0);
	GUEST_ASSERT_EQ(vmread(GUEST_CS), 0x1238);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_nothing);
	/* the event is still there: nothing was injected */
	GUEST_ASSERT_EQ(vmread(ENTRY_EVENT), EVENT_VALID | EVENT_HARD | UD_VECTOR);
	vmwrite(ENTRY_EVENT, 0);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_CS, SEL_CODE64);
	L2_DONE();
}

/* VMfail loads nothing; an entry failure loads the host's state and keeps the VMCS. */
static void test_failed(void)
{
	nested_run(guest_failed, 0);
}

KSFT_MAIN(
	{ "entry: controls", test_controls },
	{ "entry: host state", test_host },
	{ "entry: guest state", test_guest },
	{ "entry: guest state, where KVM differs", test_strict_guest },
	{ "entry: each control bit", test_bits },
	{ "entry: what a failure leaves", test_failed },
)
