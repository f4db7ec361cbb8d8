// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the checks of VM entry on controls and host state */

#include "vmcs12_rows.h"

#define TPR			WITH_PROC(CPU_BASED_TPR_SHADOW)
#define VID			SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY
#define POSTED			WITH_PIN(PIN_BASED_POSTED_INTR), TPR, WITH_PROC2(VID), \
				WITH_EXIT(VM_EXIT_ACK_INTR_ON_EXIT)

static const struct row execution[] = {
	{ "pin-based controls: reserved bits",
	  { S(PIN_BASED_VM_EXEC_CONTROL, 0x16) },
	  { S(PIN_BASED_VM_EXEC_CONTROL, 0x14) } },
	{ "pin-based controls: reserved bits",
	  { WITH_PIN(PIN_BASED_VMX_PREEMPTION_TIMER) },
	  { WITH_PIN(0x100) } },
	{ "primary processor-based controls: reserved bits",
	  { S(CPU_BASED_VM_EXEC_CONTROL, 0x04006172) },
	  { S(CPU_BASED_VM_EXEC_CONTROL, 0x04006170) } },
	{ "primary processor-based controls: reserved bits",
	  { WITH_PROC(CPU_BASED_PAUSE_EXITING) },
	  { WITH_PROC(0x20000) } },
	{ "secondary processor-based controls: reserved bits",
	  { WITH_PROC2(SECONDARY_EXEC_DESC) },
	  { WITH_PROC2(SECONDARY_EXEC_PAUSE_LOOP_EXITING) } },
	/* not looked at when they are not activated */
	{ "secondary processor-based controls: reserved bits",
	  { S(CPU_BASED_VM_EXEC_CONTROL, PROC & ~CPU_BASED_ACTIVATE_SECONDARY_CONTROLS),
	    S(SECONDARY_VM_EXEC_CONTROL, ~0U) },
	  { S(SECONDARY_VM_EXEC_CONTROL, ~0U) } },
	{ "CR3-target count: not above what IA32_VMX_MISC says",
	  { S(CR3_TARGET_COUNT, 4) },
	  { S(CR3_TARGET_COUNT, 5) } },
	PAGE("I/O bitmap A: a page within the width", IO_BITMAP_A,
	     WITH_PROC(CPU_BASED_USE_IO_BITMAPS)),
	PAGE("I/O bitmap B: a page within the width", IO_BITMAP_B,
	     WITH_PROC(CPU_BASED_USE_IO_BITMAPS)),
	{ "I/O bitmap A: a page within the width",
	  { S(IO_BITMAP_A, 1), S(IO_BITMAP_B, 1) },
	  { S(IO_BITMAP_A, 1), WITH_PROC(CPU_BASED_USE_IO_BITMAPS) } },
	PAGE("MSR bitmap: a page within the width", MSR_BITMAP,
	     WITH_PROC(CPU_BASED_USE_MSR_BITMAPS)),
	{ "MSR bitmap: a page within the width",
	  { S(MSR_BITMAP, 1) },
	  { S(MSR_BITMAP, 1), WITH_PROC(CPU_BASED_USE_MSR_BITMAPS) } },
	PAGE("virtual-APIC address: a page within the width", VIRTUAL_APIC_PAGE_ADDR, TPR),
	{ "virtual-APIC address: a page within the width",
	  { S(VIRTUAL_APIC_PAGE_ADDR, 1) },
	  { S(VIRTUAL_APIC_PAGE_ADDR, 1), TPR } },
	{ "TPR threshold: bits 31:4 are 0 without virtual-interrupt delivery",
	  { TPR, S(TPR_THRESHOLD, 15) },
	  { TPR, S(TPR_THRESHOLD, 16) } },
	{ "TPR threshold: bits 31:4 are 0 without virtual-interrupt delivery",
	  { TPR, S(TPR_THRESHOLD, 16), WITH_PROC2(VID) },
	  { TPR, S(TPR_THRESHOLD, 0x80000000) } },
	{ "TPR threshold: bits 31:4 are 0 without virtual-interrupt delivery",
	  { S(TPR_THRESHOLD, 16) },
	  { TPR, S(TPR_THRESHOLD, 16), WITH_PROC2(SECONDARY_EXEC_APIC_REGISTER_VIRT) } },
	{ "virtual NMIs: with NMI exiting only",
	  { S(PIN_BASED_VM_EXEC_CONTROL, 0x16) },
	  { S(PIN_BASED_VM_EXEC_CONTROL, 0x16 | PIN_BASED_VIRTUAL_NMIS) } },
	{ "NMI-window exiting: with virtual NMIs only",
	  { WITH_PROC(CPU_BASED_NMI_WINDOW_EXITING) },
	  { WITH_PROC(CPU_BASED_NMI_WINDOW_EXITING),
	    S(PIN_BASED_VM_EXEC_CONTROL, 0x16 | PIN_BASED_NMI_EXITING) } },
	PAGE("APIC-access address: a page within the width", APIC_ACCESS_ADDR,
	     WITH_PROC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)),
	{ "APIC-access address: a page within the width",
	  { S(APIC_ACCESS_ADDR, 1) },
	  { S(APIC_ACCESS_ADDR, 1), WITH_PROC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) } },
