// SPDX-License-Identifier: GPL-2.0-only
/* mem/race: memory that changes hands while a guest writes to it */

/*
 * A guest writes all the time; the host meanwhile takes the memory away in every
 * way there is. Each test looks for the one sign of a translation that outlived
 * what it was made from: a write that lands where it must not, or one that does
 * not land where it must.
 */
#include "vmm.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOT	1
#define GPA	0x10000000ull
#define OTHER	0x20000000ull
#define PAGES	1024ul
#define SIZE	(PAGES * 4096)
#define ROUNDS	30
/* microseconds; on a slow host with one CPU much less would starve the guest */
#define NAP	1000

static volatile u64 stop, stride, base2;

/* Count upward in the first word of every page, at GPA and, if asked, beyond */
static void guest_count(u64 base)
{
	u64 n, page;

	for (n = 1; !stop; n++)
		for (page = 0; page < PAGES; page += stride) {
			*(volatile u64 *)(base + page * 4096) = base | n;
			if (base2)
				*(volatile u64 *)(base2 + page * 4096) = base2 | n;
		}
}

struct race {
	struct vm *vm;
	struct vcpu *vcpu;
	pthread_t thread;
	u8 *mem;
	volatile u64 mmio;
};

static void *run(void *arg)
{
	struct race *r = arg;

	for (;;) {
		u32 exit = vcpu_exit(r->vcpu);

		if (exit == EXIT_UCALL && r->vcpu->uc.cmd == UCALL_DONE)
			break;
		/* no slot there just now: nobody wants the data */
		CHECK_MSG(exit == KVM_EXIT_MMIO, "%s", exit_name(exit));
		r->mmio++;
	}
	return NULL;
}

static void start(struct race *r, void *mem, void *fn, u64 step)
{
	*r = (struct race){ .vm = vm_create(), .mem = mem };
	r->vcpu = vcpu_add(r->vm, 0);
	VM_VAR(r->vm, stride) = step;
	vm_region(r->vm, SLOT, 0, GPA, SIZE, mem);
	vcpu_call(r->vcpu, fn, GPA);
}

static void go(struct race *r)
{
	CHECK(!pthread_create(&r->thread, NULL, run, r));
}

static void finish(struct race *r)
{
	VM_VAR(r->vm, stop) = 1;
	pthread_join(r->thread, NULL);
	vm_free(r->vm);
}

static volatile u64 *word(struct race *r, u64 page)
{
	return (volatile u64 *)(r->mem + page * 4096);
}

static void nap(unsigned int usec)
{
	struct timespec ts = { .tv_nsec = usec * 1000 };

	nanosleep(&ts, NULL);
}

/* The guest's writes reach this page: its word changes */
static void expect_moving(struct race *r, u64 page)
{
	u64 was = *word(r, page);
	int i;

	for (i = 0; i < 5000; i++) {
		if (*word(r, page) != was)
			return;
		nap(NAP);
	}
	FAIL("page %llu: the guest's writes no longer arrive",
	     (unsigned long long)page);
}

/* What the host takes back is gone for the guest too, and comes back as new */
static void taken_back(void *mem, u64 step)
{
	struct race r;
	u64 page;
	int i;

	start(&r, mem, guest_count, step);
	go(&r);
	for (i = 0; i < ROUNDS; i++) {
		page = (rand() % PAGES) / step * step;
		expect_moving(&r, page);
		CHECK_OK(madvise(r.mem + page * 4096, 4096, MADV_DONTNEED));
		expect_moving(&r, page);
	}
	for (i = 0; i < ROUNDS / 3; i++) {
		CHECK_OK(madvise(r.mem, SIZE, MADV_DONTNEED));
		expect_moving(&r, 0);
		expect_moving(&r, PAGES - step);
	}
	CHECK_EQ(r.mmio, 0);
	finish(&r);
}

static void test_dontneed(void)
{
	void *mem = host_memory(SIZE);

	CHECK_OK(madvise(mem, SIZE, MADV_NOHUGEPAGE));
	taken_back(mem, 16);
}

