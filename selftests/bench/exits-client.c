// SPDX-License-Identifier: GPL-2.0-only
/* bench/exits-client: what an exit costs, as the guest sees it */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apic.h"
#include "vmm.h"

/*
 * Each operation runs ROUNDS times between two reads of the guest's TSC; the
 * figure is the median (and the least) of the differences, less what an empty
 * pair of reads costs. On the emulated host the TSC counts instructions, so the
 * figures are path lengths there and are not hardware cycles.
 */
#define ROUNDS_MAX	4096
#define WARM_UP		32
#define MAX_DEVICES	4
#define VMM_PORT	0x2f0		/* the VMM answers */
#define KERNEL_PORT	0x4d0		/* ELCR: the kernel's PIC answers */
#define IPI_VECTOR	0x41

enum op {
	OP_EMPTY,
	OP_CPUID,
	OP_IN_VMM,
	OP_IN_KERNEL,
	OP_WRMSR,
	OP_VMCALL,
	OP_IPI_HLT,
	OP_CR0_WP,
	NR_OPS,
};

static const struct {
	const char *key;
	const char *text;
} ops[NR_OPS] = {
	[OP_EMPTY] = { "empty", "two reads of the TSC" },
	[OP_CPUID] = { "cpuid", "CPUID, leaf 0" },
	[OP_IN_VMM] = { "in-vmm", "in from a port the VMM answers" },
	[OP_IN_KERNEL] = { "in-kernel", "in from an in-kernel device (ELCR)" },
	[OP_WRMSR] = { "wrmsr", "WRMSR TSC_ADJUST, same value" },
	[OP_VMCALL] = { "vmcall", "VMCALL, unknown number" },
	[OP_IPI_HLT] = { "ipi-hlt",
		"self-IPI (x2APIC), STI, HLT, handler, EOI, IRET" },
	[OP_CR0_WP] = { "cr0-wp", "CR0.WP off and on (two writes)" },
};

struct result {
	u64 min;
	u64 median;
	s64 exits;		/* per 1000 operations, -1: not known */
};

static u64 rounds = 512;
static u32 samples[ROUNDS_MAX];
static volatile u32 ipis;

static void on_ipi(struct guest_frame *frame)
{
	(void)frame;
	ipis++;
	wrmsr(0x800 + (APIC_EOI >> 4), 0);
}

static inline __attribute__((always_inline)) void operate(enum op op, u64 v)
{
	u32 a = 0, b, c = 0, d;
	u64 rax;

	switch (op) {
	case OP_CPUID:
		asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
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
	case OP_VMCALL:
		asm volatile("vmcall" : "=a"(rax)
			     : "a"(0x7fffffff), "b"(0), "c"(0), "d"(0), "S"(0)
			     : "memory");
		break;
	case OP_IPI_HLT:
		wrmsr(0x800 + (APIC_SELF_IPI >> 4), IPI_VECTOR);
		asm volatile("sti; hlt; cli" : : : "memory");
		break;
	case OP_CR0_WP:
		write_cr0(v & ~X86_CR0_WP);
		write_cr0(v);
		break;
	default:
		break;
	}
}

static inline __attribute__((always_inline)) void measure(enum op op)
{
	u64 n = rounds + WARM_UP, i, t, v = 0;

	if (op == OP_WRMSR)
		v = rdmsr(MSR_TSC_ADJUST);
	else if (op == OP_CR0_WP)
		v = read_cr0();
	for (i = 0; i < n; i++) {
		t = rdtsc();
		operate(op, v);
		t = rdtsc() - t;
		if (i >= WARM_UP)
			samples[i - WARM_UP] = t;
	}
}

static void guest_setup(void)
{
	x2apic_enable();
	guest_handlers[IPI_VECTOR] = on_ipi;
}

static void guest_measure(u64 op)
{
	switch (op) {
#define OP_CASE(o) case o: measure(o); break
	OP_CASE(OP_EMPTY);
	OP_CASE(OP_CPUID);
	OP_CASE(OP_IN_VMM);
	OP_CASE(OP_IN_KERNEL);
	OP_CASE(OP_WRMSR);
	OP_CASE(OP_VMCALL);
	OP_CASE(OP_IPI_HLT);
	OP_CASE(OP_CR0_WP);
	}
	if (op == OP_IPI_HLT)
		GUEST_ASSERT_EQ(ipis, rounds + WARM_UP);
}

/* the vCPU's own count of exits, through the binary statistics; -1: none */
static s64 count_exits(struct vcpu *vcpu)
{
	struct kvm_stats_header head;
	struct kvm_stats_desc *desc;
	u64 value = 0;
	s64 found = -1;
	size_t size;
	u32 i;
	int fd;

	fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, 0);
	if (fd < 0)
		return -1;
	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		goto out;
	size = sizeof(*desc) + head.name_size;
	desc = malloc(size);
	for (i = 0; desc && i < head.num_desc; i++) {
		if (pread(fd, desc, size, head.desc_offset + i * size) !=
		    (ssize_t)size)
			break;
		if (strcmp(desc->name, "exits"))
			continue;
		if (pread(fd, &value, 8, head.data_offset + desc->offset) == 8)
			found = value;
		break;
	}
	free(desc);
out:
	close(fd);
	return found;
}