#define NEEDS_TPR "x2APIC mode, APIC registers, virtual interrupts: with the TPR shadow only"
	{ NEEDS_TPR,
	  { TPR, WITH_PROC2(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE) },
	  { WITH_PROC2(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE) } },
	{ NEEDS_TPR,
	  { TPR, WITH_PROC2(SECONDARY_EXEC_APIC_REGISTER_VIRT) },
	  { WITH_PROC2(SECONDARY_EXEC_APIC_REGISTER_VIRT) } },
	{ NEEDS_TPR,
	  { TPR, WITH_PROC2(VID) },
	  { WITH_PROC2(VID) } },
	{ "virtualize x2APIC mode: not with APIC accesses virtualized",
	  { TPR, WITH_PROC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) },
	  { TPR, WITH_PROC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |
			    SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE) } },
	{ "virtual-interrupt delivery: with external-interrupt exiting only",
	  { TPR, WITH_PROC2(VID) },
	  { TPR, WITH_PROC2(VID),
	    S(PIN_BASED_VM_EXEC_CONTROL, PIN & ~PIN_BASED_EXT_INTR_MASK) } },
	{ "posted interrupts: with virtual-interrupt delivery only",
	  { POSTED },
	  { WITH_PIN(PIN_BASED_POSTED_INTR), TPR, WITH_EXIT(VM_EXIT_ACK_INTR_ON_EXIT) } },
	{ "posted interrupts: with acknowledging on exit only",
	  { POSTED },
	  { WITH_PIN(PIN_BASED_POSTED_INTR), TPR, WITH_PROC2(VID) } },
	{ "posted-interrupt vector: bits 15:8 are 0",
	  { POSTED, S(POSTED_INTR_NV, 255) },
	  { POSTED, S(POSTED_INTR_NV, 256) } },
	{ "posted-interrupt descriptor: bits 5:0 of the address are 0",
	  { POSTED, S(POSTED_INTR_DESC_ADDR, 0x40) },
	  { POSTED, S(POSTED_INTR_DESC_ADDR, 0x20) } },
	{ "posted-interrupt descriptor: the address is within the width",
	  { POSTED, S(POSTED_INTR_DESC_ADDR, BEYOND - 0x40) },
	  { POSTED, S(POSTED_INTR_DESC_ADDR, BEYOND) } },
	{ "VPID: not 0",
	  { S(VIRTUAL_PROCESSOR_ID, 0xffff) },
	  { S(VIRTUAL_PROCESSOR_ID, 0) } },
	{ "VPID: not 0",
	  { S(VIRTUAL_PROCESSOR_ID, 0), S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_EPT) },
	  { S(VIRTUAL_PROCESSOR_ID, 0),
	    S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VPID) } },
	PAGE("PML address: a page within the width", PML_ADDRESS,
	     WITH_PROC2(SECONDARY_EXEC_ENABLE_PML)),
	{ "page-modification logging: with EPT only",
	  { WITH_PROC2(SECONDARY_EXEC_ENABLE_PML) },
	  { S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_PML) } },
	{ "unrestricted guest: with EPT only",
	  { WITH_PROC2(SECONDARY_EXEC_UNRESTRICTED_GUEST) },
	  { S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_UNRESTRICTED_GUEST) } },
	{ "VM-function controls: reserved bits",
	  { WITH_PROC2(SECONDARY_EXEC_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1) },
	  { WITH_PROC2(SECONDARY_EXEC_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 2) } },
	{ "VM-function controls: reserved bits",
	  { S(VM_FUNCTION_CONTROL, 1ULL << 63) },
	  { WITH_PROC2(SECONDARY_EXEC_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1ULL << 63) } },
	{ "EPTP switching: with EPT only",
	  { S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VMFUNC) },
	  { S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VMFUNC),
	    S(VM_FUNCTION_CONTROL, 1) } },
	PAGE("EPTP list: a page within the width", EPTP_LIST_ADDRESS,
	     WITH_PROC2(SECONDARY_EXEC_ENABLE_VMFUNC), S(VM_FUNCTION_CONTROL, 1)),
	{ "EPTP list: a page within the width",
	  { WITH_PROC2(SECONDARY_EXEC_ENABLE_VMFUNC), S(EPTP_LIST_ADDRESS, 1) },
	  { WITH_PROC2(SECONDARY_EXEC_ENABLE_VMFUNC), S(EPTP_LIST_ADDRESS, 1),
	    S(VM_FUNCTION_CONTROL, 1) } },
	PAGE("VMREAD bitmap: a page within the width", VMREAD_BITMAP,
	     WITH_PROC2(SECONDARY_EXEC_SHADOW_VMCS)),
	PAGE("VMWRITE bitmap: a page within the width", VMWRITE_BITMAP,
	     WITH_PROC2(SECONDARY_EXEC_SHADOW_VMCS)),
	{ "VMREAD bitmap: a page within the width",
	  { S(VMREAD_BITMAP, 1), S(VMWRITE_BITMAP, 1) },
	  { S(VMREAD_BITMAP, 1), WITH_PROC2(SECONDARY_EXEC_SHADOW_VMCS) } },
	{ "TSC multiplier: not 0",
	  { WITH_PROC2(SECONDARY_EXEC_TSC_SCALING), S(TSC_MULTIPLIER, 1) },
	  { WITH_PROC2(SECONDARY_EXEC_TSC_SCALING) } },
};

