// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/shadow: VMCS shadowing of L1 for an L2 that is a hypervisor, too.
 * Vol. 3, "VMREAD and VMWRITE in VMX non-root operation" and "VMCS Types: Ordinary and Shadow".
 */
#include "nested.h"

static u8 read_bitmap[4096] VMX_PAGE, write_bitmap[4096] VMX_PAGE;
static u8 shadow[4096] VMX_PAGE;

static volatile u64 result, value;

static void l2_read(u64 field)
{
	u64 v;

	/* not try_vmread(): an error number would be asked for by another VMREAD */
	asm volatile("mov $0x55, %%eax\n"
		     "vmread %[f], %%rax\n"
		     "pushfq\n"
		     "pop %[r]" : "=&a"(v), [r] "=r"(result) : [f] "r"(field) : "cc", "memory");
	value = v;
}

static void l2_write(u64 field)
{
	asm volatile("vmwrite %[v], %[f]\n"
		     "pushfq\n"
		     "pop %[r]" : [r] "=r"(result) : [f] "r"(field), [v] "r"(0x1234567890ull)
		     : "cc", "memory");
}

#define FLAGS	0x8d5u
#define CF	1u
#define ZF	(1u << 6)

static void set_bit(u8 *bitmap, u32 field, bool on)
{
	u32 n = field & 0x7fff;

	if (on)
		bitmap[n / 8] |= 1 << n % 8;
	else
		bitmap[n / 8] &= ~(1 << n % 8);
}

static void setup(void)
{
	unsigned int i;

	l1_vmx_on();
	/* what the shadow holds is written while it is current */
	*(volatile u32 *)shadow = l1_revision() | 1u << 31;
	GUEST_ASSERT_EQ(try_vmclear(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	vmwrite(GUEST_RIP, 0x4321);
	vmwrite(GUEST_CS, 0x88);
	vmwrite(GUEST_ES_BASE, 0);
	GUEST_ASSERT_EQ(try_vmclear(pa(shadow)), VMX_OK);
	l1_make_vmcs(l1_vmcs, l2_read, GUEST_RIP);
	for (i = 0; i < 4096; i++)
		read_bitmap[i] = write_bitmap[i] = 0xff;
	vmwrite(VMREAD_BITMAP, pa(read_bitmap));
	vmwrite(VMWRITE_BITMAP, pa(write_bitmap));
	vmwrite(LINK_POINTER, pa(shadow));
	l1_control(PROC2_CTL, PROC2_SHADOW_VMCS, 0);
}

static void guest_shadow(void)
{
	u64 v;

	setup();
	/* a bit that is set exits */
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	set_bit(read_bitmap, GUEST_RIP, false);
	l2_call(l2_read, GUEST_RIP);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, 0);
	GUEST_ASSERT_EQ(value, 0x4321);
	/* reading and writing have bitmaps of their own */
	l2_call(l2_write, GUEST_RIP);
	L2_EXIT_SKIP(REASON_VMWRITE);
	L2_DONE();
	set_bit(write_bitmap, GUEST_ES_BASE, false);
	set_bit(write_bitmap, GUEST_CS, false);
	l2_call(l2_write, GUEST_ES_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, 0);
	l2_call(l2_write, GUEST_CS);
	L2_DONE();
	l2_call(l2_read, GUEST_ES_BASE);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	set_bit(read_bitmap, GUEST_ES_BASE, false);
	l2_call(l2_read, GUEST_ES_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(value, 0x1234567890ull);
	/* a field that does not exist, and one whose encoding is beyond the bitmap */
	set_bit(read_bitmap, 0x7ffe, false);
	l2_call(l2_read, 0x7ffe);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, ZF);
	GUEST_ASSERT_EQ(value, 0x55);
	l2_call(l2_read, GUEST_RIP | 1ull << 15);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	/* without the control each exits */
	vmwrite(LINK_POINTER, -1ull);
	l1_control(PROC2_CTL, 0, PROC2_SHADOW_VMCS);
	l2_call(l2_read, GUEST_RIP);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	/* L1's VMCS is as it was, and the shadow has what L2 wrote */
	GUEST_ASSERT_EQ(vmread(GUEST_ES_BASE), 0);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmread(GUEST_ES_BASE, &v), VMX_OK);
	GUEST_ASSERT_EQ(v, 0x1234567890ull);
	GUEST_ASSERT_EQ(vmread(GUEST_CS), 0x7890);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), 0x4321);
}

