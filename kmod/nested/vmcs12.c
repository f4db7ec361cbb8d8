// SPDX-License-Identifier: GPL-2.0-only
/* The table of vmcs12's fields. */
#include <linux/stddef.h>

#include "vmcs12.h"

/* Width codes of an encoding, bits 14:13 */
#define WIDTH_16	0
#define WIDTH_64	1
#define WIDTH_32	2
#define WIDTH_NATURAL	3

/* The offsets are ABI, and a list has the fields of one width. */
#define CHECK(offset, encoding, member, width) \
	BUILD_BUG_ON_ZERO(offsetof(struct vmcs12, member) != (offset) || \
			  (encoding) & ~0x6c3e || ((encoding) >> 13 & 3) != (width))
#define ENTRY(offset, encoding, member, width) \
	[VMCS12_KEY(encoding)] = (offset) + CHECK(offset, encoding, member, width)
#define ENTRY_16(offset, encoding, member)	ENTRY(offset, encoding, member, WIDTH_16)
#define ENTRY_64(offset, encoding, member)	ENTRY(offset, encoding, member, WIDTH_64)
#define ENTRY_32(offset, encoding, member)	ENTRY(offset, encoding, member, WIDTH_32)
#define ENTRY_NATURAL(offset, encoding, member)	ENTRY(offset, encoding, member, WIDTH_NATURAL)

const u16 vmcs12_offsets[512] = {
	VMCS12_FIELDS_16(ENTRY_16),
	VMCS12_FIELDS_64(ENTRY_64),
	VMCS12_FIELDS_32(ENTRY_32),
	VMCS12_FIELDS_NATURAL(ENTRY_NATURAL),
};

u32 vmcs12_enum_max(void)
{
	u32 max = 0, key;

	for (key = 0; key < 512; key++)
		if (vmcs12_offsets[key] && (key & 0x1f) > max)
			max = key & 0x1f;
	return max;
}
