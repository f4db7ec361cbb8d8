// SPDX-License-Identifier: GPL-2.0-only
/* mem/slots: memory slots made, moved, deleted and refused */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

#define A	0x10000000ull
#define B	0x20000000ull
#define SIZE	0x400000ull
#define HIGH	0x100000000ull

static struct vcpu *start(void *fn, u64 arg)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, fn, arg);
	return vcpu;
}

static void guest_rw(u64 base)
{
	volatile u32 *p = (u32 *)base;
	u32 i;

	for (i = 0; i < SIZE / 4; i += 1024 * 64) {
		GUEST_ASSERT_EQ(p[i], i);
		p[i] = ~i;
	}
}

static void fill(u32 *mem)
{
	u32 i;

	for (i = 0; i < SIZE / 4; i += 1024 * 64)
		mem[i] = i;
}

/* What the VMM has written the guest reads, and the other way round. */
static void test_rw(void)
{
	static const u64 at[] = { A, HIGH, HIGH + 0x40000000 };
	struct vcpu *vcpu;
	unsigned int n;
	u32 *mem, i;

	for (n = 0; n < ARRAY_SIZE(at); n++) {
		mem = host_memory(SIZE);
		fill(mem);
		vcpu = start(guest_rw, at[n]);
		vm_region(vcpu->vm, 1, 0, at[n], SIZE, mem);
		vcpu_done(vcpu);
		for (i = 0; i < SIZE / 4; i += 1024 * 64)
			CHECK_EQ(mem[i], (u32)~i);
		vm_free(vcpu->vm);
	}
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
	for (i = 0; i < pages; i++) {
		p = (u64 *)(HIGH + i * (6ull << 30) / pages);
		GUEST_ASSERT_EQ(*p, i + 1);
	}
	p = (u64 *)(HIGH + (6ull << 30) - 8);
	*p = 99;
	GUEST_ASSERT_EQ(*p, 99);
}

/* A slot of 6 GiB, more than the host may have: pages exist when touched. */
static void test_sparse(void)
{
	struct vcpu *vcpu = start(guest_sparse, 24);
	u64 *mem = host_memory(6ull << 30);

	/* a 2 MiB page for each of the few words would be more than enough */
	madvise(mem, 6ull << 30, MADV_NOHUGEPAGE);
	vm_region(vcpu->vm, 1, 0, HIGH, 6ull << 30, mem);
	vcpu_done(vcpu);
	CHECK_EQ(mem[0], 1);
	CHECK_EQ(mem[(6ull << 30) / 8 - 1], 99);
}

static void guest_deleted(void)
{
	volatile u32 *p = (u32 *)A;

	GUEST_SYNC2(1, p[0], 0);
	GUEST_SYNC2(2, p[0], 0);
	GUEST_SYNC2(3, p[0], 0);
	GUEST_SYNC2(4, *(volatile u32 *)B, p[0]);
}

static void answer_mmio(struct vcpu *vcpu, u64 addr, u32 value)
{
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, addr);
	CHECK_EQ(vcpu->run->mmio.is_write, 0);
	memcpy(vcpu->run->mmio.data, &value, 4);
}

/*
 * A deleted slot's addresses are MMIO at once; a new slot there shows the new
 * memory; a moved one is at its new place only.
 */
static void test_delete(void)
{
	struct vcpu *vcpu = start(guest_deleted, 0);
	u32 *one = host_memory(SIZE), *two = host_memory(SIZE);

	one[0] = 0x1111;
	two[0] = 0x2222;
	vm_region(vcpu->vm, 1, 0, A, SIZE, one);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu->uc.arg[1], 0x1111);
	vm_region(vcpu->vm, 1, 0, A, 0, NULL);
	answer_mmio(vcpu, A, 0x3333);
	vcpu_sync(vcpu, 2);
	CHECK_EQ(vcpu->uc.arg[1], 0x3333);
	vm_region(vcpu->vm, 1, 0, A, SIZE, two);
	vcpu_sync(vcpu, 3);
	CHECK_EQ(vcpu->uc.arg[1], 0x2222);
	/* the same slot and memory, another address: a move */
	vm_region(vcpu->vm, 1, 0, B, SIZE, two);
	answer_mmio(vcpu, A, 0x4444);
	vcpu_sync(vcpu, 4);
	CHECK_EQ(vcpu->uc.arg[1], 0x2222);
	CHECK_EQ(vcpu->uc.arg[2], 0x4444);
	vcpu_done(vcpu);
}

static volatile u32 stop, looked;

static void guest_watch(u64 base)
{
	volatile u32 *p = (u32 *)base;
	u64 seen[3] = { 0 };
	u32 v;

	while (!stop) {
		v = p[16];
		GUEST_ASSERT_AT(v == 0xaaaa || v == 0xbbbb || v == 0xcccc, v,
				0);
		seen[v == 0xaaaa ? 0 : v == 0xbbbb ? 1 : 2]++;
		looked = 1;
	}
	GUEST_ASSERT(seen[0] + seen[1] + seen[2] > 0);
}

