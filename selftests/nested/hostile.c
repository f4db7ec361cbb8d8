// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/hostile: an L1 that means no good. What becomes of its VM does not matter, as long as
 * it is what a CPU might do; the host lives, and other VMs do.
 */
#include <pthread.h>
#include <unistd.h>

#include "nested.h"

#define SLICE_US	20000	/* of a VM that does not end by itself */
#define SLOT		0x8000000ull
#define SLOT_SIZE	0x200000ull

static u64 rng;

static u64 random64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* values that checks turn on, beside any */
static u64 odd_value(void)
{
	static const u64 some[] = {
		0, 1, ~0ull, 1ull << 63, 1ull << 52, 0xfffff000, GPA_MMIO, 0x1000, VM_MEM,
		VM_MEM - 8, 0x7fffffffffffull, 0xffff800000000000ull, 1ull << 31,
	};
	u64 v = random64();

	switch (v & 3) {
	case 0:
		return some[(v >> 8) % ARRAY_SIZE(some)];
	case 1:
		return v >> (v >> 2 & 63);
	case 2:
		return 1ull << (v >> 8 & 63);
	default:
		return v;
	}
}

#define FIELD_ENCODING(name, encoding)	encoding,
static const u32 fields[] = { VMCS_FIELDS(FIELD_ENCODING) };

/* what L1 needs to come back, most of the time */
static bool spared(u32 f)
{
	return (FIELD_TYPE(f) == 3 && random64() & 15) || FIELD_TYPE(f) == FIELD_TYPE_RO ||
	       ((f == PIN_CTL || f == EXIT_CTL) && random64() & 7);
}

static void l2_busy(void)
{
	volatile u64 i;

	for (i = 0; i < 100; i++)
		cpu_pause();
}

static void on_any(struct guest_frame *frame)
{
	(void)frame;
}

static void guest_fields(u64 seed)
{
	unsigned int round, n;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	l1_vmx_on();
	guest_handlers[NMI_VECTOR] = on_any;
	for (round = 0; round < 30; round++) {
		l1_make_vmcs(l1_vmcs, l2_busy, 0);
		if (l1_can(PROC2_CTL, PROC2_EPT) && !round)
			l1_use_ept(ept_identity(2));
		if (l1_can(PIN_CTL, PIN_TIMER)) {
			vmwrite(PREEMPTION_TIMER, 1000);
			l1_control(PIN_CTL, PIN_TIMER, 0);
		}
		vmwrite(EXCEPTION_BITMAP, ~0u);
		for (n = 1 + random64() % 6; n; n--) {
			u32 f = fields[random64() % ARRAY_SIZE(fields)];
			u64 v = odd_value();

			if (spared(f))
				continue;
			/* controls: one bit, so that the entry is not always refused */
			if (f == PROC_CTL || f == PROC2_CTL || f == ENTRY_CTL || f == EXIT_CTL ||
			    f == PIN_CTL) {
				u64 bit = 1ull << (v & 31);

				v = vmread(f) ^ bit;
			}
			try_vmwrite(f, v);
		}
		for (n = 0; n < 3; n++)
			l2_run();
	}
}

static void guest_bytes(u64 seed)
{
	u64 *words = (u64 *)l1_vmcs;
	unsigned int round, n;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	l1_vmx_on();
	for (round = 0; round < 20; round++) {
		l1_make_vmcs(l1_vmcs, l2_busy, 0);
		/* the region itself, behind the back of VMWRITE */
		try_vmclear(pa(l1_vmcs));
		for (n = round & 1 ? 512 : 8; n; n--)
			words[1 + random64() % 511] = odd_value();
		*(volatile u32 *)l1_vmcs = l1_revision();
		if (try_vmptrld(pa(l1_vmcs)) != VMX_OK)
			continue;
		if (round & 2)
			vmwrite(HOST_RIP, (uintptr_t)l2_exited);
		l2_launched = false;
		l2_run();
		l2_run();
	}
}

/* Run it to any end; a VM that neither ends nor asks for anything is left after a while. */
static void run_out(struct vcpu *vcpu)
{
	unsigned int exits;

	vcpu_kick_after(vcpu, SLICE_US * ksft_slowness());
	for (exits = 0; exits < 2000; exits++) {
		int r = vcpu_run_raw(vcpu);
		u32 reason = vcpu->run->exit_reason;

		if (r == -EINTR)
			break;
		CHECK_MSG(!r || r == -EFAULT, "KVM_RUN: %s", strerror(-r));
		if (r)
			break;
		/* L0 must not hand to the CPU what it refuses */
		if (reason == KVM_EXIT_FAIL_ENTRY)
			vcpu_bad_exit(vcpu, reason, KVM_EXIT_SHUTDOWN);
		if (reason == KVM_EXIT_SHUTDOWN || reason == KVM_EXIT_INTERNAL_ERROR)
			break;
		if (reason == KVM_EXIT_IO && vcpu->run->io.port == UCALL_PORT)
			break;
	}
	vcpu_kick_cancel();
}

