// SPDX-License-Identifier: GPL-2.0-only
/* dedup/merge: what is shared, by every algorithm, and what happens when it is written */

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "twins.h"

#define EMYS	0
#define KSM	1
#define ADDRESS	2

static void nap(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Exactly the pages that have an equal are shared, zeros are dropped by emys, and no other */
static void expect_merged(struct twins *t, unsigned int a)
{
	unsigned int n;

	for (n = 0; n < 2; n++) {
		side_look(&t->s[n]);
		CHECK_EQ(t->s[n].o.state[SHARED], (a == EMYS ? 3 : 4) * FIFTH);
		CHECK_EQ(t->s[n].o.state[ZERO], a == EMYS ? FIFTH : 0);
		CHECK_EQ(t->s[n].o.state[PRIVATE], FIFTH);
		CHECK_EQ(t->s[n].o.merged, t->s[n].o.state[SHARED]);
		CHECK_EQ(t->s[n].o.copied, 0);
	}
	CHECK_EQ(STAT(t, SHARING), 2 * t->s[0].o.state[SHARED]);
	CHECK_EQ(STAT(t, MERGED), 2 * t->s[0].o.state[SHARED]);
	CHECK_EQ(STAT(t, ZEROED), 2 * t->s[0].o.state[ZERO]);
	/* by address, those that are all the same are shared in each range */
	if (a == ADDRESS)
		CHECK(STAT(t, STABLE) >= 2 * FIFTH + 2 && STAT(t, STABLE) <= 2 * FIFTH + 16);
	else
		CHECK_EQ(STAT(t, STABLE), 2 * FIFTH + (a == EMYS ? 1 : 2));
	CHECK_EQ(module_stat("shared"), STAT(t, STABLE));
}

static void exact(unsigned int a)
{
	u64 before = module_stat("pages");
	struct twins t;

	twins_make(&t, a);
	twins_fill(&t);
	CHECK_EQ(module_stat("pages"), before + 2 * PAGES);
	scan(&t, ALL);
	expect_merged(&t, a);
	CHECK_EQ(module_stat("pages"), before + 2 * FIFTH + STAT(&t, STABLE));
	CHECK(STAT(&t, COMPARED) > 0 && STAT(&t, FUTILE) <= STAT(&t, COMPARED));
	CHECK_EQ(STAT(&t, PASSES), ALL);
	twins_check(&t);
	expect_merged(&t, a);	/* reading it changes nothing */
	twins_end(&t);
	CHECK_EQ(module_stat("pages"), before);
	CHECK_EQ(module_stat("shared"), 0);
}

static void test_exact(void)
{
	unsigned int a;

	for (a = 0; a < ARRAY_SIZE(algorithms); a++) {
		ksft_print("%s", algorithms[a]);
		exact(a);
	}
}

/* A write, by the guest or the VMM, copies the page for who wrote, and for nobody else */
static void writes(unsigned int a)
{
	struct twins t;
	unsigned int n;

	twins_make(&t, a);
	twins_fill(&t);
	scan(&t, ALL);
	expect_merged(&t, a);
	side_guest_put(&t.s[0], TWIN, 5);
	twins_check(&t);
	put(&t.s[1], TWIN2, 6);
	twins_check(&t);
	side_guest_put(&t.s[1], ZEROS, 5);
	put(&t.s[0], 5 + ZEROS, 6);
	put(&t.s[0], SAME, 6);
	side_guest_put(&t.s[1], 5 + SAME, 5);
	twins_check(&t);
	for (n = 0; n < 2; n++) {
		side_look(&t.s[n]);
		CHECK_EQ(t.s[n].o.copied, 3);
		CHECK_EQ(t.s[n].o.state[PRIVATE], FIFTH + 3);
	}
	/* 5 and 6 are thrice each */
	scan(&t, ALL);
	twins_check(&t);
	for (n = 0; n < 2; n++)
		CHECK_EQ(side_look(&t.s[n])->state[PRIVATE],
			 FIFTH + (a == ADDRESS ? t.s[n].o.state[PRIVATE] - FIFTH : 0));
	/* one word is written back to what it was: shared again with the twin */
	page(&t.s[0], 10 + TWIN)[3] ^= 1;
	scan(&t, 1);
	page(&t.s[0], 10 + TWIN)[3] ^= 1;
	scan(&t, ALL);
	twins_check(&t);
	CHECK_EQ(side_look(&t.s[0])->copied, 4);
	if (a != ADDRESS)
		CHECK_EQ(t.s[0].o.state[PRIVATE], FIFTH);
	twins_end(&t);
}

static void test_writes(void)
{
	unsigned int a;

	for (a = 0; a < ARRAY_SIZE(algorithms); a++) {
		ksft_print("%s", algorithms[a]);
		writes(a);
	}
}

/* A page that the kernel reads or writes for somebody keeps its frame until that is over */
static void test_pinned(void)
{
	struct twins t;
	struct iovec io;
	unsigned int a;
	u8 buf[4096];
	int p[2];

	for (a = 0; a < ARRAY_SIZE(algorithms); a++) {
		twins_make(&t, a);
		twins_fill(&t);
		CHECK_OK(pipe(p));
		io = (struct iovec){ (void *)page(&t.s[0], TWIN), 4096 };
		CHECK_EQ(CHECK_OK(vmsplice(p[1], &io, 1, 0)), 4096);
		scan(&t, ALL);
		side_look(&t.s[0]);
		side_look(&t.s[1]);
		CHECK_EQ(t.s[0].o.state[PRIVATE], FIFTH + 1);
		CHECK_EQ(t.s[1].o.state[PRIVATE], FIFTH + 1);
		CHECK(STAT(&t, REFUSED) || a == EMYS);
		twins_check(&t);
		CHECK_EQ(CHECK_OK(read(p[0], buf, sizeof(buf))), 4096);
		CHECK_EQ(page_wrong((u64 *)buf, t.s[0].want[TWIN]), WORDS);
		close(p[0]);
		close(p[1]);
		scan(&t, ALL);
		expect_merged(&t, a);
		twins_check(&t);
		twins_end(&t);
	}
}

/* -- a write by the kernel that takes its time --------------------------------------- */

/*
 * process_vm_writev() pins its destination, then reads its source: memory that is absent until the
 * test supplies it. Between, the page is pinned for writing, as for DMA.
 */
struct slow_write {
	pthread_t thread;
	int uffd;
	void *from, *to;
};

static void *slow_writer(void *arg)
{
	struct slow_write *w = arg;
	struct iovec from = { w->from, 4096 }, to = { w->to, 4096 };

	CHECK_EQ(CHECK_OK(process_vm_writev(getpid(), &from, 1, &to, 1, 0)), 4096);
	return NULL;
}

/* Returns with the page at @to pinned. */
static void slow_write_begin(struct slow_write *w, volatile void *to)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;

	w->to = (void *)to;
	w->uffd = CHECK_OK(syscall(__NR_userfaultfd, O_CLOEXEC));
	CHECK_OK(ioctl(w->uffd, UFFDIO_API, &api));
	w->from = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(w->from != MAP_FAILED);
	reg.range = (struct uffdio_range){ (uintptr_t)w->from, 4096 };
	CHECK_OK(ioctl(w->uffd, UFFDIO_REGISTER, &reg));
	CHECK(!pthread_create(&w->thread, NULL, slow_writer, w));
	CHECK_EQ(CHECK_OK(read(w->uffd, &msg, sizeof(msg))), sizeof(msg));
	CHECK_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void slow_write_end(struct slow_write *w, const void *content)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)w->from, .src = (uintptr_t)content, .len = 4096,
	};

	CHECK_OK(ioctl(w->uffd, UFFDIO_COPY, &copy));
	CHECK(!pthread_join(w->thread, NULL));
	munmap(w->from, 4096);
	close(w->uffd);
}