/* VMREAD and VMWRITE of L2 by bitmap: an exit, or the shadow VMCS. */
static void test_shadow(void)
{
	nested_run_with(guest_shadow, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

static void guest_none(void)
{
	setup();
	set_bit(read_bitmap, GUEST_RIP, false);
	set_bit(write_bitmap, GUEST_ES_BASE, false);
	vmwrite(LINK_POINTER, -1ull);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, CF);
	GUEST_ASSERT_EQ(value, 0x55);
	l2_call(l2_write, GUEST_ES_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, CF);
}

/* Where there is no shadow VMCS, what does not exit fails invalid. */
static void test_none(void)
{
	nested_run_with(guest_none, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

static void guest_type(void)
{
	setup();
	/* the link pointer's VMCS has to be of the kind that the control says */
	vmwrite(LINK_POINTER, pa(l1_vmcs2));
	GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 4);
	vmwrite(LINK_POINTER, pa(shadow));
	l1_control(PROC2_CTL, 0, PROC2_SHADOW_VMCS);
	GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 4);
}

/* An ordinary VMCS is no shadow, and a shadow no ordinary one. */
static void test_type(void)
{
	nested_run_with(guest_type, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

/* -- memory operands ------------------------------------------------------------------------ */

static u64 operand[512] VMX_PAGE;

static void l2_read_memory(u64 field)
{
	asm volatile("vmread %[f], (%[p])\n"
		     "pushfq\n"
		     "pop %[r]" : [r] "=r"(result) : [f] "r"(field), [p] "r"(&operand[1])
		     : "cc", "memory");
}

static void l2_write_memory(u64 field)
{
	asm volatile("vmwrite (%[p]), %[f]\n"
		     "pushfq\n"
		     "pop %[r]" : [r] "=r"(result) : [f] "r"(field), [p] "r"(&operand[1])
		     : "cc", "memory");
}

static void l2_read_nowhere(u64 field)
{
	u64 f;

	GUEST_TRY(f, "vmread %[field], (%[p])", GUEST_NO_OUT, [field] "r"(field),
		  [p] "r"(1ull << 46));
	result = f;
}

static void violation(u64 eptp, u32 bit)
{
	L2_EXIT(REASON_EPT_VIOLATION);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & 7 & ~1u, bit & ~1u);
	GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS) & ~4095ull, pa(operand));
	*ept_entry(eptp, pa(operand), 1) |= EPT_RWX;
}

static void guest_memory(u64 ept)
{
	u64 eptp = 0;

	setup();
	set_bit(read_bitmap, GUEST_RIP, false);
	set_bit(write_bitmap, GUEST_CS_BASE, false);
	set_bit(read_bitmap, GUEST_CS_BASE, false);
	set_bit(write_bitmap, EXIT_REASON, false);
	if (ept) {
		eptp = ept_identity(1);
		l1_use_ept(eptp);
		*ept_entry(eptp, pa(operand), 1) &= ~(EPT_W | EPT_X);
	}
	l2_call(l2_read_memory, GUEST_RIP);
	/* L1's page tables, too, may forbid what L0 is to do for L2 */
	if (ept)
		violation(eptp, 2);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, 0);
	GUEST_ASSERT_EQ(operand[1], 0x4321);
	GUEST_ASSERT_EQ(operand[0] | operand[2], 0);
	operand[1] = 0xffff800012345678ull;
	if (ept) {
		*ept_entry(eptp, pa(operand), 1) &= ~EPT_RWX;
		try_invept(1, eptp, 0);
	}
	l2_call(l2_write_memory, GUEST_CS_BASE);
	if (ept)
		violation(eptp, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, 0);
	l2_call(l2_read, GUEST_CS_BASE);
	/* reading that one exits: there is a bitmap for each */
	set_bit(read_bitmap, GUEST_CS_BASE, true);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	set_bit(read_bitmap, GUEST_CS_BASE, false);
	l2_call(l2_read, GUEST_CS_BASE);
	L2_DONE();
	GUEST_ASSERT_EQ(value, 0xffff800012345678ull);
	/* a page fault of L2's own */
	l2_call(l2_read_nowhere, GUEST_RIP);
	L2_DONE();
	GUEST_ASSERT_EQ(result, FAULT(PF_VECTOR));
	/* exit information may be written where L1 may */
	operand[1] = 0x55;
	l2_call(l2_write_memory, EXIT_REASON);
	L2_DONE();
	GUEST_ASSERT_EQ(result & FLAGS, l1_caps.misc & 1u << 29 ? 0 : ZF);
}