static void l2_good(void)
{
	vmcall();
}

static void guest_good(void)
{
	u64 i;

	l1_start(l2_good, 0);
	for (i = 0; i < 10; i++) {
		l2_call(l2_good, 0);
		L2_EXIT_SKIP(REASON_VMCALL);
		L2_DONE();
	}
}

static void run_seeds(void *fn, unsigned int seeds)
{
	unsigned int seed;

	for (seed = 1; seed <= seeds; seed++) {
		struct vcpu *vcpu = nested_vcpu(fn, seed);

		run_out(vcpu);
		vm_free(vcpu->vm);
	}
	/* and a good L1 still finds its VMX */
	nested_run(guest_good, 0);
}

/* Random values in random fields. */
static void test_fields(void)
{
	run_seeds(guest_fields, 30);
}

/* Random bytes in the region of a VMCS that is not current. */
static void test_bytes(void)
{
	run_seeds(guest_bytes, 20);
}

/* -- EPT12 that changes while it is used ------------------------------------------------- */

static u64 evil_root[512] VMX_PAGE, evil_pdpt[512] VMX_PAGE, evil_pd[512] VMX_PAGE;
static u64 evil_pt[512] VMX_PAGE;

#define WINDOW	(1ull << 30)

static void l2_everywhere(void)
{
	u64 i, v;

	for (i = 0; ; i = i * 5 + 1) {
		volatile u64 *p = (volatile u64 *)(WINDOW + (i & 0x3ffff8));

		if (i & 0x100)
			*p = i;
		else
			v = *p;
		(void)v;
	}
}

static volatile u64 rounds;

/* the window's tables are the host's to play with; the rest is as it should be */
static void guest_changing(void)
{
	u64 eptp;

	l1_vmx_on();
	eptp = ept_identity(2);
	*ept_entry(eptp, WINDOW, 3) = pa(evil_pd) | EPT_RWX;
	l1_make_vmcs(l1_vmcs, l2_everywhere, 0);
	l1_use_ept(eptp);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	if (l1_can(PIN_CTL, PIN_TIMER))
		l1_control(PIN_CTL, PIN_TIMER, 0);
	for (;;) {
		vmwrite(PREEMPTION_TIMER, 2000);
		/* start anew: what it met does not matter */
		l2_call(l2_everywhere, 0);
		l2_run();
		if (!(rounds++ & 3))
			try_invept(1 + (rounds >> 2 & 1), eptp, 0);
	}
}

static volatile int stop;

static u64 evil_entry(u64 *state)
{
	u64 v, to;

	rng = *state;
	v = random64();
	*state = rng;
	switch (v % 5) {
	case 0:
		to = pa(evil_root);
		break;
	case 1:
		to = pa(evil_pd);
		break;
	case 2:
		to = pa(evil_pt);
		break;
	case 3:
		to = GPA_MMIO;
		break;
	default:
		to = v & 0xffffff000ull;
	}
	switch (v >> 8 & 7) {
	case 0:
		return v;
	case 1:
		return 0;
	case 2:
		return 0xc00000 | EPT_LARGE | EPT_WB | EPT_RWX;
	case 3:
		return 0xc00000 | EPT_WB | (v >> 16 & 7);
	default:
		return to | EPT_RWX | (v >> 16 & EPT_LARGE);
	}
}

static void *change(void *arg)
{
	struct vm *vm = arg;
	volatile u64 *pd = vm_ptr(vm, pa(evil_pd)), *pt = vm_ptr(vm, pa(evil_pt));
	u64 state = 12345;
	unsigned int n;

	while (!stop) {
		for (n = 0; n < 2; n++)
			pd[n] = evil_entry(&state);
		for (n = 0; n < 512; n += 7)
			pt[n] = evil_entry(&state);
		usleep(1);
	}
	return NULL;
}

/* The host changes L1's tables at random while L2 walks them. */
static void test_changing(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_changing, 0, PROC2_CTL, PROC2_EPT);
	pthread_t thread;
	unsigned int exits;
	u64 done;

	REQUIRE(nested_can(vcpu, PIN_CTL, PIN_TIMER), "no preemption timer");
	CHECK_EQ(pthread_create(&thread, NULL, change, vcpu->vm), 0);
	vcpu_kick_after(vcpu, 1500000);
	for (exits = 0; ; exits++) {
		int r = vcpu_run_raw(vcpu);

		if (r == -EINTR)
			break;
		CHECK_MSG(!r || r == -EFAULT, "KVM_RUN: %s", strerror(-r));
		if (!r)
			CHECK_MSG(vcpu->run->exit_reason == KVM_EXIT_MMIO ||
				  vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "exit is %s",
				  exit_name(vcpu->run->exit_reason));
		if (r || vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
			break;
	}
	vcpu_kick_cancel();
	stop = 1;
	pthread_join(thread, NULL);
	done = VM_VAR(vcpu->vm, rounds);
	ksft_print("%llu entries, %u exits to the VMM", (unsigned long long)done, exits);
	CHECK_MSG(done, "L2 never came back");
	vm_free(vcpu->vm);
	nested_run(guest_good, 0);
}

