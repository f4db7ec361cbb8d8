// SPDX-License-Identifier: GPL-2.0-only
/* ownership/both: guests of emys and of KVM at the same time */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "sum.h"

#define KVM	"/dev/kvm"

static struct vcpu *make(const char *device)
{
	return vcpu_add(vm_create_on(device, VM_MEM), 0);
}

static void require_both(void)
{
	REQUIRE(ksft_is_emys(), "not emys");
	REQUIRE(!access(KVM, R_OK | W_OK), "no " KVM);
}

static void *run_many(void *arg)
{
	struct vcpu *vcpu = arg;
	u64 i;

	for (i = 0; i < 20; i++)
		sum_run(vcpu, i * 1000 + vcpu->fd);
	return NULL;
}

/* Two guests on each device, four threads: every result is right. */
static void test_threads(void)
{
	pthread_t t[4];
	int i;

	require_both();
	for (i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, run_many,
					make(i & 1 ? ksft_device : KVM)), 0);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

/*
 * One thread enters the two guests in turn, an exit each: the VMCS of either
 * is current when the other's turn comes.
 */
static void test_turns(void)
{
	struct vcpu *a, *b;
	int i, done;

	require_both();
	a = make(KVM);
	b = make(ksft_device);
	for (i = 0; i < 10; i++) {
		sum_begin(a, i);
		sum_begin(b, 1000 + i);
		for (done = 0; done != 3;) {
			if (!(done & 1) && sum_step(a, i))
				done |= 1;
			if (!(done & 2) && sum_step(b, 1000 + i))
				done |= 2;
		}
	}
}

/* The same, on another CPU each time. */
static void test_turns_moving(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct vcpu *a, *b;
	cpu_set_t set;
	int i, n = 0, done;

	require_both();
	REQUIRE(cpus > 1, "one CPU");
	a = make(KVM);
	b = make(ksft_device);
	for (i = 0; i < 3; i++) {
		sum_begin(a, i);
		sum_begin(b, 1000 + i);
		for (done = 0; done != 3;) {
			CPU_ZERO(&set);
			CPU_SET(n++ / 3 % cpus, &set);
			sched_setaffinity(0, sizeof(set), &set);
			if (!(done & 1) && sum_step(a, i))
				done |= 1;
			if (!(done & 2) && sum_step(b, 1000 + i))
				done |= 2;
		}
	}
}

static volatile int stop;

static void *run_until(void *arg)
{
	struct vcpu *vcpu = arg;
	u64 i;

	for (i = 0; !stop; i++)
		sum_run(vcpu, i);
	return (void *)i;
}

/*
 * KVM's first VM switches VMX operation on, its last off. Both happen while a
 * guest of emys runs, which was created beside a VM of KVM's.
 */
static void test_comes_and_goes(void)
{
	struct vcpu *kvm, *emys;
	pthread_t t;
	void *runs;
	int i;

	require_both();
	kvm = make(KVM);
	emys = make(ksft_device);
	CHECK_EQ(pthread_create(&t, NULL, run_until, emys), 0);
	for (i = 0; i < 6; i++) {
		sum_run(kvm, i);
		vm_free(kvm->vm);
		usleep(2000);
		kvm = make(KVM);
	}
	stop = 1;
	pthread_join(t, &runs);
	CHECK((uintptr_t)runs > 0);
	vm_free(kvm->vm);
	sum_run(emys, 5);
}

/*
 * A guest of emys's comes first. Where emys then holds VMX operation, KVM
 * refuses its VM with EBUSY; otherwise both run. Either way emys's goes on.
 */
static void test_emys_first(void)
{
	struct vcpu *emys;
	int dev, vm;

	require_both();
	emys = make(ksft_device);
	sum_run(emys, 1);
	dev = dev_open(KVM);
	vm = ioctl(dev, KVM_CREATE_VM, 0);
	if (vm < 0) {
		CHECK_EQ(errno, EBUSY);
	} else {
		close(vm);
		sum_run(make(KVM), 2);
	}
	sum_run(emys, 3);
	/* and with emys's gone, KVM has the CPU */
	vm_free(emys->vm);
	sum_run(make(KVM), 4);
	sum_run(make(ksft_device), 5);
}

KSFT_MAIN(
	{ "both: four threads", test_threads, 60 },
	{ "both: in turn", test_turns, 60 },
	{ "both: in turn, moving", test_turns_moving, 60 },
	{ "both: KVM comes and goes", test_comes_and_goes, 60 },
	{ "both: emys first", test_emys_first, 60 },
)