/*
 * A page that is pinned for writing is left alone, and what is written into it later is what the
 * guest sees. Unpinned, it is a page like others.
 */
static void test_pinned_write(void)
{
	static _Alignas(4096) u64 content[WORDS];
	struct slow_write w;
	struct twins t;
	unsigned int a;

	for (a = 0; a < ARRAY_SIZE(algorithms); a++) {
		twins_make(&t, a);
		twins_fill(&t);
		slow_write_begin(&w, page(&t.s[0], TWIN));
		scan(&t, ALL);
		CHECK_EQ(object_state(&t.s[0], TWIN), PRIVATE);
		CHECK_EQ(object_state(&t.s[1], TWIN), PRIVATE);
		CHECK_EQ(object_state(&t.s[0], TWIN2), SHARED);
		t.s[0].want[TWIN] = t.s[0].want[TWIN2];
		page_fill(content, t.s[0].want[TWIN]);
		slow_write_end(&w, content);
		twins_check(&t);
		scan(&t, ALL);
		CHECK_EQ(object_state(&t.s[0], TWIN), SHARED);
		CHECK_EQ(object_state(&t.s[1], TWIN), PRIVATE);
		twins_check(&t);
		twins_end(&t);
	}
}

/* VMs in domains of their own share nothing with each other */
static void test_domains(void)
{
	struct nl_domain d;
	struct nl_vm vm;
	struct twins t;
	unsigned int n;
	u32 own;

	twins_make(&t, EMYS);
	for (n = 0; n < 2; n++)
		CHECK_EQ(nl_vm_domain(t.nl, t.s[n].vm_id, 0), 0);
	twins_fill(&t);
	for (n = 0; n < 2; n++) {
		CHECK_EQ(nl_vm_get(t.nl, t.s[n].vm_id, &vm), 0);
		own = vm.a[EMYS_A_VM_DOMAIN];
		CHECK(own >> 31);
		CHECK_EQ(nl_scan(t.nl, own, ALL), 0);
		CHECK_EQ(nl_domain_get(t.nl, own, &d), 0);
		CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_STABLE], 1);
		CHECK_EQ(d.stats[EMYS_A_DEDUP_STATS_SHARING], FIFTH);
		side_look(&t.s[n]);
		CHECK_EQ(t.s[n].o.state[SHARED], FIFTH);
		CHECK_EQ(t.s[n].o.state[ZERO], FIFTH);
	}
	scan(&t, ALL);
	CHECK_EQ(STAT(&t, SHARING), 0);
	CHECK_EQ(STAT(&t, SCANNED), 0);
	twins_check(&t);
	twins_end(&t);
}