#define EPT_CAP_ALL	0x00000f0106334041ULL

static const struct row eptp[] = {
	{ "EPTP: the memory type is supported",
	  { S(EPT_POINTER, 0x501e) },
	  { S(EPT_POINTER, 0x5018) } },
	{ "EPTP: the memory type is supported",
	  { S(EPT_POINTER, 0x5018), S(E_EPT_CAP, EPT_CAP_ALL | VMX_EPTP_UC_BIT) },
	  { S(EPT_POINTER, 0x501e), S(E_EPT_CAP, EPT_CAP_ALL & ~VMX_EPTP_WB_BIT) } },
	{ "EPTP: the memory type is supported",
	  { S(SECONDARY_VM_EXEC_CONTROL, 0), S(EPT_POINTER, ~0ULL) },
	  { S(EPT_POINTER, 0x501c), S(E_EPT_CAP, ~0ULL) } },
	{ "EPTP: the length of the walk is supported",
	  { S(EPT_POINTER, 0x501e) },
	  { S(EPT_POINTER, 0x5016) } },
	{ "EPTP: the length of the walk is supported",
	  { S(EPT_POINTER, 0x501e) },
	  { S(EPT_POINTER, 0x5026) } },
	{ "EPTP: the length of the walk is supported",
	  { S(EPT_POINTER, 0x501e) },
	  { S(EPT_POINTER, 0x501e), S(E_EPT_CAP, EPT_CAP_ALL & ~VMX_EPT_PAGE_WALK_4_BIT) } },
	{ "EPTP: accessed and dirty flags are supported",
	  { S(EPT_POINTER, 0x505e) },
	  { S(EPT_POINTER, 0x505e), S(E_EPT_CAP, EPT_CAP_ALL & ~VMX_EPT_AD_BIT) } },
	{ "EPTP: bits 11:7 are 0",
	  { S(EPT_POINTER, 0x101e) },
	  { S(EPT_POINTER, 0x109e) } },
	{ "EPTP: bits 11:7 are 0",
	  { S(EPT_POINTER, 0x1e) },
	  { S(EPT_POINTER, 0x81e) } },
	{ "EPTP: the address is within the physical width",
	  { S(EPT_POINTER, TOP | 0x1e) },
	  { S(EPT_POINTER, BEYOND | 0x1e) } },
	{ "EPTP: the address is within the physical width",
	  { S(EPT_POINTER, BEYOND | 0x1e), S(E_WIDTH, WIDTH + 1) },
	  { S(EPT_POINTER, 1ULL << 63 | 0x1e) } },
};

