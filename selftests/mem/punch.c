// SPDX-License-Identifier: GPL-2.0-only
/* mem/punch: pages given away by MADV_REMOVE, and how they come back */
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "objects.h"

#define A	0x10000000ull
#define BLOCK	0x200000ull
#define PAGES	2048ull
#define SIZE	(PAGES * 4096)

struct setup {
	int fd;
	u32 id;
	u8 *mem;
	struct object o;
	struct vm *vm;
	struct vcpu *vcpu;
};

static void make(struct setup *s)
{
	*s = (struct setup){ .fd = object_open() };
	s->id = object_newest();
	s->mem = object_map(s->fd, SIZE);
	s->vm = vm_create();
	s->vcpu = vcpu_add(s->vm, 0);
	vm_region(s->vm, 1, 0, A, SIZE, s->mem);
}

static struct object *look(struct setup *s)
{
	CHECK(object_read(s->id, &s->o));
	return &s->o;
}

static void punch(struct setup *s, u64 page, u64 n)
{
	CHECK_OK(madvise(s->mem + page * 4096, n * 4096, MADV_REMOVE));
}

static volatile u64 *word(struct setup *s, u64 page)
{
	return (volatile u64 *)(s->mem + page * 4096);
}

static void guest_fill(void)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		*(volatile u64 *)(A + i * 4096) = i + 1;
	GUEST_SYNC(1);
	for (i = 0; i < PAGES; i++)
		GUEST_SYNC2(2, i, *(volatile u64 *)(A + i * 4096));
}

static void fill(struct setup *s)
{
	vcpu_call(s->vcpu, guest_fill, 0);
	vcpu_sync(s->vcpu, 1);
}

/* What the guest reads now: the punched pages zeros, the others what it wrote */
static void check_guest(struct setup *s, const u8 *punched)
{
	u64 i;

	for (i = 0; i < PAGES; i++) {
		vcpu_sync(s->vcpu, 2);
		CHECK_EQ(s->vcpu->uc.arg[1], i);
		CHECK_EQ(s->vcpu->uc.arg[2], punched[i] ? 0 : i + 1);
	}
	vcpu_done(s->vcpu);
}

/* Pages here and there, of blocks and of runs of blocks; guest and VMM see zeros. */
static void test_pages(void)
{
	static const struct { u64 first, n; } holes[] = {
		{ 0, 1 }, { 3, 2 }, { 511, 2 }, { 1024, 512 }, { 2047, 1 },
	};
	static u8 punched[PAGES];
	struct setup s;
	u64 before, n = 0, i, j, blocks;

	before = module_stat("pages");
	make(&s);
	fill(&s);
	blocks = look(&s)->blocks;
	CHECK_EQ(s.o.state[PRIVATE], PAGES);
	CHECK_EQ(module_stat("pages"), before + PAGES);
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		punch(&s, holes[i].first, holes[i].n);
		n += holes[i].n;
		for (j = 0; j < holes[i].n; j++)
			punched[holes[i].first + j] = 1;
		CHECK_EQ(module_stat("pages"), before + PAGES - n);
	}
	look(&s);
	CHECK_EQ(s.o.state[BALLOONED], n);
	CHECK_EQ(s.o.punched, n);
	CHECK_EQ(s.o.refaulted, 0);
	CHECK_EQ(s.o.blocks, 0);
	CHECK_EQ(s.o.freed, blocks ? 1 : 0);
	/* twice is once */
	punch(&s, 0, 5);
	CHECK_EQ(look(&s)->state[BALLOONED], n + 2);
	CHECK_EQ(s.o.punched, n + 2);
	punched[1] = punched[2] = 1;
	n += 2;
	/* the VMM's touch brings a zeroed page back, and so does the guest's */
	CHECK_EQ(*word(&s, 3), 0);
	CHECK_EQ(*word(&s, 5), 6);
	*word(&s, 4) = 0;
	look(&s);
	CHECK(s.o.refaulted >= 2);
	check_guest(&s, punched);
	look(&s);
	CHECK_EQ(s.o.refaulted, n);
	CHECK_EQ(s.o.state[PRIVATE], PAGES);
	vm_free(s.vm);
	CHECK_OK(munmap(s.mem, SIZE));
	CHECK_OK(close(s.fd));
	CHECK_EQ(module_stat_after("pages", before), before);
	CHECK(!object_read(s.id, &s.o));
}

/* All at once: the host has it back within the call */
static void test_all(void)
{
	struct setup s;
	u64 before = module_stat("pages");
	static u8 punched[PAGES];

	memset(punched, 1, sizeof(punched));
	make(&s);
	fill(&s);
	punch(&s, 0, PAGES);
	CHECK_EQ(module_stat_after("pages", before), before);
	CHECK_EQ(look(&s)->state[BALLOONED], PAGES);
	CHECK_EQ(s.o.broken, 0);
	CHECK_EQ(s.o.freed, s.o.made);
	check_guest(&s, punched);
}

/* What was never touched stays so */
static void test_absent(void)
{
	struct setup s;

	make(&s);
	punch(&s, 0, PAGES);
	look(&s);
	CHECK_EQ(s.o.state[ABSENT], PAGES);
	CHECK_EQ(s.o.punched, 0);
}

/* A page that the kernel holds for I/O leaves the object, and lives on for that I/O */
static void test_held(void)
{
	struct setup s;
	struct iovec io;
	u64 val = 0;
	int p[2];

	make(&s);
	*word(&s, 7) = 0x77;
	CHECK_OK(pipe(p));
	io = (struct iovec){ s.mem + 7 * 4096, 8 };
	CHECK_EQ(CHECK_OK(vmsplice(p[1], &io, 1, 0)), 8);
	punch(&s, 7, 1);
	CHECK_EQ(*word(&s, 7), 0);
	CHECK_EQ(read(p[0], &val, 8), 8);
	CHECK_EQ(val, 0x77);
}

