// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the checks of VM entry: every rule, kept and broken */

/*
 * A row is one rule by its text: the changes to a valid vmcs12 that keep it, and
 * those that break it and nothing else before it in its group.
 */

#include <stdlib.h>
#include <string.h>

#include <asm/msr-index.h>

#include "tap.h"
#include "vmcs12_world.h"

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* What a change is applied to, when it is no field */
enum {
	E_WIDTH = 0x10000, E_IA32E, E_RTM, E_SGX, E_BUS_LOCK, E_MISC, E_EPT_CAP, E_PROC_MAY,
	E_ENTRY_MAY, E_CR4_FIXED1, E_LINEAR, V86, REAL,
};

struct change {
	u32 what;
	u64 val;
	bool set;
};

#define S(what, val)	{ what, val, true }

struct row {
	const char *rule;
	struct change ok[8], bad[8];
};

static struct vmcs12 v;
static struct vmcs12_env env;
static struct nested_caps caps;

static void apply_env(u32 what, u64 val)
{
	switch (what) {
	case E_WIDTH:
		env.maxphyaddr = val;
		break;
	case E_IA32E:
		env.ia32e = val;
		break;
	case E_RTM:
		env.rtm = val;
		break;
	case E_SGX:
		env.sgx = val;
		break;
	case E_BUS_LOCK:
		env.bus_lock = val;
		break;
	case E_MISC:
		caps.misc = val;
		break;
	case E_EPT_CAP:
		caps.ept_vpid = val;
		break;
	case E_PROC_MAY:
		caps.proc.may = val;
		break;
	case E_ENTRY_MAY:
		caps.entry.may = val;
		break;
	case E_CR4_FIXED1:
		caps.cr4_fixed1 = val;
		break;
	case E_LINEAR:
		env.linear_bits = val;
		break;
	case V86:
		world_v86(&v);
		break;
	case REAL:
		world_real(&v);
		break;
	default:
		abort();
	}
}

static void build(const struct change c[8])
{
	int i, off;

	world_init(&v, &env, &caps);
	for (i = 0; i < 8 && c[i].set; i++) {
		if (c[i].what >= E_WIDTH) {
			apply_env(c[i].what, c[i].val);
			continue;
		}
		off = vmcs12_find(c[i].what);
		expect(off > 0, "no field %#x", c[i].what);
		vmcs12_set(&v, c[i].what, off, c[i].val);
	}
}

static void expect_text(const char *got, const char *want)
{
	if (want)
		expect(got && !strcmp(got, want), "\"%s\", not \"%s\"", got ?: "passes", want);
	else
		expect(!got, "\"%s\" breaks", got);
}

static const char *guest(u64 *qual)
{
	*qual = 99;
	return vmcs12_check_guest(&v, &env, qual);
}

static void expect_pass(const struct row *row)
{
	int failures = tap_failures;
	u64 qual;

	build(row->ok);
	expect_text(vmcs12_check_controls(&v, &env), NULL);
	expect_text(vmcs12_check_host(&v, &env), NULL);
	expect_text(guest(&qual), NULL);
	expect_eq(qual, 99);
	if (tap_failures > failures)
		printf("# when \"%s\" is kept\n", row->rule);
}

static void run_controls(const struct row *rows, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		expect_pass(&rows[i]);
		build(rows[i].bad);
		expect_text(vmcs12_check_controls(&v, &env), rows[i].rule);
	}
}

static void run_host(const struct row *rows, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		expect_pass(&rows[i]);
		build(rows[i].bad);
		expect_text(vmcs12_check_controls(&v, &env), NULL);
		expect_text(vmcs12_check_host(&v, &env), rows[i].rule);
	}
}

static void run_guest(const struct row *rows, int n, u64 want)
{
	u64 qual;
	int i;

	for (i = 0; i < n; i++) {
		expect_pass(&rows[i]);
		build(rows[i].bad);
		expect_text(vmcs12_check_controls(&v, &env), NULL);
		expect_text(vmcs12_check_host(&v, &env), NULL);
		expect_text(guest(&qual), rows[i].rule);
		expect_eq(qual, want);
	}
}

#define TOP	((1ULL << WIDTH) - 4096)	/* the last page within the width */
#define BEYOND	(1ULL << WIDTH)

/* A page address in @field: within the width, and aligned */
#define PAGE(rule, field, ...)							\
	{ rule, { __VA_ARGS__, S(field, TOP) }, { __VA_ARGS__, S(field, BEYOND) } }, \
	{ rule, { __VA_ARGS__, S(field, 0x1000) }, { __VA_ARGS__, S(field, 0x1800) } }, \
	{ rule, { __VA_ARGS__, S(field, 0) }, { __VA_ARGS__, S(field, 1) } }

#define WITH_PIN(bits)		S(PIN_BASED_VM_EXEC_CONTROL, PIN | (bits))
#define WITH_PROC(bits)		S(CPU_BASED_VM_EXEC_CONTROL, PROC | (bits))
#define WITH_PROC2(bits)	S(SECONDARY_VM_EXEC_CONTROL, PROC2 | (bits))
#define WITH_EXIT(bits)		S(VM_EXIT_CONTROLS, EXIT | (bits))
#define WITH_ENTRY(bits)	S(VM_ENTRY_CONTROLS, ENTRY | (bits))

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
	  { S(VIRTUAL_PROCESSOR_ID, 0), S(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VPID) } },
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
	{ rule, { S(count, 0), S(addr, ~0ULL) }, { S(count, 1), S(addr, ~0ULL) } },	\
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

#define INJECT(info)	S(VM_ENTRY_INTR_INFO_FIELD, 0x80000000 | (info))
#define LEN(len)	S(VM_ENTRY_INSTRUCTION_LEN, len)
#define MISC_ALL	0x60040165
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

#define HIGHEST		0x00007fffffffffffULL	/* canonical ones, and those next to them */
#define LOWEST		0xffff800000000000ULL