#define LIST(rule, addr, count)							\
	{ rule, { S(count, 1), S(addr, 0x10) }, { S(count, 1), S(addr, 0x8) } },	\
	{ rule, { S(count, 1), S(addr, BEYOND - 16) }, { S(count, 1), S(addr, BEYOND) } }, \
	{ rule, { S(count, 2), S(addr, BEYOND - 32) }, { S(count, 3), S(addr, BEYOND - 32) } }, \
	{ rule, { S(count, 0), S(addr, ~0ULL) }, { S(addr, ~0ULL), S(count, 1) } },	\
	/* the sum does not wrap */						\
	{ rule, { S(count, ~0U), S(addr, 0) },					\
	  { S(count, ~0U), S(addr, BEYOND - 16) } }

static const struct row exits[] = {
	{ "VM-exit controls: reserved bits",
	  { WITH_EXIT(VM_EXIT_SAVE_IA32_EFER) },
	  { WITH_EXIT(1U << 31) } },
	{ "VM-exit controls: reserved bits",
	  { S(VM_EXIT_CONTROLS, EXIT & ~VM_EXIT_LOAD_IA32_PAT) },
	  { S(VM_EXIT_CONTROLS, EXIT & ~1U) } },
	{ "save VMX-preemption timer value: with the timer only",
	  { WITH_EXIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER),
	    WITH_PIN(PIN_BASED_VMX_PREEMPTION_TIMER) },
	  { WITH_EXIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER) } },
	LIST("VM-exit MSR-store list: aligned to 16, and within the width",
	     VM_EXIT_MSR_STORE_ADDR, VM_EXIT_MSR_STORE_COUNT),
	LIST("VM-exit MSR-load list: aligned to 16, and within the width",
	     VM_EXIT_MSR_LOAD_ADDR, VM_EXIT_MSR_LOAD_COUNT),
};

#define CODE_RULE	"event: an error code for the exceptions that push one only"
#define LEN_RULE	"event: the instruction length is 1 to 15, or 0 where that is supported"

#define PUSHES(vector) \
	{ CODE_RULE, { INJECT(0xb00 | (vector)) }, { INJECT(0x300 | (vector)) } }
#define PUSHES_NOT(vector) \
	{ CODE_RULE, { INJECT(0x300 | (vector)) }, { INJECT(0xb00 | (vector)) } }

