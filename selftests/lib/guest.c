// SPDX-License-Identifier: GPL-2.0-only
/* guest: the half of a test that runs inside the virtual machine */
#include "guest.h"

struct guest_fixup {
	u64 insn;
	u64 next;
};

/* the section exists in every program: this entry matches nothing */
static const struct guest_fixup no_fixup
	__attribute__((used, section("guest_fixups"))) = { 0, 0 };

extern const struct guest_fixup __start_guest_fixups[];
extern const struct guest_fixup __stop_guest_fixups[];

volatile guest_handler_t guest_handlers[256];
volatile u64 guest_fault_error;
volatile u64 guest_fault_address;

void guest_return(void)
{
	for (;;)
		GUEST_DONE();
}

void guest_trap(struct guest_frame *frame)
{
	const struct guest_fixup *fix;

	if (frame->vector < 256 && guest_handlers[frame->vector]) {
		guest_handlers[frame->vector](frame);
		return;
	}
	for (fix = __start_guest_fixups; fix < __stop_guest_fixups; fix++) {
		if (fix->insn != frame->rip || !fix->insn)
			continue;
		guest_fault_error = frame->error;
		guest_fault_address = read_cr2();
		frame->rip = fix->next;
		frame->r8 = GUEST_FAULT | frame->vector;
		frame->r9 = frame->error;
		return;
	}
	for (;;)
		ucall(UCALL_TRAP, frame->vector, frame->error, frame->rip,
		      read_cr2(), frame->rsp);
}

u64 *guest_pte(u64 addr)
{
	u64 *table = (u64 *)(read_cr3() & 0xffffffffff000ull);
	int shift;

	for (shift = 39; shift > 12; shift -= 9) {
		u64 *entry = &table[addr >> shift & 511];

		if (!(*entry & PTE_P) || (shift < 39 && *entry & PTE_PS))
			return entry;
		table = (u64 *)(*entry & 0xffffffffff000ull);
	}
	return &table[addr >> 12 & 511];
}
