// SPDX-License-Identifier: GPL-2.0-only
/* dedup/client: memory of VMMs that know KVM's ioctls and the name of a file, and nothing else */

/*
 * Two clients, processes of their own, do what QEMU does with a memory-backend-file: map a file,
 * hand the mapping in by KVM_SET_USER_MEMORY_REGION, and give pages away by madvise() or fallocate() when
 * the guest's balloon says so. One has the device, the other a file of a mounted emys-mem.
 * This process, which has no VM, finds theirs by netlink and works on them.
 */
#include <linux/falloc.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../mem/objects.h"
#include "nl.h"

#define AT	0x10000000ull
#define PAGES	2048u
#define SIZE	(PAGES * 4096ull)
#define BLOCKS	(PAGES / 512)
#define WORDS	512u
#define DOMAIN	78
/* what the balloons take: neither its begin nor its end is a block's */
#define FIRST	100u
#define GIVEN	1600u

/* A quarter each: zeros; the same in the other client, twice; of no other page. */
enum { ZEROS, SAME, SAME2, OWN, KINDS };
#define QUARTER	(PAGES / KINDS)

static u32 kind(u32 page)
{
	return page % KINDS;
}

/* -- the guests ------------------------------------------------------------------------ */

/* In the guests' own copies of these. */
static volatile u32 version[PAGES];	/* of each page; 0: zeros, whatever the kind */
static volatile u64 self;

static u64 content(u32 page)
{
	if (!version[page] || kind(page) == ZEROS)
		return 0;
	return (kind(page) == OWN ? self << 56 : 0) | (u64)version[page] << 32 | (page + 1);
}

static u64 word(u64 c, u32 i)
{
	return c ? c * 0x9e3779b97f4a7c15ull + i * 0x100000001ull : 0;
}

static void guest_write(u32 page)
{
	volatile u64 *p = (u64 *)(AT + page * 4096ull);
	u64 c;
	u32 i;

	version[page]++;
	c = content(page);
	for (i = 0; i < WORDS; i++)
		p[i] = word(c, i);
}

static void guest_fill(void)
{
	u32 page;

	for (page = 0; page < PAGES; page++)
		guest_write(page);
}

static void guest_change(void)
{
	u32 page;

	for (page = 0; page < PAGES; page++)
		if (kind(page) == SAME)
			guest_write(page);
}

/* Every byte of all pages. */
static void guest_check(void)
{
	u32 page, i;

	for (page = 0; page < PAGES; page++) {
		volatile u64 *p = (u64 *)(AT + page * 4096ull);
		u64 c = content(page);

		for (i = 0; i < WORDS; i++)
			GUEST_ASSERT_AT(p[i] == word(c, i), page, p[i]);
	}
}

/* -- the clients: no word of emys but a path ------------------------------------------- */

struct client {
	pid_t pid;
	int orders[2], answers[2];	/* pipes */
	u32 vm;				/* netlink's */
};

static int open_file(const char *dir)
{
	char path[64];
	int fd;

	if (!dir)
		return CHECK_OK(open("/dev/emys-mem", O_RDWR | O_CLOEXEC));
	snprintf(path, sizeof(path), "%s/ram", dir);
	fd = CHECK_OK(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	CHECK_OK(ftruncate(fd, SIZE));
	CHECK_OK(unlink(path));
	return fd;
}

static void give(struct vm *vm, int fd, u8 *mem, const char *dir)
{
	u32 page;

	if (dir)
		CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FIRST * 4096ull,
				   GIVEN * 4096ull));
	else
		CHECK_OK(madvise(mem + FIRST * 4096ull, GIVEN * 4096ull, MADV_REMOVE));
	for (page = FIRST; page < FIRST + GIVEN; page++)
		VM_VAR(vm, version[page]) = 0;
}

