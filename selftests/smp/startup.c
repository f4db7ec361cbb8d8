// SPDX-License-Identifier: GPL-2.0-only
/* smp/startup: INIT and SIPI, IPIs between vCPUs, MP states */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "apic.h"
#include "vmm.h"

#define NR	4
#define VECTOR	0x51
#define TRAMPOLINE 0x5000	/* SIPI vector 5 */

/* what the trampoline loads, at TRAMPOLINE + 0xf00 */
struct ap_args {
	u64 stacks;		/* stack of AP n: stacks + n * 16 KiB */
	u64 entry;
};

static volatile u64 up, mask_up, pings[NR], total, go, handled[NR], tsc_khz;

/*
 * Real mode to long mode with the library's GDT and page tables. AP numbers
 * are taken with a locked add.
 */
asm(".pushsection .rodata\n"
    ".globl ap_blob, ap_blob_end\n"
    ".code16\n"
    "ap_blob: cli\n"
    "mov %cs, %ax\n"
    "mov %ax, %ds\n"
    "lgdtl ap_gdt - ap_blob\n"
    "mov $0x20, %eax\n"			/* PAE */
    "mov %eax, %cr4\n"
    "mov $0x10000, %eax\n"
    "mov %eax, %cr3\n"
    "mov $0xc0000080, %ecx\n"
    "mov $0x901, %eax\n"		/* SCE, LME, NXE */
    "xor %edx, %edx\n"
    "wrmsr\n"
    "mov $0x80010031, %eax\n"		/* PG, WP, NE, ET, PE */
    "mov %eax, %cr0\n"
    "ljmpl $8, $(0x5000 + ap_long - ap_blob)\n"
    ".code64\n"
    "ap_long: mov $0x10, %eax\n"
    "mov %eax, %ds\n"
    "mov %eax, %es\n"
    "mov %eax, %ss\n"
    "lidt 0x5000 + ap_idt - ap_blob\n"
    "mov $1, %edi\n"
    "lock xadd %edi, 0x5000 + ap_count - ap_blob\n"
    "mov %edi, %eax\n"
    "shl $14, %eax\n"
    "mov 0x5f00, %rsp\n"
    "add %rax, %rsp\n"
    "mov 0x5f08, %rax\n"
    "call *%rax\n"
    "1: hlt\n"
    "jmp 1b\n"
    "ap_gdt: .word 0x57\n"
    ".long 0x8000\n"
    "ap_idt: .word 0xfff\n"
    ".quad 0x9000\n"
    ".balign 4\n"
    "ap_count: .long 1\n"
    "ap_blob_end:\n"
    ".popsection\n");

extern const u8 ap_blob[], ap_blob_end[];

static u32 my_id(void)
{
	u32 id = apic_read(APIC_ID);

	return x2apic_on() ? id : id >> 24;
}

static void on_ping(struct guest_frame *frame)
{
	(void)frame;
	__atomic_add_fetch(&handled[my_id()], 1, __ATOMIC_SEQ_CST);
	apic_eoi();
}

static void wait_until(volatile u64 *p, u64 value)
{
	u64 t = rdtsc();

	while (*p != value) {
		cpu_pause();
		GUEST_ASSERT_AT(rdtsc() - t < tsc_khz * 20000, *p, value);
	}
}

/* each AP: say hello, add its share, answer pings, then halt */
static void ap_main(u64 n)
{
	u32 id;
	int i;

	apic_enable();
	id = my_id();
	GUEST_ASSERT_AT(id > 0 && id < NR, n, id);
	GUEST_ASSERT_EQ(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP, 0);
	__atomic_or_fetch(&mask_up, 1ull << id, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	wait_until(&go, 1);
	for (i = 0; i < 2000; i++)
		__atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&pings[id], 1, __ATOMIC_SEQ_CST);
	for (;;)
		safe_halt();
}

static void start_aps(void)
{
	u64 t;

	apic_icr(0, ICR_OTHERS | ICR_INIT | ICR_ASSERT | ICR_LEVEL);
	t = rdtsc();
	while (rdtsc() - t < tsc_khz / 20)
		cpu_pause();
	apic_icr(0, ICR_OTHERS | ICR_STARTUP | TRAMPOLINE >> 12);
	/* a second SIPI to a running CPU does nothing */
	apic_icr(0, ICR_OTHERS | ICR_STARTUP | TRAMPOLINE >> 12);
	wait_until(&up, NR - 1);
}