#define CANONICAL(rule, field)							\
	{ rule, { S(field, HIGHEST) }, { S(field, HIGHEST + 1) } },		\
	{ rule, { S(field, LOWEST) }, { S(field, LOWEST - 1) } },		\
	{ rule, { S(field, HIGHEST + 1), S(E_LINEAR, 57) }, { S(field, 1ULL << 63) } }

#define PAT(rule, field)							\
	{ rule, { S(field, 0x0706050401000706) }, { S(field, 0x0706050401000702) } },	\
	{ rule, { S(field, 0x0707070707070707) }, { S(field, 0x0307070707070707) } },	\
	{ rule, { S(field, 0) }, { S(field, 0x0000080000000000) } },		\
	{ rule, { S(field, 0) }, { S(field, 0x8000000000000000) } }

#define EXIT32		(EXIT & ~VM_EXIT_HOST_ADDR_SPACE_SIZE)
#define ENTRY32		(ENTRY & ~VM_ENTRY_IA32E_MODE)
/* L1 in 32-bit mode, and its guest; room is left for two more changes */
#define HOST32		S(E_IA32E, 0), S(VM_EXIT_CONTROLS, EXIT32), S(HOST_IA32_EFER, 0), \
			S(HOST_RIP, 0x1000), GUEST32
#define GUEST32		S(VM_ENTRY_CONTROLS, ENTRY32), S(GUEST_IA32_EFER, 0x801)
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

#define UNRESTRICTED	WITH_PROC2(SECONDARY_EXEC_UNRESTRICTED_GUEST)
#define ENTRY_ALL	0x0001f3ffULL
#define BNDCFGS		S(E_ENTRY_MAY, ENTRY_ALL), WITH_ENTRY(VM_ENTRY_LOAD_BNDCFGS)
#define NO_LOADS	S(VM_ENTRY_CONTROLS, 0x11fb | VM_ENTRY_IA32E_MODE)

static const struct row registers[] = {
	{ "guest CR0: bits fixed in VMX operation",
	  { S(GUEST_CR0, 0x80000021) },
	  { S(GUEST_CR0, 0x80000001) } },
	{ "guest CR0: bits fixed in VMX operation",
	  { UNRESTRICTED, GUEST32, S(GUEST_CR0, 0x21) },
	  { GUEST32, S(GUEST_CR0, 0x21) } },
	{ "guest CR0: bits fixed in VMX operation",
	  { S(REAL, 0) },
	  { S(REAL, 0), S(GUEST_CR0, 0) } },
	{ "guest CR0: bits fixed in VMX operation",
	  { S(GUEST_CR0, CR0 | 0x60000000) },
	  { S(GUEST_CR0, CR0 | 1ULL << 40) } },
	{ "guest CR0: PG with PE only",
	  { S(REAL, 0) },
	  { S(REAL, 0), S(GUEST_CR0, 0x80000020) } },
	{ "guest CR4: bits fixed in VMX operation",
	  { S(GUEST_CR4, CR4 | 0x20080) },
	  { S(GUEST_CR4, 0x20) } },
	{ "guest CR4: bits fixed in VMX operation",
	  { S(GUEST_CR4, CR4) },
	  { S(GUEST_CR4, CR4 | 0x800) } },
	{ "guest CR4: CET with CR0.WP only",
	  { S(GUEST_CR4, CR4 | 0x800000) },
	  { S(GUEST_CR4, CR4 | 0x800000), S(GUEST_CR0, CR0 & ~0x10000) } },
	{ "guest DEBUGCTL: reserved bits",
	  { S(GUEST_IA32_DEBUGCTL, 3) },
	  { S(GUEST_IA32_DEBUGCTL, 4) } },
	{ "guest DEBUGCTL: reserved bits",
	  { NO_LOADS, S(GUEST_IA32_DEBUGCTL, 4) },
	  { S(GUEST_IA32_DEBUGCTL, 1ULL << 63) } },
	{ "guest CR0: PG in IA-32e mode",
	  { UNRESTRICTED, GUEST32, S(GUEST_CR0, 0x21) },
	  { UNRESTRICTED, S(GUEST_CR0, 0x21) } },
	{ "guest CR4: PAE in IA-32e mode",
	  { GUEST32, S(GUEST_CR4, 0x2000) },
	  { S(GUEST_CR4, 0x2000) } },
	{ "guest CR4: PCIDE in IA-32e mode only",
	  { S(GUEST_CR4, CR4 | 0x20000) },
	  { GUEST32, S(GUEST_CR4, CR4 | 0x20000) } },
	{ "guest CR3: within the physical width",
	  { S(GUEST_CR3, BEYOND - 1) },
	  { S(GUEST_CR3, BEYOND) } },
	{ "guest CR3: within the physical width",
	  { S(GUEST_CR3, 0) },
	  { S(GUEST_CR3, 1ULL << 52) } },
	{ "guest DR7: bits 63:32 are 0",
	  { S(GUEST_DR7, 0xffffffff) },
	  { S(GUEST_DR7, 0x100000000) } },
	{ "guest DR7: bits 63:32 are 0",
	  { NO_LOADS, S(GUEST_DR7, ~0ULL) },
	  { S(GUEST_DR7, ~0ULL) } },
	CANONICAL("guest SYSENTER_ESP: canonical", GUEST_SYSENTER_ESP),
	CANONICAL("guest SYSENTER_EIP: canonical", GUEST_SYSENTER_EIP),
	{ "guest PERF_GLOBAL_CTRL: reserved bits",
	  { WITH_ENTRY(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL),
	    S(GUEST_IA32_PERF_GLOBAL_CTRL, 0x70000000f) },
	  { WITH_ENTRY(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL),
	    S(GUEST_IA32_PERF_GLOBAL_CTRL, 0x800000000) } },
	{ "guest PERF_GLOBAL_CTRL: reserved bits",
	  { S(GUEST_IA32_PERF_GLOBAL_CTRL, 0x10) },
	  { WITH_ENTRY(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL),
	    S(GUEST_IA32_PERF_GLOBAL_CTRL, 0x10) } },
	PAT("guest PAT: memory types", GUEST_IA32_PAT),
	{ "guest PAT: memory types",
	  { NO_LOADS, S(GUEST_IA32_PAT, 2) },
	  { S(GUEST_IA32_PAT, 2) } },
	{ "guest EFER: reserved bits",
	  { S(GUEST_IA32_EFER, 0x500) },
	  { S(GUEST_IA32_EFER, 0x1500) } },
	{ "guest EFER: reserved bits",
	  { NO_LOADS, S(GUEST_IA32_EFER, ~0ULL) },
	  { S(GUEST_IA32_EFER, ~0ULL) } },
	{ "guest EFER: LMA is that of IA-32e mode guest",
	  { S(GUEST_IA32_EFER, 0x500) },
	  { S(GUEST_IA32_EFER, 0x100) } },
	{ "guest EFER: LMA is that of IA-32e mode guest",
	  { GUEST32 },
	  { GUEST32, S(GUEST_IA32_EFER, 0x500) } },
	{ "guest EFER: LMA is LME with paging",
	  { S(GUEST_IA32_EFER, 0x500) },
	  { S(GUEST_IA32_EFER, 0x400) } },
	/* LME without paging is how long mode is entered */
	{ "guest EFER: LMA is LME with paging",
	  { S(REAL, 0), S(GUEST_IA32_EFER, 0x100) },
	  { GUEST32, S(GUEST_IA32_EFER, 0x100) } },
	{ "guest BNDCFGS: reserved bits",
	  { BNDCFGS, S(GUEST_BNDCFGS, 3) },
	  { BNDCFGS, S(GUEST_BNDCFGS, 4) } },
	{ "guest BNDCFGS: reserved bits",
	  { S(GUEST_BNDCFGS, 0x800) },
	  { BNDCFGS, S(GUEST_BNDCFGS, 0x800) } },
	{ "guest BNDCFGS: canonical",
	  { BNDCFGS, S(GUEST_BNDCFGS, LOWEST | 3) },
	  { BNDCFGS, S(GUEST_BNDCFGS, HIGHEST + 1) } },
};

