/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.h - one task switch, shared by task.c and task_load.c. Needs emys.h first.
 *
 * The functions return 0, 1 when they have queued a fault for the guest, or
 * -EFAULT when a table lies where there is no memory. They may sleep.
 */
#ifndef _EMYS_VMX_TASK_H
#define _EMYS_VMX_TASK_H

#include <linux/kvm.h>
#include <linux/types.h>

struct emys_vcpu;

#define VEC_TS	10
#define VEC_NP	11
#define VEC_SS	12
#define VEC_GP	13

enum { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };	/* bits 31:30 of the qualification */

#define TYPE_BUSY	2		/* of a TSS descriptor */
#define TYPE_WIDE	8		/* a 32-bit TSS */
#define DESC_ACCESS	5		/* the byte with type, DPL and P */
#define SEL_TI		4

struct tss32 {
	u32 link, stacks[6], cr3;
	struct {
		u32 eip, eflags, gpr[8], sel[6];
	} regs;
	u32 ldt;
	u16 trap, iomap;
};

struct tss16 {
	u16 link, stacks[6];
	struct {
		u16 ip, flags, gpr[8], sel[4];
	} regs;
	u16 ldt;
};

struct task_switch {
	struct emys_vcpu *vcpu;
	unsigned int source;
	u16 sel;		/* of the new TSS */
	bool ext;		/* EXT of error codes: by an event from outside of the program */
	struct kvm_dtable gdt;
	struct kvm_segment old, tss, ldt;
	struct tss32 new;	/* a 16-bit one is widened */
};

/* Does the old task stay busy, with a link to it in the new one? */
static inline bool task_nests(const struct task_switch *t)
{
	return t->source == TASK_CALL || t->source == TASK_GATE;
}

static inline u64 task_gdt_entry(const struct task_switch *t, u16 sel)
{
	return t->gdt.base + (sel & ~7);
}

/* Queue @vector with the error code for @sel. 1. */
int task_fault(struct task_switch *t, u8 vector, u16 sel);
/* The tables, as the CPU itself reads and writes them. */
int task_read(struct task_switch *t, u64 gva, void *buf, size_t len);
int task_write(struct task_switch *t, u64 gva, const void *buf, size_t len);
/* A descriptor as a segment; nothing is checked. */
void task_decode(u64 desc, u16 sel, struct kvm_segment *s);

/* The commit point: from here on @t->new is the task that runs. */
int task_load(struct task_switch *t);
int task_load_segments(struct task_switch *t);
/* The error code of an exception goes to the new task's stack. */
int task_push_error(struct task_switch *t, u32 error);

#endif