/* Memory operands of L2's VMREAD and VMWRITE, which L0 accesses for it. */
static void test_memory(void)
{
	nested_run_with(guest_memory, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

static void test_memory_ept(void)
{
	nested_run_with(guest_memory, 1, PROC2_CTL, PROC2_SHADOW_VMCS | PROC2_EPT);
}

/* -- what is no shadow VMCS -------------------------------------------------------------------- */

static void link_fails(u64 link)
{
	vmwrite(LINK_POINTER, link);
	GUEST_ASSERT_AT(l2_run() == (REASON_GUEST_STATE | REASON_ENTRY_FAILURE), link,
			vmread(EXIT_REASON));
	GUEST_ASSERT_AT(vmread(QUALIFICATION) == 4, link, vmread(QUALIFICATION));
}

static void guest_wrong(void)
{
	setup();
	set_bit(read_bitmap, GUEST_RIP, false);
	/* the VMCS itself, not aligned, beyond the width, in no memory, another revision */
	link_fails(pa(l1_vmcs));
	link_fails(pa(shadow) + 8);
	link_fails(1ull << 62);
	link_fails(GPA_MMIO);
	*(volatile u32 *)shadow ^= 1;
	link_fails(pa(shadow));
	*(volatile u32 *)shadow ^= 1;
	vmwrite(LINK_POINTER, pa(shadow));
	L2_DONE();
	GUEST_ASSERT_EQ(value, 0x4321);
	/* a bitmap in no memory: all ones */
	vmwrite(VMREAD_BITMAP, GPA_MMIO);
	l2_call(l2_read, GUEST_RIP);
	L2_EXIT_SKIP(REASON_VMREAD);
	L2_DONE();
	/* and it cannot be entered itself */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(shadow)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_INVALID);
}

/* Link pointers that are none, and VMLAUNCH of a shadow VMCS. */
static void test_wrong(void)
{
	nested_run_with(guest_wrong, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

L2_SNIPPET(l2_user_read, "mov $0x681e, %ecx", "vmread %rcx, %rax");

static void guest_user(void)
{
	setup();
	/* CPL 3: what exits does, before its level is looked at */
	vmwrite(GUEST_CS, SEL_UCODE64 | 3);
	vmwrite(GUEST_SS, SEL_UDATA | 3);
	vmwrite(GUEST_CS_AR, 0xa0fb);
	vmwrite(GUEST_SS_AR, 0xc0f3);
	vmwrite(EXCEPTION_BITMAP, 1u << GP_VECTOR);
	l2_call(l2_user_read, 0);
	L2_EXIT(REASON_VMREAD);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_user_read_at);
	set_bit(read_bitmap, GUEST_RIP, false);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & 0xff, GP_VECTOR);
	GUEST_ASSERT_EQ(vmread(EXIT_ERROR), 0);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_user_read_at);
}

/* An L2 user: an exit by bitmap, else #GP. */
static void test_user(void)
{
	nested_run_with(guest_user, 0, PROC2_CTL, PROC2_SHADOW_VMCS);
}

KSFT_MAIN(
	{ "shadow: bitmaps", test_shadow },
	{ "shadow: no shadow VMCS", test_none },
	{ "shadow: kinds of VMCSs", test_type },
	{ "shadow: memory operands", test_memory },
	{ "shadow: memory operands, EPT", test_memory_ept },
	{ "shadow: none to link to", test_wrong },
	{ "shadow: CPL 3", test_user },
)
