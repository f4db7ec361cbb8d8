// SPDX-License-Identifier: GPL-2.0-only
/* exits/exceptions: faults inside the guest, and events from userspace */
#include "vmm.h"

#define PAGE_A	0x180000ull

static volatile u64 count[32], last_error[32], last_rip[32], last_cr2;

static void record(struct guest_frame *frame)
{
	count[frame->vector]++;
	last_error[frame->vector] = frame->error;
	last_rip[frame->vector] = frame->rip;
	if (frame->vector == PF_VECTOR)
		last_cr2 = read_cr2();
}

static void guest_faults(void)
{
	u64 f;
	u32 v;

	GUEST_TRY(f, "divl %%ecx", GUEST_NO_OUT, "a"(1), "d"(0), "c"(0));
	GUEST_ASSERT_EQ(f, FAULT(DE_VECTOR));
	GUEST_TRY(f, "ud2", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(UD_VECTOR));
	/* a selector beyond the GDT: the error code names it */
	GUEST_TRY(f, "mov %%ax, %%es", GUEST_NO_OUT, "a"(0x1008));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0x1008);
	GUEST_TRY(f, "mov %%ax, %%es", GUEST_NO_OUT, "a"(SEL_ABSENT));
	GUEST_ASSERT_EQ(f, FAULT(NP_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, SEL_ABSENT);
	GUEST_TRY(f, "mov %%ax, %%ss", GUEST_NO_OUT, "a"(SEL_ABSENT));
	GUEST_ASSERT_EQ(f, FAULT(SS_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, SEL_ABSENT);
	/* an address that is not canonical */
	GUEST_TRY(f, "mov (%%rax), %%eax", GUEST_NO_OUT, "a"(1ull << 63));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	/* a bad task register */
	GUEST_TRY(f, "ltr %%ax", GUEST_NO_OUT, "a"(SEL_DATA));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, SEL_DATA);
	/* beyond what the tables map */
	GUEST_ASSERT_EQ(try_read32((u32 *)0x300000000ull, &v),
			FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	GUEST_ASSERT_EQ(guest_fault_address, 0x300000000ull);
}

/*
 * Faults the CPU raises reach the guest's handlers with their error code and
 * CR2; no exit to the VMM is seen.
 */
static void test_faults(void)
{
	guest_run(guest_faults, 0);
}

static void guest_traps(void)
{
	u64 next;

	guest_handlers[BP_VECTOR] = record;
	asm volatile("int3\n1: lea 1b(%%rip), %0" : "=r"(next));
	GUEST_ASSERT_EQ(count[BP_VECTOR], 1);
	GUEST_ASSERT_EQ(last_rip[BP_VECTOR], next);
	guest_handlers[0x80] = record;
	guest_handlers[0x1f] = record;
	asm volatile("int $0x1f\n1: lea 1b(%%rip), %0" : "=r"(next));
	GUEST_ASSERT_EQ(count[0x1f], 1);
	GUEST_ASSERT_EQ(last_rip[0x1f], next);
}

/* INT3 and INT n are traps: the handler returns to the next instruction. */
static void test_traps(void)
{
	guest_run(guest_traps, 0);
}

static u64 user_touch(u64 addr)
{
	u32 v;

	return try_read32((u32 *)addr, &v) << 16 | guest_fault_error;
}

static void guest_pf(void)
{
	volatile u64 *pte = guest_pte(PAGE_A);
	u32 v;

	*pte &= ~PTE_P;
	invlpg(PAGE_A);
	GUEST_ASSERT_EQ(try_read32((u32 *)(PAGE_A + 0x123), &v),
			FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	GUEST_ASSERT_EQ(guest_fault_address, PAGE_A + 0x123);
	GUEST_ASSERT_EQ(try_write32((u32 *)PAGE_A, 1), FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 2);
	GUEST_ASSERT_EQ(guest_user_call(user_touch, PAGE_A),
			FAULT(PF_VECTOR) << 16 | 4);
	/* a reserved bit in the entry */
	*pte |= PTE_P | 1ull << 51;
	invlpg(PAGE_A);
	GUEST_ASSERT_EQ(try_read32((u32 *)PAGE_A, &v), FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 9);
	*pte &= ~(1ull << 51);
	invlpg(PAGE_A);
	GUEST_ASSERT_EQ(try_read32((u32 *)PAGE_A, &v), 0);
	/* accessed and dirty bits are the guest's to see */
	*pte &= ~(PTE_A | PTE_D);
	invlpg(PAGE_A);
	*(volatile u32 *)PAGE_A;
	GUEST_ASSERT_EQ(*pte & (PTE_A | PTE_D), PTE_A);
	*(volatile u32 *)PAGE_A = 1;
	GUEST_ASSERT_EQ(*pte & (PTE_A | PTE_D), PTE_A | PTE_D);
}

/*
 * Page faults of the guest's own tables: error codes for present, write, user
 * and reserved bits; accessed and dirty bits.
 */
static void test_pf(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 0x80000008, 0);

	REQUIRE(e && (e->eax & 0xff) <= 51, "no reserved address bit");
	vm_split_page(vm, PAGE_A);
	vm_map_user(vm);
	vcpu_call(vcpu, guest_pf, 0);
	vcpu_done(vcpu);
}

static volatile u64 df_error = -1;

static void on_df(struct guest_frame *frame)
{
	df_error = frame->error;
	GUEST_SYNC(1);
	GUEST_DONE();
}

static void guest_df(void)
{
	volatile u64 *idt = (u64 *)0x9000;

	guest_handlers[DF_VECTOR] = on_df;
	/* no gate for #GP: its delivery raises #GP(gate), together #DF */
	idt[2 * GP_VECTOR] = 0;
	*(volatile u32 *)(1ull << 63);
}

/* A contributory fault while another is delivered is #DF with error 0. */
static void test_df(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, guest_df, 0);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(VM_VAR(vm, df_error), 0);
}

