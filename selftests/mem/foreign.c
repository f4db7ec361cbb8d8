// SPDX-License-Identifier: GPL-2.0-only
/* mem/foreign: ordinary memory of the VMM that changes under the guest */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm.h"

#define A	0x10000000ull
#define SIZE	0x400000ull
#define HUGE	0x200000ull

static volatile u32 stop;

static struct vcpu *start(void *fn, u64 arg, void *mem)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vm_region(vm, 1, 0, A, SIZE, mem);
	vcpu_call(vcpu, fn, arg);
	return vcpu;
}

/* at each stage: report the word, then add 1 to it */
static void guest_stages(void)
{
	volatile u64 *p = (u64 *)A;
	u64 i, v;

	for (i = 1; i < 20; i++) {
		v = *p;
		GUEST_SYNC2(i, v, 0);
		*p = v + 1;
	}
}

static void expect(struct vcpu *vcpu, u64 stage, u64 value)
{
	vcpu_sync(vcpu, stage);
	CHECK_EQ(vcpu->uc.arg[1], value);
}

/* MADV_DONTNEED: the guest's next look finds a zero page. */
static void test_dontneed(void)
{
	u64 *mem = host_memory(SIZE);
	struct vcpu *vcpu;

	*mem = 10;
	vcpu = start(guest_stages, 0, mem);
	expect(vcpu, 1, 10);
	expect(vcpu, 2, 11);
	CHECK_OK(madvise(mem, 4096, MADV_DONTNEED));
	/* the guest stores 12 first, into a new page */
	expect(vcpu, 3, 12);
	CHECK_EQ(*mem, 12);
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	CHECK_OK(madvise(mem, SIZE, MADV_DONTNEED));
	CHECK_EQ(*mem, 0);
	expect(vcpu, 4, 13);
	CHECK_EQ(mem[1], 0);
}

static void guest_look(u64 n)
{
	volatile u64 *p = (u64 *)A;
	u64 i;

	for (i = 1; i <= n; i++)
		GUEST_SYNC2(i, p[0], p[512]);
}

