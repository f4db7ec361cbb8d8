// SPDX-License-Identifier: GPL-2.0-only
/* ownership/module: policy, unloading and loading, and nothing left behind */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"
#include "sum.h"

#define PARAMETER "/sys/module/emys/parameters/ownership"

static void run_once(u64 seed)
{
	struct vm *vm = vm_create();

	sum_run(vcpu_add(vm, 0), seed);
	vm_free(vm);
}

/* Unloaded and loaded again, with guests in between. */
static void test_reload(void)
{
	int i;

	module_file();
	for (i = 0; i < 3; i++) {
		CHECK_OK(module_unload_soon());
		CHECK(access("/dev/emys", F_OK));
		CHECK_ERRNO(syscall(SYS_finit_module,
				    open(module_file(), O_RDONLY | O_CLOEXEC),
				    "ownership=mine", 0), EINVAL);
		module_load(module_params());
		run_once(i);
	}
	CHECK_ERRNO(syscall(SYS_finit_module,
			    open(module_file(), O_RDONLY | O_CLOEXEC), "", 0),
		    EEXIST);
}

/*
 * As long as a VM, a vCPU, a mapping of it or a piece of owned memory exists
 * the module cannot go.
 */
static void test_busy(void)
{
	struct vcpu *vcpu;
	struct vm *vm;
	void *p;
	int fd;

	module_file();
	vm = vm_create();
	CHECK_ERRNO(module_unload(), EWOULDBLOCK);
	vcpu = vcpu_add(vm, 0);
	sum_run(vcpu, 1);
	close(vm->dev);
	close(vm->fd);
	CHECK_ERRNO(module_unload(), EWOULDBLOCK);
	sum_run(vcpu, 2);
	close(vcpu->fd);
	/* the page of struct kvm_run is still mapped */
	CHECK_ERRNO(module_unload(), EWOULDBLOCK);
	munmap(vcpu->run, vm->run_size);
	fd = CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
	CHECK_ERRNO(module_unload(), EWOULDBLOCK);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	CHECK_ERRNO(module_unload(), EWOULDBLOCK);
	munmap(p, 4096);
	CHECK_OK(module_unload_soon());
	module_load(module_params());
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	CHECK_MSG(fd >= 0, "%s: %s", path, strerror(errno));
	r = write(fd, text, strlen(text));
	close(fd);
	return r < 0 ? -1 : 0;
}

/* The same when a VM is on its way out: whoever looks at all VMs may have its last reference. */
static int write_soon(const char *path, const char *text)
{
	unsigned int i;

	for (i = 0; i < 100 * ksft_slowness(); i++) {
		if (!write_file(path, text))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(10000);
	}
	return -1;
}

/*
 * The policy: rubbish is EINVAL, a change while a VM exists EBUSY; guests run
 * under each that this host allows.
 */
static void test_policy(void)
{
	static const char * const policy[] = { "transient", "auto", "resident" };
	char old[32] = "";
	struct vm *vm;
	unsigned int i;
	int fd;

	REQUIRE(ksft_is_emys(), "not emys");
	fd = CHECK_OK(open(PARAMETER, O_RDONLY | O_CLOEXEC));
	CHECK(read(fd, old, sizeof(old) - 1) > 0);
	close(fd);
	CHECK_ERRNO(write_file(PARAMETER, "mine"), EINVAL);
	vm = vm_create();
	CHECK_ERRNO(write_file(PARAMETER, "transient"), EBUSY);
	vm_free(vm);
	for (i = 0; i < ARRAY_SIZE(policy); i++) {
		if (write_soon(PARAMETER, policy[i])) {
			/* a kernel that keeps CR4 for itself */
			CHECK_EQ(errno, EOPNOTSUPP);
			CHECK(!strcmp(policy[i], "resident"));
			continue;
		}
		fd = dev_open(ksft_device);
		close(fd);
		if (!strcmp(policy[i], "resident") &&
		    !access("/dev/kvm", F_OK)) {
			struct vm *taken = vm_create_bare("/dev/kvm");

			/* KVM has VMX operation: resident is not possible */
			fd = dev_open(ksft_device);
			CHECK_ERRNO(ioctl(fd, KVM_CREATE_VM, 0), EBUSY);
			close(fd);
			vm_free(taken);
			continue;
		}
		run_once(i);
		ksft_print("ran under %s", policy[i]);
	}
	CHECK_OK(write_soon(PARAMETER, old));
	run_once(7);
}