static void guest_self(u64 which)
{
	u64 *const self[] = { evil_root, evil_pdpt, evil_pd, evil_pt };
	u64 i;

	l1_vmx_on();
	for (i = 0; i < 512; i++) {
		evil_root[i] = pa(evil_pdpt) | EPT_RWX;
		evil_pdpt[i] = pa(evil_pd) | EPT_RWX;
		evil_pd[i] = pa(evil_pt) | EPT_RWX;
		evil_pt[i] = i << 12 | EPT_WB | EPT_RWX;
	}
	/* tables that hold themselves, the root, or nothing that is there */
	for (i = 0; i < 512; i++) {
		if (which < 4)
			self[which][i] = pa(self[which]) | EPT_RWX | EPT_WB * (which == 3);
		else if (which < 8)
			self[which - 4][i] = pa(evil_root) | EPT_RWX | EPT_WB * (which == 7);
		else
			self[which - 8][i] = GPA_MMIO | EPT_RWX | EPT_WB * (which == 11);
	}
	l1_make_vmcs(l1_vmcs, l2_busy, 0);
	l1_use_ept(pa(evil_root) | EPTP_WB | EPTP_WALK4);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	if (l1_can(PIN_CTL, PIN_TIMER)) {
		l1_control(PIN_CTL, PIN_TIMER, 0);
		vmwrite(PREEMPTION_TIMER, 3000);
	}
	for (i = 0; i < 5; i++)
		GUEST_ASSERT(l2_run() < L2_FAILED);
}

/* Tables that lead to themselves, to the root, to where no memory is. */
static void test_self(void)
{
	u64 which;

	for (which = 0; which < 12; which++) {
		struct vcpu *vcpu = nested_vcpu_with(guest_self, which, PROC2_CTL, PROC2_EPT);

		run_out(vcpu);
		vm_free(vcpu->vm);
	}
	nested_run(guest_good, 0);
}

static void guest_no_root(u64 at)
{
	l1_start(l2_busy, 0);
	l1_use_ept(at | EPTP_WB | EPTP_WALK4);
	l2_run();
	l2_run();
}

/* The root itself is in no memory. */
static void test_no_root(void)
{
	static const u64 where[] = { GPA_MMIO, VM_MEM, 0x7ffffff000ull };
	unsigned int i;

	REQUIRE(ksft_is_emys(), "KVM warns, and KVM_RUN fails with EIO");
	for (i = 0; i < ARRAY_SIZE(where); i++) {
		struct vcpu *vcpu = nested_vcpu_with(guest_no_root, where[i], PROC2_CTL,
						     PROC2_EPT);

		run_out(vcpu);
		vm_free(vcpu->vm);
	}
	nested_run(guest_good, 0);
}

/* -- lists and pages to nowhere ------------------------------------------------------------- */

static void guest_lists(u64 which)
{
	static const u64 where[] = { GPA_MMIO, VM_MEM - 16, 0xfffffffff0ull, 0x1000 };
	static const u32 counts[] = { 1, 512, 0x10000, 0xffffffff };
	u64 at = where[which & 3];
	u32 count = counts[which >> 2 & 3];

	l1_start(l2_busy, 0);
	switch (which >> 4) {
	case 0:
		vmwrite(ENTRY_LOAD_ADDR, at);
		vmwrite(ENTRY_LOAD_COUNT, count);
		break;
	case 1:
		vmwrite(EXIT_STORE_ADDR, at);
		vmwrite(EXIT_STORE_COUNT, count);
		break;
	default:
		vmwrite(EXIT_LOAD_ADDR, at);
		vmwrite(EXIT_LOAD_COUNT, count);
	}
	l2_run();
	l2_run();
}

/* MSR lists in no memory, and longer than there is memory. */
static void test_lists(void)
{
	u64 which;

	for (which = 0; which < 48; which++) {
		struct vcpu *vcpu = nested_vcpu(guest_lists, which);

		run_out(vcpu);
		vm_free(vcpu->vm);
	}
	nested_run(guest_good, 0);
}