/* munmap takes the page away (EFAULT); new memory there is seen at once. */
static void test_munmap(void)
{
	u64 *mem = host_memory(SIZE);
	struct vcpu *vcpu;

	mem[0] = 1;
	mem[512] = 2;
	vcpu = start(guest_look, 4, mem);
	expect(vcpu, 1, 1);
	CHECK_EQ(vcpu->uc.arg[2], 2);
	CHECK_OK(munmap(mem, 4096));
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	CHECK(mmap(mem, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mem);
	mem[0] = 3;
	expect(vcpu, 2, 3);
	CHECK_EQ(vcpu->uc.arg[2], 2);
	/* a new mapping over the old one, without a gap */
	CHECK(mmap(mem, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mem);
	expect(vcpu, 3, 0);
	/* and moved away by mremap */
	mem[0] = 4;
	CHECK(mremap(mem, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
		     host_memory(4096)) != MAP_FAILED);
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
}

/* mprotect: a write to what became read-only is EFAULT, until it is not. */
static void test_mprotect(void)
{
	u64 *mem = host_memory(SIZE);
	struct vcpu *vcpu;

	*mem = 5;
	vcpu = start(guest_stages, 0, mem);
	expect(vcpu, 1, 5);
	expect(vcpu, 2, 6);
	CHECK_OK(mprotect(mem, SIZE, PROT_READ));
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	CHECK_EQ(*mem, 6);
	CHECK_OK(mprotect(mem, SIZE, PROT_NONE));
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	CHECK_OK(mprotect(mem, SIZE, PROT_READ | PROT_WRITE));
	expect(vcpu, 3, 7);
	CHECK_EQ(*mem, 7);
}

/*
 * fork: guest and VMM go on with one memory, the child with a copy of what was
 * there, whoever writes first.
 */
static void test_fork(void)
{
	u64 *mem = host_memory(SIZE);
	int to[2], from[2], status;
	struct vcpu *vcpu;
	char c = 0;
	pid_t pid;

	*mem = 20;
	vcpu = start(guest_stages, 0, mem);
	expect(vcpu, 1, 20);
	expect(vcpu, 2, 21);
	CHECK_OK(pipe(to));
	CHECK_OK(pipe(from));
	pid = CHECK_OK(fork());
	if (!pid) {
		/* the parent's guest has written since */
		if (read(to[0], &c, 1) != 1 || *mem != 21)
			_exit(1);
		*mem = 99;
		if (write(from[1], &c, 1) != 1 || read(to[0], &c, 1) != 1)
			_exit(2);
		_exit(*mem == 99 ? 0 : 3);
	}
	expect(vcpu, 3, 22);
	CHECK_EQ(*mem, 22);
	CHECK_EQ(write(to[1], &c, 1), 1);
	CHECK_EQ(read(from[0], &c, 1), 1);
	expect(vcpu, 4, 23);
	CHECK_EQ(*mem, 23);
	CHECK_EQ(write(to[1], &c, 1), 1);
	CHECK_OK(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
	*mem = 40;
	/* this store came after the guest's of 24 was due: order it */
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	vcpu_sync(vcpu, 5);
	CHECK_EQ(*mem, vcpu->uc.arg[1]);
}

static void guest_huge(void)
{
	volatile u32 *p = (u32 *)A;
	u32 i;

	for (i = 0; i < SIZE / 4; i += 1024) {
		GUEST_ASSERT_AT(p[i] == i, i, p[i]);
		p[i] = i + 1;
	}
	GUEST_SYNC(1);
	for (i = 0; i < SIZE / 4; i += 1024)
		GUEST_ASSERT_AT(p[i] == (i == 5 * 1024 ? 0 : i + 1), i, p[i]);
	GUEST_SYNC(2);
	for (i = 0; i < SIZE / 4; i += 1024)
		GUEST_ASSERT_AT(p[i] == 0, i, p[i]);
}

/*
 * Transparent huge pages: contents are right, and one 4K hole in a 2M page, or
 * the whole taken away, is seen.
 */
static void test_huge(void)
{
	u32 *mem = host_memory(SIZE), i;
	struct vcpu *vcpu;

	madvise(mem, SIZE, MADV_HUGEPAGE);
	for (i = 0; i < SIZE / 4; i += 1024)
		mem[i] = i;
	vcpu = start(guest_huge, 0, mem);
	vcpu_sync(vcpu, 1);
	CHECK_OK(madvise((u8 *)mem + 5 * 4096, 4096, MADV_DONTNEED));
	vcpu_sync(vcpu, 2);
	CHECK_OK(madvise(mem, SIZE, MADV_DONTNEED));
	vcpu_done(vcpu);
}

static void guest_hammer(void)
{
	volatile u64 *p = (u64 *)A;
	u64 n = 0, v;

	while (!stop) {
		n++;
		p[0] = n;
		v = p[0];
		/* what was just written, or nothing if it was taken away */
		GUEST_ASSERT_AT(v == n || v == 0, v, n);
		p[512] = n;
	}
}

static void *run_hammer(void *arg)
{
	vcpu_done(arg);
	return NULL;
}

/* Pages are taken away over and over while the guest uses them. */
static void test_hammer(void)
{
	u64 *mem = host_memory(SIZE);
	struct vcpu *vcpu = start(guest_hammer, 0, mem);
	pthread_t t;
	int i;

	CHECK_EQ(pthread_create(&t, NULL, run_hammer, vcpu), 0);
	for (i = 0; i < 100; i++) {
		CHECK_OK(madvise(mem, 4096, MADV_DONTNEED));
		if (i % 10 == 0)
			CHECK_OK(mprotect(mem + 512, 4096,
					  PROT_READ | PROT_WRITE));
		if (i % 7 == 0)
			usleep(1000);
		else
			sched_yield();
	}
	VM_VAR(vcpu->vm, stop) = 1;
	pthread_join(t, NULL);
}

/* A file: shared both ways; a hole punched into it is seen by the guest. */
static void test_file(void)
{
	int fd = CHECK_OK(memfd_create("guest", MFD_CLOEXEC));
	struct vcpu *vcpu;
	u64 *mem, v = 30;

	CHECK_OK(ftruncate(fd, SIZE));
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED);
	CHECK_EQ(pwrite(fd, &v, 8, 0), 8);
	vcpu = start(guest_stages, 0, mem);
	expect(vcpu, 1, 30);
	expect(vcpu, 2, 31);
	CHECK_EQ(pread(fd, &v, 8, 0), 8);
	CHECK_EQ(v, 31);
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			   4096));
	expect(vcpu, 3, 32);
	CHECK_EQ(pread(fd, &v, 8, 0), 8);
	CHECK_EQ(v, 32);
	/* beyond the end of the file there is nothing */
	CHECK_OK(ftruncate(fd, 0));
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	CHECK_OK(ftruncate(fd, SIZE));
	vcpu_sync(vcpu, 4);
}

/* A private mapping of a file: the guest's writes stay out of the file. */
static void test_private_file(void)
{
	int fd = CHECK_OK(memfd_create("guest", MFD_CLOEXEC));
	struct vcpu *vcpu;
	u64 *mem, v = 50;

	CHECK_OK(ftruncate(fd, SIZE));
	CHECK_EQ(pwrite(fd, &v, 8, 0), 8);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(mem != MAP_FAILED);
	vcpu = start(guest_stages, 0, mem);
	expect(vcpu, 1, 50);
	/* not written yet: the file shows through */
	expect(vcpu, 2, 51);
	CHECK_EQ(*mem, 51);
	CHECK_EQ(pread(fd, &v, 8, 0), 8);
	CHECK_EQ(v, 50);
}

/* A page that was only read and is then written by the VMM: both agree. */
static void test_zero_page(void)
{
	u64 *mem = host_memory(SIZE);
	struct vcpu *vcpu = start(guest_look, 3, mem);

	madvise(mem, SIZE, MADV_NOHUGEPAGE);
	expect(vcpu, 1, 0);
	mem[0] = 7;
	mem[512] = 8;
	expect(vcpu, 2, 7);
	CHECK_EQ(vcpu->uc.arg[2], 8);
	mem[0] = 9;
	expect(vcpu, 3, 9);
}

KSFT_MAIN(
	{ "foreign: MADV_DONTNEED", test_dontneed },
	{ "foreign: munmap, mmap, mremap", test_munmap },
	{ "foreign: mprotect", test_mprotect },
	{ "foreign: fork", test_fork },
	{ "foreign: transparent huge pages", test_huge },
	{ "foreign: taken away under a running guest", test_hammer },
	{ "foreign: shared file", test_file },
	{ "foreign: private file", test_private_file },
	{ "foreign: the zero page", test_zero_page },
)