static void guest_touch(u64 size)
{
	volatile u64 *p = (u64 *)0x10000000ull;
	u64 i;

	for (i = 0; i < size / 8; i += 512)
		p[i] = i;
	GUEST_SYNC(1);
	for (;;)
		;
}

/* Add up the lines of @path that @format finds a number in. */
static long sum_lines(const char *path, const char *format)
{
	FILE *f = fopen(path, "r");
	char line[128];
	long n, total = 0;

	CHECK_MSG(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, format, &n) == 1)
			total += n;
	fclose(f);
	return total;
}

/*
 * KiB that no counter of the kernel's has: what drivers and modules allocate by the page.
 * kmemleak does not see those, and MemFree says little: it lacks what the CPUs keep in
 * their lists of free pages, which can be 50 MiB, and much else comes and goes.
 */
static long unaccounted_now(void)
{
	static const char * const known[] = {
		"MemFree: %ld", "Buffers: %ld", "Cached: %ld", "SwapCached: %ld", "AnonPages: %ld",
		"Slab: %ld", "KernelStack: %ld", "PageTables: %ld", "Percpu: %ld",
	};
	long total = sum_lines("/proc/meminfo", "MemTotal: %ld");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		total -= sum_lines("/proc/meminfo", known[i]);
	return total - 4 * sum_lines("/proc/zoneinfo", " count: %ld");
}

/* What is freed by RCU or a worker takes a moment: wait until it is quiet. */
static long unaccounted(void)
{
	long last = 0, now;
	int i, quiet = 0;

	for (i = 0; i < 100 && quiet < 5; i++) {
		usleep(20000);
		/* what each CPU counts by itself is added up */
		CHECK_EQ(write_file("/proc/sys/vm/stat_refresh", "1"), 0);
		now = unaccounted_now();
		quiet = labs(now - last) <= 16 ? quiet + 1 : 0;
		last = now;
	}
	return last;
}

/* the module's own count of "vms", "vcpus" or "pages"; -1: debugfs is not there */
static long own_count(const char *what)
{
	FILE *f = fopen("/sys/kernel/debug/emys/stats", "r");
	size_t len = strlen(what);
	char line[128];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, len) && line[len] == ':')
			n = strtol(line + len + 1, NULL, 0);
	if (f)
		fclose(f);
	return n;
}

/* What RCU or a worker still has to free may take a moment. */
static void check_nothing_left(void)
{
	static const char * const what[] = { "vms", "vcpus", "pages" };
	unsigned int i, wait;

	for (i = 0; i < ARRAY_SIZE(what); i++) {
		for (wait = 0; wait < 100 * ksft_slowness() && own_count(what[i]) > 0; wait++)
			usleep(10000);
		CHECK_MSG(own_count(what[i]) <= 0, "%s: %ld left", what[i], own_count(what[i]));
	}
}

/* A fault takes a slow host milliseconds. */
static u64 victim_memory(void)
{
	return (ksft_slowness() > 1 ? 8ull : 16ull) << 20;
}

static void victim(int owned, int fd)
{
	const u64 memory = victim_memory();
	struct vm *vm = vm_create();
	struct vcpu *vcpu;
	int obj;
	void *mem;

	if (owned) {
		obj = CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
		mem = mmap(NULL, memory, PROT_READ | PROT_WRITE, MAP_SHARED,
			   obj, 0);
		CHECK(mem != MAP_FAILED);
	} else {
		mem = host_memory(memory);
	}
	vcpu = vcpu_add(vm, 0);
	vm_region(vm, 1, 0, 0x10000000, memory, mem);
	vcpu_call(vcpu, guest_touch, memory);
	vcpu_sync(vcpu, 1);
	if (write(fd, "x", 1) != 1)
		_exit(1);
	vcpu_run_raw(vcpu);
	_exit(1);
}

/* One is killed with -9 while its guest runs. */
static void kill_victim(int owned)
{
	int p[2], status;
	pid_t pid;
	char c;

	CHECK_OK(pipe(p));
	pid = CHECK_OK(fork());
	if (!pid)
		victim(owned, p[1]);
	CHECK_EQ(read(p[0], &c, 1), 1);
	kill(pid, SIGKILL);
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(p[0]);
	close(p[1]);
}

