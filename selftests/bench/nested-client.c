// SPDX-License-Identifier: GPL-2.0-only
/* bench/nested-client: runs in L1; what its guest, L2, sees of an exit and of a page fault */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

/*
 * usage: nested-client [--sync] DEVICE
 *
 * As bench/exits-client: each operation runs ROUNDS times between two reads of the guest's TSC, and
 * the figure is the median of the differences, less what an empty pair of reads costs. A line each:
 * "@op KEY TICKS OPERATIONS". With --sync it writes "@begin KEY" before, and "@end KEY" after the
 * guest runs, and waits for a line of input each time, so that L0 can read its counters.
 */
#define ROUNDS		512
#define WARM_UP		32
#define VMM_PORT	0x2f0		/* the VMM answers */
#define KERNEL_PORT	0x4d0		/* ELCR: L1's kernel's PIC answers */

/*
 * Memory for faults, all of it present in L1. Every TOUCHth page is touched, because KVM maps pages
 * near the one that faulted too.
 */
#define AREA		(16ull << 20)
#define SMALL_GPA	(1ull << 30)	/* L1 maps it by 4K: each touch needs an entry of EPT12 */
#define LARGE_GPA	(2ull << 30)	/* L1 maps it by 2M: the first touch in each needs one */
#define TOUCH		(64ull << 10)
#define TOUCHES		(AREA / TOUCH)
#define LARGE_TOUCHES	((2ull << 20) / TOUCH)

enum op { OP_EMPTY, OP_CPUID, OP_VMCALL, OP_IN_VMM, OP_IN_KERNEL, OP_WRMSR, OP_FAULT_12, OP_FAULT_02,
	NR_OPS };

static const char * const keys[NR_OPS] = {
	"empty", "cpuid", "vmcall", "in-vmm", "in-kernel", "wrmsr", "fault-ept12", "fault-ept02"
};

static u32 samples[ROUNDS];
static volatile u64 taken;
static int in_step;

static inline __attribute__((always_inline)) void operate(enum op op, u64 v)
{
	u32 a = 0, b, c = 0, d;
	u64 rax;

	switch (op) {
	case OP_CPUID:
		asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		break;
	case OP_VMCALL:
		asm volatile("vmcall" : "=a"(rax)
			     : "a"(0x7fffffff), "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
		break;
	case OP_IN_VMM:
		inb(VMM_PORT);
		break;
	case OP_IN_KERNEL:
		inb(KERNEL_PORT);
		break;
	case OP_WRMSR:
		wrmsr(MSR_TSC_ADJUST, v);
		break;
	default:
		break;
	}
}

static inline __attribute__((always_inline)) void measure(enum op op)
{
	u64 i, t, v = 0;

	if (op == OP_WRMSR)
		v = rdmsr(MSR_TSC_ADJUST);
	for (i = 0; i < ROUNDS + WARM_UP; i++) {
		t = rdtsc();
		operate(op, v);
		t = rdtsc() - t;
		if (i >= WARM_UP)
			samples[i - WARM_UP] = t;
	}
	taken = ROUNDS;
}

/* the first touch of each @skip is not a sample */
static void measure_faults(u64 gpa, u64 skip)
{
	u64 i, t, n = 0;

	for (i = 0; i < TOUCHES; i++) {
		volatile u8 *p = (u8 *)(gpa + i * TOUCH);

		t = rdtsc();
		(void)*p;
		t = rdtsc() - t;
		if (!skip || i % skip)
			samples[n++] = t;
	}
	taken = n;
}

static void guest_measure(u64 op)
{
	switch (op) {
#define OP_CASE(o) case o: measure(o); break
	OP_CASE(OP_EMPTY);
	OP_CASE(OP_CPUID);
	OP_CASE(OP_VMCALL);
	OP_CASE(OP_IN_VMM);
	OP_CASE(OP_IN_KERNEL);
	OP_CASE(OP_WRMSR);
	case OP_FAULT_12:
		measure_faults(SMALL_GPA, 0);
		break;
	case OP_FAULT_02:
		measure_faults(LARGE_GPA, LARGE_TOUCHES);
		break;
	}
}

static void step(const char *what, const char *key)
{
	char line[64];

	if (!in_step)
		return;
	printf("@%s %s\n", what, key);
	fflush(stdout);
	CHECK_MSG(fgets(line, sizeof(line), stdin), "no answer to @%s", what);
}

static int compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void run_op(struct vcpu *vcpu, enum op op)
{
	static u64 empty;
	struct kvm_run *run = vcpu->run;
	u64 median, n;
	u32 reason;
	u32 *got;

	vcpu_call(vcpu, guest_measure, op);
	step("begin", keys[op]);
	for (;;) {
		reason = vcpu_exit(vcpu);
		if (reason != KVM_EXIT_IO || run->io.port != VMM_PORT)
			break;
		*((u8 *)run + run->io.data_offset) = 0x5a;
	}
	step("end", keys[op]);
	CHECK_MSG(reason == EXIT_UCALL && vcpu->uc.cmd == UCALL_DONE, "%s: unexpected exit %s (%u)",
		  keys[op], exit_name(reason), reason);
	n = VM_VAR(vcpu->vm, taken);
	got = vm_ptr(vcpu->vm, (uintptr_t)samples);
	qsort(got, n, sizeof(*got), compare);
	median = got[n / 2];
	if (op == OP_EMPTY)
		empty = got[0];
	else
		median -= empty;
	printf("@op %s %llu %u\n", keys[op], (unsigned long long)median,
	       op >= OP_FAULT_12 ? (unsigned int)TOUCHES : ROUNDS + WARM_UP);
	fflush(stdout);
}

/* of this process, by its own account */
static u64 huge_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	unsigned long long kb = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %llu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static u8 *area(int advice)
{
	u64 before = huge_kb(), huge;
	u8 *p = host_memory(AREA);

	CHECK_OK(madvise(p, AREA, advice));
	memset(p, 1, AREA);
	huge = huge_kb() - before;
	CHECK_MSG(huge == (advice == MADV_HUGEPAGE ? AREA >> 10 : 0), "%llu kB in pages of 2M",
		  (unsigned long long)huge);
	return p;
}

int main(int argc, char **argv)
{
	struct vcpu *vcpu;
	struct vm *vm;
	int op;

	in_step = argc == 3 && !strcmp(argv[1], "--sync");
	if (argc != 2 + in_step) {
		fprintf(stderr, "usage: %s [--sync] DEVICE\n", argv[0]);
		return 1;
	}
	vm = vm_create_on(argv[1 + in_step], VM_MEM);
	vm_irqchip(vm);
	vm_region(vm, 1, 0, SMALL_GPA, AREA, area(MADV_NOHUGEPAGE));
	vm_region(vm, 2, 0, LARGE_GPA, AREA, area(MADV_HUGEPAGE));
	vcpu = vcpu_add(vm, 0);
	for (op = 0; op < NR_OPS; op++)
		run_op(vcpu, op);
	vm_free(vm);
	return 0;
}