static void test_registers(void)
{
	run_guest(registers, N(registers), VMCS12_FAIL_DEFAULT);
}

/* A data segment register: what holds for DS, ES, FS and GS */
#define DATA(name, sel, lim, ar)						\
	{ "guest " name " type: accessed", { S(ar, 0xc091) }, { S(ar, 0xc092) } }, \
	{ "guest " name " type: accessed", { S(ar, 0x1c092) }, { S(ar, 0xc090) } }, \
	{ "guest " name " type: readable if code", { S(ar, 0xc09b) }, { S(ar, 0xc099) } }, \
	{ "guest " name " type: readable if code", { S(ar, 0xc09f) }, { S(ar, 0xc09d) } }, \
	{ "guest " name ": S is 1", { S(ar, 0xc093) }, { S(ar, 0xc083) } },	\
	{ "guest " name ": DPL not below RPL",					\
	  { S(ar, 0xc0f3), S(sel, 0x1b) }, { S(ar, 0xc0d3), S(sel, 0x1b) } },	\
	{ "guest " name ": DPL not below RPL",					\
	  { S(ar, 0xc09f), S(sel, 0x1b) }, { S(ar, 0xc09b), S(sel, 0x19) } },	\
	{ "guest " name ": DPL not below RPL",					\
	  { S(ar, 0xc093), S(sel, 0x1b), UNRESTRICTED }, { S(ar, 0xc093), S(sel, 0x1b) } }, \
	COMMON(name, lim, ar, 0xc093)

/* and what holds for all six when usable, and always for CS */
#define COMMON(name, lim, ar, rights)						\
	{ "guest " name ": P is 1", { S(ar, rights) }, { S(ar, (rights) & ~0x80) } },	\
	{ "guest " name " rights: bits 11:8 are 0", { S(ar, rights) }, { S(ar, (rights) | 0x100) } }, \
	{ "guest " name " rights: bits 11:8 are 0", { S(ar, rights) }, { S(ar, (rights) | 0x800) } }, \
	{ "guest " name ": G is 0 unless the limit's bits 11:0 are 1",		\
	  { S(lim, 0xfffff), S(ar, (rights) | 0x8000) }, { S(lim, 0xffffe), S(ar, (rights) | 0x8000) } }, \
	{ "guest " name ": G is 0 unless the limit's bits 11:0 are 1",		\
	  { S(lim, 0), S(ar, (rights) & ~0x8000) }, { S(lim, 0xfffff7ff), S(ar, (rights) | 0x8000) } }, \
	{ "guest " name ": G is 1 if the limit has any of bits 31:20",		\
	  { S(lim, 0xfffff), S(ar, (rights) & ~0x8000) }, { S(lim, 0x100fff), S(ar, (rights) & ~0x8000) } }, \
	{ "guest " name ": G is 1 if the limit has any of bits 31:20",		\
	  { S(lim, 0x100fff), S(ar, (rights) | 0x8000) }, { S(lim, 0x80000000), S(ar, (rights) & ~0x8000) } }, \
	{ "guest " name " rights: bits 31:17 are 0", { S(ar, rights) }, { S(ar, (rights) | 0x20000) } }, \
	{ "guest " name " rights: bits 31:17 are 0", { S(ar, rights) }, { S(ar, (rights) | 1U << 31) } }

/* None of these when it is unusable */
#define UNUSABLE(name, ar) \
	{ "guest " name ": S is 1", { S(ar, 0x10000) }, { S(ar, 0x81) } }, \
	{ "guest " name ": S is 1", { S(ar, 0xffffff9f) }, { S(ar, 0x83) } }

#define BASE32(name, base, ar)							\
	{ "guest " name " base: bits 63:32 are 0",				\
	  { S(base, 0xffffffff) }, { S(base, 0x100000000) } },			\
	{ "guest " name " base: bits 63:32 are 0",				\
	  { S(base, 1ULL << 63), S(ar, 0x10000) }, { S(base, 1ULL << 63) } }

