// SPDX-License-Identifier: GPL-2.0-only
/* dedup/race: guests and a VMM that check every byte they wrote, while all is merged all the time */

/*
 * Few contents on many pages, so that most pages are shared at any moment. Each guest, and the
 * VMM in a part of its own, picks a page, checks all of it against what it last put there, and
 * sometimes writes it anew. Meanwhile the domain is scanned by every algorithm in turn,
 * cloned, left and entered, and pages are given away.
 */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "module.h"
#include "twins.h"

#define GUESTS_PAGES	150u		/* the rest is the VMM's */
#define CONTENTS	4
#define SECONDS		4
#define ENOUGH		100	/* pages, to say that a guest or a VMM went on */

static volatile u64 stop, checked, written;

static u64 next(u64 *x)
{
	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return *x >> 33;
}

/* One page's check, and sometimes a write. Returns the word that is wrong, or WORDS. */
static unsigned int live(volatile u64 *mem, u64 *want, u64 first, u64 n, u64 *x)
{
	u64 i = first + next(x) % n;
	volatile u64 *p = mem + i * WORDS;
	unsigned int j = page_wrong(p, want[i]);

	if (j != WORDS)
		return j;
	checked++;
	if (next(x) % 32)
		return WORDS;
	want[i] = next(x) % CONTENTS;
	page_fill(p, want[i]);
	written++;
	return WORDS;
}

static void guest_live(u64 seed)
{
	unsigned int j;
	u64 x = seed;

	while (!stop) {
		j = live((u64 *)GPA, guest_want, 0, GUESTS_PAGES, &x);
		if (j != WORDS)
			GUEST_SYNC2(2, j, x);
	}
	guest_check(GUESTS_PAGES);
}

struct life {
	pthread_t guest, vmm;
	struct side *side;
	u64 seed;
	volatile int stop;
	u64 checked;
};

static void *run_guest(void *arg)
{
	struct life *l = arg;

	vcpu_call(l->side->vcpu, guest_live, l->seed);
	vcpu_done(l->side->vcpu);
	return NULL;
}

static void *run_vmm(void *arg)
{
	struct life *l = arg;
	unsigned int j, i;
	u64 x = l->seed * 77;

	while (!l->stop) {
		j = live((volatile u64 *)l->side->mem, l->side->want, GUESTS_PAGES,
			 PAGES - GUESTS_PAGES, &x);
		CHECK_MSG(j == WORDS, "word %u of the VMM's page is wrong", j);
		l->checked++;
		if (l->checked % 64 == 0)
			sched_yield();
	}
	for (i = GUESTS_PAGES; i < PAGES; i++)
		CHECK_EQ(page_wrong(page(l->side, i), l->side->want[i]), WORDS);
	return NULL;
}

static void life_begin(struct life *l, struct side *s, u64 seed)
{
	*l = (struct life){ .side = s, .seed = seed };
	CHECK(!pthread_create(&l->guest, NULL, run_guest, l));
	CHECK(!pthread_create(&l->vmm, NULL, run_vmm, l));
}

static void life_end(struct life *l)
{
	VM_VAR(l->side->vm, stop) = 1;
	l->stop = 1;
	CHECK(!pthread_join(l->guest, NULL));
	CHECK(!pthread_join(l->vmm, NULL));
	ksft_print("the guest checked %llu pages and wrote %llu, the VMM checked %llu",
		   (unsigned long long)VM_VAR(l->side->vm, checked),
		   (unsigned long long)VM_VAR(l->side->vm, written),
		   (unsigned long long)l->checked);
	CHECK(VM_VAR(l->side->vm, written) > ENOUGH);
	CHECK(l->checked > ENOUGH);
}

static u64 seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static int lived(const struct life *l)
{
	return VM_VAR(l->side->vm, written) > ENOUGH && l->checked > ENOUGH;
}

/* So long, and on a slow host longer: until enough has happened. The case has a time limit. */
static void lives(struct twins *t, void (*meanwhile)(struct twins *t, unsigned int round))
{
	u64 end = seconds() + SECONDS;
	struct life l[2];
	unsigned int n, round = 0;

	for (n = 0; n < 2; n++)
		life_begin(&l[n], &t->s[n], n + 1);
	while (seconds() < end || round < 5 || !lived(&l[0]) || !lived(&l[1]) ||
	       STAT(t, SCANNED) <= PAGES || STAT(t, MERGED) + STAT(t, ZEROED) <= ENOUGH)
		meanwhile(t, round++);
	for (n = 0; n < 2; n++)
		life_end(&l[n]);
	ksft_print("%u rounds", round);
}

/* Much was merged and much copied, and nobody has the other's */
static void expect_much(struct twins *t)
{
	unsigned int n;

	for (n = 0; n < 2; n++) {
		side_look(&t->s[n]);
		ksft_print("merged %llu, zeroed %llu, copied %llu, unshared %llu",
			   (unsigned long long)t->s[n].o.merged,
			   (unsigned long long)t->s[n].o.zeroed,
			   (unsigned long long)t->s[n].o.copied,
			   (unsigned long long)t->s[n].o.unshared);
		CHECK(t->s[n].o.merged > 100);
		CHECK(t->s[n].o.merged + t->s[n].o.zeroed > PAGES);
		CHECK(t->s[n].o.copied > 100);
	}
}

