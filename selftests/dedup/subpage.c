// SPDX-License-Identifier: GPL-2.0-only
/* dedup/subpage: classes: what changes makes them, they are of like size, and traces of writes agree */

#include "twins.h"

#define ADDRESS	2
#define SUBPAGE	4

/* Does this CPU have sub-page write permissions, and does the module use them? */
static int has_spp(void)
{
	FILE *f = fopen("/sys/kernel/debug/emys/caps", "r");
	char line[128];
	int has = -1;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "ept_spp: ", 9))
			has = line[9] == 'Y';
	fclose(f);
	CHECK(has >= 0);
	return has;
}

/* Word @at of every page, and 200 bytes on, in its neighbour of 128 bytes but the same KiB */
static void guest_poke(u64 at_value)
{
	u64 i, at = at_value >> 32, value = (u32)at_value;

	for (i = 0; i < PAGES; i++) {
		((volatile u64 *)(GPA + i * 4096))[at] = value + i;
		((volatile u64 *)(GPA + i * 4096))[at + 25] = value + i;
	}
}

static void poke(struct side *s, u64 at, u64 value)
{
	vcpu_call(s->vcpu, guest_poke, at << 32 | value);
	vcpu_done(s->vcpu);
}

struct trace {
	u64 traced, written, changed, other;
};

/* What the next pass adds */
static struct trace traced(struct twins *t)
{
	u64 old[EMYS_A_DEDUP_STATS_MAX + 1], *now = t->d.stats;
	unsigned int i;

	STAT(t, TRACED);
	memcpy(old, now, sizeof(old));
	scan(t, 1);
	STAT(t, TRACED);
	for (i = 0; i < ARRAY_SIZE(old); i++)
		old[i] = now[i] - old[i];
	return (struct trace){
		old[EMYS_A_DEDUP_STATS_TRACED], old[EMYS_A_DEDUP_STATS_TRACE_WRITTEN],
		old[EMYS_A_DEDUP_STATS_TRACE_CHANGED], old[EMYS_A_DEDUP_STATS_TRACE_OTHER],
	};
}

/*
 * The guest writes known words: each trace says so, as the hashes do, but where a write put what was
 * there. What the VMM writes only the hashes see. A CPU that cannot trace traces nothing.
 */
static void test_traces(void)
{
	struct twins t;
	struct trace r;
	unsigned int i;
	int spp;

	twins_make(&t, SUBPAGE);
	spp = has_spp();
	for (i = 0; i < PAGES; i++)
		side_guest_put(&t.s[0], i, 10000 + i);
	scan(&t, 2);
	r = traced(&t);
	ksft_print("%s sub-page write permissions: %llu pages traced in a pass",
		   spp ? "with" : "without", (unsigned long long)r.traced);
	CHECK_EQ(r.traced >= 10, spp);
	CHECK_EQ(r.written + r.changed + r.other, 0);

	for (i = 0; i < 8; i++) {
		poke(&t.s[0], 64 * i, 777 + i);
		r = traced(&t);
		CHECK_EQ(r.traced >= 10, spp);
		CHECK_EQ(r.written, r.traced);
		CHECK_EQ(r.changed, r.traced);
		CHECK_EQ(r.other, 0);
	}
	/* twice: the sub-page that was allowed by the first write, and others */
	poke(&t.s[0], 0, 1);
	poke(&t.s[0], 0, 2);
	poke(&t.s[0], 300, 3);
	r = traced(&t);
	CHECK_EQ(r.traced >= 10, spp);
	CHECK_EQ(r.written, 2 * r.traced);
	CHECK_EQ(r.changed, 2 * r.traced);

	poke(&t.s[0], 0, 2);
	r = traced(&t);
	CHECK_EQ(r.written, r.traced);
	CHECK_EQ(r.changed + r.other, 0);

	for (i = 0; i < PAGES; i++)
		page(&t.s[0], i)[200] ^= 1;
	r = traced(&t);
	CHECK_EQ(r.traced >= 10, spp);
	CHECK_EQ(r.written + r.changed, 0);
	CHECK_EQ(r.other, r.traced);

	/* every byte, where it was traced and where it was not */
	for (i = 0; i < PAGES; i++)
		side_guest_put(&t.s[0], i, 20000 + i);
	side_check(&t.s[0]);
	scan(&t, 1);
	side_check(&t.s[0]);
	/* and another algorithm, while pages are traced */
	CHECK_EQ(nl_domain_policy(t.nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM, 0), 0);
	for (i = 0; i < PAGES; i++)
		side_guest_put(&t.s[0], i, 30000 + i);
	scan(&t, 1);
	side_check(&t.s[0]);
	twins_end(&t);
}

/* Pages all in the first quarter: the ranges of addresses follow */
static void test_address(void)
{
	struct twins t;
	unsigned int i;

	twins_make(&t, ADDRESS);
	for (i = 0; i < PAGES / 4; i++) {
		put(&t.s[0], i, 10000 + i);
		put(&t.s[1], i, 20000 + i);
	}
	put(&t.s[0], PAGES - 1, 99999);
	scan(&t, ALL);
	ksft_print("%llu pages in 8 classes, of %llu to %llu", STAT(&t, UNSTABLE) + 0ull,
		   STAT(&t, CLASS_MIN) + 0ull, STAT(&t, CLASS_MAX) + 0ull);
	CHECK_EQ(STAT(&t, UNSTABLE), PAGES / 2 + 1);
	CHECK(STAT(&t, CLASS_MAX) <= PAGES / 2 / 8 * 2);
	CHECK(STAT(&t, RECLASSIFIED) > 0);
	twins_check(&t);
	twins_end(&t);
}

/* By sub-pages classes are small, and a page that changes in one leaves its class and comes back */
static void test_subpage(void)
{
	u64 moved, merged;
	struct twins t;
	unsigned int i;

	twins_make(&t, SUBPAGE);
	twins_fill(&t);
	scan(&t, ALL);
	merged = STAT(&t, SHARING);
	CHECK_EQ(merged, 2 * 4 * FIFTH);
	ksft_print("classes of %llu to %llu pages", STAT(&t, CLASS_MIN) + 0ull,
		   STAT(&t, CLASS_MAX) + 0ull);
	CHECK(STAT(&t, CLASS_MAX) <= 16);
	moved = STAT(&t, RECLASSIFIED);
	scan(&t, 1);
	CHECK_EQ(STAT(&t, RECLASSIFIED), moved);
	for (i = OWN; i < PAGES; i += 5)
		page(&t.s[0], i)[300] ^= 1;
	scan(&t, 1);
	/* those that did; one in eight was in the class for changed ones by its hash */
	CHECK(STAT(&t, RECLASSIFIED) >= moved + FIFTH * 2 / 3);
	CHECK_EQ(STAT(&t, SHARING), merged);
	for (i = OWN; i < PAGES; i += 5)
		page(&t.s[0], i)[300] ^= 1;
	/* made equal to what the twin has: found there although they changed a moment ago */
	for (i = OWN; i < PAGES; i += 5)
		put(&t.s[0], i, t.s[1].want[i]);
	scan(&t, 8);
	CHECK_EQ(STAT(&t, SHARING), merged + 2 * FIFTH);
	twins_check(&t);
	twins_end(&t);
}

KSFT_MAIN(
	{ "subpage: traces of writes and hashes", test_traces, 60 },
	{ "subpage: ranges of addresses are cut again", test_address },
	{ "subpage: classes by what changes", test_subpage },
)
