// SPDX-License-Identifier: GPL-2.0-only
/* mem/owned: guest memory that the module owns, from /dev/emys-mem */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm.h"

#define A	0x10000000ull
#define B	0x20000000ull
#define SIZE	0x800000ull
#define HIGH	0x100000000ull

static int object(void)
{
	int fd;

	REQUIRE(ksft_is_emys(), "not emys");
	fd = open("/dev/emys-mem", O_RDWR | O_CLOEXEC);
	CHECK_MSG(fd >= 0, "/dev/emys-mem: %s", strerror(errno));
	return fd;
}

static void *map(int fd, u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK_MSG(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

static struct vcpu *start(void *fn, u64 arg, void *mem, u32 flags)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vm_region(vm, 1, flags, A, SIZE, mem);
	vcpu_call(vcpu, fn, arg);
	return vcpu;
}

static void guest_rw(u64 step)
{
	volatile u32 *p = (u32 *)A;
	u32 i;

	for (i = 0; i < SIZE / 4; i += step) {
		GUEST_ASSERT_AT(p[i] == i, i, p[i]);
		p[i] = ~i;
	}
}

static void check_rw(u32 step)
{
	u32 *mem = map(object(), SIZE), i;
	struct vcpu *vcpu;

	CHECK_EQ(mem[5], 0);
	for (i = 0; i < SIZE / 4; i += step)
		mem[i] = i;
	vcpu = start(guest_rw, step, mem, 0);
	vcpu_done(vcpu);
	for (i = 0; i < SIZE / 4; i += step)
		CHECK_EQ(mem[i], (u32)~i);
}

/* Both sides see one memory, page by page and thinly. */
static void test_rw(void)
{
	check_rw(1024);
	check_rw(0x20000);
}

static void guest_first(void)
{
	volatile u32 *p = (u32 *)A;
	u32 i;

	for (i = 0; i < SIZE / 4; i += 0x10000) {
		GUEST_ASSERT_EQ(p[i], 0);
		p[i] = i + 1;
	}
}

/* Memory that the guest touches first appears in the VMM. */
static void test_guest_first(void)
{
	u32 *mem = map(object(), SIZE), i;

	vcpu_done(start(guest_first, 0, mem, 0));
	for (i = 0; i < SIZE / 4; i += 0x10000)
		CHECK_EQ(mem[i], i + 1);
}

static void guest_sparse(u64 pages)
{
	volatile u64 *p;
	u64 i;

	for (i = 0; i < pages; i++) {
		p = (u64 *)(HIGH + i * (6ull << 30) / pages);
		GUEST_ASSERT_EQ(*p, 0);
		*p = i + 1;
	}
}

/* An object of 6 GiB: pages exist when touched. */
static void test_sparse(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u64 *mem = map(object(), 6ull << 30);

	vm_region(vm, 1, 0, HIGH, 6ull << 30, mem);
	vcpu_call(vcpu, guest_sparse, 48);
	vcpu_done(vcpu);
	CHECK_EQ(mem[(6ull << 30) / 8 / 2], 25);
}

/* A private mapping would be no guest memory: EINVAL. */
static void test_private(void)
{
	int fd = object();

	CHECK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) ==
	      MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
}

static void guest_add(u64 n)
{
	volatile u64 *p = (u64 *)A;

	*p += n;
}

/* Two VMs and two mappings of one object share it; two objects do not. */
static void test_two_vms(void)
{
	int fd = object();
	u64 *mem = map(fd, SIZE), *again = map(fd, SIZE);
	u64 *other = map(object(), SIZE);

	*mem = 100;
	vcpu_done(start(guest_add, 5, mem, 0));
	CHECK_EQ(*again, 105);
	vcpu_done(start(guest_add, 7, again, 0));
	CHECK_EQ(*mem, 112);
	vcpu_done(start(guest_add, 1, other, 0));
	CHECK_EQ(*mem, 112);
	CHECK_EQ(*other, 1);
}

static void guest_look(void)
{
	volatile u64 *p = (u64 *)A;

	GUEST_SYNC2(1, p[0], 0);
	p[1] = 5;
	GUEST_SYNC2(2, p[0], p[1]);
	GUEST_SYNC2(3, p[0x10000], p[1]);
}

/*
 * The slot keeps the object: with the mapping and the file gone, the guest goes
 * on with its memory.
 */
static void test_unmapped(void)
{
	int fd = object();
	u64 *mem = map(fd, SIZE);
	struct vcpu *vcpu;

	mem[0] = 0x1234;
	vcpu = start(guest_look, 0, mem, 0);
	vcpu_sync(vcpu, 1);
	close(fd);
	CHECK_OK(munmap(mem, SIZE));
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 0x1234);
	CHECK_EQ(vcpu->uc.arg[2], 5);
	vcpu_sync(vcpu, 3);
	CHECK_EQ(vcpu->uc.arg[1], 0);
	vcpu_done(vcpu);
}

/*
 * The kernel can pin the memory for I/O: vmsplice and process_vm_readv read
 * what the guest wrote.
 */
