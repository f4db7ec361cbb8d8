// SPDX-License-Identifier: GPL-2.0-only
/* mem/hugetlb: the VMM's huge pages, of 2 MiB and of 1 GiB, are leaves of that size */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stats.h"

#define A		0x40000000ull
#define STEP		0x10000ull	/* what the guest looks at is so far apart */

static void guest_fill(u64 size)
{
	volatile u64 *p = (u64 *)A;
	u64 i;

	GUEST_SYNC(9);
	for (i = 0; i < size / 8; i += STEP / 8)
		p[i] = i + 1;
	GUEST_SYNC(1);
	for (i = 0; i < size / 8; i += STEP / 8)
		GUEST_ASSERT_AT(p[i] == (i ? i + 1 : 77), i, p[i]);
	/* the first page, one in the middle, the last */
	p[0] = 1;
	p[size / 16] = 2;
	p[size / 8 - 1] = 3;
	GUEST_SYNC(2);
	for (i = 0; i < size / 8; i += STEP / 8)
		GUEST_ASSERT_AT(p[i] == 0, i, p[i]);
	p[0] = 5;
	GUEST_SYNC(3);
	GUEST_SYNC2(4, p[0], 0);
}

/* Let the host's pool have @n pages of @size; how many it had before. */
static int pool(u64 size, int n)
{
	char path[96], text[16];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (unsigned long long)size >> 10);
	f = fopen(path, "r+");
	REQUIRE(f, "no huge pages of that size");
	CHECK(fgets(text, sizeof(text), f));
	rewind(f);
	fprintf(f, "%d", n);
	fclose(f);
	return atoi(text);
}

/* How many leaves of that size, "4k", "2m" or "1g", were made for the VM. */
static u64 leaves(struct vm *vm, const char *size)
{
	struct stats s = stats_open(vm->fd);
	char name[32];
	u64 n;

	snprintf(name, sizeof(name), "%spages_%s", ksft_is_emys() ? "mem_" : "", size);
	n = stats_read(&s, name);
	stats_close(&s);
	return n;
}

/* Exactly the pages that the guest wrote are in the log. */
static void check_log(struct vm *vm, u64 size)
{
	u64 pages = size / 4096, i, found = 0;
	u64 *bits = host_memory(pages / 8);
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };

	CHECK_OK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	for (i = 0; i < pages; i++)
		found += bits[i / 64] >> i % 64 & 1;
	CHECK_EQ(found, 3);
	CHECK(bits[0] & 1);
	CHECK(bits[pages / 2 / 64] & 1);
	CHECK(bits[pages / 64 - 1] >> 63);
	munmap(bits, pages / 8);
}

static void huge(u64 size, int n, const char *name)
{
	int had = pool(size, n), flags = MAP_HUGETLB | __builtin_ctzll(size) << MAP_HUGE_SHIFT;
	u64 all = n * size, small, large, i, *mem;
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	mem = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	REQUIRE(mem != MAP_FAILED, "the host has no huge page of that size to give");
	vm_region(vm, 1, 0, A, all, mem);
	vcpu_call(vcpu, guest_fill, all);
	/* the guest's program is in memory of its own, which may be large leaves too */
	vcpu_sync(vcpu, 9);
	small = leaves(vm, "4k");
	large = leaves(vm, name);
	vcpu_sync(vcpu, 1);
	CHECK_EQ(leaves(vm, name) - large, n);
	ksft_print("%llu leaves of 4 KiB, %d of the large ones",
		   (unsigned long long)(leaves(vm, "4k") - small), n);
	CHECK(leaves(vm, "4k") - small < 64);
	for (i = 0; i < all / 8; i += STEP / 8)
		CHECK_EQ(mem[i], i + 1);

	/* logged by the page, though the leaf was large */
	mem[0] = 77;
	vm_region(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, A, all, mem);
	vcpu_sync(vcpu, 2);
	check_log(vm, all);
	CHECK_EQ(mem[all / 8 - 1], 3);
	vm_region(vm, 1, 0, A, all, mem);

	/* given back, and there again as zeros */
	CHECK_OK(madvise(mem, all, MADV_DONTNEED));
	vcpu_sync(vcpu, 3);
	CHECK_EQ(mem[0], 5);
	CHECK_OK(munmap(mem, all));
	CHECK_EQ(vcpu_run_raw(vcpu), -EFAULT);
	vm_free(vm);
	pool(size, had);
}

static void test_2m(void)
{
	huge(2ull << 20, 2, "2m");
}

static void test_1g(void)
{
	huge(1ull << 30, 1, "1g");
}

KSFT_MAIN(
	{ "hugetlb: 2 MiB", test_2m },
	{ "hugetlb: 1 GiB", test_1g, 120 },
)
