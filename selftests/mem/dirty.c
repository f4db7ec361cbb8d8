// SPDX-License-Identifier: GPL-2.0-only
/* mem/dirty: the log of pages the guest has written */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

#define A	0x10000000ull
#define PAGES	1024
#define SIZE	(PAGES * 4096ull)
#define PORT	0x2f0

static u8 bitmap[PAGES / 8];

static void get_log(struct vm *vm)
{
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

	memset(bitmap, 0xff, sizeof(bitmap));
	CHECK_OK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
}

static int dirty(unsigned int page)
{
	return bitmap[page / 8] >> page % 8 & 1;
}

static unsigned int count(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += dirty(i);
	return n;
}

static void guest_write(void)
{
	volatile u32 *p = (u32 *)A;
	u32 i, sum = 0;

	/* everything is mapped, some of it has been written */
	for (i = 0; i < PAGES; i++)
		sum += p[i * 1024];
	for (i = 0; i < 10; i++)
		p[i * 1024] = 1;
	GUEST_SYNC(1);
	for (i = 0; i < PAGES; i += 100)
		p[i * 1024 + 5] = i;
	GUEST_SYNC(2);
	for (i = 0; i < PAGES; i++)
		sum += p[i * 1024];
	GUEST_SYNC(3);
	for (i = 0; i < PAGES; i += 100)
		p[i * 1024 + 5] = i;
	p[7 * 1024] = 3;
	GUEST_SYNC(4);
	p[8 * 1024] = sum;
	GUEST_SYNC(5);
	p[9 * 1024] = sum;
}

static struct vcpu *start(void *fn, void *mem, u32 flags)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vm_region(vm, 1, flags, A, SIZE, mem);
	vcpu_call(vcpu, fn, 0);
	return vcpu;
}

/* arg: what madvise() is told about the memory */
static void check_log(int advice)
{
	u32 *mem = host_memory(SIZE);
	struct vcpu *vcpu;
	struct vm *vm;
	unsigned int i;

	madvise(mem, SIZE, advice);
	mem[0] = 1;
	mem[SIZE / 8] = 1;
	vcpu = start(guest_write, mem, 0);
	vm = vcpu->vm;
	vcpu_sync(vcpu, 1);
	/* switched on: what was written before is of no concern */
	vm_region(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, A, SIZE, mem);
	get_log(vm);
	vcpu_sync(vcpu, 2);
	get_log(vm);
	for (i = 0; i < PAGES; i++)
		if (dirty(i) != (i % 100 == 0))
			FAIL("page %u is %s", i, dirty(i) ? "dirty" : "clean");
	/* reading the log cleared it; the guest only reads */
	vcpu_sync(vcpu, 3);
	get_log(vm);
	CHECK_EQ(count(), 0);
	/* and writes are caught again */
	vcpu_sync(vcpu, 4);
	get_log(vm);
	for (i = 0; i < PAGES; i++)
		if (dirty(i) != (i % 100 == 0 || i == 7))
			FAIL("page %u is %s", i, dirty(i) ? "dirty" : "clean");
	CHECK_EQ(mem[7 * 1024], 3);
	/* switched off: no log any more */
	vm_region(vm, 1, 0, A, SIZE, mem);
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG,
			  &(struct kvm_dirty_log){
				.slot = 1, .dirty_bitmap = bitmap }), ENOENT);
	vcpu_sync(vcpu, 5);
	/* and on again */
	vm_region(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, A, SIZE, mem);
	get_log(vm);
	vcpu_done(vcpu);
	get_log(vm);
	CHECK_EQ(dirty(9), 1);
	CHECK_EQ(count(), 1);
	vm_free(vm);
	munmap(mem, SIZE);
}

/* Exactly the written pages are in the log, with small and with large pages. */
static void test_small(void)
{
	check_log(MADV_NOHUGEPAGE);
}

static void test_huge(void)
{
	check_log(MADV_HUGEPAGE);
}

static void guest_kernel_writes(void)
{
	u64 di = A + 3 * 4096, cx = 64;

	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"((u16)PORT)
		     : "memory");
	/* an element that crosses into the next page */
	di = A + 6 * 4096 - 2;
	asm volatile("insl" : "+D"(di) : "d"((u16)PORT) : "memory");
	GUEST_SYNC(1);
}

/* What the kernel writes for the guest (INS) is in the log too. */
static void test_kernel_writes(void)
{
	u32 *mem = host_memory(SIZE);
	struct vcpu *vcpu = start(guest_kernel_writes, mem,
				  KVM_MEM_LOG_DIRTY_PAGES);
	u32 reason;

	while ((reason = vcpu_exit(vcpu)) == KVM_EXIT_IO)
		memset((u8 *)vcpu->run + vcpu->run->io.data_offset, 0x5a,
		       vcpu->run->io.size * vcpu->run->io.count);
	CHECK_EQ(reason, EXIT_UCALL);
	get_log(vcpu->vm);
	CHECK_EQ(dirty(3), 1);
	CHECK_EQ(dirty(5), 1);
	CHECK_EQ(dirty(6), 1);
	CHECK_EQ(count(), 3);
	CHECK_EQ(mem[3 * 1024], 0x5a5a5a5a);
}

static volatile u32 stop;

static void guest_count(void)
{
	volatile u32 *p = (u32 *)A;
	u32 i, n = 0;

	while (!stop) {
		n++;
		for (i = 0; i < 32; i++)
			p[i * 1024] = n;
	}
	GUEST_SYNC2(1, n, 0);
}

static void *run_count(void *arg)
{
	vcpu_sync(arg, 1);
	return NULL;
}

/*
 * A copy of the memory kept up to date by the log alone, while the guest runs,
 * is the memory in the end: what live migration lives on.
 */
static void test_migration(void)
{
	u32 *mem = host_memory(SIZE), *copy = host_memory(SIZE);
	struct vcpu *vcpu = start(guest_count, mem, KVM_MEM_LOG_DIRTY_PAGES);
	unsigned int round, i, copied = 0;
	pthread_t t;

	memcpy(copy, mem, SIZE);
	CHECK_EQ(pthread_create(&t, NULL, run_count, vcpu), 0);
	for (round = 0; round < 20; round++) {
		if (round == 19) {
			VM_VAR(vcpu->vm, stop) = 1;
			pthread_join(t, NULL);
		} else {
			usleep(500);
		}
		get_log(vcpu->vm);
		for (i = 0; i < PAGES; i++) {
			if (!dirty(i))
				continue;
			memcpy(copy + i * 1024, mem + i * 1024, 4096);
			copied++;
		}
	}
	ksft_print("%u pages copied", copied);
	CHECK(copied >= 32);
	CHECK_EQ(memcmp(mem, copy, SIZE), 0);
	CHECK_EQ(mem[0], vcpu->uc.arg[1]);
}

/* Slots without a log are ENOENT, slots that cannot be EINVAL. */
static void test_errors(void)
{
	struct vm *vm = vm_create();
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bitmap };

	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	log.slot = 5;
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	log.slot = 0xffff;
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EINVAL);
	vm_region(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, A, SIZE, host_memory(SIZE));
	log.slot = 1;
	log.dirty_bitmap = (void *)1;
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EFAULT);
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, 1), EFAULT);
}

KSFT_MAIN(
	{ "dirty: small pages", test_small },
	{ "dirty: large pages", test_huge },
	{ "dirty: written by the kernel", test_kernel_writes },
	{ "dirty: a copy kept up to date", test_migration },
	{ "dirty: errors", test_errors },
)
