// SPDX-License-Identifier: GPL-2.0-only
/* nested/modes: L2 in the other modes of the CPU, under an L1 in 64-bit mode */
#include "nested.h"

#define SEEN	0x40c00000u	/* where tables of L2's lead to TARGET; else it is not used */
#define TARGET	0xc00000ull
#define REAL	GPA_FREE	/* code in real mode */

/* tables of 32-bit modes: one to one below 1 GiB, and SEEN */
static u64 pdpt[4] VMX_PAGE;
static u64 pds[2][512] VMX_PAGE;
static u32 pd32[1024] VMX_PAGE;
static u64 elsewhere[512] VMX_PAGE;

asm(".text\n"
    ".code32\n"
    /* what the stack and the data segment do */
    ".globl modes_32, modes_32_call\n"
    "modes_32:\n"
    "	mov $0x12345678, %eax\n"
    "	push %eax\n"
    "	pop %ecx\n"
    "	mov (%esi), %edx\n"
    "	movl $0x77, 4(%esi)\n"
    "modes_32_call:\n"
    "	vmcall\n"
    /* paging on, before all that */
    ".globl modes_pg, modes_pg_at\n"
    "modes_pg:\n"
    "	mov %cr0, %eax\n"
    "	or $0x80000000, %eax\n"
    "modes_pg_at:\n"
    "	mov %eax, %cr0\n"
    "	jmp modes_32\n"
    /* on into 64-bit mode, with the tables in EDI */
    ".globl modes_up, modes_up_call\n"
    "modes_up:\n"
    "	mov %cr4, %eax\n"
    "	or $0x20, %eax\n"
    "	mov %eax, %cr4\n"
    "	mov %edi, %cr3\n"
    "	mov $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	or $0x100, %eax\n"
    "	wrmsr\n"
    "	mov %cr0, %eax\n"
    "	or $0x80000000, %eax\n"
    "	mov %eax, %cr0\n"
    "	ljmp $0x08, $1f\n"
    ".code64\n"
    "1:	mov $0x123456789abcdef0, %rax\n"
    "modes_up_call:\n"
    "	vmcall\n"
    ".code16\n"
    ".globl modes_16, modes_16_call, modes_16_end\n"
    "modes_16:\n"
    "	mov $0x1234, %ax\n"
    "	push %ax\n"
    "	pop %cx\n"
    "	int $0x21\n"
    "modes_16_call:\n"
    "	vmcall\n"
    /* the interrupt's handler: IP of the frame in BX */
    ".globl modes_16_int\n"
    "modes_16_int:\n"
    "	mov %sp, %bp\n"
    "	mov (%bp), %bx\n"
    "	iret\n"
    "modes_16_end:\n"
    ".code64\n");

extern const char modes_pg[], modes_pg_at[];
extern const char modes_32[], modes_32_call[], modes_up[], modes_up_call[];
extern const char modes_16[], modes_16_call[], modes_16_int[], modes_16_end[];

static void make_tables(void)
{
	u64 flags = PTE_P | PTE_W | PTE_U | PTE_PS;
	unsigned int i;

	for (i = 0; i < 512; i++)
		pds[0][i] = (u64)i << 21 | flags;
	pds[1][(SEEN & 0x3fffffff) >> 21] = TARGET | flags;
	pdpt[0] = pa(pds[0]) | PTE_P;
	pdpt[1] = pa(pds[1]) | PTE_P;
	for (i = 0; i < 256; i++)
		pd32[i] = i << 22 | flags;
	pd32[SEEN >> 22] = TARGET | flags;
}