/* Who leaves a domain takes private copies along, and is not merged there again */
static void test_move(void)
{
	struct nl_vm vm;
	struct twins t;

	twins_make(&t, EMYS);
	twins_fill(&t);
	scan(&t, ALL);
	expect_merged(&t, EMYS);
	CHECK_EQ(nl_vm_domain(t.nl, t.s[1].vm_id, 0), 0);
	side_look(&t.s[1]);
	CHECK_EQ(t.s[1].o.state[SHARED], 0);
	CHECK_EQ(t.s[1].o.unshared, 3 * FIFTH);
	CHECK_EQ(t.s[1].o.state[ZERO], FIFTH);
	CHECK_EQ(side_look(&t.s[0])->state[SHARED], 3 * FIFTH);
	CHECK_EQ(STAT(&t, SHARING), 3 * FIFTH);
	twins_check(&t);
	scan(&t, ALL);
	CHECK_EQ(STAT(&t, SHARING), 3 * FIFTH);
	CHECK_EQ(nl_vm_get(t.nl, t.s[1].vm_id, &vm), 0);
	CHECK_EQ(nl_scan(t.nl, vm.a[EMYS_A_VM_DOMAIN], ALL), 0);
	CHECK_EQ(side_look(&t.s[1])->state[SHARED], FIFTH);
	twins_check(&t);
	/* and back */
	CHECK_EQ(nl_vm_domain(t.nl, t.s[1].vm_id, DOMAIN), 0);
	CHECK_EQ(side_look(&t.s[1])->state[SHARED], 0);
	scan(&t, ALL);
	CHECK_EQ(side_look(&t.s[1])->state[SHARED], 3 * FIFTH);
	CHECK_EQ(STAT(&t, SHARING), 6 * FIFTH);
	CHECK_EQ(STAT(&t, STABLE), 2 * FIFTH + 1);
	twins_check(&t);
	twins_end(&t);
}

/* Another algorithm keeps what is shared, and new pages find it */
static void test_switch(void)
{
	unsigned int from, to;
	struct twins t;
	u64 stable;

	for (from = 0; from < ARRAY_SIZE(algorithms); from += 2) {
		twins_make(&t, from);
		twins_fill(&t);
		scan(&t, ALL);
		expect_merged(&t, from);
		stable = STAT(&t, STABLE);
		for (to = 0; to < ARRAY_SIZE(algorithms); to++) {
			CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM, to),
				 0);
			CHECK_EQ(STAT(&t, STABLE), stable);
			put(&t.s[0], OWN + 5 * to, 1000 + TWIN);
			scan(&t, ALL);
			twins_check(&t);
			if (to == ADDRESS || from == ADDRESS)
				continue;
			CHECK_EQ(STAT(&t, STABLE), stable);
			CHECK_EQ(object_state(&t.s[0], OWN + 5 * to), SHARED);
		}
		twins_end(&t);
	}
}

