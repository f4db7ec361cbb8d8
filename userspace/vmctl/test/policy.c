// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the policy: shares, tax, bounds, and no to and fro. */
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "tap.h"
#include "util.h"

static const struct policy_params *p = &policy_defaults;

static struct policy_vm vm(uint64_t size, uint64_t active, uint64_t shares)
{
	return (struct policy_vm){
		.size = size * MIB, .min = 32 * MIB, .target = size * MIB,
		.actual = size * MIB, .active = active * MIB,
		.shares = shares, .driver = true,
	};
}

static uint64_t sum(const struct policy_vm *v, unsigned int nr)
{
	uint64_t s = 0;

	while (nr--)
		s += v++->goal;
	return s;
}

static bool near(uint64_t a, uint64_t mib)
{
	return a <= (mib + 8) * MIB && a + 8 * MIB >= mib * MIB;
}

static void test_rho(void)
{
	struct policy_vm v = vm(100, 100, 1000);
	double all = policy_rho(&v, 100 * MIB, 0.75), none;

	v.active = 0;
	none = policy_rho(&v, 100 * MIB, 0.75);
	ok(all / none > 3.99 && all / none < 4.01, "tau 0.75: an idle page costs four times");
	v.active = 50 * MIB;
	none = policy_rho(&v, 100 * MIB, 0.75);
	ok(all / none > 2.49 && all / none < 2.51, "half idle: 2.5 times");
	ok(policy_rho(&v, 100 * MIB, 0) / all > 0.99, "no tax: idle or not is the same");
}

static void test_share(void)
{
	struct policy_vm v[3];

	/* The paper's figure: equal shares, one idle, one busy. */
	v[0] = vm(256, 0, 1000);
	v[1] = vm(256, 256, 1000);
	policy_share(p, 360 * MIB, v, 2);
	ok(v[1].goal == 256 * MIB && near(v[0].goal, 104) && sum(v, 2) <= 360 * MIB,
	   "the idle VM gives: %llu and %llu MiB",
	   (unsigned long long)(v[0].goal / MIB), (unsigned long long)(v[1].goal / MIB));
	policy_share(&(struct policy_params){ .tax = 0 }, 360 * MIB, v, 2);
	ok(near(v[0].goal, 180) && near(v[1].goal, 180), "without a tax both have half");
	v[0] = vm(1000, 1000, 1000);
	v[1] = vm(1000, 1000, 3000);
	policy_share(p, 800 * MIB, v, 2);
	ok(near(v[0].goal, 200) && near(v[1].goal, 600), "shares 1 to 3");
	v[0].active = 0;
	v[1].active = 0;
	policy_share(p, 800 * MIB, v, 2);
	ok(near(v[0].goal, 200) && near(v[1].goal, 600), "and if both are idle");
	v[1].size = 300 * MIB;
	policy_share(p, 800 * MIB, v, 2);
	ok(v[1].goal == 300 * MIB && near(v[0].goal, 500), "nobody gets more than its size");
	policy_share(p, 4000 * MIB, v, 2);
	ok(v[0].goal == v[0].size && v[1].goal == v[1].size, "plenty: all have all");
}

static void test_bounds(void)
{
	struct policy_vm v[3];

	v[0] = vm(256, 0, 1);
	v[1] = vm(256, 256, 1000000);
	policy_share(p, 256 * MIB, v, 2);
	ok(v[0].goal >= 32 * MIB && v[0].goal <= 40 * MIB, "one share still has its minimum");
	policy_share(p, 10 * MIB, v, 2);
	ok(v[0].goal == 32 * MIB && v[1].goal == 32 * MIB,
	   "a pool too small for the minimums: the minimums");
	v[0].need = 100 * MIB;
	policy_share(p, 256 * MIB, v, 2);
	ok(v[0].goal >= 100 * MIB && sum(v, 2) <= 256 * MIB, "needs come before shares");
	v[1].need = 200 * MIB;
	policy_share(p, 256 * MIB, v, 2);
	ok(v[0].goal >= 32 * MIB && sum(v, 2) <= 256 * MIB,
	   "needs that do not fit: shares, but the minimums");
	v[0].need = 1000 * MIB;
	v[1].need = 0;
	v[0].min = 32 * MIB + 5;
	policy_share(p, 1000 * MIB, v, 2);
	ok(v[0].goal == 256 * MIB, "no need exceeds the size");
	v[0].driver = false;
	policy_share(p, 300 * MIB, v, 2);
	ok(v[0].goal == 256 * MIB && near(v[1].goal, 44), "what cannot give counts whole");
	policy_share(p, 300 * MIB, v, 0);
	ok(true, "no VMs at all");
}

/* Everything random: bounds hold, and the pool does where it can. */
static void test_random(void)
{
	struct policy_vm v[12];
	unsigned int bad = 0;

	srand(1);
	for (int round = 0; round < 3000; round++) {
		unsigned int nr = 1 + rand() % 12;
		uint64_t pool = (rand() % 4096) * MIB, mins = 0, all = 0;

		for (unsigned int i = 0; i < nr; i++) {
			v[i] = vm(8 + rand() % 1024, rand() % 2048, 1 + rand() % 5000);
			v[i].size += rand() % 256 * 4096ULL;
			v[i].min = rand() % v[i].size;
			v[i].need = rand() % 3 ? 0 : rand() % (2 * v[i].size);
			mins += v[i].min;
			all += v[i].size;
		}
		policy_share(p, pool, v, nr);
		for (unsigned int i = 0; i < nr; i++)
			bad += v[i].goal < v[i].min || v[i].goal > v[i].size;
		bad += sum(v, nr) > (pool > mins ? pool : mins);
		/* Nothing lies idle but what the grain leaves. */
		bad += sum(v, nr) + nr * MIB < (pool < all ? pool : all);
	}
	ok(!bad, "3000 random rounds keep to the bounds");
}