/* flat 32-bit segments, LMA = 0, no paging; DATA is where L2 reads and writes */
static void enter_32(const void *code, u64 data, u64 ept)
{
	u64 efer = rdmsr(MSR_EFER);

	l1_make_vmcs(l1_vmcs, (void *)code, 0);
	if (ept)
		l1_use_ept(ept_identity(2));
	l1_control(PROC_CTL, 0, PROC_CR3_LOAD | PROC_CR3_STORE);
	if (l1_can(PROC_CTL, PROC_MSR_BITMAPS))
		l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	vmunset(ENTRY_CTL, ENTRY_IA32E);
	if (l1_can(ENTRY_CTL, ENTRY_LOAD_EFER) && l1_can(EXIT_CTL, EXIT_LOAD_EFER)) {
		l1_control(ENTRY_CTL, ENTRY_LOAD_EFER, 0);
		l1_control(EXIT_CTL, EXIT_LOAD_EFER, 0);
		vmwrite(GUEST_EFER, efer & ~(X86_EFER_LME | X86_EFER_LMA));
	}
	vmwrite(GUEST_CS, SEL_CODE32);
	vmwrite(GUEST_CS_AR, 0xc09b);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	l2_regs.rsi = data;
	*(volatile u64 *)TARGET = 0x99;
}

static void check_32(void)
{
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(modes_32_call));
	GUEST_ASSERT_EQ((u32)l2_regs.rax, 0x12345678);
	GUEST_ASSERT_EQ((u32)l2_regs.rcx, 0x12345678);
	GUEST_ASSERT_EQ((u32)l2_regs.rdx, 0x99);
	GUEST_ASSERT_EQ(*(volatile u32 *)(TARGET + 4), 0x77);
	/* L1 is where it was */
	GUEST_ASSERT_EQ(rdmsr(MSR_EFER) & (X86_EFER_LMA | X86_EFER_LME),
			X86_EFER_LMA | X86_EFER_LME);
	GUEST_ASSERT_EQ(vmread(ENTRY_CTL) & ENTRY_IA32E, 0);
}

static void guest_compat(u64 ept)
{
	l1_vmx_on();
	l1_make_vmcs(l1_vmcs, (void *)modes_32, 0);
	if (ept)
		l1_use_ept(ept_identity(2));
	vmwrite(GUEST_CS, SEL_CODE32);
	vmwrite(GUEST_CS_AR, 0xc09b);
	l2_regs.rsi = TARGET;
	*(volatile u64 *)TARGET = 0x99;
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(modes_32_call));
	GUEST_ASSERT_EQ((u32)l2_regs.rcx, 0x12345678);
	GUEST_ASSERT_EQ((u32)l2_regs.rdx, 0x99);
	GUEST_ASSERT_EQ(vmread(GUEST_CS_AR), 0xc09b);
	GUEST_ASSERT_EQ(vmread(ENTRY_CTL) & ENTRY_IA32E, ENTRY_IA32E);
}

static void guest_pae(u64 ept)
{
	unsigned int i;

	l1_vmx_on();
	make_tables();
	enter_32(modes_32, SEEN, ept);
	vmwrite(GUEST_CR3, pa(pdpt));
	if (ept)
		for (i = 0; i < 4; i++)
			vmwrite(GUEST_PDPTE0 + 2 * i, pdpt[i]);
	check_32();
	if (!ept)
		return;
	GUEST_ASSERT_EQ(vmread(GUEST_PDPTE0), pdpt[0]);
	/* the fields count, and not the memory */
	pdpt[1] = 0;
	enter_32(modes_32, SEEN, ept);
	vmwrite(GUEST_CR3, pa(pdpt));
	vmwrite(GUEST_PDPTE1, pa(pds[1]) | PTE_P);
	vmwrite(GUEST_PDPTE0, pdpt[0]);
	check_32();
}

static void guest_pae_bad(u64 arg)
{
	(void)arg;
	l1_vmx_on();
	make_tables();
	enter_32(modes_32, SEEN, 0);
	pdpt[2] = 0x1e6 | PTE_P;
	vmwrite(GUEST_CR3, pa(pdpt));
	GUEST_ASSERT_EQ(l2_run(), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 2);
	pdpt[2] = 0;
	check_32();
}