/* What must be refused */
static void test_errors(void)
{
	int fd = object_open();
	u8 *mem = object_map(fd, SIZE);

	*mem = 5;
	CHECK_ERRNO(madvise(mem + 1, 4096, MADV_REMOVE), EINVAL);
	CHECK_OK(madvise(mem, 0, MADV_REMOVE));
	CHECK_EQ(*mem, 5);
	CHECK_ERRNO(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 1ull << 48), EOVERFLOW);
	fd = CHECK_OK(open("/dev/emys-mem", O_RDONLY));
	CHECK_ERRNO(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
}

/*
 * A VMM that calls fallocate() on the file it mapped, as QEMU does: the file has a name in a
 * mounted emys-mem. It lives as long as the name or a user of it.
 */
static void test_named(void)
{
	char dir[40], path[64];
	u64 before = module_stat("pages");
	struct setup s = { 0 };

	REQUIRE(ksft_is_emys(), "only emys has memory of its own");
	snprintf(dir, sizeof(dir), "/tmp/emys-mem.%d", getpid());
	CHECK_OK(mkdir(dir, 0700));
	CHECK_OK(mount("none", dir, "emys-mem", 0, NULL));
	snprintf(path, sizeof(path), "%s/ram", dir);
	CHECK_ERRNO(open(path, O_RDWR), ENOENT);
	s.fd = CHECK_OK(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	s.id = object_newest();
	CHECK_OK(ftruncate(s.fd, SIZE));
	CHECK_EQ(lseek(s.fd, 0, SEEK_END), SIZE);
	s.mem = object_map(s.fd, SIZE);
	s.vm = vm_create();
	s.vcpu = vcpu_add(s.vm, 0);
	vm_region(s.vm, 1, 0, A, SIZE, s.mem);
	fill(&s);
	CHECK_EQ(module_stat("pages"), before + PAGES);
	CHECK_OK(fallocate(s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * 4096, 7 * 4096));
	CHECK_EQ(module_stat("pages"), before + PAGES - 7);
	CHECK_EQ(look(&s)->state[BALLOONED], 7);
	CHECK_EQ(*word(&s, 4), 5);
	CHECK_EQ(*word(&s, 5), 0);
	CHECK_EQ(*word(&s, 12), 13);

	CHECK_ERRNO(fallocate(s.fd, 0, 0, SIZE), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5, 4096), EINVAL);
	CHECK_ERRNO(ftruncate(s.fd, SIZE / 2), EINVAL);
	CHECK_ERRNO(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, s.fd, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, s.fd, 0), EPERM);
	CHECK_ERRNO(umount(dir), EBUSY);

	vm_free(s.vm);
	CHECK_OK(munmap(s.mem, SIZE));
	CHECK_OK(close(s.fd));
	CHECK_EQ(look(&s)->state[PRIVATE], PAGES - 6);
	CHECK_OK(unlink(path));
	CHECK(!object_read(s.id, &s.o));
	/* and with a name at the end */
	s.fd = CHECK_OK(open(path, O_RDWR | O_CREAT, 0600));
	s.mem = object_map(s.fd, SIZE);
	*word(&s, 3) = 1;
	CHECK_OK(munmap(s.mem, SIZE));
	CHECK_OK(close(s.fd));
	CHECK_OK(umount(dir));
	CHECK_EQ(module_stat_after("pages", before), before);
	CHECK_OK(rmdir(dir));
}

/* -- with a guest that runs ------------------------------------------------------- */

static volatile u64 stop, rounds;

/* Each page holds what was written last, or zeros if it was punched since */
static void guest_storm(void)
{
	u64 n, page;

	for (n = 1; !stop; n++) {
		for (page = 0; page < PAGES; page += 8) {
			volatile u64 *p = (u64 *)(A + page * 4096);
			u64 was = p[1], got;

			GUEST_ASSERT_AT(was == 0 || was == n - 1, page, was);
			p[0] = n;
			p[1] = n;
			got = p[0];
			GUEST_ASSERT_AT(got == n || got == 0, page, got);
		}
		rounds = n;
	}
}

static void *run(void *arg)
{
	vcpu_done(arg);
	return NULL;
}

static void test_storm(void)
{
	struct timespec ts = { .tv_nsec = 500000 };
	struct setup s;
	pthread_t t;
	u64 i, was;

	make(&s);
	vcpu_call(s.vcpu, guest_storm, 0);
	CHECK(!pthread_create(&t, NULL, run, s.vcpu));
	srand(1);
	for (i = 0; i < 200; i++) {
		u64 first = rand() % PAGES, n = 1 + rand() % (i % 10 ? 16 : 1024);

		punch(&s, first, first + n > PAGES ? PAGES - first : n);
		nanosleep(&ts, NULL);
		if (i % 50 == 49)
			for (was = VM_VAR(s.vm, rounds); VM_VAR(s.vm, rounds) < was + 2;)
				nanosleep(&ts, NULL);
	}
	VM_VAR(s.vm, stop) = 1;
	pthread_join(t, NULL);
	look(&s);
	CHECK(s.o.punched > 0);
	CHECK(s.o.refaulted > 0);
}

KSFT_MAIN(
	{ "punch: pages of blocks and between", test_pages },
	{ "punch: everything", test_all },
	{ "punch: what was never there", test_absent },
	{ "punch: a page held by the kernel", test_held },
	{ "punch: errors", test_errors },
	{ "punch: fallocate() on a named file", test_named },
	{ "punch: under a guest that writes", test_storm, 60 },
)