/* The copy of a VM's memory is merged with it at once, without a pass */
static void test_clone(void)
{
	struct twins t;
	u64 merged = 0;

	twins_make(&t, EMYS);
	twins_fill(&t);
	CHECK_EQ(nl_clone_object(t.nl, t.s[0].id, t.s[1].id, &merged), 0);
	/* pairs; of those that are all the same the first pair, then the clone's; the clone's zeros */
	CHECK_EQ(merged, 2 * 2 * FIFTH + FIFTH + 1 + FIFTH);
	CHECK_EQ(STAT(&t, PASSES), 0);
	side_look(&t.s[0]);
	side_look(&t.s[1]);
	CHECK_EQ(t.s[1].o.state[SHARED], 3 * FIFTH);
	CHECK_EQ(t.s[1].o.state[ZERO], FIFTH);
	CHECK_EQ(t.s[0].o.state[SHARED], 2 * FIFTH + 1);
	twins_check(&t);
	scan(&t, ALL);
	expect_merged(&t, EMYS);
	twins_check(&t);
	/* not across domains */
	CHECK_EQ(nl_vm_domain(t.nl, t.s[1].vm_id, 0), 0);
	CHECK(nl_clone_object(t.nl, t.s[0].id, t.s[1].id, &merged) < 0);
	CHECK_EQ(side_look(&t.s[1])->state[SHARED], 0);
	twins_end(&t);
}

/* A VM that goes leaves its twin's pages alone; the last user of a page may write it */
static void test_death(void)
{
	unsigned int a, i;
	struct twins t;

	for (a = 0; a < ARRAY_SIZE(algorithms); a++) {
		twins_make(&t, a);
		twins_fill(&t);
		scan(&t, ALL);
		expect_merged(&t, a);
		side_end(&t.s[1]);
		twins_check(&t);
		CHECK_EQ(STAT(&t, SHARING), (a == EMYS ? 3 : 4) * FIFTH);
		scan(&t, 1);
		for (i = 0; i < PAGES; i++)
			put(&t.s[0], i, 5000 + i);
		CHECK_EQ(STAT(&t, SHARING), 0);
		CHECK_EQ(STAT(&t, STABLE), 0);
		CHECK_EQ(module_stat("shared"), 0);
		scan(&t, ALL);
		twins_check(&t);
		CHECK_EQ(side_look(&t.s[0])->state[PRIVATE], PAGES);
		twins_end(&t);
	}
}

/* Nothing changed: emys reads nothing and compares nothing; ksm all of it again */
static void test_rest(void)
{
	u64 bytes, compared, scanned, skipped, ticks[2];
	unsigned int a, i;
	struct twins t;

	for (a = EMYS; a <= KSM; a++) {
		twins_make(&t, a);
		for (i = 0; i < PAGES; i++) {
			put(&t.s[0], i, 100 + i);
			put(&t.s[1], i, 5000 + i);
		}
		scan(&t, ALL);
		bytes = STAT(&t, BYTES);
		compared = STAT(&t, COMPARED);
		scanned = STAT(&t, SCANNED);
		skipped = STAT(&t, SKIPPED);
		scan(&t, 1);
		ticks[a] = STAT(&t, PASS_TICKS);
		CHECK_EQ(STAT(&t, SCANNED) - scanned, 2 * PAGES);
		CHECK_EQ(STAT(&t, PASS_SCANNED), 2 * PAGES);
		CHECK_EQ(STAT(&t, UNSTABLE), 2 * PAGES);
		if (a == EMYS) {
			CHECK_EQ(STAT(&t, SKIPPED) - skipped, 2 * PAGES);
			CHECK_EQ(STAT(&t, BYTES), bytes);
			CHECK_EQ(STAT(&t, COMPARED), compared);
		} else {
			CHECK(STAT(&t, BYTES) - bytes >= 2 * SIZE);
			CHECK(STAT(&t, COMPARED) - compared >= 2 * PAGES);
		}
		twins_check(&t);
		twins_end(&t);
	}
	ksft_print("a pass over %u pages: emys %llu ticks, ksm %llu", 2 * PAGES,
		   (unsigned long long)ticks[EMYS], (unsigned long long)ticks[KSM]);
	CHECK(ticks[EMYS] * 10 <= ticks[KSM]);
}

