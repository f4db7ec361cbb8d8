// SPDX-License-Identifier: GPL-2.0-only
/* smp/vms: many VMs, killed VMMs, signals and immediate_exit */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sum.h"

#define PORT	0x2f0

static volatile u32 stop;

static void *thread_sum(void *arg)
{
	struct vcpu *vcpu = arg;
	int i;

	for (i = 0; i < 5; i++)
		sum_run(vcpu, (uintptr_t)vcpu->fd * 77 + i);
	return NULL;
}

/* Ten VMs at once, a thread each: every one computes what it should. */
static void test_ten(void)
{
	pthread_t t[10];
	int i;

	for (i = 0; i < 10; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, thread_sum,
					vcpu_add(vm_create(), 0)), 0);
	for (i = 0; i < 10; i++)
		pthread_join(t[i], NULL);
}

/* Four vCPUs of one VM, each with its own state. */
static void test_four(void)
{
	struct vm *vm = vm_create();
	pthread_t t[4];
	int i;

	for (i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, thread_sum,
					vcpu_add(vm, i)), 0);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

/* Fifty VMs made and thrown away one after the other. */
static void test_fifty(void)
{
	struct vm *vm;
	int i;

	for (i = 0; i < 50; i++) {
		vm = vm_create();
		if (i % 2)
			vm_irqchip(vm);
		sum_run(vcpu_add(vm, 0), i);
		vm_free(vm);
	}
}

static void guest_spin(void)
{
	while (!stop)
		;
}

static void guest_out_forever(void)
{
	for (;;)
		outl(PORT, 1);
}

static void guest_halt_forever(void)
{
	for (;;)
		asm volatile("hlt");
}

static void guest_fault_forever(void)
{
	volatile u64 *p = (u64 *)0x10000000ull;

	for (;;) {
		*p = 1;
		p += 512;
		if (p >= (u64 *)0x18000000ull)
			p = (u64 *)0x10000000ull;
	}
}

static void killed_child(int kind, int fd)
{
	static void (*const guests[])(void) = {
		guest_spin, guest_out_forever, guest_halt_forever,
		guest_fault_forever,
	};
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	char c = 1;

	if (kind == 2)
		vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vm_region(vm, 1, 0, 0x10000000, 0x8000000, host_memory(0x8000000));
	vcpu_call(vcpu, guests[kind], 0);
	if (write(fd, &c, 1) != 1)
		_exit(1);
	for (;;)
		if (vcpu_run_raw(vcpu))
			_exit(1);
}

/*
 * kill -9 of a VMM whose guest spins, exits, sleeps or faults in memory; each
 * time the device still works.
 */
static void test_kill(void)
{
	int p[2], i, status;
	pid_t pid;
	char c;

	CHECK_OK(pipe(p));
	for (i = 0; i < 12; i++) {
		pid = CHECK_OK(fork());
		if (!pid)
			killed_child(i % 4, p[1]);
		CHECK_EQ(read(p[0], &c, 1), 1);
		usleep(i * 1500);
		CHECK_OK(kill(pid, SIGKILL));
		CHECK_OK(waitpid(pid, &status, 0));
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		if (i % 4 == 3) {
			struct vm *vm = vm_create();

			sum_run(vcpu_add(vm, 0), i);
			vm_free(vm);
		}
	}
}

/* immediate_exit: KVM_RUN is EINTR and the guest does not move. */
static void test_immediate_exit(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs a, b;
	int i;

	vcpu_call(vcpu, guest_spin, 0);
	vcpu_get_regs(vcpu, &a);
	vcpu->run->immediate_exit = 1;
	for (i = 0; i < 10; i++)
		CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu_get_regs(vcpu, &b);
	CHECK_EQ(a.rip, b.rip);
	vcpu->run->immediate_exit = 0;
	VM_VAR(vm, stop) = 1;
	vcpu_done(vcpu);
}

static volatile int got_signal;

static void on_signal(int sig)
{
	got_signal = sig;
}