#define VIRTUAL86(name, base, lim, ar)						\
	{ "guest " name " base: 16 times the selector in virtual-8086 mode",	\
	  { S(V86, 0) }, { S(V86, 0), S(base, 8) } },				\
	{ "guest " name " limit: 0xffff in virtual-8086 mode",			\
	  { S(V86, 0) }, { S(V86, 0), S(lim, 0xfffff) } },			\
	{ "guest " name " rights: 0xf3 in virtual-8086 mode",			\
	  { S(V86, 0) }, { S(V86, 0), S(ar, 0x100f3) } },			\
	{ "guest " name " rights: 0xf3 in virtual-8086 mode",			\
	  { S(V86, 0) }, { S(V86, 0), S(ar, 0x93) } }

#define CPL3		S(GUEST_SS_AR_BYTES, 0xc0f3), S(GUEST_SS_SELECTOR, 0x13), \
			S(GUEST_CS_SELECTOR, 0xb)

static const struct row segments[] = {
	{ "guest TR: TI is 0", { S(GUEST_TR_SELECTOR, 3) }, { S(GUEST_TR_SELECTOR, 0x44) } },
	{ "guest LDTR: TI is 0", { S(GUEST_LDTR_SELECTOR, 3) }, { S(GUEST_LDTR_SELECTOR, 4) } },
	{ "guest LDTR: TI is 0",
	  { S(GUEST_LDTR_SELECTOR, 4), S(GUEST_LDTR_AR_BYTES, 0x10000) },
	  { S(GUEST_LDTR_SELECTOR, 0xffff) } },
	{ "guest SS: RPL is that of CS",
	  { CPL3, S(GUEST_CS_AR_BYTES, 0xa0fb) },
	  { S(GUEST_SS_SELECTOR, 0x11) } },
	{ "guest SS: RPL is that of CS",
	  { UNRESTRICTED, S(GUEST_SS_SELECTOR, 0x11) },
	  { S(GUEST_CS_SELECTOR, 0x9) } },
	VIRTUAL86("CS", GUEST_CS_BASE, GUEST_CS_LIMIT, GUEST_CS_AR_BYTES),
	VIRTUAL86("SS", GUEST_SS_BASE, GUEST_SS_LIMIT, GUEST_SS_AR_BYTES),
	VIRTUAL86("DS", GUEST_DS_BASE, GUEST_DS_LIMIT, GUEST_DS_AR_BYTES),
	VIRTUAL86("ES", GUEST_ES_BASE, GUEST_ES_LIMIT, GUEST_ES_AR_BYTES),
	VIRTUAL86("FS", GUEST_FS_BASE, GUEST_FS_LIMIT, GUEST_FS_AR_BYTES),
	VIRTUAL86("GS", GUEST_GS_BASE, GUEST_GS_LIMIT, GUEST_GS_AR_BYTES),
	CANONICAL("guest TR base: canonical", GUEST_TR_BASE),
	CANONICAL("guest FS base: canonical", GUEST_FS_BASE),
	CANONICAL("guest GS base: canonical", GUEST_GS_BASE),
	CANONICAL("guest LDTR base: canonical", GUEST_LDTR_BASE),
	{ "guest LDTR base: canonical",
	  { S(GUEST_LDTR_BASE, 1ULL << 63), S(GUEST_LDTR_AR_BYTES, 0x10000) },
	  { S(GUEST_LDTR_BASE, 1ULL << 63) } },
	/* unusable is no excuse for FS */
	{ "guest FS base: canonical",
	  { S(GUEST_FS_BASE, LOWEST), S(GUEST_FS_AR_BYTES, 0x10000) },
	  { S(GUEST_FS_BASE, 1ULL << 63), S(GUEST_FS_AR_BYTES, 0x10000) } },
	{ "guest CS base: bits 63:32 are 0",
	  { S(GUEST_CS_BASE, 0xffffffff) },
	  { S(GUEST_CS_BASE, 0x100000000) } },
	BASE32("SS", GUEST_SS_BASE, GUEST_SS_AR_BYTES),
	BASE32("DS", GUEST_DS_BASE, GUEST_DS_AR_BYTES),
	BASE32("ES", GUEST_ES_BASE, GUEST_ES_AR_BYTES),
	/* CS */
	{ "guest CS type: accessed code, or 3 in an unrestricted guest",
	  { S(GUEST_CS_AR_BYTES, 0xa099) },
	  { S(GUEST_CS_AR_BYTES, 0xa09a) } },
	{ "guest CS type: accessed code, or 3 in an unrestricted guest",
	  { S(GUEST_CS_AR_BYTES, 0xa09f) },
	  { S(GUEST_CS_AR_BYTES, 0xa097) } },
	{ "guest CS type: accessed code, or 3 in an unrestricted guest",
	  { S(GUEST_CS_AR_BYTES, 0xa093), UNRESTRICTED },
	  { S(GUEST_CS_AR_BYTES, 0xa093) } },
	{ "guest CS type: accessed code, or 3 in an unrestricted guest",
	  { S(GUEST_CS_AR_BYTES, 0xa09d), UNRESTRICTED },
	  { S(GUEST_CS_AR_BYTES, 0xa091), UNRESTRICTED } },
	{ "guest CS: S is 1",
	  { S(GUEST_CS_AR_BYTES, 0xa09b) },
	  { S(GUEST_CS_AR_BYTES, 0xa08b) } },
	{ "guest CS: DPL is 0 for type 3",
	  { S(GUEST_CS_AR_BYTES, 0xa093), UNRESTRICTED },
	  { S(GUEST_CS_AR_BYTES, 0xa0f3), UNRESTRICTED } },
	{ "guest CS: DPL is that of SS, non-conforming",
	  { CPL3, S(GUEST_CS_AR_BYTES, 0xa0f9) },
	  { CPL3, S(GUEST_CS_AR_BYTES, 0xa0d9) } },
	{ "guest CS: DPL is that of SS, non-conforming",
	  { CPL3, S(GUEST_CS_AR_BYTES, 0xa0fb) },
	  { S(GUEST_CS_AR_BYTES, 0xa0bb) } },
	{ "guest CS: DPL not above SS's, conforming",
	  { CPL3, S(GUEST_CS_AR_BYTES, 0xa09f) },
	  { S(GUEST_CS_AR_BYTES, 0xa0bd) } },
	{ "guest CS: D/B is 0 in 64-bit mode",
	  { S(GUEST_CS_AR_BYTES, 0xc09b) },
	  { S(GUEST_CS_AR_BYTES, 0xe09b) } },
	{ "guest CS: D/B is 0 in 64-bit mode",
	  { GUEST32, S(GUEST_CS_AR_BYTES, 0xe09b) },
	  { S(GUEST_CS_AR_BYTES, 0xe09d) } },
	/* SS */
	{ "guest SS type: 3 or 7",
	  { S(GUEST_SS_AR_BYTES, 0xc097) },
	  { S(GUEST_SS_AR_BYTES, 0xc092) } },
	{ "guest SS type: 3 or 7",
	  { S(GUEST_SS_AR_BYTES, 0x1c092) },
	  { S(GUEST_SS_AR_BYTES, 0xc09b) } },
	{ "guest SS: S is 1",
	  { S(GUEST_SS_AR_BYTES, 0x10003) },
	  { S(GUEST_SS_AR_BYTES, 0xc083) } },
	{ "guest SS: DPL is RPL",
	  { CPL3, S(GUEST_CS_AR_BYTES, 0xa0fb) },
	  { S(GUEST_SS_AR_BYTES, 0xc0f3), S(GUEST_CS_AR_BYTES, 0xa0fb) } },
	{ "guest SS: DPL is RPL",
	  { S(GUEST_SS_AR_BYTES, 0xc0f3), S(GUEST_CS_AR_BYTES, 0xa0fb), UNRESTRICTED },
	  { S(GUEST_SS_AR_BYTES, 0x1c0f3), S(GUEST_CS_AR_BYTES, 0xa0fb) } },
	{ "guest SS: DPL is 0 for type 3 of CS, or without CR0.PE",
	  { UNRESTRICTED, S(GUEST_CS_AR_BYTES, 0xa093) },
	  { UNRESTRICTED, S(GUEST_CS_AR_BYTES, 0xa093), S(GUEST_SS_AR_BYTES, 0xc0f3) } },
	{ "guest SS: DPL is 0 for type 3 of CS, or without CR0.PE",
	  { S(REAL, 0), S(GUEST_CS_AR_BYTES, 0x9b) },
	  { S(REAL, 0), S(GUEST_CS_AR_BYTES, 0xfb), S(GUEST_SS_AR_BYTES, 0xf3) } },
	DATA("DS", GUEST_DS_SELECTOR, GUEST_DS_LIMIT, GUEST_DS_AR_BYTES),
	DATA("ES", GUEST_ES_SELECTOR, GUEST_ES_LIMIT, GUEST_ES_AR_BYTES),
	DATA("FS", GUEST_FS_SELECTOR, GUEST_FS_LIMIT, GUEST_FS_AR_BYTES),
	DATA("GS", GUEST_GS_SELECTOR, GUEST_GS_LIMIT, GUEST_GS_AR_BYTES),
	UNUSABLE("DS", GUEST_DS_AR_BYTES),
	UNUSABLE("ES", GUEST_ES_AR_BYTES),
	UNUSABLE("FS", GUEST_FS_AR_BYTES),
	UNUSABLE("GS", GUEST_GS_AR_BYTES),
	COMMON("CS", GUEST_CS_LIMIT, GUEST_CS_AR_BYTES, 0xa09b),
	COMMON("SS", GUEST_SS_LIMIT, GUEST_SS_AR_BYTES, 0xc093),
	/* TR */
	{ "guest TR type: a busy TSS",
	  { S(GUEST_TR_AR_BYTES, 0x8b) },
	  { S(GUEST_TR_AR_BYTES, 0x89) } },
	{ "guest TR type: a busy TSS",
	  { GUEST32, S(GUEST_TR_AR_BYTES, 0x83) },
	  { S(GUEST_TR_AR_BYTES, 0x83) } },
	{ "guest TR: S is 0",
	  { S(GUEST_TR_AR_BYTES, 0x8b) },
	  { S(GUEST_TR_AR_BYTES, 0x9b) } },
	{ "guest TR: usable",
	  { S(GUEST_TR_AR_BYTES, 0x8b) },
	  { S(GUEST_TR_AR_BYTES, 0x1008b) } },
	COMMON("TR", GUEST_TR_LIMIT, GUEST_TR_AR_BYTES, 0x8b),
	/* LDTR */
	{ "guest LDTR type: 2",
	  { S(GUEST_LDTR_AR_BYTES, 0x82) },
	  { S(GUEST_LDTR_AR_BYTES, 0x8b) } },
	{ "guest LDTR type: 2",
	  { S(GUEST_LDTR_AR_BYTES, 0x1ffff) },
	  { S(GUEST_LDTR_AR_BYTES, 0x80) } },
	{ "guest LDTR: S is 0",
	  { S(GUEST_LDTR_AR_BYTES, 0x82) },
	  { S(GUEST_LDTR_AR_BYTES, 0x92) } },
	COMMON("LDTR", GUEST_LDTR_LIMIT, GUEST_LDTR_AR_BYTES, 0x82),
	/* descriptor tables */
	CANONICAL("guest GDTR base: canonical", GUEST_GDTR_BASE),
	CANONICAL("guest IDTR base: canonical", GUEST_IDTR_BASE),
	{ "guest GDTR limit: bits 31:16 are 0",
	  { S(GUEST_GDTR_LIMIT, 0xffff) },
	  { S(GUEST_GDTR_LIMIT, 0x10000) } },
	{ "guest IDTR limit: bits 31:16 are 0",
	  { S(GUEST_IDTR_LIMIT, 0xffff) },
	  { S(GUEST_IDTR_LIMIT, 0x10000) } },
};