static void guest_nowhere(u64 at)
{
	l1_start(l2_busy, 0);
	if (l1_can(PROC_CTL, PROC_MSR_BITMAPS)) {
		vmwrite(MSR_BITMAP, at);
		l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	}
	if (l1_can(PROC_CTL, PROC_IO_BITMAPS)) {
		vmwrite(IO_BITMAP_A, at);
		vmwrite(IO_BITMAP_B, at);
		l1_control(PROC_CTL, PROC_IO_BITMAPS, 0);
	}
	if (l1_can(PROC_CTL, PROC_TPR_SHADOW)) {
		vmwrite(VIRTUAL_APIC, at);
		vmwrite(TPR_THRESHOLD, 0);
		l1_control(PROC_CTL, PROC_TPR_SHADOW, 0);
	}
	if (l1_can(PROC2_CTL, PROC2_APIC_ACCESS)) {
		vmwrite(APIC_ACCESS, at);
		l1_control(PROC2_CTL, PROC2_APIC_ACCESS, 0);
	}
	vmwrite(LINK_POINTER, at);
	l2_run();
	vmwrite(LINK_POINTER, -1ull);
	l2_run();
	/* VMX instructions on such memory */
	try_vmclear(at);
	try_vmptrld(at);
	try_vmxon(at);
	l1_make_vmcs(l1_vmcs, l2_busy, 0);
	try_vmwrite(HOST_CR3, at);
	l2_run();
}

/* Bitmaps and pages in no memory, and an L1 without page tables after the exit. */
static void test_nowhere(void)
{
	static const u64 where[] = { GPA_MMIO, 0x7ffffff000ull, 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		struct vcpu *vcpu = nested_vcpu(guest_nowhere, where[i]);

		run_out(vcpu);
		vm_free(vcpu->vm);
	}
	nested_run(guest_good, 0);
}

/* -- memory that goes away ---------------------------------------------------------------- */

static void l2_sync(void)
{
	GUEST_SYNC(1);
	vmcall();
}

/* all that L1 gives to VMX lies in a slot that the VMM takes away */
static void guest_gone(void)
{
	u8 *p = (u8 *)SLOT;

	l1_enable();
	*(volatile u32 *)p = l1_revision();
	*(volatile u32 *)(p + 4096) = l1_revision();
	GUEST_ASSERT_EQ(try_vmxon(SLOT), VMX_OK);
	l1_make_vmcs(p + 4096, l2_sync, 0);
	if (l1_can(PROC_CTL, PROC_MSR_BITMAPS)) {
		vmwrite(MSR_BITMAP, SLOT + 0x2000);
		l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	}
	if (l1_can(PROC_CTL, PROC_TPR_SHADOW)) {
		vmwrite(VIRTUAL_APIC, SLOT + 0x3000);
		vmwrite(TPR_THRESHOLD, 0);
		l1_control(PROC_CTL, PROC_TPR_SHADOW, 0);
	}
	vmwrite(EXIT_STORE_ADDR, SLOT + 0x4000);
	*(volatile u32 *)(SLOT + 0x4000) = MSR_LSTAR;
	vmwrite(EXIT_STORE_COUNT, 1);
	l2_run();
	try_vmwrite(GUEST_RIP, (uintptr_t)l2_sync);
	l2_run();
	try_vmclear(SLOT + 4096);
	try_vmptrld(SLOT + 4096);
	try_vmxoff();
}

/* The VMM removes the memory under VMXON region, VMCS, bitmaps and lists while L2 runs. */
static void test_gone(void)
{
	unsigned int n;

	for (n = 0; n < 3; n++) {
		struct vcpu *vcpu = nested_vcpu(guest_gone, 0);
		u8 *mem = host_memory(SLOT_SIZE);

		vm_region(vcpu->vm, 1, 0, SLOT, SLOT_SIZE, mem);
		vcpu_sync(vcpu, 1);
		vm_region(vcpu->vm, 1, 0, SLOT, 0, mem);
		/* or other memory comes there */
		if (n == 1)
			vm_region(vcpu->vm, 1, 0, SLOT, SLOT_SIZE, host_memory(SLOT_SIZE));
		/* or the VM ends right there */
		if (n < 2)
			run_out(vcpu);
		vm_free(vcpu->vm);
	}
	nested_run(guest_good, 0);
}

KSFT_MAIN(
	{ "hostile: random fields", test_fields, 60 },
	{ "hostile: random bytes", test_bytes, 60 },
	{ "hostile: EPT changes while walked", test_changing, 60 },
	{ "hostile: EPT leads to itself", test_self, 60 },
	{ "hostile: EPT root in no memory", test_no_root, 60 },
	{ "hostile: MSR lists to nowhere", test_lists, 60 },
	{ "hostile: pages that are not there", test_nowhere, 60 },
	{ "hostile: memory goes away", test_gone, 60 },
)