static void guest_32bit(u64 ept)
{
	l1_vmx_on();
	make_tables();
	enter_32(modes_32, SEEN, ept);
	vmwrite(GUEST_CR3, pa(pd32));
	vmwrite(GUEST_CR4, (read_cr4() & ~X86_CR4_PAE) | X86_CR4_PSE);
	check_32();
}

static void unrestricted(void)
{
	l1_control(PROC2_CTL, PROC2_UNRESTRICTED, 0);
	vmunset(GUEST_CR0, X86_CR0_PG);
}

static void guest_flat(void)
{
	l1_vmx_on();
	enter_32(modes_32, TARGET, 1);
	unrestricted();
	check_32();
}

/* PDPTEs at an address of L2's that is another of L1's */
static void guest_pae_on(u64 forbid)
{
	u64 eptp, *entry, was;

	l1_vmx_on();
	make_tables();
	enter_32(modes_pg, SEEN, 0);
	eptp = ept_identity(2);
	ept_map(eptp, pa(elsewhere), pa(pdpt), 1, EPT_RWX | EPT_WB);
	l1_use_ept(eptp);
	unrestricted();
	vmwrite(GUEST_CR3, pa(elsewhere));
	if (forbid) {
		entry = ept_entry(eptp, pa(elsewhere), 1);
		was = *entry;
		*entry &= ~(u64)EPT_RWX;
		L2_EXIT(REASON_EPT_VIOLATION);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(modes_pg_at));
		GUEST_ASSERT_EQ(vmread(PHYSICAL_ADDRESS) & ~0xfffull, pa(elsewhere));
		/* a read, and by no linear address */
		GUEST_ASSERT_EQ(vmread(QUALIFICATION), 1);
		GUEST_ASSERT_EQ(vmread(GUEST_CR0) & X86_CR0_PG, 0);
		*entry = was;
	}
	check_32();
	GUEST_ASSERT_EQ(vmread(GUEST_PDPTE0), pdpt[0]);
	GUEST_ASSERT_EQ(vmread(GUEST_PDPTE1), pdpt[1]);
}

/* the address of vector 0x21 in the table at 0 */
static void guest_real(u64 vector_21)
{
	u32 i;

	l1_vmx_on();
	for (i = 0; i < (u64)(modes_16_end - modes_16); i++)
		((volatile u8 *)REAL)[i] = modes_16[i];
	*(volatile u32 *)vector_21 = REAL + (modes_16_int - modes_16);
	enter_32(modes_32, TARGET, 1);
	unrestricted();
	vmunset(GUEST_CR0, X86_CR0_PE);
	for (i = 0; i < 6; i++) {
		vmwrite(GUEST_ES + 2 * i, 0);
		vmwrite(GUEST_ES_BASE + 2 * i, 0);
		vmwrite(GUEST_ES_LIMIT + 2 * i, 0xffff);
		vmwrite(GUEST_ES_AR + 2 * i, i == 1 ? 0x9b : 0x93);
	}
	vmwrite(GUEST_IDTR_BASE, 0);
	vmwrite(GUEST_IDTR_LIMIT, 0x3ff);
	vmwrite(GUEST_RIP, REAL);
	vmwrite(GUEST_RSP, 0x7f00);
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), REAL + (u64)(modes_16_call - modes_16));
	GUEST_ASSERT_EQ((u16)l2_regs.rax, 0x1234);
	GUEST_ASSERT_EQ((u16)l2_regs.rcx, 0x1234);
	GUEST_ASSERT_EQ((u16)l2_regs.rbx, REAL + (u64)(modes_16_call - modes_16));
	GUEST_ASSERT_EQ(vmread(GUEST_CR0) & (X86_CR0_PE | X86_CR0_PG), 0);
	GUEST_ASSERT_EQ(vmread(GUEST_RSP), 0x7f00);
	/* an interrupt of L1's goes by the vector table, too */
	vmwrite(GUEST_RIP, REAL + (u64)(modes_16_call - modes_16));
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_EXTINT | 0x21);
	l2_regs.rbx = 0;
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ((u16)l2_regs.rbx, REAL + (u64)(modes_16_call - modes_16));
}

