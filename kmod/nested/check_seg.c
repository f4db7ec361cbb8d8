// SPDX-License-Identifier: GPL-2.0-only
/* "Checks on Guest Segment Registers" */
#include "rule.h"
#include "seg.h"

/* Registers in the order of the rules' texts; the first six are checked alike */
enum { CS, SS, DS, ES, FS, GS, NR };

/* The text of a rule for register @i */
#define OF(i, text) \
	(((const char *const[]){ "guest CS" text, "guest SS" text, "guest DS" text, \
				 "guest ES" text, "guest FS" text, "guest GS" text })[i])

struct seg {
	u64 base;
	u32 limit, ar;
	u16 selector;
};

#define SEG(v, name) \
	((struct seg){ .base = (v)->guest_##name##_base, .limit = (v)->guest_##name##_limit, \
		       .ar = (v)->guest_##name##_ar_bytes, \
		       .selector = (v)->guest_##name##_selector })

/* What the guest will be, as the manual's terms have it */
struct mode {
	bool v86, ia32e, free, real;
};

static bool usable(const struct seg *s)
{
	return !(s->ar & SEG_UNUSABLE);
}

static u32 type(const struct seg *s)
{
	return s->ar & SEG_TYPE;
}

static u32 rpl(const struct seg *s)
{
	return s->selector & 3;
}

static bool ti(const struct seg *s)
{
	return s->selector & 4;
}

/* G is 0 if a bit of the limit's low 12 is 0, and 1 if a bit of its high 12 is 1. */
static bool low_limit_ok(const struct seg *s)
{
	return (s->limit & 0xfff) == 0xfff || !(s->ar & SEG_G);
}

static bool high_limit_ok(const struct seg *s)
{
	return !(s->limit & 0xfff00000) || s->ar & SEG_G;
}

static const char *check_selectors(const struct seg s[NR], const struct seg *ldtr,
				   const struct seg *tr, const struct mode *m)
{
	const char *broken = NULL;

	NEED(!ti(tr), "guest TR: TI is 0");
	NEED(!usable(ldtr) || !ti(ldtr), "guest LDTR: TI is 0");
	NEED(m->v86 || m->free || rpl(&s[SS]) == rpl(&s[CS]), "guest SS: RPL is that of CS");
	return broken;
}

static const char *check_bases(const struct seg s[NR], const struct seg *ldtr,
			       const struct seg *tr, const struct mode *m,
			       const struct vmcs12_env *env)
{
	const char *broken = NULL;
	int i;

	if (m->v86)
		for (i = 0; i < NR; i++)
			NEED(s[i].base == (u32)s[i].selector << 4,
			     OF(i, " base: 16 times the selector in virtual-8086 mode"));
	NEED(canonical(tr->base, env), "guest TR base: canonical");
	NEED(canonical(s[FS].base, env), "guest FS base: canonical");
	NEED(canonical(s[GS].base, env), "guest GS base: canonical");
	NEED(!usable(ldtr) || canonical(ldtr->base, env), "guest LDTR base: canonical");
	for (i = CS; i <= ES; i++)
		NEED((i != CS && !usable(&s[i])) || !(s[i].base >> 32),
		     OF(i, " base: bits 63:32 are 0"));
	return broken;
}

/* Limits and access rights in virtual-8086 mode */
static const char *check_v86(const struct seg s[NR])
{
	const char *broken = NULL;
	int i;

	for (i = 0; i < NR; i++)
		NEED(s[i].limit == 0xffff, OF(i, " limit: 0xffff in virtual-8086 mode"));
	for (i = 0; i < NR; i++)
		NEED(s[i].ar == 0xf3, OF(i, " rights: 0xf3 in virtual-8086 mode"));
	return broken;
}

/* Type and DPL, which are different for CS, for SS and for the others */
static const char *check_code(const struct seg *cs, const struct seg *ss, const struct mode *m)
{
	u32 dpl = seg_dpl(cs->ar), cpl = seg_dpl(ss->ar);
	const char *broken = NULL;

	NEED((type(cs) & 9) == 9 || (m->free && type(cs) == 3),
	     "guest CS type: accessed code, or 3 in an unrestricted guest");
	NEED(cs->ar & SEG_S, "guest CS: S is 1");
	NEED(type(cs) != 3 || !dpl, "guest CS: DPL is 0 for type 3");
	NEED((type(cs) & 0xd) != 9 || dpl == cpl, "guest CS: DPL is that of SS, non-conforming");
	NEED((type(cs) & 0xd) != 0xd || dpl <= cpl, "guest CS: DPL not above SS's, conforming");
	NEED(!m->ia32e || !(cs->ar & SEG_L) || !(cs->ar & SEG_DB),
	     "guest CS: D/B is 0 in 64-bit mode");
	return broken;
}

/* SS.DPL is the privilege level, whether SS is usable or not */
static const char *check_stack(const struct seg *cs, const struct seg *ss, const struct mode *m)
{
	const char *broken = NULL;

	NEED(!usable(ss) || type(ss) == 3 || type(ss) == 7, "guest SS type: 3 or 7");
	NEED(!usable(ss) || ss->ar & SEG_S, "guest SS: S is 1");
	NEED(m->free || seg_dpl(ss->ar) == rpl(ss), "guest SS: DPL is RPL");
	NEED((type(cs) != 3 && !m->real) || !seg_dpl(ss->ar),
	     "guest SS: DPL is 0 for type 3 of CS, or without CR0.PE");
	return broken;
}

static const char *check_data(const struct seg *s, int i, const struct mode *m)
{
	const char *broken = NULL;

	NEED(s->ar & 1, OF(i, " type: accessed"));
	NEED((type(s) & 0xa) != 8, OF(i, " type: readable if code"));
	NEED(s->ar & SEG_S, OF(i, ": S is 1"));
	NEED(m->free || type(s) > 11 || seg_dpl(s->ar) >= rpl(s), OF(i, ": DPL not below RPL"));
	return broken;
}

/* What holds for a usable register of any kind */
static const char *check_common(const struct seg *s, int i)
{
	const char *broken = NULL;

	NEED(s->ar & SEG_P, OF(i, ": P is 1"));
	NEED(!(s->ar & SEG_LOW_RSVD), OF(i, " rights: bits 11:8 are 0"));
	NEED(low_limit_ok(s), OF(i, ": G is 0 unless the limit's bits 11:0 are 1"));
	NEED(high_limit_ok(s), OF(i, ": G is 1 if the limit has any of bits 31:20"));
	NEED(!(s->ar & SEG_HIGH_RSVD), OF(i, " rights: bits 31:17 are 0"));
	return broken;
}

static const char *check_rights(const struct seg s[NR], const struct mode *m)
{
	const char *broken = check_code(&s[CS], &s[SS], m) ?: check_stack(&s[CS], &s[SS], m);
	int i;

	for (i = DS; i < NR; i++)
		if (!broken && usable(&s[i]))
			broken = check_data(&s[i], i, m);
	for (i = CS; i < NR; i++)
		if (!broken && (i == CS || usable(&s[i])))
			broken = check_common(&s[i], i);
	return broken;
}

static const char *check_tr(const struct seg *tr, const struct mode *m)
{
	const char *broken = NULL;

	NEED(type(tr) == 11 || (!m->ia32e && type(tr) == 3), "guest TR type: a busy TSS");
	NEED(!(tr->ar & SEG_S), "guest TR: S is 0");
	NEED(tr->ar & SEG_P, "guest TR: P is 1");
	NEED(!(tr->ar & SEG_LOW_RSVD), "guest TR rights: bits 11:8 are 0");
	NEED(low_limit_ok(tr), "guest TR: G is 0 unless the limit's bits 11:0 are 1");
	NEED(high_limit_ok(tr), "guest TR: G is 1 if the limit has any of bits 31:20");
	NEED(usable(tr), "guest TR: usable");
	NEED(!(tr->ar & SEG_HIGH_RSVD), "guest TR rights: bits 31:17 are 0");
	return broken;
}

static const char *check_ldtr(const struct seg *ldtr)
{
	const char *broken = NULL;

	if (!usable(ldtr))
		return NULL;
	NEED(type(ldtr) == 2, "guest LDTR type: 2");
	NEED(!(ldtr->ar & SEG_S), "guest LDTR: S is 0");
	NEED(ldtr->ar & SEG_P, "guest LDTR: P is 1");
	NEED(!(ldtr->ar & SEG_LOW_RSVD), "guest LDTR rights: bits 11:8 are 0");
	NEED(low_limit_ok(ldtr), "guest LDTR: G is 0 unless the limit's bits 11:0 are 1");
	NEED(high_limit_ok(ldtr), "guest LDTR: G is 1 if the limit has any of bits 31:20");
	NEED(!(ldtr->ar & SEG_HIGH_RSVD), "guest LDTR rights: bits 31:17 are 0");
	return broken;
}

const char *seg_check(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const struct seg s[NR] = {
		SEG(v, cs), SEG(v, ss), SEG(v, ds), SEG(v, es), SEG(v, fs), SEG(v, gs),
	};
	const struct seg ldtr = SEG(v, ldtr), tr = SEG(v, tr);
	const struct mode m = {
		.v86 = v->guest_rflags & X86_EFLAGS_VM,
		.ia32e = v->vm_entry_controls & VM_ENTRY_IA32E_MODE,
		.free = vmcs12_proc2(v) & SECONDARY_EXEC_UNRESTRICTED_GUEST,
		.real = !(v->guest_cr0 & X86_CR0_PE),
	};
	const char *broken = check_selectors(s, &ldtr, &tr, &m);

	if (!broken)
		broken = check_bases(s, &ldtr, &tr, &m, env);
	if (!broken)
		broken = m.v86 ? check_v86(s) : check_rights(s, &m);
	return broken ?: check_tr(&tr, &m) ?: check_ldtr(&ldtr);
}