static void __noreturn client(struct client *c, u64 nth, const char *dir)
{
	int fd = open_file(dir);
	u8 *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	char order;

	CHECK_MSG(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	vm_region(vm, 1, 0, AT, SIZE, mem);
	VM_VAR(vm, self) = nth + 1;
	/* The other end is closed when the case ends. */
	while (read(c->orders[0], &order, 1) == 1) {
		if (order == 'g') {
			give(vm, fd, mem, dir);
		} else {
			vcpu_call(vcpu, order == 'f' ? guest_fill :
					order == 'w' ? guest_change : guest_check, 0);
			vcpu_done(vcpu);
		}
		CHECK_EQ(CHECK_OK(write(c->answers[1], &order, 1)), 1);
	}
	_exit(KSFT_PASS);
}

/* -- who works on them ----------------------------------------------------------------- */

static struct client clients[2];

static void begin(u64 nth, const char *dir)
{
	struct client *c = &clients[nth];

	CHECK_OK(pipe(c->orders));
	CHECK_OK(pipe(c->answers));
	c->pid = CHECK_OK(fork());
	if (!c->pid) {
		if (nth)
			close(clients[0].orders[1]);
		close(c->orders[1]);
		close(c->answers[0]);
		client(c, nth, dir);
	}
	close(c->orders[0]);
	close(c->answers[1]);
}

static void tell(u32 nth, char order)
{
	char answer = 0;

	CHECK_EQ(CHECK_OK(write(clients[nth].orders[1], &order, 1)), 1);
	CHECK_MSG(read(clients[nth].answers[0], &answer, 1) == 1, "client %u ended at '%c'", nth, order);
}

static void tell_both(char order)
{
	tell(0, order);
	tell(1, order);
}

static u32 find(struct nl *nl, pid_t pid)
{
	static struct nl_vm all[16];
	int n = nl_vms(nl, all, ARRAY_SIZE(all)), i;

	for (i = 0; i < n; i++)
		if (all[i].a[EMYS_A_VM_PID] == (u64)pid)
			return all[i].a[EMYS_A_VM_ID];
	FAIL("process %d has no VM", pid);
}

static u64 count(struct nl *nl, u32 nth, u32 attr)
{
	static struct nl_vm vm;

	CHECK_EQ(nl_vm_get(nl, clients[nth].vm, &vm), 0);
	return vm.counts[attr];
}

static void broken(struct nl *nl)
{
	u32 i, n;

	for (n = 0; n < 2; n++) {
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_BLOCKS), BLOCKS);
		CHECK_EQ(nl_vm_large(nl, clients[n].vm, EMYS_LARGE_POLICY_SMALL), 0);
	}
	for (i = 0; i < 8; i++)
		CHECK_EQ(nl_round(nl), 0);
	for (n = 0; n < 2; n++) {
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_BLOCKS), 0);
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_BROKEN), BLOCKS);
	}
	tell_both('c');
}

static void deduplicated(struct nl *nl)
{
	u32 n;

	CHECK_EQ(nl_scan(nl, DOMAIN, 4), 0);
	for (n = 0; n < 2; n++) {
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_ZERO), QUARTER);
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_SHARED), 2 * QUARTER);
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_PRIVATE), QUARTER);
	}
	CHECK_EQ(module_stat("pages"), 4 * QUARTER);
	tell_both('c');
	/* A write copies, and only for who wrote. */
	tell(0, 'w');
	CHECK_EQ(count(nl, 0, EMYS_A_COUNTS_COPIED), QUARTER);
	CHECK_EQ(count(nl, 1, EMYS_A_COUNTS_COPIED), 0);
	CHECK_EQ(module_stat("pages"), 5 * QUARTER);
	tell_both('c');
}

static void ballooned(struct nl *nl)
{
	/* GIVEN is a multiple of KINDS: each kind has the same part of it */
	u32 each = GIVEN / KINDS, n;

	tell(0, 'g');
	CHECK_EQ(count(nl, 0, EMYS_A_COUNTS_BALLOONED), GIVEN);
	/* of the first its own, and what it copied; the other client has the rest */
	CHECK_EQ(module_stat("pages"), 5 * QUARTER - 2 * each);
	tell(1, 'c');
	tell(1, 'g');
	CHECK_EQ(count(nl, 1, EMYS_A_COUNTS_BALLOONED), GIVEN);
	CHECK_EQ(module_stat("pages"), 5 * QUARTER - 5 * each);
	/* Zeros are found there, and every touch takes a page. */
	tell_both('c');
	for (n = 0; n < 2; n++) {
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_REFAULTED), GIVEN);
		CHECK_EQ(count(nl, n, EMYS_A_COUNTS_BALLOONED), 0);
	}
	/* They hold what is written. */
	tell_both('f');
	tell_both('c');
}

static void test_client(void)
{
	char dir[40];
	struct nl *nl;
	int status;
	u32 n;

	REQUIRE(ksft_is_emys(), "only emys has memory of its own");
	CHECK_EQ(module_stat_after("pages", 0), 0);
	snprintf(dir, sizeof(dir), "/tmp/client.%d", getpid());
	CHECK_OK(mkdir(dir, 0700));
	CHECK_OK(mount("none", dir, "emys-mem", 0, NULL));
	begin(0, NULL);
	begin(1, dir);
	tell_both('f');
	tell_both('c');
	CHECK_EQ(module_stat("pages"), 2 * PAGES);

	nl = nl_open();
	CHECK_EQ(nl_domain_create(nl, DOMAIN), 0);
	CHECK_EQ(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 0), 0);
	CHECK_EQ(nl_domain_policy(nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM,
				  EMYS_DEDUP_ALGORITHM_EMYS), 0);
	for (n = 0; n < 2; n++) {
		clients[n].vm = find(nl, clients[n].pid);
		CHECK_EQ(nl_vm_domain(nl, clients[n].vm, DOMAIN), 0);
	}
	broken(nl);
	deduplicated(nl);
	ballooned(nl);

	for (n = 0; n < 2; n++) {
		close(clients[n].orders[1]);
		CHECK_EQ(CHECK_OK(waitpid(clients[n].pid, &status, 0)), clients[n].pid);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(module_stat_after("pages", 0), 0);
	CHECK_EQ(module_stat_after("vms", 0), 0);
	CHECK_OK(umount2(dir, 0));
	CHECK_OK(rmdir(dir));
	nl_close(nl);
}

KSFT_MAIN(
	{ "client: broken, deduplicated, ballooned", test_client, 60 },
)