/* A signal ends KVM_RUN with EINTR; the guest goes on where it was. */
static void test_signal(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	int i;

	CHECK_OK(sigaction(SIGALRM, &sa, NULL));
	vcpu_call(vcpu, guest_spin, 0);
	/* again and again: one that comes before KVM_RUN begins ends nothing */
	ualarm(5000, 5000);
	for (i = 0; i < 5; i++) {
		got_signal = 0;
		CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
		CHECK_EQ(got_signal, SIGALRM);
		CHECK_EQ(vcpu->run->exit_reason, KVM_EXIT_INTR);
	}
	ualarm(0, 0);
	VM_VAR(vm, stop) = 1;
	vcpu_done(vcpu);
}

static struct {
	struct kvm_signal_mask head;
	u8 set[8];
} sigmask;

/*
 * KVM_SET_SIGNAL_MASK: the mask holds during KVM_RUN only, so a signal that is
 * blocked outside ends the run, and stays pending.
 */
static void test_signal_mask(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	sigset_t block, pending;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	CHECK_OK(sigprocmask(SIG_BLOCK, &block, NULL));
	signal(SIGUSR1, on_signal);
	sigmask.head.len = 8;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &sigmask));
	vcpu_call(vcpu, guest_spin, 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	CHECK_EQ(got_signal, 0);
	CHECK_OK(sigpending(&pending));
	CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
	/* blocked in the run too: the run is not disturbed */
	*(u64 *)sigmask.set = 1ull << (SIGUSR1 - 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &sigmask));
	VM_VAR(vm, stop) = 1;
	vcpu_done(vcpu);
	/* no mask at all, a bad length, a bad address */
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL));
	sigmask.head.len = 4;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &sigmask), EINVAL);
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, 1), EFAULT);
	CHECK_OK(sigprocmask(SIG_UNBLOCK, &block, NULL));
	CHECK_EQ(got_signal, SIGUSR1);
}

static void *run_spin(void *arg)
{
	vcpu_done(arg);
	return NULL;
}

/*
 * While one thread runs a vCPU, another's KVM_GET_REGS waits for the end of the
 * run and then reads.
 */
static void test_two_threads(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs regs;
	pthread_t t;

	vcpu_call(vcpu, guest_spin, 0);
	CHECK_EQ(pthread_create(&t, NULL, run_spin, vcpu), 0);
	usleep(3000);
	VM_VAR(vm, stop) = 1;
	/* waits for the end of the run, then reads */
	vcpu_get_regs(vcpu, &regs);
	pthread_join(t, NULL);
	CHECK(regs.rip >= 0x400000);
}

static void guest_migrate(void)
{
	u64 i, last = 0, t;

	for (i = 0; i < 300; i++) {
		t = rdtsc();
		GUEST_ASSERT_AT(t > last, t, last);
		last = t;
		wrmsr(MSR_KERNEL_GS_BASE, i << 12);
		outl(PORT, i);
		GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), i << 12);
	}
}

/* A vCPU that moves between CPUs after every exit keeps its state and time. */
static void test_migrate(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	cpu_set_t set;
	u32 reason;
	int i = 0;

	REQUIRE(cpus > 1, "one CPU");
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_migrate, 0);
	while ((reason = vcpu_exit(vcpu)) == KVM_EXIT_IO) {
		CPU_ZERO(&set);
		CPU_SET(i++ % cpus, &set);
		CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
	}
	CHECK_EQ(reason, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
}

KSFT_MAIN(
	{ "vms: ten at once", test_ten, 60 },
	{ "vms: four vCPUs", test_four, 60 },
	{ "vms: fifty in a row", test_fifty, 60 },
	{ "vms: kill -9", test_kill, 60 },
	{ "vms: immediate_exit", test_immediate_exit },
	{ "vms: a signal ends KVM_RUN", test_signal },
	{ "vms: KVM_SET_SIGNAL_MASK", test_signal_mask },
	{ "vms: two threads, one vCPU", test_two_threads },
	{ "vms: moved between CPUs", test_migrate, 60 },
)