/* What stalls lead to where the module can do more than take. */
static void test_steps(const struct policy_host *stalls, struct policy_vm *v)
{
	struct policy_host host = *stalls;
	struct policy_memory m = { 0 };

	host.module = true;
	policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_SCAN && !m.taking, "stalls: first a look for duplicates");
	policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_BREAK && !m.taking, "they stay: large pages are broken");
	policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_BALLOON && m.taking, "they stay: balloons");
	host.psi = 5;
	for (int i = 0; i < 20; i++)
		policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_BALLOON && m.taking, "fewer of them: as it is");
	host.psi = 0;
	for (unsigned int i = 0; i < p->calm; i++)
		policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_REST && !m.taking, "none for some rounds: rest");
	host.psi = stalls->psi;
	policy_round(p, &host, &m, v, 2);
	host.psi = 0;
	policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_REST, "a stall that the first step ended: rest at once");
	host.state = POLICY_HARD;
	policy_round(p, &host, &m, v, 2);
	ok(m.step == POLICY_BALLOON && m.taking, "the module's state says that it has been there");
}

static void test_rounds(void)
{
	struct policy_host host = { .budget = 1000 * MIB, .used = 500 * MIB };
	struct policy_memory m = { 0 };
	struct policy_vm v[2] = { vm(800, 100, 1000), vm(800, 700, 1000) };
	unsigned int told = 0, rounds = 0;

	policy_round(p, &host, &m, v, 2);
	ok(!m.taking && !v[0].set && !v[1].set, "half used: nothing is done");
	host.used = 950 * MIB;
	policy_round(p, &host, &m, v, 2);
	ok(m.taking && v[0].set && v[1].set && sum(v, 2) <= 850 * MIB &&
	   v[0].goal < v[1].goal, "95 %% used: taken, from the idle one more");
	for (unsigned int i = 0; i < 2; i++)
		v[i].target = v[i].actual = v[i].goal;
	host.used = 850 * MIB;
	v[0].active += 3 * MIB;
	policy_round(p, &host, &m, v, 2);
	ok(m.taking && !v[0].set && !v[1].set, "small changes are not worth a word");
	v[0].active = 700 * MIB;
	policy_round(p, &host, &m, v, 2);
	ok(v[0].set && v[1].set && near(v[0].goal, 425), "activity moves memory");
	for (unsigned int i = 0; i < 2; i++)
		v[i].target = v[i].actual = v[i].goal;

	/* Ease: nothing at once, then bit by bit, and then all. */
	host.used = 200 * MIB;
	for (unsigned int i = 0; i < p->calm - 1; i++) {
		policy_round(p, &host, &m, v, 2);
		told += v[0].set + v[1].set;
	}
	ok(m.taking && !told, "four rounds of ease change nothing");
	host.used = 800 * MIB;
	policy_round(p, &host, &m, v, 2);
	host.used = 200 * MIB;
	policy_round(p, &host, &m, v, 2);
	ok(m.taking, "a round of use between starts the count anew");
	do {
		policy_round(p, &host, &m, v, 2);
		if (rounds == p->calm - 2)
			ok(!m.taking && v[0].set && v[1].set && sum(v, 2) <= (850 + 350) * MIB,
			   "the fifth gives half of the room back");
		for (unsigned int i = 0; i < 2; i++)
			if (v[i].set)
				v[i].target = v[i].actual = v[i].goal;
	} while (++rounds < 30 && (v[0].target < v[0].size || v[1].target < v[1].size));
	ok(rounds < 30, "all is given back in the end (%u rounds)", rounds);

	host.state = POLICY_SOFT;
	policy_round(p, &host, &m, v, 2);
	ok(m.taking && v[0].set, "the host's state takes by itself");
	memset(&m, 0, sizeof(m));
	host.state = POLICY_HIGH;
	host.psi = 20;
	policy_round(p, &host, &m, v, 2);
	ok(m.taking, "so do stalls");
	test_steps(&host, v);

	/* A guest whose need undid the balloon is told again, not each round. */
	v[0].target = v[0].goal;
	v[0].actual = v[0].size;
	v[1].target = v[1].actual = v[1].goal;
	told = 0;
	for (unsigned int i = 0; i < 8; i++) {
		policy_round(p, &host, &m, v, 2);
		told += v[0].set;
	}
	ok(told == 2, "an unmet target is repeated every four rounds");
}

/* Two VMs that use all they get: the taking settles and stays so. */
static void test_steady(void)
{
	struct policy_host host = { .budget = 1000 * MIB };
	struct policy_memory m = { 0 };
	struct policy_vm v[2] = { vm(800, 800, 1000), vm(800, 800, 1000) };
	unsigned int told = 0;

	for (unsigned int i = 0; i < 100; i++) {
		host.used = v[0].actual + v[1].actual;
		policy_round(p, &host, &m, v, 2);
		for (unsigned int j = 0; j < 2; j++) {
			if (!v[j].set)
				continue;
			told++;
			v[j].target = v[j].actual = v[j].goal;
		}
	}
	ok(told == 2 && host.used <= 850 * MIB, "steady use: each is told once in 100 rounds");
}

int main(void)
{
	test_rho();
	test_share();
	test_bounds();
	test_random();
	test_rounds();
	test_steady();
	return tap_done();
}