static u64 user_ac(u64 arg)
{
	u64 f;

	asm volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory");
	GUEST_TRY(f, "movl 1(%%rax), %%eax", GUEST_NO_OUT, "a"(arg));
	asm volatile("pushfq; andq $~0x40000, (%%rsp); popfq" : : : "memory");
	return f;
}

static void guest_ac(void)
{
	GUEST_ASSERT_EQ(guest_user_call(user_ac, PAGE_A), FAULT(AC_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	write_cr0(read_cr0() & ~X86_CR0_AM);
	GUEST_ASSERT_EQ(guest_user_call(user_ac, PAGE_A), 0);
}

/* Alignment checks: CR0.AM, RFLAGS.AC and CPL 3 together. */
static void test_ac(void)
{
	guest_run_user(guest_ac);
}

static void guest_fpu_faults(void)
{
	u16 cw = 0x37b;			/* divide by zero unmasked */
	u32 mxcsr = 0x1d80;		/* the same for SSE */
	u64 f;

	asm volatile("fninit; fldcw %0; fldz; fld1; fdivp" : : "m"(cw));
	GUEST_TRY(f, "fwait", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(MF_VECTOR));
	asm volatile("fninit");
	asm volatile("ldmxcsr %0; pxor %%xmm1, %%xmm1; mov $1, %%eax\n"
		     "cvtsi2sd %%eax, %%xmm0" : : "m"(mxcsr) : "rax");
	GUEST_TRY(f, "divsd %%xmm1, %%xmm0", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(XM_VECTOR));
}

/* Unmasked floating-point exceptions: #MF and #XM. */
static void test_fpu_faults(void)
{
	guest_run(guest_fpu_faults, 0);
}

static void guest_injected(void)
{
	guest_handlers[GP_VECTOR] = record;
	guest_handlers[UD_VECTOR] = record;
	guest_handlers[PF_VECTOR] = record;
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(count[GP_VECTOR], 1);
	GUEST_ASSERT_EQ(last_error[GP_VECTOR], 0x1230);
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(count[UD_VECTOR], 1);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(count[PF_VECTOR], 1);
	GUEST_ASSERT_EQ(last_error[PF_VECTOR], 6);
	GUEST_ASSERT_EQ(last_cr2, 0xabcd000);
}

static void inject(struct vcpu *vcpu, u8 nr, int has_error, u32 error)
{
	struct kvm_vcpu_events ev;

	/* the port access of the ucall is finished first */
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.exception.injected, 0);
	ev.exception.injected = 1;
	ev.exception.nr = nr;
	ev.exception.has_error_code = has_error;
	ev.exception.error_code = error;
	ev.flags = 0;
	vcpu_set_events(vcpu, &ev);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.exception.injected, 1);
	CHECK_EQ(ev.exception.nr, nr);
}

