/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows of rules for the tests of the checks at VM entry */
#ifndef _EMYS_UNIT_VMCS12_ROWS_H
#define _EMYS_UNIT_VMCS12_ROWS_H

#include "tap.h"
#include "vmcs12_world.h"

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* What a change is applied to, when it is no field */
enum {
	E_WIDTH = 0x10000, E_IA32E, E_RTM, E_SGX, E_BUS_LOCK, E_MISC, E_EPT_CAP, E_PROC_MAY,
	E_ENTRY_MAY, E_LINEAR, V86, REAL,
};

struct change {
	u32 what;
	u64 val;
	bool set;
};

#define S(what, val)	{ what, val, true }

/*
 * One rule by its text: the changes to a valid vmcs12 that keep it, and those that
 * break it and nothing before it in its group.
 */
struct row {
	const char *rule;
	struct change ok[8], bad[8];
};

/* What the last build() made */
extern struct vmcs12 v;
extern struct vmcs12_env env;
extern struct nested_caps caps;

void build(const struct change c[8]);
/* @want NULL: no rule broken */
void expect_text(const char *got, const char *want);
/* The guest's checks; *@qual is 99 when they pass */
const char *guest(u64 *qual);

/* All rows: everything passes when kept; broken, the group's check says the text */
void run_controls(const struct row *rows, int n);
void run_host(const struct row *rows, int n);
void run_guest(const struct row *rows, int n, u64 want);

#define TOP	((1ULL << WIDTH) - 4096)	/* the last page within the width */
#define BEYOND	BIT_ULL(WIDTH)

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

#define INJECT(info)	S(VM_ENTRY_INTR_INFO_FIELD, 0x80000000 | (info))
#define LEN(len)	S(VM_ENTRY_INSTRUCTION_LEN, len)
#define MISC_ALL	0x60040165

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

#define ENTRY32		(ENTRY & ~VM_ENTRY_IA32E_MODE)
#define GUEST32		S(VM_ENTRY_CONTROLS, ENTRY32), S(GUEST_IA32_EFER, 0x801)

#endif