static void test_segments(void)
{
	run_guest(segments, N(segments), VMCS12_FAIL_DEFAULT);
}

#define RFLAGS(bits)	S(GUEST_RFLAGS, 0x202 | (bits))
#define STATE(bits)	S(GUEST_INTERRUPTIBILITY_INFO, bits)
#define ACTIVITY(state)	S(GUEST_ACTIVITY_STATE, state)
#define PENDING(bits)	S(GUEST_PENDING_DBG_EXCEPTIONS, bits)
#define BLOCKS_EVENT	"activity state: not one that blocks the injected event"
#define MISC_SHUTDOWN	S(E_MISC, MISC_ALL | NESTED_MISC_SHUTDOWN)
#define BS_MISSING	"pending debug exceptions: BS while TF is 1 and BTF is 0"
#define BS_SUPERFLUOUS	"pending debug exceptions: no BS while TF is 0 or BTF is 1"

static const struct row flow[] = {
	{ "guest RIP: 32 bits outside 64-bit mode",
	  { S(GUEST_RIP, HIGHEST) },
	  { S(GUEST_RIP, 0x100000000), S(GUEST_CS_AR_BYTES, 0xc09b) } },
	{ "guest RIP: 32 bits outside 64-bit mode",
	  { GUEST32, S(GUEST_RIP, 0xffffffff) },
	  { GUEST32, S(GUEST_RIP, 1ULL << 63) } },
	/* L means nothing outside IA-32e mode */
	{ "guest RIP: 32 bits outside 64-bit mode",
	  { GUEST32, S(GUEST_CS_AR_BYTES, 0xa09b) },
	  { GUEST32, S(GUEST_CS_AR_BYTES, 0xa09b), S(GUEST_RIP, 0x100000000) } },
	{ "guest RIP: the bits above the linear width are the same",
	  { S(GUEST_RIP, HIGHEST + 1) },
	  { S(GUEST_RIP, 1ULL << 48) } },
	{ "guest RIP: the bits above the linear width are the same",
	  { S(GUEST_RIP, 0xffff000000000000) },
	  { S(GUEST_RIP, 0xfffe000000000000) } },
	{ "guest RIP: the bits above the linear width are the same",
	  { S(GUEST_RIP, 1ULL << 48), S(E_LINEAR, 57) },
	  { S(GUEST_RIP, 1ULL << 63), S(E_LINEAR, 57) } },
	{ "guest RFLAGS: reserved bits are 0", { RFLAGS(0x3d7fd5) }, { RFLAGS(8) } },
	{ "guest RFLAGS: reserved bits are 0", { RFLAGS(0) }, { RFLAGS(0x20) } },
	{ "guest RFLAGS: reserved bits are 0", { RFLAGS(0) }, { RFLAGS(0x8000) } },
	{ "guest RFLAGS: reserved bits are 0", { RFLAGS(0x200000) }, { RFLAGS(0x400000) } },
	{ "guest RFLAGS: reserved bits are 0", { RFLAGS(0) }, { RFLAGS(1ULL << 63) } },
	{ "guest RFLAGS: bit 1 is 1", { RFLAGS(0) }, { S(GUEST_RFLAGS, 0x200) } },
	{ "guest RFLAGS: IF when an interrupt is injected",
	  { INJECT(0x20) },
	  { INJECT(0x20), S(GUEST_RFLAGS, 2) } },
	{ "guest RFLAGS: IF when an interrupt is injected",
	  { INJECT(0x202), S(GUEST_RFLAGS, 2) },
	  { INJECT(0xff), S(GUEST_RFLAGS, 2) } },
	{ "activity state: supported", { ACTIVITY(1) },
	  { ACTIVITY(1), S(E_MISC, MISC_ALL & ~NESTED_MISC_HLT) } },
	{ "activity state: supported", { ACTIVITY(2), MISC_SHUTDOWN }, { ACTIVITY(2) } },
	{ "activity state: supported", { ACTIVITY(3) },
	  { ACTIVITY(3), S(E_MISC, MISC_ALL & ~NESTED_MISC_WAIT_SIPI) } },
	{ "activity state: supported", { ACTIVITY(0) }, { ACTIVITY(4), S(E_MISC, ~0U) } },
	{ "activity state: HLT at privilege level 0 only",
	  { ACTIVITY(1) },
	  { ACTIVITY(1), CPL3, S(GUEST_CS_AR_BYTES, 0xa0fb) } },
	{ "activity state: active while blocked by STI or MOV SS",
	  { ACTIVITY(0), STATE(1) },
	  { ACTIVITY(1), STATE(1) } },
	{ "activity state: active while blocked by STI or MOV SS",
	  { ACTIVITY(1), STATE(8) },
	  { ACTIVITY(3), STATE(2) } },
	/* HLT takes interrupts, NMI, #DB, #MC and the monitor trap flag */
	{ BLOCKS_EVENT, { ACTIVITY(1), INJECT(0x20) }, { ACTIVITY(1), INJECT(0x306) } },
	{ BLOCKS_EVENT, { ACTIVITY(1), INJECT(0x202) }, { ACTIVITY(1), INJECT(0xb0d) } },
	{ BLOCKS_EVENT, { ACTIVITY(1), INJECT(0x301) },
	  { ACTIVITY(1), INJECT(0x480), LEN(2) } },
	{ BLOCKS_EVENT, { ACTIVITY(1), INJECT(0x312) },
	  { ACTIVITY(1), INJECT(0x603), LEN(1) } },
	{ BLOCKS_EVENT, { ACTIVITY(1), INJECT(0x700) },
	  { ACTIVITY(1), INJECT(0x501), LEN(1) } },
	/* shutdown takes NMI and #MC */
	{ BLOCKS_EVENT, { ACTIVITY(2), MISC_SHUTDOWN, INJECT(0x202) },
	  { ACTIVITY(2), MISC_SHUTDOWN, INJECT(0x20) } },
	{ BLOCKS_EVENT, { ACTIVITY(2), MISC_SHUTDOWN, INJECT(0x312) },
	  { ACTIVITY(2), MISC_SHUTDOWN, INJECT(0x301) } },
	{ BLOCKS_EVENT, { ACTIVITY(2), MISC_SHUTDOWN },
	  { ACTIVITY(2), MISC_SHUTDOWN, INJECT(0x700) } },
	/* wait-for-SIPI nothing */
	{ BLOCKS_EVENT, { ACTIVITY(3) }, { ACTIVITY(3), INJECT(0x202) } },
	{ BLOCKS_EVENT, { ACTIVITY(3) }, { ACTIVITY(3), INJECT(0x20) } },
	{ BLOCKS_EVENT, { ACTIVITY(3), S(VM_ENTRY_INTR_INFO_FIELD, 0x202) },
	  { ACTIVITY(3), INJECT(0x312) } },
	{ "interruptibility: bits 31:5 are 0", { STATE(8) }, { STATE(0x20) } },
	{ "interruptibility: bits 31:5 are 0", { STATE(0) }, { STATE(0x80000000) } },
	{ "interruptibility: not STI and MOV SS", { STATE(2) }, { STATE(3) } },
	{ "interruptibility: STI with RFLAGS.IF only",
	  { STATE(1) },
	  { STATE(1), S(GUEST_RFLAGS, 2) } },
	{ "interruptibility: neither STI nor MOV SS when an interrupt is injected",
	  { STATE(8), INJECT(0x20) },
	  { STATE(1), INJECT(0x20) } },
	{ "interruptibility: neither STI nor MOV SS when an interrupt is injected",
	  { STATE(2), INJECT(0x306) },
	  { STATE(2), INJECT(0x20) } },
	{ "interruptibility: no MOV SS when an NMI is injected",
	  { INJECT(0x202) },
	  { INJECT(0x202), STATE(2) } },
	{ "interruptibility: no SMI outside SMM", { STATE(8) }, { STATE(4) } },
	{ "interruptibility: no virtual NMI when an NMI is injected",
	  { INJECT(0x202), STATE(8), S(PIN_BASED_VM_EXEC_CONTROL, PIN & ~PIN_BASED_VIRTUAL_NMIS) },
	  { INJECT(0x202), STATE(8) } },
	{ "interruptibility: enclave with SGX and without MOV SS only",
	  { STATE(0x10), S(E_SGX, 1) },
	  { STATE(0x10) } },
	{ "interruptibility: enclave with SGX and without MOV SS only",
	  { STATE(0x11), S(E_SGX, 1) },
	  { STATE(0x12), S(E_SGX, 1) } },
	{ "pending debug exceptions: reserved bits are 0", { PENDING(0x500f) }, { PENDING(0x10) } },
	{ "pending debug exceptions: reserved bits are 0", { PENDING(0) }, { PENDING(0x400) } },
	{ "pending debug exceptions: reserved bits are 0",
	  { PENDING(0x800), S(E_BUS_LOCK, 1) },
	  { PENDING(0x800) } },
	{ "pending debug exceptions: reserved bits are 0", { PENDING(0) }, { PENDING(0x2000) } },
	{ "pending debug exceptions: reserved bits are 0", { PENDING(0) }, { PENDING(0x8000) } },
	{ "pending debug exceptions: reserved bits are 0", { PENDING(0) }, { PENDING(0x20000) } },
	{ "pending debug exceptions: reserved bits are 0", { PENDING(0) },
	  { PENDING(1ULL << 63) } },
	{ BS_MISSING, { STATE(1), RFLAGS(0x100), PENDING(0x4000) }, { STATE(1), RFLAGS(0x100) } },
	{ BS_MISSING, { STATE(2), RFLAGS(0x100), PENDING(0x4000) }, { STATE(2), RFLAGS(0x100) } },
	{ BS_MISSING, { ACTIVITY(1), RFLAGS(0x100), PENDING(0x4000) },
	  { ACTIVITY(1), RFLAGS(0x100), PENDING(0xf) } },
	{ BS_MISSING, { RFLAGS(0x100) }, { STATE(9), RFLAGS(0x100) } },
	{ BS_SUPERFLUOUS, { STATE(1), RFLAGS(0x100), S(GUEST_IA32_DEBUGCTL, 2) },
	  { STATE(1), RFLAGS(0x100), S(GUEST_IA32_DEBUGCTL, 2), PENDING(0x4000) } },
	{ BS_SUPERFLUOUS, { PENDING(0x4000) }, { STATE(2), PENDING(0x4000) } },
	{ BS_SUPERFLUOUS, { ACTIVITY(1), PENDING(0x1001) }, { ACTIVITY(1), PENDING(0x4000) } },
	{ "pending debug exceptions: RTM with bit 12 and no other",
	  { PENDING(0x11000), S(E_RTM, 1) },
	  { PENDING(0x10000), S(E_RTM, 1) } },
	{ "pending debug exceptions: RTM with bit 12 and no other",
	  { PENDING(0x11000), S(E_RTM, 1) },
	  { PENDING(0x11001), S(E_RTM, 1) } },
	{ "pending debug exceptions: RTM where there is RTM only",
	  { PENDING(0x11000), S(E_RTM, 1) },
	  { PENDING(0x11000) } },
	{ "pending debug exceptions: no RTM while blocked by MOV SS",
	  { PENDING(0x11000), S(E_RTM, 1), STATE(1) },
	  { PENDING(0x11000), S(E_RTM, 1), STATE(2) } },
};