static void test_dontneed_huge(void)
{
	void *mem = host_memory(SIZE);

	madvise(mem, SIZE, MADV_HUGEPAGE);
	taken_back(mem, 16);
}

/* A file behind the memory: cut it, and the guest's page is a new one */
static void test_punch_hole(void)
{
	int fd = memfd_create("race", MFD_CLOEXEC);
	struct race r;
	u64 page;
	void *mem;
	int i;

	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, SIZE));
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED);
	start(&r, mem, guest_count, 16);
	go(&r);
	for (i = 0; i < ROUNDS; i++) {
		page = (rand() % PAGES) / 16 * 16;
		expect_moving(&r, page);
		CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   page * 4096, 4096));
		expect_moving(&r, page);
	}
	finish(&r);
}

/*
 * Write access to part of a large page goes and comes again while the guest writes
 * to another part: the large mapping is split under it, and no write is lost.
 */
static void test_split(void)
{
	void *mem = host_memory(SIZE);
	struct race r;
	u64 before;
	int i;

	madvise(mem, SIZE, MADV_HUGEPAGE);
	start(&r, mem, guest_count, 16);
	go(&r);
	for (i = 0; i < ROUNDS; i++) {
		expect_moving(&r, 32);
		before = *word(&r, 32);
		CHECK_OK(mprotect(r.mem + 33 * 4096, 4096, PROT_READ));
		CHECK(*word(&r, 32) >= before);
		expect_moving(&r, 32);
		CHECK_OK(mprotect(r.mem + 33 * 4096, 4096,
				  PROT_READ | PROT_WRITE));
	}
	finish(&r);
}

/* After fork() the child's copy must stand still, though the guest goes on */
static void test_fork(void)
{
	struct race r;
	int i, status;
	u64 page;

	start(&r, host_memory(SIZE), guest_count, 16);
	go(&r);
	for (i = 0; i < 5; i++) {
		u64 copy[PAGES];
		pid_t pid;

		expect_moving(&r, PAGES - 16);
		pid = CHECK_OK(fork());
		if (!pid) {
			for (page = 0; page < PAGES; page += 16)
				copy[page] = *word(&r, page);
			nap(20000);
			for (page = 0; page < PAGES; page += 16)
				if (copy[page] != *word(&r, page))
					_exit(1);
			_exit(0);
		}
		expect_moving(&r, 0);
		expect_moving(&r, PAGES - 16);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_MSG(!status, "the guest wrote into the child's copy");
	}
	finish(&r);
}

static void fill(struct race *r, u64 step, u64 val)
{
	u64 page;

	for (page = 0; page < PAGES; page += step)
		*word(r, page) = val;
}

/* KVM_SET_USER_MEMORY_REGION with size 0 returns: no write comes any more */
static void deleted(void *mem)
{
	struct race r;
	u64 page, mmio;
	int i;

	start(&r, mem, guest_count, 16);
	go(&r);
	for (i = 0; i < ROUNDS; i++) {
		expect_moving(&r, i * 16);
		vm_region(r.vm, SLOT, 0, 0, 0, NULL);
		fill(&r, 16, 0xee);
		for (mmio = r.mmio; r.mmio < mmio + 3;)
			nap(NAP);
		for (page = 0; page < PAGES; page += 16)
			CHECK_EQ(*word(&r, page), 0xee);
		vm_region(r.vm, SLOT, 0, GPA, SIZE, r.mem);
	}
	finish(&r);
}

static void test_delete(void)
{
	deleted(host_memory(SIZE));
}

/* Move the slot to and fro: only the writes to where it is arrive */
static void moved(void *mem)
{
	struct race r;
	u64 page, at, mmio;
	int i;

	start(&r, mem, guest_count, 64);
	VM_VAR(r.vm, base2) = OTHER;
	go(&r);
	for (i = 0; i < ROUNDS; i++) {
		at = i & 1 ? GPA : OTHER;
		vm_region(r.vm, SLOT, 0, at, SIZE, r.mem);
		fill(&r, 64, at);
		for (mmio = r.mmio; r.mmio < mmio + 2 * PAGES / 64;)
			nap(NAP);
		for (page = 0; page < PAGES; page += 64) {
			CHECK_EQ(*word(&r, page) & (GPA | OTHER), at);
			expect_moving(&r, page);
		}
	}
	finish(&r);
}