static void test_gup(void)
{
	u64 *mem = map(object(), SIZE), buf[2] = { 0 };
	struct iovec io = { mem, 4096 }, to = { buf, 16 };
	int p[2];

	vcpu_done(start(guest_add, 0x5678, mem, 0));
	CHECK_OK(pipe(p));
	CHECK_EQ(CHECK_OK(vmsplice(p[1], &io, 1, 0)), 4096);
	CHECK_EQ(read(p[0], buf, 16), 16);
	CHECK_EQ(buf[0], 0x5678);
	buf[0] = 0;
	CHECK_EQ(CHECK_OK(process_vm_readv(getpid(), &to, 1, &io, 1, 0)), 16);
	CHECK_EQ(buf[0], 0x5678);
}

/* A child of the VMM does not get the guest's memory. */
static void test_fork(void)
{
	u64 *mem = map(object(), SIZE);
	int status;
	pid_t pid;

	*mem = 7;
	pid = CHECK_OK(fork());
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile u64 *)mem = 8;
		_exit(0);
	}
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	vcpu_done(start(guest_add, 1, mem, 0));
	CHECK_EQ(*mem, 8);
}

static void guest_write_some(void)
{
	volatile u32 *p = (u32 *)A;
	u32 i;

	for (i = 0; i < SIZE / 4; i += 1024)
		p[i] = 1;
	GUEST_SYNC(1);
	for (i = 0; i < SIZE / 4; i += 100 * 1024)
		p[i] = 2;
	GUEST_SYNC(2);
}

/* The dirty log on owned memory, which has large pages by default. */
static void test_dirty(void)
{
	static u8 bitmap[SIZE / 4096 / 8];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	u32 *mem = map(object(), SIZE), i;
	struct vcpu *vcpu = start(guest_write_some, 0, mem, 0);

	vcpu_sync(vcpu, 1);
	vm_region(vcpu->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, A, SIZE, mem);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_DIRTY_LOG, &log));
	vcpu_sync(vcpu, 2);
	CHECK_OK(ioctl(vcpu->vm->fd, KVM_GET_DIRTY_LOG, &log));
	for (i = 0; i < SIZE / 4096; i++)
		if ((bitmap[i / 8] >> i % 8 & 1) != (i % 100 == 0))
			FAIL("page %u", i);
}

static void guest_readonly(void)
{
	volatile u32 *p = (u32 *)A;

	GUEST_ASSERT_EQ(p[0], 0x1234);
	p[0] = 1;
	GUEST_ASSERT_EQ(p[0], 0x1234);
}

/* Read-only slots of owned memory; and slots of a part of an object. */
static void test_slots(void)
{
	u32 *mem = map(object(), SIZE);
	struct vcpu *vcpu;

	mem[0] = 0x1234;
	vcpu = start(guest_readonly, 0, mem, KVM_MEM_READONLY);
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.is_write, 1);
	vcpu_done(vcpu);
	vm_region(vcpu->vm, 1, 0, A, 0, NULL);
	*(u64 *)&mem[0x3000 / 4] = 40;
	vm_region(vcpu->vm, 1, 0, A, 0x1000, (u8 *)mem + 0x3000);
	vcpu_call(vcpu, guest_add, 2);
	vcpu_done(vcpu);
	CHECK_EQ(mem[0x3000 / 4], 42);
}

static volatile u32 stop;

static void guest_hammer(void)
{
	volatile u64 *p = (u64 *)A;
	u64 n = 0;

	while (!stop) {
		n++;
		p[0] = n;
		GUEST_ASSERT_EQ(p[0], n);
	}
	GUEST_SYNC2(1, n, 0);
}

static void *run_hammer(void *arg)
{
	vcpu_sync(arg, 1);
	return NULL;
}

/* The VMM maps and unmaps the object while the guest uses it. */
static void test_hammer(void)
{
	int fd = object(), i;
	u64 *mem = map(fd, SIZE), last = 0, v;
	struct vcpu *vcpu = start(guest_hammer, 0, mem, 0);
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, run_hammer, vcpu), 0);
	for (i = 0; i < 50; i++) {
		u64 *again = map(fd, SIZE);

		v = *(volatile u64 *)again;
		CHECK(v >= last);
		last = v;
		CHECK_OK(munmap(again, SIZE));
		usleep(200);
	}
	VM_VAR(vcpu->vm, stop) = 1;
	pthread_join(t, NULL);
	CHECK_EQ(*mem, vcpu->uc.arg[1]);
}

/* slot 0 itself, with the guest's code and tables, from an object */
static void test_whole(void)
{
	struct vm *vm = vm_create_with(ksft_device, map(object(), VM_MEM),
				       VM_MEM);
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vm_region(vm, 1, 0, A, SIZE, map(object(), SIZE));
	vcpu_call(vcpu, guest_first, 0);
	vcpu_done(vcpu);
	vm_free(vm);
}

KSFT_MAIN(
	{ "owned: read and write", test_rw },
	{ "owned: touched by the guest first", test_guest_first },
	{ "owned: 6 GiB, sparse", test_sparse },
	{ "owned: no private mapping", test_private },
	{ "owned: two VMs", test_two_vms },
	{ "owned: the slot keeps the object", test_unmapped },
	{ "owned: pinned by the kernel", test_gup },
	{ "owned: fork", test_fork },
	{ "owned: dirty log", test_dirty },
	{ "owned: read-only and partial slots", test_slots },
	{ "owned: mapped and unmapped under a running guest", test_hammer },
	{ "owned: the whole guest", test_whole },
)