static void test_flow(void)
{
	run_guest(flow, N(flow), VMCS12_FAIL_DEFAULT);
}

/* The VM flag changes what the segments must be, so its rule wants both. */
static void test_vm_flag(void)
{
	static const char rule[] =
		"guest RFLAGS: VM in protected mode, not IA-32e mode";
	u64 qual;

	world_init(&v, &env, &caps);
	world_v86(&v);
	expect_text(guest(&qual), NULL);
	v.vm_entry_controls |= VM_ENTRY_IA32E_MODE;
	v.guest_ia32_efer = EFER;
	expect_text(guest(&qual), rule);
	expect_eq(qual, VMCS12_FAIL_DEFAULT);

	world_init(&v, &env, &caps);
	world_real(&v);
	world_v86(&v);
	v.guest_cr0 |= 1;
	expect_text(guest(&qual), NULL);
	v.guest_cr0 &= ~1ULL;
	expect_text(guest(&qual), rule);
}

static const struct row nmi[] = {
	{ "interruptibility: no STI when an NMI is injected",
	  { INJECT(0x202) },
	  { INJECT(0x202), STATE(1) } },
	{ "interruptibility: no STI when an NMI is injected",
	  { INJECT(0x306), STATE(1) },
	  { INJECT(0x202), STATE(1) } },
};