static const struct row entries[] = {
	{ "VM-entry controls: reserved bits",
	  { S(VM_ENTRY_CONTROLS, ENTRY & ~VM_ENTRY_LOAD_DEBUG_CONTROLS) },
	  { S(VM_ENTRY_CONTROLS, ENTRY & ~1U) } },
	{ "VM-entry controls: reserved bits",
	  { WITH_ENTRY(0) },
	  { WITH_ENTRY(VM_ENTRY_SMM) } },
	{ "VM-entry controls: reserved bits",
	  { WITH_ENTRY(0) },
	  { WITH_ENTRY(VM_ENTRY_DEACT_DUAL_MONITOR) } },
	{ "event: type 1 is reserved",
	  { INJECT(0x020) },
	  { INJECT(0x120) } },
	{ "event: type 1 is reserved",
	  { S(VM_ENTRY_INTR_INFO_FIELD, 0x7fffffff) },
	  { INJECT(0x1ff) } },
	{ "event: type 7 where there is the monitor trap flag only",
	  { INJECT(0x700) },
	  { INJECT(0x700), S(E_PROC_MAY, ~CPU_BASED_MONITOR_TRAP_FLAG) } },
	{ "event: the vector of an NMI is 2",
	  { INJECT(0x202) },
	  { INJECT(0x203) } },
	{ "event: the vector of an exception is below 32",
	  { INJECT(0x31f) },
	  { INJECT(0x320) } },
	{ "event: the vector of type 7 is 0",
	  { INJECT(0x700) },
	  { INJECT(0x701) } },
	PUSHES(8), PUSHES(10), PUSHES(11), PUSHES(12), PUSHES(13), PUSHES(14), PUSHES(17),
	PUSHES_NOT(0), PUSHES_NOT(1), PUSHES_NOT(3), PUSHES_NOT(6), PUSHES_NOT(7),
	PUSHES_NOT(9), PUSHES_NOT(15), PUSHES_NOT(16), PUSHES_NOT(18), PUSHES_NOT(21),
	/* none with other types, and none in real-address mode */
	{ CODE_RULE, { INJECT(0x00e) }, { INJECT(0x80e) } },
	{ CODE_RULE, { INJECT(0x202) }, { INJECT(0xa02) } },
	{ CODE_RULE, { INJECT(0x60d), LEN(1) }, { INJECT(0xe0d), LEN(1) } },
	{ CODE_RULE, { S(REAL, 0), INJECT(0x30d) }, { S(REAL, 0), INJECT(0xb0d) } },
	{ CODE_RULE, { WITH_PROC2(SECONDARY_EXEC_UNRESTRICTED_GUEST), INJECT(0xb0d) },
	  { WITH_PROC2(SECONDARY_EXEC_UNRESTRICTED_GUEST), INJECT(0x30d) } },
	{ "event: bits 30:12 are 0",
	  { INJECT(0x020) },
	  { INJECT(0x1020) } },
	{ "event: bits 30:12 are 0",
	  { INJECT(0xb0e) },
	  { INJECT(0x40000b0e) } },
	{ "event: bits 31:16 of the error code are 0",
	  { INJECT(0xb0e), S(VM_ENTRY_EXCEPTION_ERROR_CODE, 0xffff) },
	  { INJECT(0xb0e), S(VM_ENTRY_EXCEPTION_ERROR_CODE, 0x10000) } },
	{ "event: bits 31:16 of the error code are 0",
	  { INJECT(0x306), S(VM_ENTRY_EXCEPTION_ERROR_CODE, 0x10000) },
	  { INJECT(0xb0d), S(VM_ENTRY_EXCEPTION_ERROR_CODE, 0x80000000) } },
	{ LEN_RULE, { INJECT(0x480), LEN(15) }, { INJECT(0x480), LEN(16) } },
	{ LEN_RULE, { INJECT(0x501), LEN(1) }, { INJECT(0x501), LEN(16) } },
	{ LEN_RULE, { INJECT(0x603), LEN(1) }, { INJECT(0x603), LEN(16) } },
	{ LEN_RULE, { INJECT(0x480), LEN(0) },
	  { INJECT(0x480), LEN(0), S(E_MISC, MISC_ALL & ~NESTED_MISC_ZERO_LEN) } },
	{ LEN_RULE, { INJECT(0x306), LEN(16) }, { INJECT(0x480), LEN(~0U) } },
	LIST("VM-entry MSR-load list: aligned to 16, and within the width",
	     VM_ENTRY_MSR_LOAD_ADDR, VM_ENTRY_MSR_LOAD_COUNT),
};

static void test_execution(void)
{
	run_controls(execution, N(execution));
}

static void test_eptp(void)
{
	int i;

	run_controls(eptp, N(eptp));
	/* VMFUNC asks for the pointer alone */
	for (i = 0; i < N(eptp); i++) {
		build(eptp[i].bad);
		expect_text(vmcs12_check_eptp(v.ept_pointer, &env), eptp[i].rule);
	}
}

static void test_exits(void)
{
	run_controls(exits, N(exits));
}

static void test_entries(void)
{
	run_controls(entries, N(entries));
}