/*
 * An exception that KVM_SET_VCPU_EVENTS injects reaches the guest's handler
 * with its error code.
 */
static void test_injected(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_sregs s;

	vcpu_call(vcpu, guest_injected, 0);
	vcpu_sync(vcpu, 1);
	inject(vcpu, GP_VECTOR, 1, 0x1230);
	vcpu_sync(vcpu, 2);
	inject(vcpu, UD_VECTOR, 0, 0);
	vcpu_sync(vcpu, 3);
	inject(vcpu, PF_VECTOR, 1, 6);
	vcpu_get_sregs(vcpu, &s);
	s.cr2 = 0xabcd000;
	vcpu_set_sregs(vcpu, &s);
	vcpu_done(vcpu);
}

/* Events that make no sense are EINVAL and change nothing. */
static void test_bad_events(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_vcpu_events ev, good;

	vcpu_get_events(vcpu, &good);
	good.flags = 0;
	ev = good;
	ev.flags = 1u << 31;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);
	ev = good;
	ev.exception.injected = 1;
	ev.exception.nr = 32;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);
	ev = good;
	ev.exception.injected = 1;
	ev.exception.nr = NMI_VECTOR;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev), EINVAL);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.exception.injected, 0);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &good));
}

static void skip_ud2(struct guest_frame *frame)
{
	count[UD_VECTOR]++;
	frame->rip += 2;
}

static void guest_fresh_stack(u64 stack)
{
	int i;

	guest_handlers[UD_VECTOR] = skip_ud2;
	for (i = 0; i < 8; i++)
		asm volatile("mov %%rsp, %%rbx\n"
			     "mov %0, %%rsp\n"
			     "ud2\n"
			     "mov %%rbx, %%rsp"
			     : : "r"(stack + i * 0x10000) : "rbx", "memory");
	GUEST_ASSERT_EQ(count[UD_VECTOR], 8);
}

/*
 * An EPT violation in the middle of an event's delivery: the event is not lost
 * and not delivered twice. The frames go to memory that was never touched.
 */
static void test_vectoring(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u8 *mem = host_memory(0x200000);

	vm_region(vm, 1, 0, 0x10000000, 0x200000, mem);
	vcpu_call(vcpu, guest_fresh_stack, 0x10001000);
	vcpu_done(vcpu);
}

static void guest_no_stack(void)
{
	asm volatile("mov %0, %%rsp; ud2" : : "r"(GPA_MMIO + 0x1000));
}

/*
 * An event whose frame would go to a device stops the VM with a clear exit,
 * or with the MMIO writes themselves; never with a hang.
 */
static void test_vectoring_mmio(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u32 reason;
	int n = 0;

	vcpu_call(vcpu, guest_no_stack, 0);
	do {
		reason = vcpu_exit(vcpu);
	} while (reason == KVM_EXIT_MMIO && ++n < 100);
	ksft_print("exit %s after %d MMIO", exit_name(reason), n);
	CHECK(reason == KVM_EXIT_INTERNAL_ERROR ||
	      reason == KVM_EXIT_SHUTDOWN || reason == EXIT_UCALL ||
	      reason == KVM_EXIT_MMIO);
}

KSFT_MAIN(
	{ "exceptions: faults", test_faults },
	{ "exceptions: traps", test_traps },
	{ "exceptions: page faults", test_pf },
	{ "exceptions: double fault", test_df },
	{ "exceptions: alignment check", test_ac },
	{ "exceptions: floating point", test_fpu_faults },
	{ "exceptions: injected by the VMM", test_injected },
	{ "exceptions: bad KVM_SET_VCPU_EVENTS", test_bad_events },
	{ "exceptions: delivery to untouched memory", test_vectoring },
	{ "exceptions: delivery to a device", test_vectoring_mmio },
)
