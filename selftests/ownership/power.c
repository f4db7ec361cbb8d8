// SPDX-License-Identifier: GPL-2.0-only
/* ownership/power: CPU hotplug and suspend while guests run */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sum.h"

#define CPU1	"/sys/devices/system/cpu/cpu1/online"
#define IDLE_STATE "/sys/devices/system/cpu/cpu0/cpuidle/state1"
#define ALARM	"/sys/class/rtc/rtc0/wakealarm"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r, err;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	errno = err;
	return r < 0 ? -1 : 0;
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

static pthread_t start(struct vcpu **vcpu)
{
	pthread_t t;

	*vcpu = vcpu_add(vm_create(), 0);
	CHECK_EQ(pthread_create(&t, NULL, run_until, *vcpu), 0);
	return t;
}

static void finish(pthread_t t, struct vcpu *vcpu)
{
	void *runs;

	stop = 1;
	pthread_join(t, &runs);
	CHECK((uintptr_t)runs > 0);
	sum_run(vcpu, 99);
}

/* CPU 1 goes away and comes back while two guests run. */
static void test_hotplug(void)
{
	struct vcpu *a, *b;
	pthread_t ta, tb;
	int i;

	REQUIRE(!access(CPU1, W_OK), "no CPU that can go offline");
	ta = start(&a);
	tb = start(&b);
	for (i = 0; i < 4; i++) {
		usleep(5000);
		CHECK_OK(write_file(CPU1, "0"));
		usleep(5000);
		CHECK_OK(write_file(CPU1, "1"));
	}
	finish(ta, a);
	finish(tb, b);
}

/* A vCPU that ran last on the CPU that goes, and runs there again after. */
static void test_hotplug_home(void)
{
	struct vcpu *vcpu;
	cpu_set_t set;
	int i;

	REQUIRE(!access(CPU1, W_OK), "no CPU that can go offline");
	vcpu = vcpu_add(vm_create(), 0);
	for (i = 0; i < 3; i++) {
		CPU_ZERO(&set);
		CPU_SET(1, &set);
		CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
		sum_begin(vcpu, i);
		CHECK_EQ(sum_step(vcpu, i), 0);
		CHECK_OK(write_file(CPU1, "0"));
		CHECK_EQ(sum_step(vcpu, i), 0);
		CHECK_OK(write_file(CPU1, "1"));
		CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
		while (!sum_step(vcpu, i))
			;
	}
}

/* A VM that is made while a CPU is away runs on it when it is back. */
static void test_hotplug_new(void)
{
	struct vcpu *vcpu;
	cpu_set_t set;

	REQUIRE(!access(CPU1, W_OK), "no CPU that can go offline");
	CHECK_OK(write_file(CPU1, "0"));
	vcpu = vcpu_add(vm_create(), 0);
	sum_run(vcpu, 1);
	CHECK_OK(write_file(CPU1, "1"));
	CPU_ZERO(&set);
	CPU_SET(1, &set);
	CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
	sum_run(vcpu, 2);
}

/*
 * All tasks frozen and thawed, devices suspended and resumed (the kernel's own
 * rehearsal, pm_test), with a guest in the middle of its work.
 */
static void test_rehearsal(void)
{
	static const char * const level[] = { "freezer", "devices", "platform" };
	struct vcpu *vcpu;
	unsigned int i;
	pthread_t t;

	REQUIRE(!access("/sys/power/pm_test", W_OK), "no pm_test");
	write_file("/sys/module/suspend/parameters/pm_test_delay", "0");
	t = start(&vcpu);
	for (i = 0; i < ARRAY_SIZE(level); i++) {
		CHECK_OK(write_file("/sys/power/pm_test", level[i]));
		usleep(3000);
		CHECK_OK(write_file("/sys/power/state", "freeze"));
	}
	CHECK_OK(write_file("/sys/power/pm_test", "none"));
	finish(t, vcpu);
}

static u64 suspends(void)
{
	char text[32] = "";
	int fd = CHECK_OK(open("/sys/power/suspend_stats/success",
			       O_RDONLY | O_CLOEXEC));

	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtoull(text, NULL, 0);
}

/* how long the host's clocks stood still, since its boot, in microseconds */
static u64 asleep(void)
{
	struct timespec boot, up;

	CHECK_OK(clock_gettime(CLOCK_BOOTTIME, &boot));
	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &up));
	return (boot.tv_sec - up.tv_sec) * 1000000 +
	       (boot.tv_nsec - up.tv_nsec) / 1000;
}

/* an alarm that does not even come to a waking host would never end its sleep */
static int alarm_works(void)
{
	char text[32];
	int i, fd, n;

	if (write_file(ALARM, "0") || write_file(ALARM, "+1"))
		return 0;
	for (i = 0; i < 30; i++) {
		usleep(100000);
		fd = CHECK_OK(open(ALARM, O_RDONLY | O_CLOEXEC));
		n = read(fd, text, sizeof(text));
		close(fd);
		if (!n)
			return 1;
	}
	write_file(ALARM, "0");
	return 0;
}

/* Suspend to idle, woken by the real-time clock, a guest in the middle. */
static void test_s2idle(void)
{
	u64 slept, before;
	struct vcpu *vcpu;
	char alarm[8];
	pthread_t t;

	REQUIRE(!access("/sys/power/state", W_OK), "no suspend");
	REQUIRE(alarm_works(), "no alarm of the real-time clock");
	t = start(&vcpu);
	usleep(3000);
	/* it must not come before the host sleeps: nothing would wake it then */
	snprintf(alarm, sizeof(alarm), "+%d", ksft_slowness() > 1 ? 15 : 2);
	CHECK_OK(write_file(ALARM, alarm));
	before = suspends();
	slept = asleep();
	CHECK_OK(write_file("/sys/power/state", "freeze"));
	CHECK_EQ(suspends(), before + 1);
	slept = asleep() - slept;
	ksft_print("the clocks stood still for %lu us", slept);
	/* without a driver of idle states the ticks go on */
	/* With two CPUs the emulated host may keep one awake, and then the clocks run on */
	CHECK(slept > 0 || access(IDLE_STATE, F_OK) || sysconf(_SC_NPROCESSORS_ONLN) > 1);
	finish(t, vcpu);
}

KSFT_MAIN(
	{ "power: a CPU goes and comes back", test_hotplug, 120 },
	{ "power: the vCPU's own CPU goes", test_hotplug_home, 60 },
	{ "power: a VM made while a CPU is away", test_hotplug_new, 60 },
	{ "power: freezer and devices, rehearsed", test_rehearsal, 120 },
	{ "power: suspend to idle", test_s2idle, 120 },
)
