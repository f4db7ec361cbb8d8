// SPDX-License-Identifier: GPL-2.0-only
/* abi/garbage: ioctls with random numbers and contents, fixed seeds */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

/*
 * Nothing is known of what each call should say. What is checked: every call
 * returns, the process and the host live, and afterwards a fresh VM on the same
 * device still works. Memory slots are among the arguments, so the buffers the
 * slots may name are the case's own.
 */
#define ROUNDS	1500

static u64 state;

static u64 rnd(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 20 ^ state << 30;
}

static const unsigned long vm_requests[] = {
	KVM_CREATE_VCPU, KVM_GET_DIRTY_LOG, KVM_SET_USER_MEMORY_REGION,
	KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR, KVM_CREATE_IRQCHIP,
	KVM_IRQ_LINE, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, KVM_CREATE_PIT2,
	KVM_GET_PIT2, KVM_SET_PIT2, KVM_IRQ_LINE_STATUS, KVM_GET_CLOCK,
	KVM_SET_CLOCK, KVM_SET_GSI_ROUTING, KVM_SIGNAL_MSI, KVM_IRQFD,
	KVM_IOEVENTFD, KVM_ENABLE_CAP, KVM_SET_BOOT_CPU_ID,
	KVM_REINJECT_CONTROL, KVM_CREATE_DEVICE, KVM_REGISTER_COALESCED_MMIO,
	KVM_CHECK_EXTENSION, KVM_X86_SET_MSR_FILTER, KVM_SET_NR_MMU_PAGES,
	KVM_GET_NR_MMU_PAGES,
};

static const unsigned long vcpu_requests[] = {
	KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS,
	KVM_TRANSLATE, KVM_INTERRUPT, KVM_GET_MSRS, KVM_SET_MSRS,
	KVM_SET_CPUID, KVM_SET_SIGNAL_MASK, KVM_GET_FPU, KVM_SET_FPU,
	KVM_GET_LAPIC, KVM_SET_LAPIC, KVM_SET_CPUID2, KVM_GET_CPUID2,
	KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_NMI, KVM_SET_GUEST_DEBUG,
	KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS,
	KVM_SET_DEBUGREGS, KVM_ENABLE_CAP, KVM_GET_XSAVE, KVM_SET_XSAVE,
	KVM_GET_XCRS, KVM_SET_XCRS, KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ,
	KVM_KVMCLOCK_CTRL, KVM_SMI, KVM_X86_SETUP_MCE, KVM_X86_SET_MCE,
	KVM_TPR_ACCESS_REPORTING, KVM_SET_VAPIC_ADDR, KVM_GET_ONE_REG,
	KVM_SET_ONE_REG, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE,
	KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR,
};

static u64 buffer[2048] __attribute__((aligned(4096)));
static u8 *slot_memory;

static void fill(size_t bytes)
{
	size_t i, n = bytes / 8 + 1;

	for (i = 0; i < n && i < ARRAY_SIZE(buffer); i++) {
		switch (rnd() % 8) {
		case 0:
			buffer[i] = rnd();
			break;
		case 1:
			buffer[i] = rnd() & 0xff;
			break;
		case 2:
			buffer[i] = 1ull << (rnd() & 63);
			break;
		case 3:
			buffer[i] = -1ull;
			break;
		case 4:
			buffer[i] = rnd() & 0x1ff000;
			break;
		default:
			buffer[i] = rnd() % 3 ? 0 : 1;
		}
	}
}