static u32 watched_mmio;

static void *run_watch(void *arg)
{
	struct vcpu *vcpu = arg;
	u32 v = 0xcccc, reason;

	while ((reason = vcpu_exit(vcpu)) == KVM_EXIT_MMIO) {
		CHECK_EQ(vcpu->run->mmio.phys_addr, A + 64);
		memcpy(vcpu->run->mmio.data, &v, 4);
		watched_mmio++;
	}
	CHECK_EQ(reason, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
	return NULL;
}

/*
 * Slots change under a running vCPU: it only ever sees the one, the other or
 * MMIO, and it never stops.
 */
static void test_running(void)
{
	struct vcpu *vcpu = start(guest_watch, A);
	u32 *one = host_memory(SIZE), *two = host_memory(SIZE);
	pthread_t t;
	int i;

	one[16] = 0xaaaa;
	two[16] = 0xbbbb;
	vm_region(vcpu->vm, 1, 0, A, SIZE, one);
	CHECK_EQ(pthread_create(&t, NULL, run_watch, vcpu), 0);
	/* its thread may start late, even when all is over */
	while (!VM_VAR(vcpu->vm, looked))
		usleep(100);
	for (i = 0; i < 20; i++) {
		vm_region(vcpu->vm, 1, 0, A, 0, NULL);
		sched_yield();
		vm_region(vcpu->vm, 1, 0, A, SIZE, i & 1 ? one : two);
		sched_yield();
		vm_region(vcpu->vm, 1, 0, B, SIZE, i & 1 ? one : two);
		sched_yield();
		vm_region(vcpu->vm, 1, 0, A, SIZE, i & 1 ? one : two);
		sched_yield();
	}
	VM_VAR(vcpu->vm, stop) = 1;
	pthread_join(t, NULL);
	ksft_print("%u MMIO exits in between", watched_mmio);
}

#define REFUSED(err, ...)						\
	CHECK_ERRNO(vm_try_region(vm, __VA_ARGS__), err)

/* What KVM_SET_USER_MEMORY_REGION refuses, and with which errno. */
static void test_refused(void)
{
	struct vm *vm = vm_create();
	int slots = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	u8 *mem = host_memory(SIZE);

	CHECK(slots >= 32);
	vm_region(vm, 1, 0, A, SIZE, mem);
	/* overlaps, of every kind */
	REFUSED(EEXIST, 2, 0, A, SIZE, mem);
	REFUSED(EEXIST, 2, 0, A + SIZE - 0x1000, SIZE, mem);
	REFUSED(EEXIST, 2, 0, A - 0x1000, 0x2000, mem);
	REFUSED(EEXIST, 2, 0, A + 0x1000, 0x1000, mem);
	REFUSED(EEXIST, 2, 0, 0x1000, 0x1000, mem);
	/* beside it is fine */
	vm_region(vm, 2, 0, A + SIZE, 0x1000, mem);
	vm_region(vm, 3, 0, A - 0x1000, 0x1000, mem);
	/* misaligned */
	REFUSED(EINVAL, 4, 0, B + 1, 0x1000, mem);
	REFUSED(EINVAL, 4, 0, B, 0x1001, mem);
	REFUSED(EINVAL, 4, 0, B, 0x1000, mem + 1);
	/* an address of the kernel's */
	REFUSED(EINVAL, 4, 0, B, 0x1000, (void *)0xffff888000000000ul);
	/* unknown flags, unknown slot */
	REFUSED(EINVAL, 4, 1u << 20, B, 0x1000, mem);
	REFUSED(EINVAL, slots, 0, B, 0x1000, mem);
	REFUSED(EINVAL, 0xffff, 0, B, 0x1000, mem);
	REFUSED(EINVAL, 1u << 20, 0, B, 0x1000, mem);
	/* wraps around */
	REFUSED(EINVAL, 4, 0, ~0xfffull, 0x2000, mem);
	/* larger, smaller, or elsewhere in the VMM: delete it first */
	REFUSED(EINVAL, 1, 0, A, SIZE / 2, mem);
	REFUSED(EINVAL, 1, 0, A, SIZE, mem + 0x1000);
	REFUSED(EINVAL, 1, KVM_MEM_READONLY, A, SIZE, mem);
	/* deleting what is not there */
	REFUSED(EINVAL, 9, 0, 0, 0, NULL);
	/* moving onto another */
	REFUSED(EEXIST, 1, 0, A - 0x1000, SIZE, mem);
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, 1), EFAULT);
	/* the same again changes nothing, and is no error */
	vm_region(vm, 1, 0, A, SIZE, mem);
	vm_region(vm, 1, 0, A, 0, NULL);
	vm_region(vm, 1, 0, A, SIZE / 2, mem);
}

