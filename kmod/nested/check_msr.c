// SPDX-License-Identifier: GPL-2.0-only
/* Which MSRs may be in the lists that entries and exits load and store. */
#include <linux/kernel.h>
#include <asm/msr-index.h>

#include "check.h"

/* MSRs that RDMSR and WRMSR would take, and the lists do not */
static const struct {
	u32 index;
	bool load, store;	/* kept out of these lists */
} barred[] = {
	/* the bases of segments are in the guest-state and host-state areas */
	{ MSR_FS_BASE, true, false },
	{ MSR_GS_BASE, true, false },
	/* written, and read, in SMM only */
	{ MSR_IA32_SMM_MONITOR_CTL, true, false },
	{ MSR_IA32_SMBASE, true, true },
	/* of no use since the Pentium; memory that nobody wrote is no list */
	{ MSR_IA32_P5_MC_ADDR, true, false },
	{ MSR_IA32_P5_MC_TYPE, true, false },
	/* model-specific: microcode is not updated in the middle of an entry */
	{ MSR_IA32_UCODE_WRITE, true, false },
	{ MSR_IA32_UCODE_REV, true, false },
};

int nested_msr_entry_check(enum nested_msr_list list, const struct nested_msr_entry *e,
			   bool x2apic)
{
	bool store = list == NESTED_MSR_EXIT_STORE;
	unsigned int i;

	if (e->reserved)
		return -EINVAL;
	if (x2apic && e->index >> 8 == 0x8)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(barred); i++)
		if (e->index == barred[i].index && (store ? barred[i].store : barred[i].load))
			return -EINVAL;
	return 0;
}