static unsigned long argument(unsigned long request)
{
	struct kvm_userspace_memory_region *r = (void *)buffer;

	/* a plain number, now and then where a pointer is due */
	if (!_IOC_SIZE(request) || rnd() % 16 == 0)
		return rnd() % 4 ? rnd() % 300 : rnd();
	fill(_IOC_SIZE(request) + 512);
	if (request == KVM_SET_USER_MEMORY_REGION) {
		/* never a slot over this process's own data */
		r->userspace_addr = rnd() % 4 ?
			(uintptr_t)slot_memory + (rnd() & 0xff000) :
			rnd() | 1ull << 63;
		if (rnd() % 2)
			r->memory_size = rnd() & 0x1ff000;
		if (rnd() % 2)
			r->slot = 1 + rnd() % 40;
	}
	if (request == KVM_SET_SIGNAL_MASK)
		return 0;
	if (request == KVM_GET_DIRTY_LOG)
		((struct kvm_dirty_log *)buffer)->dirty_bitmap = slot_memory;
	return (unsigned long)buffer;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void guest_sum(void)
{
	u64 i, sum = 0;

	for (i = 0; i < 1000; i++)
		sum += i * i;
	GUEST_ASSERT_EQ(sum, 332833500);
}

static void run_vcpu(struct vcpu *vcpu)
{
	vcpu_kick_after(vcpu, 2000);
	vcpu_run_raw(vcpu);
	vcpu_kick_cancel();
}

static void fuzz(u64 seed, int chip)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	u64 done = 0;
	int i, r;

	state = seed;
	signal(SIGALRM, on_alarm);
	slot_memory = host_memory(0x400000);
	if (chip)
		vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_sum, 0);
	for (i = 0; i < ROUNDS; i++) {
		unsigned long req;

		if (rnd() % 3 == 0) {
			req = vm_requests[rnd() % ARRAY_SIZE(vm_requests)];
			r = ioctl(vm->fd, req, argument(req));
			/* do not fill the table of files */
			if (r > 2 && req == KVM_CREATE_VCPU)
				close(r);
		} else {
			req = vcpu_requests[rnd() % ARRAY_SIZE(vcpu_requests)];
			r = ioctl(vcpu->fd, req, argument(req));
		}
		done += r >= 0;
		/* KVM 6.1 warns about states it has let userspace set */
		if (i % 50 == 49 && ksft_is_emys())
			run_vcpu(vcpu);
	}
	ksft_print("%llu of %d calls succeeded", (unsigned long long)done,
		   ROUNDS);
	CHECK(done > 0);
	vm_free(vm);
	guest_run(guest_sum, 0);
}

static void test_plain(void)
{
	fuzz(1, 0);
}

static void test_chip(void)
{
	fuzz(2, 1);
}

static void test_more(void)
{
	fuzz(0x12345, 1);
}

/* Every ioctl number of the type, on each kind of fd, with no argument. */
static void test_numbers(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	unsigned int nr, dir;
	int fds[3] = { vm->dev, vm->fd, vcpu->fd }, i, r;

	vcpu->run->immediate_exit = 1;
	for (i = 0; i < 3; i++)
		for (nr = 0; nr < 256; nr++)
			for (dir = 0; dir < 4; dir++) {
				r = ioctl(fds[i], _IOC(dir, KVMIO, nr,
						       dir ? 8 : 0), 0);
				if (r > 2 && i < 2 && !dir &&
				    (nr == 0x01 || nr == 0x41))
					close(r);
			}
	vcpu->run->immediate_exit = 0;
	guest_run(guest_sum, 0);
}

static volatile int stop;
static struct vm *shared_vm;

static void *churn(void *arg)
{
	struct vcpu *vcpu = shared_vm->vcpu[0];
	u64 mine = (uintptr_t)arg;
	struct kvm_regs regs;
	struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };
	struct kvm_irq_level l = { .irq = 5 };

	while (!stop) {
		mine = mine * 6364136223846793005ull + 1;
		switch (mine >> 60) {
		case 0:
			ioctl(vcpu->fd, KVM_GET_REGS, &regs);
			break;
		case 1:
			ioctl(vcpu->fd, KVM_NMI);
			break;
		case 2:
			ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);
			break;
		case 3:
			vm_try_region(shared_vm, 5, 0, 1 << 28, 0x1000,
				      slot_memory);
			break;
		case 4:
			vm_try_region(shared_vm, 5, 0, 1 << 28, 0, NULL);
			break;
		case 5:
			l.level ^= 1;
			ioctl(shared_vm->fd, KVM_IRQ_LINE, &l);
			break;
		case 6:
			close(ioctl(shared_vm->fd, KVM_CREATE_VCPU,
				    1 + (mine >> 32) % 8));
			break;
		default:
			vcpu->run->immediate_exit = 1;
			ioctl(vcpu->fd, KVM_RUN, 0);
			vcpu->run->immediate_exit = 0;
		}
	}
	return NULL;
}

/* Three threads use one VM and its vCPU at once, in no order. */
static void test_threads(void)
{
	pthread_t t[3];
	uintptr_t i;

	slot_memory = host_memory(0x1000);
	shared_vm = vm_create();
	vm_irqchip(shared_vm);
	vcpu_call(vcpu_add(shared_vm, 0), guest_sum, 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, churn,
					(void *)(i + 1)), 0);
	usleep(150000);
	stop = 1;
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	guest_run(guest_sum, 0);
}

KSFT_MAIN(
	{ "garbage: no irqchip", test_plain, 60 },
	{ "garbage: with an irqchip", test_chip, 60 },
	{ "garbage: another seed", test_more, 60 },
	{ "garbage: every number", test_numbers, 60 },
	{ "garbage: three threads", test_threads, 60 },
)