static void guest_up(void)
{
	l1_vmx_on();
	enter_32(modes_up, TARGET, 1);
	unrestricted();
	vmwrite(GUEST_CR4, read_cr4() & ~X86_CR4_PAE);
	l2_regs.rdi = read_cr3();
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(modes_up_call));
	GUEST_ASSERT_EQ(l2_regs.rax, 0x123456789abcdef0ull);
	/* the control follows EFER.LMA where IA32_VMX_MISC says so */
	GUEST_ASSERT_EQ(vmread(ENTRY_CTL) & ENTRY_IA32E, ENTRY_IA32E);
	GUEST_ASSERT_EQ(vmread(GUEST_CS), SEL_CODE64);
	/* and L2 can go on from there */
	if (vmread(ENTRY_CTL) & ENTRY_LOAD_EFER)
		vmset(GUEST_EFER, X86_EFER_LME | X86_EFER_LMA);
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(modes_up_call));
}

/* Compatibility mode. */
static void test_compat(void)
{
	nested_run(guest_compat, 0);
	nested_run_with(guest_compat, 1, PROC2_CTL, PROC2_EPT);
}

/* PAE paging that L2 turns on: PDPTEs from where its EPT leads. */
static void test_pae_on(void)
{
	nested_run_with(guest_pae_on, 0, PROC2_CTL, PROC2_EPT | PROC2_UNRESTRICTED);
}

/* And if that forbids it, it is an EPT violation. */
static void test_pae_forbidden(void)
{
	REQUIRE(ksft_is_emys(), "KVM makes it a #GP of L2's");
	nested_run_with(guest_pae_on, 1, PROC2_CTL, PROC2_EPT | PROC2_UNRESTRICTED);
}

/* PAE paging: PDPTEs from memory, or with EPT from the VMCS. */
static void test_pae(void)
{
	nested_run(guest_pae, 0);
	nested_run_with(guest_pae, 1, PROC2_CTL, PROC2_EPT);
}

/* PDPTEs in memory with reserved bits: the entry fails. */
static void test_pae_bad(void)
{
	nested_run(guest_pae_bad, 0);
}

/* 32-bit paging. */
static void test_32bit(void)
{
	nested_run(guest_32bit, 0);
	nested_run_with(guest_32bit, 1, PROC2_CTL, PROC2_EPT);
}

/* Protected mode without paging. */
static void test_flat(void)
{
	nested_run_with(guest_flat, 0, PROC2_CTL, PROC2_EPT | PROC2_UNRESTRICTED);
}

/* Real mode, with an interrupt by its vector table. */
static void test_real(void)
{
	nested_run_with(guest_real, 0x21 * 4, PROC2_CTL, PROC2_EPT | PROC2_UNRESTRICTED);
}

/* From protected mode to 64-bit mode. */
static void test_up(void)
{
	nested_run_with(guest_up, 0, PROC2_CTL, PROC2_EPT | PROC2_UNRESTRICTED);
}

KSFT_MAIN(
	{ "modes: compatibility mode", test_compat },
	{ "modes: PAE paging", test_pae },
	{ "modes: PAE paging, bad PDPTEs", test_pae_bad },
	{ "modes: PAE paging turned on", test_pae_on },
	{ "modes: PAE paging turned on, forbidden", test_pae_forbidden },
	{ "modes: 32-bit paging", test_32bit },
	{ "modes: protected mode without paging", test_flat },
	{ "modes: real mode", test_real },
	{ "modes: L2 goes to 64-bit mode", test_up },
)