static int compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void run_op(struct vcpu *vcpu, enum op op, struct result *res)
{
	struct kvm_run *run = vcpu->run;
	s64 before, after;
	u32 reason;
	u32 *got;

	vcpu_call(vcpu, guest_measure, op);
	before = count_exits(vcpu);
	for (;;) {
		reason = vcpu_exit(vcpu);
		if (reason != KVM_EXIT_IO || run->io.port != VMM_PORT)
			break;
		*((u8 *)run + run->io.data_offset) = 0x5a;
	}
	CHECK_MSG(reason == EXIT_UCALL && vcpu->uc.cmd == UCALL_DONE,
		  "%s: unexpected exit %s (%u)", ops[op].key,
		  exit_name(reason), reason);
	after = count_exits(vcpu);
	got = vm_ptr(vcpu->vm, (uintptr_t)samples);
	qsort(got, rounds, sizeof(*got), compare);
	res->min = got[0];
	res->median = got[rounds / 2];
	res->exits = -1;
	/* the last one is the ucall */
	if (before >= 0 && after > before)
		res->exits = (after - before - 1) * 1000 / (rounds + WARM_UP);
}

static void run_device(const char *path, struct result *res)
{
	struct vm *vm = vm_create_on(path, VM_MEM);
	struct vcpu *vcpu;
	u64 empty;
	int op;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_setup, 0);
	vcpu_done(vcpu);
	for (op = 0; op < NR_OPS; op++)
		run_op(vcpu, op, &res[op]);
	empty = res[OP_EMPTY].min;
	for (op = OP_EMPTY + 1; op < NR_OPS; op++) {
		res[op].min -= empty;
		res[op].median -= empty;
	}
	vm_free(vm);
}

static void print_json(char **dev, int n, struct result (*res)[NR_OPS])
{
	int i, op;

	printf("{\"rounds\": %llu, \"devices\": [", (unsigned long long)rounds);
	for (i = 0; i < n; i++) {
		printf("%s{\"device\": \"%s\", \"ticks\": {", i ? ", " : "",
		       dev[i]);
		for (op = OP_EMPTY + 1; op < NR_OPS; op++)
			printf("%s\"%s\": {\"median\": %llu, \"min\": %llu, \"exits_per_1000\": %lld}",
			       op > 1 ? ", " : "", ops[op].key,
			       (unsigned long long)res[i][op].median,
			       (unsigned long long)res[i][op].min,
			       (long long)res[i][op].exits);
		printf("}}");
	}
	printf("]}\n");
}

static void print_exits(s64 e)
{
	if (e < 0)
		printf(" %8s", "-");
	else
		printf(" %4lld.%03lld", (long long)e / 1000,
		       (long long)e % 1000);
}

static void print_table(char **dev, int n, struct result (*res)[NR_OPS])
{
	u64 ratio;
	int i, op;

	printf("%-50s", "ticks of one round trip, median (least)");
	for (i = 0; i < n; i++)
		printf(" %16s %8s", dev[i], "exits");
	printf(n > 1 ? "  ratio\n" : "\n");
	for (op = OP_EMPTY + 1; op < NR_OPS; op++) {
		printf("%-50s", ops[op].text);
		for (i = 0; i < n; i++) {
			printf(" %7llu (%6llu)",
			       (unsigned long long)res[i][op].median,
			       (unsigned long long)res[i][op].min);
			print_exits(res[i][op].exits);
		}
		if (n > 1 && res[0][op].median) {
			ratio = res[n - 1][op].median * 1000 /
				res[0][op].median;
			printf("  %llu.%03llu",
			       (unsigned long long)ratio / 1000,
			       (unsigned long long)ratio % 1000);
		}
		printf("\n");
	}
}

/* each row at or under the first device's, at least four at or under half */
static int check_marks(struct result *base, struct result *ours)
{
	int op, half = 0, bad = 0;

	for (op = OP_EMPTY + 1; op < NR_OPS; op++) {
		if (ours[op].median > base[op].median) {
			printf("mark missed: %s takes longer\n", ops[op].key);
			bad = 1;
		}
		/* a timer tick of the host in the middle is not the guest's */
		if (ours[op].exits > base[op].exits + 50 &&
		    base[op].exits >= 0) {
			printf("mark missed: %s exits more often\n",
			       ops[op].key);
			bad = 1;
		}
		half += ours[op].median * 2 <= base[op].median;
	}
	printf("%d of %d rows at or under half\n", half, NR_OPS - 1);
	if (half < 4) {
		printf("mark missed: at least four must be\n");
		bad = 1;
	}
	return bad;
}

static void usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--json] [--marks] [--rounds N] [--between COMMAND] DEVICE [DEVICE]\n"
		"  --between  run COMMAND after the first device (say, to unload it)\n"
		"  --marks    fail unless the last device is at or under the first\n"
		"             in every row and at or under half in four\n", name);
	exit(1);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "marks", no_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "between", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 }
	};
	static struct result res[MAX_DEVICES][NR_OPS];
	const char *between = NULL;
	int json = 0, marks = 0;
	int opt, i, n;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = 1;
			break;
		case 'm':
			marks = 1;
			break;
		case 'n':
			rounds = strtoul(optarg, NULL, 0);
			break;
		case 'b':
			between = optarg;
			break;
		default:
			usage(argv[0]);
		}
	}
	n = argc - optind;
	if (n < 1 || n > MAX_DEVICES || (marks && n < 2))
		usage(argv[0]);
	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "%s: --rounds is 1 to %d\n", argv[0],
			ROUNDS_MAX);
		return 1;
	}
	for (i = 0; i < n; i++) {
		if (i == 1 && between && system(between)) {
			fprintf(stderr, "%s: '%s' failed\n", argv[0], between);
			return 1;
		}
		run_device(argv[optind + i], res[i]);
	}
	if (json)
		print_json(argv + optind, n, res);
	else
		print_table(argv + optind, n, res);
	return marks ? check_marks(res[0], res[n - 1]) : 0;
}