static void guest_startup(u64 x2)
{
	int i;

	guest_handlers[VECTOR] = on_ping;
	if (x2)
		x2apic_enable();
	else
		apic_enable();
	GUEST_ASSERT(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP);
	start_aps();
	GUEST_ASSERT_EQ(mask_up, 0xe);
	go = 1;
	for (i = 0; i < 2000; i++)
		__atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
	for (i = 1; i < NR; i++)
		wait_until(&pings[i], 1);
	GUEST_ASSERT_EQ(total, NR * 2000);
	/* IPIs: to each by its ID, to all others, to the group */
	for (i = 1; i < NR; i++) {
		apic_icr(i, VECTOR);
		wait_until(&handled[i], 1);
	}
	apic_icr(0, ICR_OTHERS | VECTOR);
	for (i = 1; i < NR; i++)
		wait_until(&handled[i], 2);
	GUEST_ASSERT_EQ(handled[0], 0);
	if (!x2) {
		apic_icr(0xff, VECTOR);		/* broadcast */
		sti_nop_cli();
		for (i = 0; i < NR; i++)
			wait_until(&handled[i], i ? 3 : 1);
	}
	GUEST_DONE();
}

static void *run_ap(void *arg)
{
	struct vcpu *vcpu = arg;
	u32 reason;

	do {
		reason = vcpu_exit(vcpu);
	} while (reason == EXIT_INTR);
	FAIL("an AP left KVM_RUN: %s", exit_name(reason));
	return NULL;
}

static void check_startup(u64 x2)
{
	struct ap_args *args;
	struct vm *vm = vm_create();
	struct kvm_mp_state mp;
	pthread_t t;
	u32 i;

	vm_irqchip(vm);
	for (i = 0; i < NR; i++) {
		if (i) {
			vcpu_add_reset(vm, i);
			CHECK_OK(ioctl(vm->vcpu[i]->fd, KVM_GET_MP_STATE,
				       &mp));
			CHECK_EQ(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
		} else {
			vcpu_add(vm, i);
		}
	}
	memcpy(vm_ptr(vm, TRAMPOLINE), ap_blob, ap_blob_end - ap_blob);
	args = vm_ptr(vm, TRAMPOLINE + 0xf00);
	args->stacks = GPA_STACKS + GPA_STACK_SIZE - 8;
	args->entry = (uintptr_t)ap_main;
	VM_VAR(vm, tsc_khz) = CHECK_OK(ioctl(vm->vcpu[0]->fd,
					     KVM_GET_TSC_KHZ, 0));
	for (i = 1; i < NR; i++)
		CHECK_EQ(pthread_create(&t, NULL, run_ap, vm->vcpu[i]), 0);
	vcpu_call(vm->vcpu[0], guest_startup, x2);
	vcpu_done(vm->vcpu[0]);
	usleep(1000);
	/* the APs sit in HLT, in the kernel */
}

/*
 * INIT and SIPI start three application processors, which see themselves as
 * such; locked adds of all four are not lost; IPIs by ID, shorthand and
 * broadcast arrive once each. Vol. 3, "Multiple-Processor Initialization".
 */
static void test_xapic(void)
{
	check_startup(0);
}

static void test_x2apic(void)
{
	check_startup(1);
}

static volatile u64 ball, rounds;

static void on_ball(struct guest_frame *frame)
{
	(void)frame;
	ball++;
	apic_eoi();
}

static void guest_ping(u64 self)
{
	u64 i;

	guest_handlers[VECTOR] = on_ball;
	apic_enable();
	/* an IPI to an APIC that is still disabled would be lost */
	__atomic_add_fetch(&up, 1, __ATOMIC_SEQ_CST);
	wait_until(&up, 2);
	for (i = 0; i < rounds; i++) {
		if (self == (i & 1)) {
			wait_until(&ball, i);
			apic_icr(1 - self, VECTOR);
		} else {
			/* sleep until it comes */
			while (ball <= i) {
				safe_halt();
				cli();
			}
		}
	}
}

static void *run_done(void *arg)
{
	vcpu_done(arg);
	return NULL;
}

/*
 * Two vCPUs send each other an interrupt and sleep in HLT in between: a lost
 * wake-up would hang.
 */
static void test_ping_pong(void)
{
	struct vm *vm = vm_create();
	pthread_t t;
	u64 i;

	vm_irqchip(vm);
	for (i = 0; i < 2; i++) {
		struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };

		vcpu_add(vm, i);
		CHECK_OK(ioctl(vm->vcpu[i]->fd, KVM_SET_MP_STATE, &mp));
		vcpu_call(vm->vcpu[i], guest_ping, i);
	}
	VM_VAR(vm, rounds) = 500;
	VM_VAR(vm, tsc_khz) = CHECK_OK(ioctl(vm->vcpu[0]->fd,
					     KVM_GET_TSC_KHZ, 0));
	CHECK_EQ(pthread_create(&t, NULL, run_done, vm->vcpu[1]), 0);
	vcpu_done(vm->vcpu[0]);
	pthread_join(t, NULL);
	CHECK_EQ(VM_VAR(vm, ball), 500);
}

static volatile u64 nmis;

static void on_nmi(struct guest_frame *frame)
{
	(void)frame;
	nmis++;
}

static void guest_nmi_target(void)
{
	guest_handlers[NMI_VECTOR] = on_nmi;
	apic_enable();
	up = 1;
	/* interrupts are off: only the NMI gets through */
	wait_until(&nmis, 1);
	asm volatile("hlt");
	GUEST_ASSERT_EQ(nmis, 2);
}