static void each_algorithm(struct twins *t, unsigned int round)
{
	CHECK_EQ(nl_domain_policy(t->nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM, round % 5), 0);
	scan(t, 4);
}

static void test_algorithms(void)
{
	struct twins t;

	twins_make(&t, 0);
	lives(&t, each_algorithm);
	expect_much(&t);
	twins_end(&t);
	CHECK_EQ(module_stat("shared"), 0);
}

static void come_and_go(struct twins *t, unsigned int round)
{
	struct nl_object o;
	u64 merged;

	scan(t, 3);
	if (round % 3 == 0)
		CHECK_EQ(nl_clone_object(t->nl, t->s[round & 1].id, t->s[~round & 1].id, &merged),
			 0);
	if (round % 4 == 3) {
		CHECK_EQ(nl_vm_domain(t->nl, t->s[1].vm_id, 0), 0);
		/* alone it shares with itself only, and nobody scans it there */
		CHECK_EQ(nl_object_get(t->nl, t->s[1].id, &o), 0);
		CHECK_EQ(o.counts[EMYS_A_COUNTS_SHARED], 0);
		CHECK_EQ(nl_vm_domain(t->nl, t->s[1].vm_id, DOMAIN), 0);
	}
}

static void test_move(void)
{
	struct twins t;

	twins_make(&t, 0);
	lives(&t, come_and_go);
	expect_much(&t);
	CHECK(t.s[1].o.unshared > 0);
	twins_end(&t);
	CHECK_EQ(module_stat("shared"), 0);
}

/* The thread scans without a pause, and its policy changes under it */
static void change_policy(struct twins *t, unsigned int round)
{
	struct timespec ts = { .tv_nsec = 50000000 };

	nanosleep(&ts, NULL);
	CHECK_EQ(nl_domain_policy(t->nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM, round % 5), 0);
	CHECK_EQ(nl_domain_policy(t->nl, DOMAIN, EMYS_A_DEDUP_POLICY_CLASSES, round % 7 * 16), 0);
	CHECK_EQ(nl_domain_policy(t->nl, DOMAIN, EMYS_A_DEDUP_POLICY_PAGES, 1 << round % 12), 0);
	STAT(t, SHARING);
	nanosleep(&ts, NULL);
}

static void nap(unsigned int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000 };

	nanosleep(&ts, NULL);
}

static void test_thread(void)
{
	struct twins t;

	twins_make(&t, 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_SLEEP_MS, 0), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 1000), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 1), 0);
	lives(&t, change_policy);
	CHECK(STAT(&t, SCANNED) > PAGES);
	CHECK(STAT(&t, MERGED) + STAT(&t, ZEROED) > ENOUGH);
	/* gone while the thread is at it, which lets go of what it has in hand */
	twins_end(&t);
	while (module_stat("shared"))
		nap(10);
}

/* Two guests that live, scanned without a pause, until they are killed */
static void live_on(unsigned int round, int ready)
{
	struct twins t;
	struct life l[2];
	unsigned int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	twins_make(&t, round % ARRAY_SIZE(algorithms));
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_SLEEP_MS, 0), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_CPU_PERMILLE, 1000), 0);
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 1), 0);
	for (n = 0; n < 2; n++)
		life_begin(&l[n], &t.s[n], n + 1);
	while (!STAT(&t, MERGED))
		nap(10);
	CHECK_EQ(write(ready, "", 1), 1);
	for (;;)
		pause();
}

/* VMs are killed under the scan, and the module goes while the thread is still at it */
static void test_killed(void)
{
	unsigned int round, i, rounds = ksft_slowness() > 1 ? 2 : 6;
	int p[2], r = -1;
	pid_t pid;
	char c;

	module_file();
	for (round = 0; round < rounds; round++) {
		CHECK_OK(pipe(p));
		pid = CHECK_OK(fork());
		if (!pid)
			live_on(round, p[1]);
		close(p[1]);
		CHECK_MSG(read(p[0], &c, 1) == 1, "round %u ended early", round);
		close(p[0]);
		nap(20 + 30 * (round % 3));
		CHECK_OK(kill(pid, SIGKILL));
		CHECK_EQ(waitpid(pid, NULL, 0), pid);
		/* files go a little later */
		for (i = 0; i < 1000 * ksft_slowness() && (r = module_unload()); i++) {
			CHECK(errno == EWOULDBLOCK || errno == EBUSY);
			nap(1);
		}
		CHECK_MSG(!r, "it does not unload: %s", strerror(errno));
		module_load(module_params());
		CHECK_EQ(module_stat("pages"), 0);
	}
}

KSFT_MAIN(
	{ "race: every algorithm under guests that write", test_algorithms, 90 },
	{ "race: clones and changes of the domain", test_move, 90 },
	{ "race: the thread and its policy", test_thread, 90 },
	{ "race: killed, and the module unloaded", test_killed, 60 },
)
