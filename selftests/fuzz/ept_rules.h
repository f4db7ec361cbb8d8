/* SPDX-License-Identifier: GPL-2.0-only */
/* ept_rules.h - what the manual calls a misconfigured entry of an EPT, for those who judge walks */
#ifndef _EPT_RULES_H
#define _EPT_RULES_H

#include "../../kmod/ept/ept.h"

/* In another form than kmod/ept/ has it */
static inline bool misconfigured(const struct ept_format *f, u64 e, int level)
{
	bool leaf = level == 1 || (level < 4 && e >> 7 & 1);
	unsigned int type = e >> 3 & 7, i;

	if (!(e & 7))
		return false;
	if ((e & 3) == 2 || ((e & 7) == 4 && !f->exec_only))
		return true;
	for (i = f->maxphyaddr; i < 52; i++)
		if (e >> i & 1)
			return true;
	if (!leaf)
		return e & 0x78 || (level == 4 && e & 0x80);
	for (i = 12; i < 12 + 9 * (level - 1u); i++)
		if (e >> i & 1)
			return true;
	if ((level == 2 && !f->has_2m) || (level == 3 && !f->has_1g))
		return true;
	return type == 2 || type == 3 || type == 7;
}

#endif