static void test_vtpr(void)
{
	static const char rule[] = "TPR threshold: not above bits 7:4 of the virtual TPR";

	world_init(&v, &env, &caps);
	v.tpr_threshold = 8;
	expect_text(vmcs12_check_vtpr(&v, 0), NULL);
	v.cpu_based_vm_exec_control |= CPU_BASED_TPR_SHADOW;
	expect_text(vmcs12_check_vtpr(&v, 0x80), NULL);
	expect_text(vmcs12_check_vtpr(&v, 0x7f), rule);
	v.secondary_vm_exec_control |= SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	expect_text(vmcs12_check_vtpr(&v, 0x7f), NULL);
	v.secondary_vm_exec_control = VID;
	expect_text(vmcs12_check_vtpr(&v, 0x7f), NULL);
	v.secondary_vm_exec_control = SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	expect_text(vmcs12_check_vtpr(&v, 0x7f), rule);
}

#define EXIT32		(EXIT & ~VM_EXIT_HOST_ADDR_SPACE_SIZE)
/* L1 in 32-bit mode, and its guest; room is left for two more changes */
#define HOST32		S(E_IA32E, 0), S(VM_EXIT_CONTROLS, EXIT32), S(HOST_IA32_EFER, 0), \
			S(HOST_RIP, 0x1000), GUEST32
#define NO_EFER		(~(u32)(VM_EXIT_LOAD_IA32_EFER | VM_EXIT_LOAD_IA32_PAT))

#define SELECTOR(name, field)							\
	{ "host " name ": RPL and TI are 0", { S(field, 0xfff8) }, { S(field, 0xfff9) } }, \
	{ "host " name ": RPL and TI are 0", { S(field, 8) }, { S(field, 0xa) } },	\
	{ "host " name ": RPL and TI are 0", { S(field, 8) }, { S(field, 0xc) } }