static void guest_nmi_source(void)
{
	u64 t;

	apic_enable();
	wait_until(&up, 1);
	apic_icr(1, ICR_NMI);
	wait_until(&nmis, 1);
	t = rdtsc();
	while (rdtsc() - t < tsc_khz)
		cpu_pause();
	apic_icr(1, ICR_NMI);
}

/* An NMI IPI reaches a vCPU that spins, and one in HLT, interrupts off. */
static void test_nmi(void)
{
	struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };
	struct vm *vm = vm_create();
	pthread_t t;

	vm_irqchip(vm);
	vcpu_add(vm, 0);
	vcpu_add(vm, 1);
	CHECK_OK(ioctl(vm->vcpu[1]->fd, KVM_SET_MP_STATE, &mp));
	VM_VAR(vm, tsc_khz) = CHECK_OK(ioctl(vm->vcpu[0]->fd,
					     KVM_GET_TSC_KHZ, 0));
	vcpu_call(vm->vcpu[0], guest_nmi_source, 0);
	vcpu_call(vm->vcpu[1], guest_nmi_target, 0);
	CHECK_EQ(pthread_create(&t, NULL, run_done, vm->vcpu[1]), 0);
	vcpu_done(vm->vcpu[0]);
	pthread_join(t, NULL);
}

static void guest_nop(void)
{
}

/*
 * KVM_GET_MP_STATE and KVM_SET_MP_STATE: the first vCPU is runnable, the others
 * wait for INIT; a halted one stays in KVM_RUN; unknown states are EINVAL.
 */
static void test_mp_state(void)
{
	struct vm *vm = vm_create();
	struct vcpu *bsp, *ap;
	struct kvm_mp_state mp;

	vm_irqchip(vm);
	bsp = vcpu_add(vm, 0);
	ap = vcpu_add(vm, 1);
	CHECK_OK(ioctl(bsp->fd, KVM_GET_MP_STATE, &mp));
	CHECK_EQ(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	CHECK_OK(ioctl(ap->fd, KVM_GET_MP_STATE, &mp));
	CHECK_EQ(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	vcpu_call(ap, guest_nop, 0);
	vcpu_kick_after(ap, 20000);
	vcpu_expect(ap, EXIT_INTR);
	vcpu_kick_cancel();
	mp.mp_state = KVM_MP_STATE_RUNNABLE;
	CHECK_OK(ioctl(ap->fd, KVM_SET_MP_STATE, &mp));
	vcpu_done(ap);
	vcpu_call(bsp, guest_nop, 0);
	mp.mp_state = KVM_MP_STATE_HALTED;
	CHECK_OK(ioctl(bsp->fd, KVM_SET_MP_STATE, &mp));
	vcpu_kick_after(bsp, 20000);
	vcpu_expect(bsp, EXIT_INTR);
	vcpu_kick_cancel();
	CHECK_OK(ioctl(bsp->fd, KVM_GET_MP_STATE, &mp));
	CHECK_EQ(mp.mp_state, KVM_MP_STATE_HALTED);
	mp.mp_state = 99;
	CHECK_ERRNO(ioctl(bsp->fd, KVM_SET_MP_STATE, &mp), EINVAL);
	/* without an irqchip only RUNNABLE makes sense */
	vm_free(vm);
	vm = vm_create();
	bsp = vcpu_add(vm, 0);
	mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	CHECK_ERRNO(ioctl(bsp->fd, KVM_SET_MP_STATE, &mp), EINVAL);
}

/* KVM_SET_BOOT_CPU_ID chooses the bootstrap processor; before the first vCPU. */
static void test_boot_cpu(void)
{
	struct vm *vm = vm_create();
	struct kvm_mp_state mp;
	struct vcpu *a, *b;

	REQUIRE(dev_cap(KVM_CAP_SET_BOOT_CPU_ID) > 0,
		"no KVM_CAP_SET_BOOT_CPU_ID");
	vm_irqchip(vm);
	CHECK_OK(ioctl(vm->fd, KVM_SET_BOOT_CPU_ID, 1));
	a = vcpu_add(vm, 0);
	b = vcpu_add(vm, 1);
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_BOOT_CPU_ID, 0), EBUSY);
	CHECK_OK(ioctl(a->fd, KVM_GET_MP_STATE, &mp));
	CHECK_EQ(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	CHECK_OK(ioctl(b->fd, KVM_GET_MP_STATE, &mp));
	CHECK_EQ(mp.mp_state, KVM_MP_STATE_RUNNABLE);
}

KSFT_MAIN(
	{ "startup: four vCPUs, xAPIC", test_xapic, 60 },
	{ "startup: four vCPUs, x2APIC on the first", test_x2apic, 60 },
	{ "startup: ping-pong", test_ping_pong, 60 },
	{ "startup: NMI to another vCPU", test_nmi, 40 },
	{ "startup: MP states", test_mp_state },
	{ "startup: KVM_SET_BOOT_CPU_ID", test_boot_cpu },
)