static void guest_readonly(void)
{
	volatile u32 *p = (u32 *)A;

	GUEST_ASSERT_EQ(p[0], 0x1234);
	p[0] = 0x5678;			/* MMIO */
	GUEST_ASSERT_EQ(p[0], 0x1234);
	p[1024] = 0x9abc;
	asm volatile("addl $1, %0" : "+m"(p[0]));
	GUEST_ASSERT_EQ(p[0], 0x1234);
	/* code runs from it */
	((void (*)(void))(A + 0x2000))();
	/* and ordinary memory is still ordinary */
	*(volatile u32 *)GPA_TEST = 1;
}

static void expect_write(struct vcpu *vcpu, u64 addr, u32 value)
{
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, addr);
	CHECK_EQ(vcpu->run->mmio.is_write, 1);
	CHECK_EQ(vcpu->run->mmio.len, 4);
	CHECK_EQ(*(u32 *)vcpu->run->mmio.data, value);
}

/*
 * KVM_MEM_READONLY: reads and fetches go to the memory, writes are
 * KVM_EXIT_MMIO and change nothing.
 */
static void test_readonly(void)
{
	struct vcpu *vcpu;
	u32 *mem = host_memory(SIZE);

	REQUIRE(dev_cap(KVM_CAP_READONLY_MEM) > 0, "no KVM_CAP_READONLY_MEM");
	vcpu = start(guest_readonly, 0);
	mem[0] = 0x1234;
	((u8 *)mem)[0x2000] = 0xc3;
	vm_region(vcpu->vm, 1, KVM_MEM_READONLY, A, SIZE, mem);
	expect_write(vcpu, A, 0x5678);
	expect_write(vcpu, A + 4096, 0x9abc);
	expect_write(vcpu, A, 0x1235);
	vcpu_done(vcpu);
	CHECK_EQ(mem[0], 0x1234);
	CHECK_EQ(mem[1024], 0);
}

static void guest_many(u64 n)
{
	u64 i;

	for (i = 0; i < n; i++) {
		volatile u64 *p = (u64 *)(A + i * 0x2000);

		GUEST_ASSERT_AT(*p == i, i, *p);
		*p = i + 1000;
	}
}

/* Two hundred slots of a page, with holes between them. */
static void test_many(void)
{
	struct vcpu *vcpu = start(guest_many, 200);
	u8 *mem = host_memory(200 * 4096);
	u32 i;

	for (i = 0; i < 200; i++) {
		*(u64 *)(mem + i * 4096) = i;
		vm_region(vcpu->vm, 1 + i, 0, A + i * 0x2000, 0x1000,
			  mem + i * 4096);
	}
	vcpu_done(vcpu);
	for (i = 0; i < 200; i++) {
		CHECK_EQ(*(u64 *)(mem + i * 4096), i + 1000);
		vm_region(vcpu->vm, 1 + i, 0, A + i * 0x2000, 0, NULL);
	}
}

static void guest_alias(void)
{
	volatile u32 *a = (u32 *)A, *b = (u32 *)B;
	u32 i;

	for (i = 0; i < 100; i++) {
		a[i] = i + 7;
		GUEST_ASSERT_EQ(b[i], i + 7);
		b[i] = i;
		GUEST_ASSERT_EQ(a[i], i);
	}
}

/* Two slots may show the same memory. */
static void test_alias(void)
{
	struct vcpu *vcpu = start(guest_alias, 0);
	u8 *mem = host_memory(SIZE);

	vm_region(vcpu->vm, 1, 0, A, SIZE, mem);
	vm_region(vcpu->vm, 2, 0, B, SIZE, mem);
	vcpu_done(vcpu);
}

static void guest_touch(u64 addr)
{
	volatile u32 *p = (u32 *)addr;

	GUEST_SYNC2(1, *p, 0);
	*p = 0x77;
}

/*
 * Memory the VMM does not have is EFAULT of KVM_RUN; once it has some there,
 * the same run goes on.
 */
static void test_unbacked(void)
{
	struct vcpu *vcpu = start(guest_touch, A);
	u32 *mem = host_memory(SIZE);

	CHECK_OK(munmap(mem, SIZE));
	vm_region(vcpu->vm, 1, 0, A, SIZE, mem);
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	CHECK(mmap(mem, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED | MAP_NORESERVE, -1, 0) == mem);
	/* readable only: the read succeeds, the write does not */
	vcpu_sync(vcpu, 1);
	CHECK_EQ(vcpu->uc.arg[1], 0);
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	CHECK_OK(mprotect(mem, SIZE, PROT_READ | PROT_WRITE));
	vcpu_done(vcpu);
	CHECK_EQ(mem[0], 0x77);
}

KSFT_MAIN(
	{ "slots: read and write", test_rw },
	{ "slots: 6 GiB, sparse", test_sparse },
	{ "slots: delete, replace, move", test_delete },
	{ "slots: changes under a running vCPU", test_running },
	{ "slots: refused", test_refused },
	{ "slots: read-only", test_readonly },
	{ "slots: two hundred", test_many },
	{ "slots: two of the same memory", test_alias },
	{ "slots: memory the VMM does not have", test_unbacked },
)