/*
 * VMMs killed with -9 while their guests run: every page is back, and the
 * module unloads at once. One page in a hundred that leaks shows; one of the module's own
 * shows in its count.
 */
static void test_accounting(void)
{
	const long limit = (long)(6 * victim_memory() >> 10) / 100;
	long before, after = 0, grown = 0;
	int i, pass;

	module_file();
	/* a CPU's batch for the LRU lists could hold dozens of huge pages */
	CHECK_OK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	/* push out what earlier cases left in the CPUs' batches */
	kill_victim(0);
	kill_victim(1);
	/* What VMs leave behind grows each time; what the host has in stock may grow once. */
	for (pass = 0; pass < 2; pass++) {
		before = unaccounted();
		for (i = 0; i < 6; i++)
			kill_victim(i & 1);
		after = unaccounted();
		ksft_print("%ld KiB by the page before, %ld after", before, after);
		grown = after - before;
		if (grown < limit)
			break;
	}
	CHECK(grown < limit);
	check_nothing_left();
	CHECK_OK(module_unload_soon());
	module_load(module_params());
	run_once(1);
}

#define LIFE_GPA	0x10000000ull
#define LIFE_SIZE	(64ull << 10)

static void guest_touch_some(u64 size)
{
	volatile u64 *p = (u64 *)LIFE_GPA;
	u64 i;

	for (i = 0; i < size / 8; i += 512)
		p[i]++;
	GUEST_SYNC(1);
	GUEST_SYNC(2);
}

/* A VMM's life, short and with something of everything that holds on to a VM. */
static void life(void)
{
	struct vm *vm = vm_create();
	struct kvm_irqfd irqfd = { .gsi = 20, .fd = CHECK_OK(eventfd(0, EFD_CLOEXEC)) };
	struct kvm_ioeventfd doorbell = {
		.addr = 0x2f4, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO,
		.fd = CHECK_OK(eventfd(0, EFD_CLOEXEC)),
	};
	struct kvm_pit_config pit = { 0 };
	struct kvm_dirty_log log = { .slot = 1 };
	u64 dirty[LIFE_SIZE / 4096 / 64 + 1];
	struct vcpu *vcpu, *other;
	u8 *foreign = host_memory(LIFE_SIZE), *owned;
	int obj, n;

	vm_irqchip(vm);
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_PIT2, &pit));
	CHECK_OK(ioctl(vm->fd, KVM_IRQFD, &irqfd));
	CHECK_OK(ioctl(vm->fd, KVM_IOEVENTFD, &doorbell));
	obj = CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
	owned = mmap(NULL, LIFE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	CHECK(owned != MAP_FAILED);
	vcpu = vcpu_add(vm, 0);
	other = vcpu_add(vm, 1);
	for (n = 0; n < 2; n++) {
		vm_region(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, LIFE_GPA, LIFE_SIZE,
			  n ? owned : foreign);
		vcpu_call(vcpu, guest_touch_some, LIFE_SIZE);
		vcpu_sync(vcpu, 1);
		owned[0] = 1;
		foreign[0] = 1;
		log.dirty_bitmap = dirty;
		CHECK_OK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
		vm_region(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, LIFE_GPA + LIFE_SIZE, LIFE_SIZE,
			  n ? owned : foreign);
		CHECK_OK(madvise(n ? owned : foreign, LIFE_SIZE, MADV_DONTNEED));
		vcpu_sync(vcpu, 2);
		vm_region(vm, 1, 0, LIFE_GPA, 0, foreign);
	}
	CHECK_OK(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD));
	close(vm->dev);
	close(vm->fd);
	close(obj);
	close(other->fd);
	munmap(owned, LIFE_SIZE);
	close(vcpu->fd);
	munmap(vcpu->run, vm->run_size);
}

