// SPDX-License-Identifier: GPL-2.0-only
/* "Checks on Guest Segment Registers" */
#include <linux/build_bug.h>
#include <linux/stddef.h>

#include "rule.h"
#include "seg.h"

/* In the order of their fields; the first six are checked alike */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

#define NR	6

/* The text of a rule for register @i */
#define OF(i, text) \
	(((const char *const[]){ "guest ES" text, "guest CS" text, "guest SS" text, \
				 "guest DS" text, "guest FS" text, "guest GS" text, \
				 "guest LDTR" text, "guest TR" text })[i])

/* The field of register @i, when @first is the one of ES */
#define FIELD(type, v, first, i) \
	(*(const type *)((const char *)(v) + offsetof(struct vmcs12, first) + (i) * sizeof(type)))

static_assert(offsetof(struct vmcs12, guest_tr_base) ==
	      offsetof(struct vmcs12, guest_es_base) + TR * sizeof(u64));
static_assert(offsetof(struct vmcs12, guest_tr_limit) ==
	      offsetof(struct vmcs12, guest_es_limit) + TR * sizeof(u32));
static_assert(offsetof(struct vmcs12, guest_tr_ar_bytes) ==
	      offsetof(struct vmcs12, guest_es_ar_bytes) + TR * sizeof(u32));
static_assert(offsetof(struct vmcs12, guest_tr_selector) ==
	      offsetof(struct vmcs12, guest_es_selector) + TR * sizeof(u16));

/* What the guest will be, as the manual's terms have it */
struct mode {
	bool v86, ia32e, free, real;
};

static u64 base(const struct vmcs12 *v, int i)
{
	return FIELD(u64, v, guest_es_base, i);
}

static u32 limit(const struct vmcs12 *v, int i)
{
	return FIELD(u32, v, guest_es_limit, i);
}

static u32 rights(const struct vmcs12 *v, int i)
{
	return FIELD(u32, v, guest_es_ar_bytes, i);
}

static u16 selector(const struct vmcs12 *v, int i)
{
	return FIELD(u16, v, guest_es_selector, i);
}

static bool usable(const struct vmcs12 *v, int i)
{
	return !(rights(v, i) & SEG_UNUSABLE);
}

static u32 type(const struct vmcs12 *v, int i)
{
	return rights(v, i) & SEG_TYPE;
}

static u32 dpl(const struct vmcs12 *v, int i)
{
	return seg_dpl(rights(v, i));
}

static u32 rpl(const struct vmcs12 *v, int i)
{
	return selector(v, i) & 3;
}

static bool ti(const struct vmcs12 *v, int i)
{
	return selector(v, i) & 4;
}

static const char *check_selectors(const struct vmcs12 *v, const struct mode *m)
{
	const char *broken = NULL;

	NEED(!ti(v, TR), "guest TR: TI is 0");
	NEED(!usable(v, LDTR) || !ti(v, LDTR), "guest LDTR: TI is 0");
	NEED(m->v86 || m->free || rpl(v, SS) == rpl(v, CS), "guest SS: RPL is that of CS");
	return broken;
}

static const char *check_bases(const struct vmcs12 *v, const struct mode *m,
			       const struct vmcs12_env *env)
{
	const char *broken = NULL;
	int i;

	if (m->v86)
		for (i = 0; i < NR; i++)
			NEED(base(v, i) == (u32)selector(v, i) << 4,
			     OF(i, " base: 16 times the selector in virtual-8086 mode"));
	NEED(canonical(base(v, TR), env), "guest TR base: canonical");
	NEED(canonical(base(v, FS), env), "guest FS base: canonical");
	NEED(canonical(base(v, GS), env), "guest GS base: canonical");
	NEED(!usable(v, LDTR) || canonical(base(v, LDTR), env), "guest LDTR base: canonical");
	for (i = ES; i <= DS; i++)
		NEED(!(base(v, i) >> 32) || (i != CS && !usable(v, i)),
		     OF(i, " base: bits 63:32 are 0"));
	return broken;
}

/* Limits and access rights in virtual-8086 mode */
static const char *check_v86(const struct vmcs12 *v)
{
	const char *broken = NULL;
	int i;

	for (i = 0; i < NR; i++)
		NEED(limit(v, i) == 0xffff, OF(i, " limit: 0xffff in virtual-8086 mode"));
	for (i = 0; i < NR; i++)
		NEED(rights(v, i) == 0xf3, OF(i, " rights: 0xf3 in virtual-8086 mode"));
	return broken;
}

