/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * twins.h - two VMs, each with an object of its own, whose contents the test knows: host and
 * guest agree on what each page holds.
 *
 * The objects are smaller than a block, so that all of their pages can be merged.
 */
#ifndef _TWINS_H
#define _TWINS_H

#include "../mem/objects.h"
#include "nl.h"

#define GPA	0x10000000ull
#define PAGES	200u
#define SIZE	(PAGES * 4096ull)
#define WORDS	512u
#define DOMAIN	77

struct side {
	int fd;
	u32 id;			/* of the object */
	u32 vm_id;
	u8 *mem;
	struct vm *vm;
	struct vcpu *vcpu;
	struct object o;
	u64 want[PAGES];	/* the content of each page */
};

struct twins {
	struct nl *nl;
	struct side s[2];
	struct nl_domain d;
};

static const char * const algorithms[] = {
	"emys", "ksm", "cmd-address", "cmd-count", "cmd-subpage"
};

/* Word @j of a page with content @c; content 0 is zeros */
static inline u64 word(u64 c, unsigned int j)
{
	return c ? c * 0x9e3779b97f4a7c15ull + j * 0x100000001ull : 0;
}

static inline void page_fill(volatile u64 *p, u64 c)
{
	unsigned int j;

	for (j = 0; j < WORDS; j++)
		p[j] = word(c, j);
}

/* The first word that is wrong, or WORDS */
static inline unsigned int page_wrong(const volatile u64 *p, u64 c)
{
	unsigned int j;

	for (j = 0; j < WORDS; j++)
		if (p[j] != word(c, j))
			break;
	return j;
}

static inline volatile u64 *page(struct side *s, u64 i)
{
	return (volatile u64 *)(s->mem + i * 4096);
}

static inline void put(struct side *s, u64 i, u64 c)
{
	s->want[i] = c;
	page_fill(page(s, i), c);
}

static inline void side_make(struct twins *t, unsigned int n)
{
	struct side *s = &t->s[n];

	s->fd = object_open();
	s->id = object_newest();
	s->mem = object_map(s->fd, SIZE);
	s->vm = vm_create();
	s->vcpu = vcpu_add(s->vm, 0);
	vm_region(s->vm, 1, 0, GPA, SIZE, s->mem);
	s->vm_id = nl_my_vm(t->nl, n);
}

static inline void side_end(struct side *s)
{
	vm_free(s->vm);
	CHECK_OK(munmap(s->mem, SIZE));
	CHECK_OK(close(s->fd));
	s->vm = NULL;
}

/* Both in a domain that is scanned when the test says so */
static inline void twins_make(struct twins *t, unsigned int algorithm)
{
	memset(t, 0, sizeof(*t));
	REQUIRE(ksft_is_emys(), "only emys merges memory");
	t->nl = nl_open();
	side_make(t, 0);
	side_make(t, 1);
	nl_domain_create(t->nl, DOMAIN);
	CHECK_EQ(nl_domain_policy(t->nl, DOMAIN, EMYS_A_DEDUP_POLICY_RUN, 0), 0);
	CHECK_EQ(nl_domain_policy(t->nl, DOMAIN, EMYS_A_DEDUP_POLICY_ALGORITHM, algorithm), 0);
	CHECK_EQ(nl_domain_reset(t->nl, DOMAIN), 0);
	CHECK_EQ(nl_vm_domain(t->nl, t->s[0].vm_id, DOMAIN), 0);
	CHECK_EQ(nl_vm_domain(t->nl, t->s[1].vm_id, DOMAIN), 0);
}

static inline void twins_end(struct twins *t)
{
	unsigned int n;

	for (n = 0; n < 2; n++)
		if (t->s[n].vm)
			side_end(&t->s[n]);
	nl_close(t->nl);
}

/*
 * A fifth each: zeros; of no other page; the same in the twin (two fifths); all the same.
 */
enum { ZEROS, OWN, TWIN, TWIN2, SAME };
#define FIFTH	(PAGES / 5)

static inline void twins_fill(struct twins *t)
{
	unsigned int n, i;

	for (n = 0; n < 2; n++)
		for (i = 0; i < PAGES; i++)
			put(&t->s[n], i, i % 5 == ZEROS ? 0 : i % 5 == OWN ? 10000 * (n + 1) + i :
			    i % 5 == SAME ? 7 : 1000 + i);
}

static inline struct object *side_look(struct side *s)
{
	CHECK(object_read(s->id, &s->o));
	return &s->o;
}

/* The state of one page; PRIVATE for one in a block too */
static inline unsigned int object_state(struct side *s, u64 at)
{
	unsigned long long index, count;
	char line[1024], state[16];
	unsigned int i;
	FILE *f = objects_open();
	u32 nr;

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "pages %u %llu %llu %15s", &nr, &index, &count, state) != 4 ||
		    nr != s->id || at < index || at >= index + count)
			continue;
		fclose(f);
		for (i = 0; i < STATES; i++)
			if (!strcmp(state, object_states[i]))
				return i;
		return PRIVATE;
	}
	fclose(f);
	return ABSENT;
}

static inline u64 stat_of(struct twins *t, unsigned int attr)
{
	CHECK_EQ(nl_domain_get(t->nl, DOMAIN, &t->d), 0);
	return t->d.stats[attr];
}

#define STAT(t, name)	stat_of(t, EMYS_A_DEDUP_STATS_##name)

static inline void scan(struct twins *t, unsigned int passes)
{
	CHECK_EQ(nl_scan(t->nl, DOMAIN, passes), 0);
}

/* Enough for each algorithm to find all there is */
#define ALL	4

/* -- what the guest sees ---------------------------------------------------------------- */

static u64 guest_want[PAGES];

static inline void guest_check(u64 pages)
{
	u64 i;
	unsigned int j;

	for (i = 0; i < pages; i++) {
		j = page_wrong((u64 *)(GPA + i * 4096), guest_want[i]);
		if (j != WORDS)
			GUEST_SYNC2(2, i, j);
	}
}

static inline void guest_put(u64 i)
{
	page_fill((u64 *)(GPA + i * 4096), guest_want[i]);
}

static inline void side_guest_put(struct side *s, u64 i, u64 c)
{
	s->want[i] = c;
	VM_VAR(s->vm, guest_want[i]) = c;
	vcpu_call(s->vcpu, guest_put, i);
	vcpu_done(s->vcpu);
}

/* Every byte, through the VMM's mapping and by the guest */
static inline void side_check(struct side *s)
{
	unsigned int i, j;

	for (i = 0; i < PAGES; i++) {
		VM_VAR(s->vm, guest_want[i]) = s->want[i];
		j = page_wrong(page(s, i), s->want[i]);
		CHECK_MSG(j == WORDS, "page %u, word %u: the VMM reads %#llx", i, j,
			  (unsigned long long)page(s, i)[j % WORDS]);
	}
	vcpu_call(s->vcpu, guest_check, PAGES);
	vcpu_done(s->vcpu);
}

static inline void twins_check(struct twins *t)
{
	unsigned int n;

	for (n = 0; n < 2; n++)
		if (t->s[n].vm)
			side_check(&t->s[n]);
}

#endif