static void test_move(void)
{
	moved(host_memory(SIZE));
}

/* -- the dirty log ----------------------------------------------------------- */

/* Write to pages in an order that repeats after long; 8 bytes each */
static void guest_scatter(u64 base)
{
	u64 seed = 1, n;

	for (n = 1; !stop; n++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		*(volatile u64 *)(base + (seed >> 33) % PAGES * 4096 +
				  (seed >> 20) % 512 * 8) = n;
	}
}

static u64 copy_dirty(struct race *r, u8 *shadow)
{
	u64 bits[PAGES / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	u64 page, n = 0;

	CHECK_OK(ioctl(r->vm->fd, KVM_GET_DIRTY_LOG, &log));
	for (page = 0; page < PAGES; page++) {
		if (!(bits[page / 64] >> page % 64 & 1))
			continue;
		memcpy(shadow + page * 4096, r->mem + page * 4096, 4096);
		n++;
	}
	return n;
}

/*
 * A migration: whoever copies the pages of each log, while the guest writes, has
 * all of its memory in the end.
 */
static void migrated(void *mem)
{
	u8 *shadow = host_memory(SIZE);
	struct race r;
	u64 total = 0, page;
	int i;

	start(&r, mem, guest_scatter, 1);
	memset(mem, 0x5a, SIZE);
	memset(shadow, 0x5a, SIZE);
	vm_region(r.vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA, SIZE, mem);
	CHECK_EQ(copy_dirty(&r, shadow), 0);
	go(&r);
	for (i = 0; i < ROUNDS; i++) {
		total += copy_dirty(&r, shadow);
		/* logging that ends and begins again is a new full copy */
		if (i == ROUNDS / 3) {
			vm_region(r.vm, SLOT, 0, GPA, SIZE, mem);
			vm_region(r.vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA, SIZE,
				  mem);
			memcpy(shadow, mem, SIZE);
		}
		nap(NAP);
	}
	VM_VAR(r.vm, stop) = 1;
	pthread_join(r.thread, NULL);
	total += copy_dirty(&r, shadow);
	CHECK_MSG(total > ROUNDS / 2, "only %llu pages were logged",
		  (unsigned long long)total);
	CHECK_EQ(copy_dirty(&r, shadow), 0);
	for (page = 0; page < PAGES; page++)
		CHECK_MSG(!memcmp(shadow + page * 4096, r.mem + page * 4096, 4096),
			  "page %llu was written unseen", (unsigned long long)page);
	vm_free(r.vm);
}

static void test_migrate(void)
{
	migrated(host_memory(SIZE));
}

/* -- the same on memory of the module's -------------------------------------- */

static void *owned_memory(void)
{
	int fd;
	void *mem;

	REQUIRE(ksft_is_emys(), "only emys has memory of its own");
	fd = CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED);
	close(fd);
	return mem;
}

static void test_delete_owned(void)
{
	deleted(owned_memory());
}

static void test_move_owned(void)
{
	moved(owned_memory());
}

static void test_migrate_owned(void)
{
	migrated(owned_memory());
}

KSFT_MAIN(
	{ "race: MADV_DONTNEED of small pages", test_dontneed },
	{ "race: MADV_DONTNEED of large pages", test_dontneed_huge },
	{ "race: a hole punched into a shared file", test_punch_hole },
	{ "race: a large page split under the guest", test_split },
	{ "race: fork() keeps the child's copy", test_fork },
	{ "race: slot deleted", test_delete },
	{ "race: slot moved", test_move },
	{ "race: dirty log, a live copy", test_migrate },
	{ "race: owned slot deleted", test_delete_owned },
	{ "race: owned slot moved", test_move_owned },
	{ "race: owned dirty log, a live copy", test_migrate_owned },
)