/* Type and DPL, which are different for CS, for SS and for the others */
static const char *check_code(const struct vmcs12 *v, const struct mode *m)
{
	u32 t = type(v, CS), cpl = dpl(v, SS);
	const char *broken = NULL;

	NEED((t & 9) == 9 || (m->free && t == 3),
	     "guest CS type: accessed code, or 3 in an unrestricted guest");
	NEED(rights(v, CS) & SEG_S, "guest CS: S is 1");
	NEED(t != 3 || !dpl(v, CS), "guest CS: DPL is 0 for type 3");
	NEED((t & 0xd) != 9 || dpl(v, CS) == cpl, "guest CS: DPL is that of SS, non-conforming");
	NEED((t & 0xd) != 0xd || dpl(v, CS) <= cpl, "guest CS: DPL not above SS's, conforming");
	NEED(!m->ia32e || (rights(v, CS) & (SEG_L | SEG_DB)) != (SEG_L | SEG_DB),
	     "guest CS: D/B is 0 in 64-bit mode");
	return broken;
}

/* SS.DPL is the privilege level, whether SS is usable or not */
static const char *check_stack(const struct vmcs12 *v, const struct mode *m)
{
	const char *broken = NULL;

	NEED(!usable(v, SS) || (type(v, SS) & 0xb) == 3, "guest SS type: 3 or 7");
	NEED(!usable(v, SS) || rights(v, SS) & SEG_S, "guest SS: S is 1");
	NEED(m->free || dpl(v, SS) == rpl(v, SS), "guest SS: DPL is RPL");
	NEED((type(v, CS) != 3 && !m->real) || !dpl(v, SS),
	     "guest SS: DPL is 0 for type 3 of CS, or without CR0.PE");
	return broken;
}

static const char *check_data(const struct vmcs12 *v, int i, const struct mode *m)
{
	const char *broken = NULL;

	/* nearly always: writable data */
	if ((rights(v, i) & (SEG_TYPE | SEG_S)) == (3 | SEG_S) && dpl(v, i) >= rpl(v, i))
		return NULL;
	NEED(rights(v, i) & 1, OF(i, " type: accessed"));
	NEED((type(v, i) & 0xa) != 8, OF(i, " type: readable if code"));
	NEED(rights(v, i) & SEG_S, OF(i, ": S is 1"));
	NEED(m->free || type(v, i) > 11 || dpl(v, i) >= rpl(v, i), OF(i, ": DPL not below RPL"));
	return broken;
}

/* What holds for a usable register of any kind */
static const char *check_common(const struct vmcs12 *v, int i)
{
	u32 ar = rights(v, i), lim = limit(v, i);
	bool fits = ar & SEG_G ? (lim & 0xfff) == 0xfff : lim < 0x100000;
	const char *broken = NULL;

	/* nearly always; the rules one by one tell which it is when it is not */
	if ((ar & (SEG_P | SEG_LOW_RSVD | SEG_HIGH_RSVD)) == SEG_P && fits)
		return NULL;
	NEED(ar & SEG_P, OF(i, ": P is 1"));
	NEED(!(ar & SEG_LOW_RSVD), OF(i, " rights: bits 11:8 are 0"));
	NEED((lim & 0xfff) == 0xfff || !(ar & SEG_G),
	     OF(i, ": G is 0 unless the limit's bits 11:0 are 1"));
	NEED(lim < 0x100000 || ar & SEG_G, OF(i, ": G is 1 if the limit has any of bits 31:20"));
	NEED(!(ar & SEG_HIGH_RSVD), OF(i, " rights: bits 31:17 are 0"));
	return broken;
}

static const char *check_rights(const struct vmcs12 *v, const struct mode *m)
{
	const char *broken = check_code(v, m) ?: check_stack(v, m);
	int i;

	for (i = 0; i < NR && !broken; i++) {
		if (i != CS && !usable(v, i))
			continue;
		if (i != CS && i != SS)
			broken = check_data(v, i, m);
		broken = broken ?: check_common(v, i);
	}
	return broken;
}

static const char *check_tr(const struct vmcs12 *v, const struct mode *m)
{
	const char *broken = NULL;

	NEED(type(v, TR) == 11 || (!m->ia32e && type(v, TR) == 3), "guest TR type: a busy TSS");
	NEED(!(rights(v, TR) & SEG_S), "guest TR: S is 0");
	NEED(usable(v, TR), "guest TR: usable");
	return broken ?: check_common(v, TR);
}

static const char *check_ldtr(const struct vmcs12 *v)
{
	const char *broken = NULL;

	if (!usable(v, LDTR))
		return NULL;
	NEED(type(v, LDTR) == 2, "guest LDTR type: 2");
	NEED(!(rights(v, LDTR) & SEG_S), "guest LDTR: S is 0");
	return broken ?: check_common(v, LDTR);
}

const char *seg_check(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const struct mode m = {
		.v86 = v->guest_rflags & X86_EFLAGS_VM,
		.ia32e = v->vm_entry_controls & VM_ENTRY_IA32E_MODE,
		.free = vmcs12_proc2(v) & SECONDARY_EXEC_UNRESTRICTED_GUEST,
		.real = !(v->guest_cr0 & X86_CR0_PE),
	};
	const char *broken = check_selectors(v, &m) ?: check_bases(v, &m, env);

	if (!broken)
		broken = m.v86 ? check_v86(v) : check_rights(v, &m);
	return broken ?: check_tr(v, &m) ?: check_ldtr(v);
}