static void test_nmi(void)
{
	run_guest(nmi, N(nmi), VMCS12_FAIL_NMI);
}

static const struct row links[] = {
	{ "VMCS link pointer: a page within the width",
	  { S(VMCS_LINK_POINTER, TOP) },
	  { S(VMCS_LINK_POINTER, BEYOND) } },
	{ "VMCS link pointer: a page within the width",
	  { S(VMCS_LINK_POINTER, 0) },
	  { S(VMCS_LINK_POINTER, 0x800) } },
	{ "VMCS link pointer: a page within the width",
	  { S(VMCS_LINK_POINTER, ~0ULL) },
	  { S(VMCS_LINK_POINTER, ~0ULL - 1) } },
	{ "VMCS link pointer: not the current VMCS",
	  { S(VMCS_LINK_POINTER, VMPTR + 0x1000) },
	  { S(VMCS_LINK_POINTER, VMPTR) } },
};

static void test_links(void)
{
	run_guest(links, N(links), VMCS12_FAIL_LINK);
}

#define PDPTE_RULE	"PDPTE: reserved bits of a present one are 0"

static const struct row pdptes[] = {
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR0, TOP | 0x19) }, { GUEST32, S(GUEST_PDPTR0, 3) } },
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR1, 0xe01) }, { GUEST32, S(GUEST_PDPTR1, 5) } },
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR2, ~1ULL) }, { GUEST32, S(GUEST_PDPTR2, 0x21) } },
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR3, 1) }, { GUEST32, S(GUEST_PDPTR3, 0x101) } },
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR3, 1) }, { GUEST32, S(GUEST_PDPTR3, BEYOND | 1) } },
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR0, 0) }, { GUEST32, S(GUEST_PDPTR0, 1ULL << 63 | 1) } },
	/* none without PAE paging, or EPT */
	{ PDPTE_RULE, { S(GUEST_PDPTR0, ~0ULL) }, { GUEST32, S(GUEST_PDPTR0, ~0ULL) } },
	{ PDPTE_RULE, { GUEST32, S(GUEST_CR4, 0x2000), S(GUEST_PDPTR0, ~0ULL) },
	  { GUEST32, S(GUEST_PDPTR0, ~0ULL) } },
	{ PDPTE_RULE,
	  { GUEST32, S(GUEST_PDPTR0, ~0ULL), S(SECONDARY_VM_EXEC_CONTROL, 0) },
	  { GUEST32, S(GUEST_PDPTR0, ~0ULL) } },
	{ PDPTE_RULE,
	  { GUEST32, S(GUEST_PDPTR0, ~0ULL), UNRESTRICTED, S(GUEST_CR0, 0x21) },
	  { GUEST32, S(GUEST_PDPTR0, ~0ULL), UNRESTRICTED } },
};

