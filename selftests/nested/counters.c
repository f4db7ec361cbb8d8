// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/counters: what the statistics say of a guest's guest, to the last exit; api.rst,
 * "Statistics". And that what emys keeps for it goes when L1 leaves VMX operation.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nested.h"
#include "stats.h"

#define WINDOW		(1ull << 30)	/* L2 looks at SLOT through it */
#define SLOT		0x8000000ull	/* memory of its own, in small pages */
#define PAGES		64
#define PAGE		4096ull

#define MISC_ENABLE	0x1a0		/* emys answers it, in the section */

/* What a counter moved by. */
struct moved {
	const char *name;
	u64 by;
};

struct snapshot {
	struct stats s;
	u64 *v;
};

static void look(struct snapshot *shot, int on)
{
	u32 i;

	shot->s = stats_open(on);
	shot->v = calloc(shot->s.head.num_desc, sizeof(u64));
	for (i = 0; i < shot->s.head.num_desc; i++)
		CHECK_EQ(pread(shot->s.fd, &shot->v[i], 8, shot->s.head.data_offset +
			       stats_desc(&shot->s, i)->offset), 8);
}

static void forget(struct snapshot *shot)
{
	stats_close(&shot->s);
	free(shot->v);
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Is it a counter that moves by what the test does, and by no more than it knows of? */
static bool judged(const char *name)
{
	return (begins(name, "nested_") && strcmp(name, "nested_slow_external_interrupt")) ||
	       (begins(name, "ept02_") && strcmp(name, "ept02_pages"));
}

/* The guest's VMX instructions; its VMREADs and VMWRITEs only where all of them exit. */
static bool is_insn(const char *name)
{
	return begins(name, "exit_vm") || !strcmp(name, "exit_invept") ||
	       !strcmp(name, "exit_invvpid");
}

/*
 * Since BEFORE the counters that are judged, and with INSNS those of VMX instructions, have moved
 * as WANT says, up to its first without a name, and no other has.
 */
static void check_moved(struct snapshot *before, int on, bool insns, const struct moved *want)
{
	struct snapshot now;
	const struct moved *w;
	u32 i;

	look(&now, on);
	for (w = want; w->name; w++)
		stats_read(&now.s, w->name);
	for (i = 0; i < now.s.head.num_desc; i++) {
		const char *name = stats_desc(&now.s, i)->name;
		u64 by = 0;

		for (w = want; w->name; w++)
			if (!strcmp(w->name, name))
				by = w->by;
		if (judged(name) || (insns && is_insn(name)) || by)
			CHECK_MSG(now.v[i] - before->v[i] == by, "%s moved by %lld, not %lld", name,
				  (long long)(now.v[i] - before->v[i]), (long long)by);
	}
	forget(&now);
}

/* -- a VM without ------------------------------------------------------------------------- */

static void guest_plain(void)
{
	u32 a, b, c, d, i;

	for (i = 0; i < 10; i++)
		cpuid(0, 0, &a, &b, &c, &d);
	GUEST_SYNC(1);
}

static void test_none(void)
{
	static const struct moved ten[] = { { "exit_cpuid", 10 }, { "exit_io", 1 }, { NULL, 0 } };
	static const struct moved nothing[] = { { NULL, 0 } };
	struct snapshot vm, vcpu;
	struct vcpu *v;

	REQUIRE(ksft_is_emys(), "not emys");
	v = vcpu_add(vm_create(), 0);
	look(&vm, v->vm->fd);
	look(&vcpu, v->fd);
	vcpu_call(v, guest_plain, 0);
	vcpu_sync(v, 1);
	check_moved(&vcpu, v->fd, true, ten);
	check_moved(&vm, v->vm->fd, false, nothing);
}

/* -- L1's instructions ---------------------------------------------------------------------- */

static void guest_insns(void)
{
	u64 i, at;

	l1_vmx_on();
	l1_make_vmcs(l1_vmcs, guest_plain, 0);
	GUEST_SYNC(1);
	/* fields that no CPU lets it have without an exit: the shadow does not hold them */
	for (i = 0; i < 5; i++)
		vmread(GUEST_ES_BASE);
	for (i = 0; i < 3; i++)
		vmwrite(GUEST_ES_BASE, 0);
	try_vmptrst(&at);
	try_vmptrst(&at);
	try_vmclear(pa(l1_vmcs2));
	try_vmptrld(pa(l1_vmcs));
	try_vmptrld(pa(l1_vmcs));
	try_vmptrld(pa(l1_vmcs));
	try_invept(2, 0, 0);
	try_invvpid(2, 0, 0);
	try_invvpid(2, 0, 0);
	try_vmxoff();
	try_vmxon(pa(l1_vmxon));
	GUEST_SYNC(2);
	/* no entry: it is not launched */
	try_vmptrld(pa(l1_vmcs));
	GUEST_SYNC(3);
	try_vmresume();
	GUEST_SYNC(4);
}

/* An exit of L1 for each of its instructions, by the instruction. */
static void test_insns(void)
{
	static const struct moved once[] = {
		{ "exit_vmread", 5 }, { "exit_vmwrite", 3 }, { "exit_vmptrst", 2 },
		{ "exit_vmclear", 1 }, { "exit_vmptrld", 3 }, { "exit_invept", 1 },
		{ "exit_invvpid", 2 }, { "exit_vmxoff", 1 }, { "exit_vmxon", 1 }, { NULL, 0 }
	};
	/* and the VMREAD that asks for the error's number */
	static const struct moved refused[] = {
		{ "exit_vmresume", 1 }, { "exit_vmread", 1 }, { NULL, 0 }
	};
	struct snapshot before;
	struct vcpu *vcpu;

	REQUIRE(ksft_is_emys(), "not emys");
	vcpu = nested_vcpu_with(guest_insns, 0, PROC2_CTL, PROC2_EPT | PROC2_VPID);
	vcpu_sync(vcpu, 1);
	look(&before, vcpu->fd);
	vcpu_sync(vcpu, 2);
	check_moved(&before, vcpu->fd, true, once);
	forget(&before);
	vcpu_sync(vcpu, 3);
	look(&before, vcpu->fd);
	vcpu_sync(vcpu, 4);
	check_moved(&before, vcpu->fd, true, refused);
	vcpu_done(vcpu);
}

/* -- L2's exits ------------------------------------------------------------------------------ */

static void l2_work(void)
{
	u32 a, b, c, d, i;

	for (i = 0; i < 7; i++)
		cpuid(0, 0, &a, &b, &c, &d);
	for (i = 0; i < 5; i++)
		rdmsr(MISC_ENABLE);
	for (i = 0; i < 3; i++)
		GUEST_SYNC(2);
}

static void guest_work(void)
{
	u32 i;

	l1_vmx_on();
	l1_make_vmcs(l1_vmcs, l2_work, 0);
	vmwrite(MSR_BITMAP, pa(l1_msr_bitmap));
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	GUEST_SYNC(1);
	for (i = 0; i < 7; i++)
		L2_EXIT_SKIP(REASON_CPUID);
	L2_DONE();
	/* state that no CPU can be in */
	vmset(GUEST_CS_LIMIT, 1ull << 31);
	vmunset(GUEST_CS_LIMIT, 1);
	GUEST_SYNC(3);
	L2_EXIT(REASON_GUEST_STATE | 1u << 31);
	GUEST_SYNC(4);
}

/* Each exit once: L1's, L0's within the section, L0's after it. */
static void test_exits(void)
{
	static const struct moved want[] = {
		{ "nested_entries", 8 }, { "nested_l1_cpuid", 7 }, { "nested_l1_vmcall", 1 },
		{ "nested_fast_rdmsr", 5 }, { "nested_slow_io", 3 }, { NULL, 0 }
	};
	static const struct moved failed[] = { { "nested_l1_entry_failure", 1 }, { NULL, 0 } };
	struct snapshot before, vm;
	struct vcpu *vcpu;
	int i;

	REQUIRE(ksft_is_emys(), "not emys");
	vcpu = nested_vcpu_with(guest_work, 0, PROC_CTL, PROC_MSR_BITMAPS);
	vcpu_sync(vcpu, 1);
	look(&before, vcpu->fd);
	look(&vm, vcpu->vm->fd);
	for (i = 0; i < 3; i++)
		vcpu_sync(vcpu, 2);
	vcpu_sync(vcpu, 3);
	check_moved(&before, vcpu->fd, false, want);
	/* L2 without EPT runs on the VM's own */
	check_moved(&vm, vcpu->vm->fd, false, &want[ARRAY_SIZE(want) - 1]);
	forget(&before);
	look(&before, vcpu->fd);
	vcpu_sync(vcpu, 4);
	check_moved(&before, vcpu->fd, false, failed);
	vcpu_done(vcpu);
}

/* -- EPT02 ----------------------------------------------------------------------------------- */

static volatile u64 l2_sum;

static void l2_read_pages(u64 first)
{
	u64 i;

	for (i = first; i < first + 16; i++)
		l2_sum += *(volatile u64 *)(WINDOW + i * PAGE);
	GUEST_SYNC(9);
}

static void guest_ept02(void)
{
	u64 i, eptp;

	for (i = 0; i < PAGES; i++)
		*(volatile u64 *)(SLOT + i * PAGE) = i;
	l1_vmx_on();
	eptp = ept_identity(2);
	/* all but the last 8 */
	for (i = 0; i < PAGES - 8; i++)
		ept_map(eptp, WINDOW + i * PAGE, SLOT + i * PAGE, 1, EPT_RWX);
	l1_make_vmcs(l1_vmcs, l2_read_pages, 0);
	l1_use_ept(eptp);
	L2_DONE();
	/* once more, so that L2's code, stack and tables are there */
	l2_call(l2_read_pages, 0);
	L2_DONE();
	GUEST_SYNC(1);
	l2_call(l2_read_pages, 16);
	L2_DONE();
	GUEST_SYNC(2);
	/* what L1 takes away goes when it says so */
	for (i = 0; i < 4; i++)
		*ept_entry(eptp, WINDOW + (16 + i) * PAGE, 1) = 0;
	GUEST_SYNC(3);
	try_invept(1, eptp, 0);
	GUEST_SYNC(4);
	/* L1 has to map a page: the same is read until it did */
	l2_call(l2_read_pages, PAGES - 16);
	for (i = 0; i < 8; i++) {
		L2_EXIT(REASON_EPT_VIOLATION);
		ept_map(eptp, WINDOW + (PAGES - 8 + i) * PAGE, SLOT, 1, EPT_RWX);
	}
	L2_DONE();
	GUEST_SYNC(5);
	GUEST_SYNC(6);
	try_vmxoff();
	GUEST_SYNC(7);
}

static void check_both(struct snapshot *shot, struct vcpu *vcpu, const struct moved *on_vcpu,
		       const struct moved *on_vm)
{
	check_moved(&shot[0], vcpu->fd, false, on_vcpu);
	check_moved(&shot[1], vcpu->vm->fd, false, on_vm);
	forget(&shot[0]);
	forget(&shot[1]);
	look(&shot[0], vcpu->fd);
	look(&shot[1], vcpu->vm->fd);
}

static u64 vm_stat(struct vcpu *vcpu, const char *name)
{
	struct stats s = stats_open(vcpu->vm->fd);
	u64 v = stats_read(&s, name);

	stats_close(&s);
	return v;
}

/* Faults that L0 answers and those that are L1's, leaves and tables, and why leaves go. */
static void test_ept02(void)
{
	static const struct moved nothing[] = { { NULL, 0 } };
	static const struct moved faults[] = {
		{ "nested_entries", 1 }, { "nested_l1_vmcall", 1 }, { "nested_slow_io", 1 },
		{ "nested_slow_ept_violation", 16 }, { "nested_ept_walks", 16 }, { NULL, 0 }
	};
	static const struct moved leaves[] = {
		{ "ept02_leaves", 16 }, { "ept02_faults", 16 }, { NULL, 0 }
	};
	static const struct moved gone[] = {
		{ "ept02_leaves", -4 }, { "ept02_drops_l1", 4 }, { NULL, 0 }
	};
	static const struct moved asked[] = {
		{ "nested_entries", 9 }, { "nested_l1_vmcall", 1 }, { "nested_slow_io", 1 },
		{ "nested_l1_ept_violation", 8 }, { "nested_slow_ept_violation", 16 },
		{ "nested_ept_walks", 24 }, { NULL, 0 }
	};
	static const struct moved zapped[] = {
		{ "ept02_leaves", -5 }, { "ept02_drops_zap", 5 }, { NULL, 0 }
	};
	static const char *const none[] = {
		"ept02_roots", "ept02_leaves", "ept02_tables", "ept02_pages"
	};
	u64 size = 2ull << 20;
	struct snapshot shot[2];
	struct vcpu *vcpu;
	void *memory;
	u32 i;

	REQUIRE(ksft_is_emys(), "not emys");
	vcpu = nested_vcpu_with(guest_ept02, 0, PROC2_CTL, PROC2_EPT);
	memory = host_memory(size);
	CHECK_OK(madvise(memory, size, MADV_NOHUGEPAGE));
	vm_region(vcpu->vm, 1, 0, SLOT, size, memory);
	vcpu_sync(vcpu, 9);
	vcpu_sync(vcpu, 9);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vm_stat(vcpu, "ept02_roots"), 1);
	CHECK(vm_stat(vcpu, "ept02_tables") >= 4);
	CHECK(vm_stat(vcpu, "ept02_pages") > vm_stat(vcpu, "ept02_tables"));
	look(&shot[0], vcpu->fd);
	look(&shot[1], vcpu->vm->fd);
	vcpu_sync(vcpu, 9);
	vcpu_sync(vcpu, 2);
	check_both(shot, vcpu, faults, leaves);
	vcpu_sync(vcpu, 3);
	check_both(shot, vcpu, nothing, nothing);
	vcpu_sync(vcpu, 4);
	check_both(shot, vcpu, nothing, gone);
	vcpu_sync(vcpu, 9);
	vcpu_sync(vcpu, 5);
	check_both(shot, vcpu, asked, leaves);
	/* pages 16 to 19 have no leaf any more, 20 to 24 have */
	CHECK_OK(madvise((u8 *)memory + 16 * PAGE, 9 * PAGE, MADV_DONTNEED));
	check_both(shot, vcpu, nothing, zapped);
	vcpu_sync(vcpu, 6);
	vcpu_sync(vcpu, 7);
	for (i = 0; i < 50 * ksft_slowness() && vm_stat(vcpu, "ept02_pages"); i++)
		usleep(100000);
	for (i = 0; i < ARRAY_SIZE(none); i++)
		CHECK_MSG(!vm_stat(vcpu, none[i]), "%s after VMXOFF: %llu", none[i],
			  (unsigned long long)vm_stat(vcpu, none[i]));
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "counters: a VM without nesting", test_none },
	{ "counters: VMX instructions of L1", test_insns },
	{ "counters: exits of L2", test_exits },
	{ "counters: EPT02", test_ept02 },
)