/* Let @pid go on to the end of its next system call; 0 when it is gone. */
static int next_call(pid_t pid)
{
	int status, i;

	for (i = 0; i < 2; i++) {
		CHECK_OK(ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
		CHECK_OK(waitpid(pid, &status, 0));
		if (WIFEXITED(status)) {
			CHECK_EQ(WEXITSTATUS(status), 0);
			return 0;
		}
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
	}
	return 1;
}

/* Let a VMM's life go on to the end of its system call number CALLS, and kill it. 0: it has fewer. */
static int kill_after(int calls)
{
	int n, status;
	pid_t pid = CHECK_OK(fork());

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
			_exit(1);
		life();
		_exit(0);
	}
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK(WIFSTOPPED(status));
	CHECK_OK(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	for (n = 0; n < calls && next_call(pid); n++)
		;
	if (n < calls)
		return 0;
	CHECK_OK(kill(pid, SIGKILL));
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return 1;
}

/* After each system call, on a slow host after some. How many lives that were. */
static int kill_after_each(void)
{
	int calls, done = 0, step = (ksft_slowness() + 1) / 2;

	for (calls = 1; kill_after(calls); calls += step)
		if (!(++done % 8))
			check_nothing_left();
	ksft_print("killed after %d system calls, from the first to number %d", done, calls - step);
	CHECK(calls > 40);
	check_nothing_left();
	return done;
}

/*
 * kill -9 after each system call of a VMM's life, one after the other. A page that each VM leaves
 * behind shows: twenty live before, so that what is kept for the next one is there.
 */
static void test_killed_each_call(void)
{
	/* KASAN keeps stack traces in pages, more with each new path */
	long slack = ksft_slowness() > 1 ? 512 : 0, before, after, grown = 0;
	int n, done = 0, pass;

	module_file();
	/* one huge page in a CPU's batch for the LRU lists is more than what is looked for */
	CHECK_OK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	for (n = 0; n < 20 / (int)((ksft_slowness() + 1) / 2); n++)
		run_once(n);
	/* What VMs leave behind grows each time; what the host has in stock may grow once. */
	for (pass = 0; pass < 2; pass++) {
		before = unaccounted();
		done = kill_after_each();
		after = unaccounted();
		ksft_print("%ld KiB by the page before, %ld after", before, after);
		grown = after - before;
		if (grown < 4 * done / 2 + slack)
			break;
	}
	CHECK(grown < 4 * done / 2 + slack);
	CHECK_OK(module_unload_soon());
	module_load(module_params());
	run_once(2);
}

static void guest_busy(u64 size)
{
	volatile u64 *p = (u64 *)LIFE_GPA;
	u64 i;

	for (;;) {
		for (i = 0; i < size / 8; i += 512)
			p[i]++;
		outb(0x2f4, 1);
	}
}

static void *run_forever(void *vcpu)
{
	for (;;)
		vcpu_run_raw(vcpu);
	return NULL;
}

/* Two vCPUs that write memory, whose slot comes and goes, and which is given back. */
static void busy_life(void)
{
	struct vm *vm = vm_create();
	int i, obj = CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct vcpu *vcpu;
	pthread_t t;
	u8 *mem[2];

	mem[0] = host_memory(LIFE_SIZE);
	mem[1] = mmap(NULL, LIFE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	CHECK(mem[1] != MAP_FAILED);
	vm_irqchip(vm);
	for (i = 0; i < 2; i++) {
		vcpu = vcpu_add(vm, i);
		vcpu_call(vcpu, guest_busy, LIFE_SIZE);
		CHECK_OK(ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable));
		CHECK_EQ(pthread_create(&t, NULL, run_forever, vcpu), 0);
	}
	for (i = 0;; i++) {
		vm_region(vm, 1, 0, LIFE_GPA, LIFE_SIZE, mem[i & 1]);
		usleep(200);
		madvise(mem[i & 1], LIFE_SIZE, MADV_DONTNEED);
		vm_region(vm, 1, 0, LIFE_GPA, 0, mem[i & 1]);
	}
}

/* The same in the middle of whatever it does just then. */
static void test_killed_any_time(void)
{
	int i, status, step = ksft_slowness() > 1 ? 5 : 1;
	pid_t pid;

	module_file();
	for (i = 0; i < 40; i += step) {
		pid = CHECK_OK(fork());
		if (!pid)
			busy_life();
		usleep(i * 701);
		CHECK_OK(kill(pid, SIGKILL));
		CHECK_OK(waitpid(pid, &status, 0));
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		if (!(i % 8))
			check_nothing_left();
	}
	check_nothing_left();
	CHECK_OK(module_unload_soon());
	module_load(module_params());
	run_once(3);
}

KSFT_MAIN(
	{ "module: reload", test_reload, 60 },
	{ "module: busy", test_busy, 60 },
	{ "module: ownership policy", test_policy, 60 },
	{ "module: nothing left behind", test_accounting, 60 },
	{ "module: killed after each system call", test_killed_each_call, 100 },
	{ "module: killed at any time", test_killed_any_time, 60 },
)