/* The thread scans what it is told to, and only that long */
static void test_thread(void)
{
	struct twins t;
	u64 scanned;
	int i;

	twins_make(&t, KSM);
	twins_fill(&t);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_SLEEP_MS, 5), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 500), 0);
	CHECK_EQ(STAT(&t, SCANNED), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 1), 0);
	for (i = 0; i < 1000 && STAT(&t, SHARING) < 8 * FIFTH; i++)
		nap(10);
	expect_merged(&t, KSM);
	CHECK(STAT(&t, PASSES) >= 2);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 0), 0);
	nap(50 * ksft_slowness());
	scanned = STAT(&t, SCANNED);
	nap(200);
	CHECK_EQ(STAT(&t, SCANNED), scanned);
	twins_check(&t);
	twins_end(&t);
}

static u64 tsc(void)
{
	u32 lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

/* The share of one CPU that the thread takes in a second, in 1000ths */
static u64 share_used(struct twins *t)
{
	u64 ticks = STAT(t, TICKS), begin = tsc();

	nap(1000 * ksft_slowness());
	return (STAT(t, TICKS) - ticks) * 1000 / (tsc() - begin);
}

/*
 * The thread keeps to its share of the CPU and to its pages, what it keeps to can be read, and
 * the rate follows what is found.
 */
static void test_budget(void)
{
	u64 scanned, few, many;
	struct twins t;
	unsigned int i;

	twins_make(&t, KSM);
	for (i = 0; i < PAGES; i++) {
		put(&t.s[0], i, 100 + i);
		put(&t.s[1], i, 5000 + i);
	}
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_ADAPTIVE, 0), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_PAGES, 64), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_SLEEP_MS, 0), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 50), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 1), 0);
	few = share_used(&t);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 600), 0);
	nap(50 * ksft_slowness());
	many = share_used(&t);
	ksft_print("of 50 permille of a CPU %llu were used, of 600 %llu",
		   (unsigned long long)few, (unsigned long long)many);
	/* less, because a sleep is as long as the timer makes it; more by one turn at the edge */
	CHECK(few > 0 && few <= 75);
	CHECK(many > 2 * few && many <= 700);

	/* 64 pages in each sleep of 100 ms */
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_SLEEP_MS, 100), 0);
	nap(150);
	scanned = STAT(&t, SCANNED);
	nap(1000);
	scanned = STAT(&t, SCANNED) - scanned;
	ksft_print("%llu pages in a second of at most 640", (unsigned long long)scanned);
	CHECK(scanned >= 64 && scanned <= 640 + 2 * 64);
	CHECK_EQ(STAT(&t, RATE), 64);

	/* nothing to find: down to a sixteenth; much to find: up to all */
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_ADAPTIVE, 1), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_SLEEP_MS, 1), 0);
	for (i = 0; i < 1000 && STAT(&t, RATE) != 4; i++)
		nap(10);
	CHECK_EQ(STAT(&t, RATE), 4);
	twins_fill(&t);
	for (i = 0; i < 1000 && STAT(&t, RATE) != 64; i++)
		nap(5);
	CHECK_EQ(STAT(&t, RATE), 64);
	twins_check(&t);
	twins_end(&t);
}

KSFT_MAIN(
	{ "merge: what is the same, and nothing else", test_exact },
	{ "merge: writes copy", test_writes, 40 },
	{ "merge: pinned pages", test_pinned, 40 },
	{ "merge: pages pinned for writing", test_pinned_write, 40 },
	{ "merge: domains of their own", test_domains },
	{ "merge: leaving a domain", test_move },
	{ "merge: another algorithm", test_switch, 60 },
	{ "merge: a clone", test_clone },
	{ "merge: a VM goes", test_death, 40 },
	{ "merge: a pass over nothing new", test_rest },
	{ "merge: the thread", test_thread },
	{ "merge: the thread's budget", test_budget, 60 },
)