static void test_pdptes(void)
{
	u64 p[4] = { 0, ~1ULL, 1, TOP | 0xe19 };

	run_guest(pdptes, N(pdptes), VMCS12_FAIL_PDPTE);
	world_init(&v, &env, &caps);
	expect_text(vmcs12_check_pdptes(p, &env), NULL);
	p[3] |= 2;
	expect_text(vmcs12_check_pdptes(p, &env), PDPTE_RULE);
	p[3] = BEYOND | 1;
	expect_text(vmcs12_check_pdptes(p, &env), PDPTE_RULE);
}

/* In each list, MSRs that may be there and that may not */
static void test_msr_lists(void)
{
	static const struct {
		u32 index, reserved;
		bool x2apic;
		int want[3];		/* entry load, exit store, exit load */
	} rows[] = {
		{ MSR_IA32_VMX_BASIC, 0, false, { 0, 0, 0 } },
		{ 0x10, 0, true, { 0, 0, 0 } },
		{ 0x10, 1, false, { -EINVAL, -EINVAL, -EINVAL } },
		{ 0x10, 0x80000000, false, { -EINVAL, -EINVAL, -EINVAL } },
		{ MSR_FS_BASE, 0, false, { -EINVAL, 0, -EINVAL } },
		{ MSR_GS_BASE, 0, false, { -EINVAL, 0, -EINVAL } },
		{ 0xc0000102, 0, false, { 0, 0, 0 } },
		{ MSR_IA32_SMM_MONITOR_CTL, 0, false, { -EINVAL, 0, -EINVAL } },
		{ MSR_IA32_SMBASE, 0, false, { -EINVAL, -EINVAL, -EINVAL } },
		{ MSR_IA32_UCODE_WRITE, 0, false, { -EINVAL, 0, -EINVAL } },
		{ MSR_IA32_UCODE_REV, 0, false, { -EINVAL, 0, -EINVAL } },
		{ 0x800, 0, true, { -EINVAL, -EINVAL, -EINVAL } },
		{ 0x8ff, 0, true, { -EINVAL, -EINVAL, -EINVAL } },
		{ 0x800, 0, false, { 0, 0, 0 } },
		{ 0x7ff, 0, true, { 0, 0, 0 } },
		{ 0x900, 0, true, { 0, 0, 0 } },
	};
	int i, list;

	for (i = 0; i < N(rows); i++) {
		struct nested_msr_entry e = {
			.index = rows[i].index, .reserved = rows[i].reserved,
		};

		for (list = NESTED_MSR_ENTRY_LOAD; list <= NESTED_MSR_EXIT_LOAD; list++)
			expect(nested_msr_entry_check(list, &e, rows[i].x2apic) ==
			       rows[i].want[list], "MSR %#x in list %d", e.index, list);
	}
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
		{ "guest registers", test_registers },
		{ "guest segments and tables", test_segments },
		{ "guest RIP, RFLAGS and non-register state", test_flow },
		{ "virtual-8086 flag", test_vm_flag },
		{ "NMI after STI", test_nmi },
		{ "VMCS link pointer", test_links },
		{ "PDPTEs", test_pdptes },
		{ "MSR lists", test_msr_lists },
	};

	return tap_run(tests, N(tests));
}
