// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of the checks of VM entry on guest state, and of MSR lists */

#include <asm/msr-index.h>

#include "vmcs12_rows.h"

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
	{ "guest " name " rights: bits 11:8 are 0", \
	  { S(ar, rights) }, { S(ar, (rights) | 0x100) } },			\
	{ "guest " name " rights: bits 11:8 are 0", \
	  { S(ar, rights) }, { S(ar, (rights) | 0x800) } },			\
	{ "guest " name ": G is 0 unless the limit's bits 11:0 are 1",		\
	  { S(lim, 0xfffff), S(ar, (rights) | 0x8000) },			\
	  { S(lim, 0xffffe), S(ar, (rights) | 0x8000) } }, \
	{ "guest " name ": G is 0 unless the limit's bits 11:0 are 1",		\
	  { S(lim, 0), S(ar, (rights) & ~0x8000) },			\
	  { S(lim, 0xfffff7ff), S(ar, (rights) | 0x8000) } }, \
	{ "guest " name ": G is 1 if the limit has any of bits 31:20",		\
	  { S(lim, 0xfffff), S(ar, (rights) & ~0x8000) },			\
	  { S(lim, 0x100fff), S(ar, (rights) & ~0x8000) } }, \
	{ "guest " name ": G is 1 if the limit has any of bits 31:20",		\
	  { S(lim, 0x100fff), S(ar, (rights) | 0x8000) },			\
	  { S(lim, 0x80000000), S(ar, (rights) & ~0x8000) } }, \
	{ "guest " name " rights: bits 31:17 are 0", \
	  { S(ar, rights) }, { S(ar, (rights) | 0x20000) } },			\
	{ "guest " name " rights: bits 31:17 are 0", \
	  { S(ar, rights) }, { S(ar, (rights) | 1U << 31) } }

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
	{ PDPTE_RULE, { GUEST32, S(GUEST_PDPTR0, 0) },
	  { GUEST32, S(GUEST_PDPTR0, 1ULL << 63 | 1) } },
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
		{ MSR_IA32_P5_MC_ADDR, 0, false, { -EINVAL, 0, -EINVAL } },
		{ MSR_IA32_P5_MC_TYPE, 0, false, { -EINVAL, 0, -EINVAL } },
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
		{ "registers", test_registers },
		{ "segments and tables", test_segments },
		{ "RIP, RFLAGS and non-register state", test_flow },
		{ "virtual-8086 flag", test_vm_flag },
		{ "NMI after STI", test_nmi },
		{ "VMCS link pointer", test_links },
		{ "PDPTEs", test_pdptes },
		{ "MSR lists", test_msr_lists },
	};

	return tap_run(tests, N(tests));
}