static const struct row host[] = {
	{ "host CR0: bits fixed in VMX operation",
	  { S(HOST_CR0, 0x80000021) },
	  { S(HOST_CR0, 0x80000020) } },
	{ "host CR0: bits fixed in VMX operation",
	  { S(HOST_CR0, 0xe0050033) },
	  { S(HOST_CR0, CR0 & ~0x20) } },
	{ "host CR0: bits fixed in VMX operation",
	  { S(HOST_CR0, CR0) },
	  { S(HOST_CR0, 0x00010031) } },
	{ "host CR0: bits fixed in VMX operation",
	  { S(HOST_CR0, CR0) },
	  { S(HOST_CR0, CR0 | 1ULL << 32) } },
	{ "host CR4: bits fixed in VMX operation",
	  { S(HOST_CR4, 0x20a0) },
	  { S(HOST_CR4, 0x20) } },
	{ "host CR4: bits fixed in VMX operation",
	  { S(HOST_CR4, CR4 | 0x20000) },
	  { S(HOST_CR4, CR4 | 0x8000) } },
	{ "host CR4: CET with CR0.WP only",
	  { S(HOST_CR4, CR4 | 0x800000) },
	  { S(HOST_CR4, CR4 | 0x800000), S(HOST_CR0, CR0 & ~0x10000) } },
	{ "host CR3: within the physical width",
	  { S(HOST_CR3, BEYOND - 1) },
	  { S(HOST_CR3, BEYOND) } },
	{ "host CR3: within the physical width",
	  { S(HOST_CR3, 0x1fff) },
	  { S(HOST_CR3, 1ULL << 63) } },
	CANONICAL("host SYSENTER_ESP: canonical", HOST_IA32_SYSENTER_ESP),
	CANONICAL("host SYSENTER_EIP: canonical", HOST_IA32_SYSENTER_EIP),
	{ "host PERF_GLOBAL_CTRL: reserved bits",
	  { WITH_EXIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL),
	    S(HOST_IA32_PERF_GLOBAL_CTRL, 0x70000000f) },
	  { WITH_EXIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL),
	    S(HOST_IA32_PERF_GLOBAL_CTRL, 0x10) } },
	{ "host PERF_GLOBAL_CTRL: reserved bits",
	  { S(HOST_IA32_PERF_GLOBAL_CTRL, 0x10) },
	  { WITH_EXIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL),
	    S(HOST_IA32_PERF_GLOBAL_CTRL, 1ULL << 63) } },
	PAT("host PAT: memory types", HOST_IA32_PAT),
	{ "host PAT: memory types",
	  { S(HOST_IA32_PAT, 2), S(VM_EXIT_CONTROLS, EXIT & NO_EFER) },
	  { S(HOST_IA32_PAT, 2) } },
	{ "host EFER: reserved bits",
	  { S(HOST_IA32_EFER, 0x500) },
	  { S(HOST_IA32_EFER, 0x502) } },
	{ "host EFER: reserved bits",
	  { S(HOST_IA32_EFER, ~0ULL), S(VM_EXIT_CONTROLS, EXIT & NO_EFER) },
	  { S(HOST_IA32_EFER, ~0ULL) } },
	{ "host EFER: LMA is that of the host address-space size",
	  { S(HOST_IA32_EFER, 0x500) },
	  { S(HOST_IA32_EFER, 0x100) } },
	{ "host EFER: LME is that of the host address-space size",
	  { S(HOST_IA32_EFER, 0x500) },
	  { S(HOST_IA32_EFER, 0x400) } },
	{ "host EFER: LMA is that of the host address-space size",
	  { HOST32 },
	  { HOST32, S(HOST_IA32_EFER, 0x400) } },
	{ "host EFER: LME is that of the host address-space size",
	  { HOST32 },
	  { HOST32, S(HOST_IA32_EFER, 0x100) } },
	SELECTOR("CS", HOST_CS_SELECTOR),
	SELECTOR("SS", HOST_SS_SELECTOR),
	SELECTOR("DS", HOST_DS_SELECTOR),
	SELECTOR("ES", HOST_ES_SELECTOR),
	SELECTOR("FS", HOST_FS_SELECTOR),
	SELECTOR("GS", HOST_GS_SELECTOR),
	SELECTOR("TR", HOST_TR_SELECTOR),
	{ "host CS: not 0", { S(HOST_DS_SELECTOR, 0) }, { S(HOST_CS_SELECTOR, 0) } },
	{ "host TR: not 0", { S(HOST_ES_SELECTOR, 0) }, { S(HOST_TR_SELECTOR, 0) } },
	{ "host SS: not 0 unless the host is 64-bit",
	  { S(HOST_SS_SELECTOR, 0) },
	  { HOST32, S(HOST_SS_SELECTOR, 0) } },
	CANONICAL("host FS base: canonical", HOST_FS_BASE),
	CANONICAL("host GS base: canonical", HOST_GS_BASE),
	CANONICAL("host GDTR base: canonical", HOST_GDTR_BASE),
	CANONICAL("host IDTR base: canonical", HOST_IDTR_BASE),
	CANONICAL("host TR base: canonical", HOST_TR_BASE),
	{ "IA-32e mode guest: from IA-32e mode only",
	  { HOST32 },
	  { HOST32, S(VM_ENTRY_CONTROLS, ENTRY) } },
	{ "host address-space size: that of the mode now",
	  { HOST32 },
	  { S(E_IA32E, 0), GUEST32 } },
	{ "host address-space size: that of the mode now",
	  { GUEST32 },
	  { HOST32, S(E_IA32E, 1) } },
	{ "host CR4: PAE for a 64-bit host",
	  { HOST32, S(HOST_CR4, 0x2000) },
	  { S(HOST_CR4, 0x2000) } },
	CANONICAL("host RIP: canonical", HOST_RIP),
	{ "host CR4: no PCIDE for a 32-bit host",
	  { S(HOST_CR4, CR4 | 0x20000) },
	  { HOST32, S(HOST_CR4, CR4 | 0x20000) } },
	{ "host RIP: 32 bits for a 32-bit host",
	  { HOST32, S(HOST_RIP, 0xffffffff) },
	  { HOST32, S(HOST_RIP, 0x100000000) } },
};

static void test_host(void)
{
	run_host(host, N(host));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "execution controls", test_execution },
		{ "EPT pointer", test_eptp },
		{ "virtual TPR", test_vtpr },
		{ "exit controls", test_exits },
		{ "entry controls", test_entries },
		{ "host state", test_host },
	};

	return tap_run(tests, N(tests));
}
