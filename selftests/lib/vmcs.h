/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmcs: what the manual numbers for VMX: fields of the VMCS, controls, exit
 * reasons, error numbers. Vol. 3, "VM Instruction Reference", and its appendices
 * "VMX Capability Reporting Facility", "Field Encoding in VMCS", "VMX Basic Exit
 * Reasons".
 */
#ifndef _VMCS_H
#define _VMCS_H

#define MSR_VMX_BASIC		0x480
#define MSR_VMX_PIN		0x481
#define MSR_VMX_PROC		0x482
#define MSR_VMX_EXIT		0x483
#define MSR_VMX_ENTRY		0x484
#define MSR_VMX_MISC		0x485
#define MSR_VMX_CR0_FIXED0	0x486
#define MSR_VMX_CR0_FIXED1	0x487
#define MSR_VMX_CR4_FIXED0	0x488
#define MSR_VMX_CR4_FIXED1	0x489
#define MSR_VMX_VMCS_ENUM	0x48a
#define MSR_VMX_PROC2		0x48b
#define MSR_VMX_EPT_VPID	0x48c
#define MSR_VMX_TRUE_PIN	0x48d
#define MSR_VMX_TRUE_PROC	0x48e
#define MSR_VMX_TRUE_EXIT	0x48f
#define MSR_VMX_TRUE_ENTRY	0x490
#define MSR_VMX_VMFUNC		0x491

#define FEAT_CTL_LOCK		(1ull << 0)
#define FEAT_CTL_VMX		(1ull << 2)

#define BASIC_TRUE		(1ull << 55)
#define MISC_LMA		(1ull << 5)
#define MISC_HLT		(1ull << 6)
#define MISC_SHUTDOWN		(1ull << 7)
#define MISC_WAIT_SIPI		(1ull << 8)
#define MISC_CR3_TARGETS(m)	((m) >> 16 & 0x1ff)
#define MISC_VMWRITE_ANY	(1ull << 29)
#define MISC_SOFT_LEN_0		(1ull << 30)

#define EPT_CAP_EXEC_ONLY	(1ull << 0)
#define EPT_CAP_WALK4		(1ull << 6)
#define EPT_CAP_UC		(1ull << 8)
#define EPT_CAP_WB		(1ull << 14)
#define EPT_CAP_2M		(1ull << 16)
#define EPT_CAP_1G		(1ull << 17)
#define EPT_CAP_INVEPT		(1ull << 20)
#define EPT_CAP_AD		(1ull << 21)
#define EPT_CAP_INVEPT_ONE	(1ull << 25)
#define EPT_CAP_INVEPT_ALL	(1ull << 26)
#define EPT_CAP_INVVPID		(1ull << 32)
#define EPT_CAP_INVVPID_TYPE(t)	(1ull << (40 + (t)))

/* NAME, encoding */
#define VMCS_FIELDS(F)							\
	F(VPID,			0x0000)					\
	F(POSTED_VECTOR,	0x0002)					\
	F(EPTP_INDEX,		0x0004)					\
	F(GUEST_ES,		0x0800)					\
	F(GUEST_CS,		0x0802)					\
	F(GUEST_SS,		0x0804)					\
	F(GUEST_DS,		0x0806)					\
	F(GUEST_FS,		0x0808)					\
	F(GUEST_GS,		0x080a)					\
	F(GUEST_LDTR,		0x080c)					\
	F(GUEST_TR,		0x080e)					\
	F(GUEST_INTR_STATUS,	0x0810)					\
	F(PML_INDEX,		0x0812)					\
	F(HOST_ES,		0x0c00)					\
	F(HOST_CS,		0x0c02)					\
	F(HOST_SS,		0x0c04)					\
	F(HOST_DS,		0x0c06)					\
	F(HOST_FS,		0x0c08)					\
	F(HOST_GS,		0x0c0a)					\
	F(HOST_TR,		0x0c0c)					\
	F(IO_BITMAP_A,		0x2000)					\
	F(IO_BITMAP_B,		0x2002)					\
	F(MSR_BITMAP,		0x2004)					\
	F(EXIT_STORE_ADDR,	0x2006)					\
	F(EXIT_LOAD_ADDR,	0x2008)					\
	F(ENTRY_LOAD_ADDR,	0x200a)					\
	F(PML_ADDR,		0x200e)					\
	F(TSC_OFFSET,		0x2010)					\
	F(VIRTUAL_APIC,		0x2012)					\
	F(APIC_ACCESS,		0x2014)					\
	F(POSTED_DESC,		0x2016)					\
	F(VMFUNC_CTL,		0x2018)					\
	F(EPTP,			0x201a)					\
	F(EOI_EXIT0,		0x201c)					\
	F(EOI_EXIT1,		0x201e)					\
	F(EOI_EXIT2,		0x2020)					\
	F(EOI_EXIT3,		0x2022)					\
	F(EPTP_LIST,		0x2024)					\
	F(VMREAD_BITMAP,	0x2026)					\
	F(VMWRITE_BITMAP,	0x2028)					\
	F(VE_INFO,		0x202a)					\
	F(XSS_EXITING,		0x202c)					\
	F(TSC_MULTIPLIER,	0x2032)					\
	F(PHYSICAL_ADDRESS,	0x2400)					\
	F(LINK_POINTER,		0x2800)					\
	F(GUEST_DEBUGCTL,	0x2802)					\
	F(GUEST_PAT,		0x2804)					\
	F(GUEST_EFER,		0x2806)					\
	F(GUEST_PERF,		0x2808)					\
	F(GUEST_PDPTE0,		0x280a)					\
	F(GUEST_PDPTE1,		0x280c)					\
	F(GUEST_PDPTE2,		0x280e)					\
	F(GUEST_PDPTE3,		0x2810)					\
	F(HOST_PAT,		0x2c00)					\
	F(HOST_EFER,		0x2c02)					\
	F(HOST_PERF,		0x2c04)					\
	F(PIN_CTL,		0x4000)					\
	F(PROC_CTL,		0x4002)					\
	F(EXCEPTION_BITMAP,	0x4004)					\
	F(PF_MASK,		0x4006)					\
	F(PF_MATCH,		0x4008)					\
	F(CR3_TARGETS,		0x400a)					\
	F(EXIT_CTL,		0x400c)					\
	F(EXIT_STORE_COUNT,	0x400e)					\
	F(EXIT_LOAD_COUNT,	0x4010)					\
	F(ENTRY_CTL,		0x4012)					\
	F(ENTRY_LOAD_COUNT,	0x4014)					\
	F(ENTRY_EVENT,		0x4016)					\
	F(ENTRY_ERROR,		0x4018)					\
	F(ENTRY_LENGTH,		0x401a)					\
	F(TPR_THRESHOLD,	0x401c)					\
	F(PROC2_CTL,		0x401e)					\
	F(PLE_GAP,		0x4020)					\
	F(PLE_WINDOW,		0x4022)					\
	F(INSTRUCTION_ERROR,	0x4400)					\
	F(EXIT_REASON,		0x4402)					\
	F(EXIT_EVENT,		0x4404)					\
	F(EXIT_ERROR,		0x4406)					\
	F(IDT_EVENT,		0x4408)					\
	F(IDT_ERROR,		0x440a)					\
	F(EXIT_LENGTH,		0x440c)					\
	F(EXIT_INSTRUCTION,	0x440e)					\
	F(GUEST_ES_LIMIT,	0x4800)					\
	F(GUEST_CS_LIMIT,	0x4802)					\
	F(GUEST_SS_LIMIT,	0x4804)					\
	F(GUEST_DS_LIMIT,	0x4806)					\
	F(GUEST_FS_LIMIT,	0x4808)					\
	F(GUEST_GS_LIMIT,	0x480a)					\
	F(GUEST_LDTR_LIMIT,	0x480c)					\
	F(GUEST_TR_LIMIT,	0x480e)					\
	F(GUEST_GDTR_LIMIT,	0x4810)					\
	F(GUEST_IDTR_LIMIT,	0x4812)					\
	F(GUEST_ES_AR,		0x4814)					\
	F(GUEST_CS_AR,		0x4816)					\
	F(GUEST_SS_AR,		0x4818)					\
	F(GUEST_DS_AR,		0x481a)					\
	F(GUEST_FS_AR,		0x481c)					\
	F(GUEST_GS_AR,		0x481e)					\
	F(GUEST_LDTR_AR,	0x4820)					\
	F(GUEST_TR_AR,		0x4822)					\
	F(GUEST_BLOCKING,	0x4824)					\
	F(GUEST_ACTIVITY,	0x4826)					\
	F(GUEST_SMBASE,		0x4828)					\
	F(GUEST_SYSENTER_CS,	0x482a)					\
	F(PREEMPTION_TIMER,	0x482e)					\
	F(HOST_SYSENTER_CS,	0x4c00)					\
	F(CR0_MASK,		0x6000)					\
	F(CR4_MASK,		0x6002)					\
	F(CR0_SHADOW,		0x6004)					\
	F(CR4_SHADOW,		0x6006)					\
	F(CR3_TARGET0,		0x6008)					\
	F(CR3_TARGET1,		0x600a)					\
	F(CR3_TARGET2,		0x600c)					\
	F(CR3_TARGET3,		0x600e)					\
	F(QUALIFICATION,	0x6400)					\
	F(LINEAR_ADDRESS,	0x640a)					\
	F(GUEST_CR0,		0x6800)					\
	F(GUEST_CR3,		0x6802)					\
	F(GUEST_CR4,		0x6804)					\
	F(GUEST_ES_BASE,	0x6806)					\
	F(GUEST_CS_BASE,	0x6808)					\
	F(GUEST_SS_BASE,	0x680a)					\
	F(GUEST_DS_BASE,	0x680c)					\
	F(GUEST_FS_BASE,	0x680e)					\
	F(GUEST_GS_BASE,	0x6810)					\
	F(GUEST_LDTR_BASE,	0x6812)					\
	F(GUEST_TR_BASE,	0x6814)					\
	F(GUEST_GDTR_BASE,	0x6816)					\
	F(GUEST_IDTR_BASE,	0x6818)					\
	F(GUEST_DR7,		0x681a)					\
	F(GUEST_RSP,		0x681c)					\
	F(GUEST_RIP,		0x681e)					\
	F(GUEST_RFLAGS,		0x6820)					\
	F(GUEST_PENDING_DB,	0x6822)					\
	F(GUEST_SYSENTER_ESP,	0x6824)					\
	F(GUEST_SYSENTER_EIP,	0x6826)					\
	F(HOST_CR0,		0x6c00)					\
	F(HOST_CR3,		0x6c02)					\
	F(HOST_CR4,		0x6c04)					\
	F(HOST_FS_BASE,		0x6c06)					\
	F(HOST_GS_BASE,		0x6c08)					\
	F(HOST_TR_BASE,		0x6c0a)					\
	F(HOST_GDTR_BASE,	0x6c0c)					\
	F(HOST_IDTR_BASE,	0x6c0e)					\
	F(HOST_SYSENTER_ESP,	0x6c10)					\
	F(HOST_SYSENTER_EIP,	0x6c12)					\
	F(HOST_RSP,		0x6c14)					\
	F(HOST_RIP,		0x6c16)

#define VMCS_FIELD_ENUM(name, encoding)	name = encoding,
enum vmcs_field {
	VMCS_FIELDS(VMCS_FIELD_ENUM)
};

/* of an encoding */
#define FIELD_HIGH		1
#define FIELD_TYPE(f)		((f) >> 10 & 3)
#define FIELD_TYPE_RO		1
#define FIELD_WIDTH(f)		((f) >> 13 & 3)
#define FIELD_WIDTH_16		0
#define FIELD_WIDTH_64		1
#define FIELD_WIDTH_32		2
#define FIELD_WIDTH_NATURAL	3

#define PIN_EXTINT		(1u << 0)
#define PIN_NMI			(1u << 3)
#define PIN_VIRTUAL_NMI		(1u << 5)
#define PIN_TIMER		(1u << 6)
#define PIN_POSTED		(1u << 7)

#define PROC_INTR_WINDOW	(1u << 2)
#define PROC_TSC_OFFSET		(1u << 3)
#define PROC_HLT		(1u << 7)
#define PROC_INVLPG		(1u << 9)
#define PROC_MWAIT		(1u << 10)
#define PROC_RDPMC		(1u << 11)
#define PROC_RDTSC		(1u << 12)
#define PROC_CR3_LOAD		(1u << 15)
#define PROC_CR3_STORE		(1u << 16)
#define PROC_CR8_LOAD		(1u << 19)
#define PROC_CR8_STORE		(1u << 20)
#define PROC_TPR_SHADOW		(1u << 21)
#define PROC_NMI_WINDOW		(1u << 22)
#define PROC_DR			(1u << 23)
#define PROC_IO			(1u << 24)
#define PROC_IO_BITMAPS		(1u << 25)
#define PROC_MTF		(1u << 27)
#define PROC_MSR_BITMAPS	(1u << 28)
#define PROC_MONITOR		(1u << 29)
#define PROC_PAUSE		(1u << 30)
#define PROC_PROC2		(1u << 31)

#define PROC2_APIC_ACCESS	(1u << 0)
#define PROC2_EPT		(1u << 1)
#define PROC2_DESC		(1u << 2)
#define PROC2_RDTSCP		(1u << 3)
#define PROC2_X2APIC		(1u << 4)
#define PROC2_VPID		(1u << 5)
#define PROC2_WBINVD		(1u << 6)
#define PROC2_UNRESTRICTED	(1u << 7)
#define PROC2_APIC_REGISTERS	(1u << 8)
#define PROC2_VID		(1u << 9)
#define PROC2_PLE		(1u << 10)
#define PROC2_RDRAND		(1u << 11)
#define PROC2_INVPCID		(1u << 12)
#define PROC2_VMFUNC		(1u << 13)
#define PROC2_SHADOW_VMCS	(1u << 14)
#define PROC2_RDSEED		(1u << 16)
#define PROC2_PML		(1u << 17)
#define PROC2_VE		(1u << 18)
#define PROC2_XSAVES		(1u << 20)
#define PROC2_TSC_SCALING	(1u << 25)

#define EXIT_SAVE_DEBUG		(1u << 2)
#define EXIT_HOST_64		(1u << 9)
#define EXIT_LOAD_PERF		(1u << 12)
#define EXIT_ACK		(1u << 15)
#define EXIT_SAVE_PAT		(1u << 18)
#define EXIT_LOAD_PAT		(1u << 19)
#define EXIT_SAVE_EFER		(1u << 20)
#define EXIT_LOAD_EFER		(1u << 21)
#define EXIT_SAVE_TIMER		(1u << 22)

#define ENTRY_LOAD_DEBUG	(1u << 2)
#define ENTRY_IA32E		(1u << 9)
#define ENTRY_SMM		(1u << 10)
#define ENTRY_DUAL_MONITOR	(1u << 11)
#define ENTRY_LOAD_PERF		(1u << 13)
#define ENTRY_LOAD_PAT		(1u << 14)
#define ENTRY_LOAD_EFER		(1u << 15)

/* exit reasons */
#define REASON_EXCEPTION	0
#define REASON_EXTINT		1
#define REASON_TRIPLE_FAULT	2
#define REASON_INIT		3
#define REASON_SIPI		4
#define REASON_INTR_WINDOW	7
#define REASON_NMI_WINDOW	8
#define REASON_TASK_SWITCH	9
#define REASON_CPUID		10
#define REASON_HLT		12
#define REASON_INVD		13
#define REASON_INVLPG		14
#define REASON_RDPMC		15
#define REASON_RDTSC		16
#define REASON_VMCALL		18
#define REASON_VMCLEAR		19
#define REASON_VMLAUNCH		20
#define REASON_VMPTRLD		21
#define REASON_VMPTRST		22
#define REASON_VMREAD		23
#define REASON_VMRESUME		24
#define REASON_VMWRITE		25
#define REASON_VMXOFF		26
#define REASON_VMXON		27
#define REASON_CR		28
#define REASON_DR		29
#define REASON_IO		30
#define REASON_RDMSR		31
#define REASON_WRMSR		32
#define REASON_GUEST_STATE	33
#define REASON_MSR_LOAD		34
#define REASON_MWAIT		36
#define REASON_MTF		37
#define REASON_MONITOR		39
#define REASON_PAUSE		40
#define REASON_TPR		43
#define REASON_APIC_ACCESS	44
#define REASON_EOI		45
#define REASON_GDTR_IDTR	46
#define REASON_LDTR_TR		47
#define REASON_EPT_VIOLATION	48
#define REASON_EPT_MISCONFIG	49
#define REASON_INVEPT		50
#define REASON_RDTSCP		51
#define REASON_TIMER		52
#define REASON_INVVPID		53
#define REASON_WBINVD		54
#define REASON_XSETBV		55
#define REASON_APIC_WRITE	56
#define REASON_RDRAND		57
#define REASON_INVPCID		58
#define REASON_VMFUNC		59
#define REASON_RDSEED		61
#define REASON_PML_FULL		62
#define REASON_ENTRY_FAILURE	(1u << 31)

/* VM-instruction error numbers */
#define ERR_VMCLEAR_ADDRESS	2
#define ERR_VMCLEAR_VMXON	3
#define ERR_VMLAUNCH_NOT_CLEAR	4
#define ERR_VMRESUME_NOT_LAUNCHED 5
#define ERR_CONTROLS		7
#define ERR_HOST_STATE		8
#define ERR_VMPTRLD_ADDRESS	9
#define ERR_VMPTRLD_VMXON	10
#define ERR_VMPTRLD_REVISION	11
#define ERR_FIELD		12
#define ERR_READ_ONLY		13
#define ERR_VMXON_IN_ROOT	15
#define ERR_MOV_SS		26
#define ERR_INV_OPERAND		28

/* event fields: of entry, of exit, of IDT vectoring */
#define EVENT_VALID		(1u << 31)
#define EVENT_NMI_UNBLOCKED	(1u << 12)
#define EVENT_ERROR		(1u << 11)
#define EVENT_EXTINT		(0u << 8)
#define EVENT_NMI		(2u << 8)
#define EVENT_HARD		(3u << 8)
#define EVENT_SOFT_INT		(4u << 8)
#define EVENT_PRIV_SOFT		(5u << 8)
#define EVENT_SOFT_EXC		(6u << 8)
#define EVENT_OTHER		(7u << 8)

#define BLOCKING_STI		(1u << 0)
#define BLOCKING_MOV_SS		(1u << 1)
#define BLOCKING_SMI		(1u << 2)
#define BLOCKING_NMI		(1u << 3)

#define ACTIVITY_ACTIVE		0
#define ACTIVITY_HLT		1
#define ACTIVITY_SHUTDOWN	2
#define ACTIVITY_WAIT_SIPI	3

#define AR_UNUSABLE		(1u << 16)

#define EPT_R			(1ull << 0)
#define EPT_W			(1ull << 1)
#define EPT_X			(1ull << 2)
#define EPT_RWX			(EPT_R | EPT_W | EPT_X)
#define EPT_WB			(6ull << 3)
#define EPT_LARGE		(1ull << 7)
#define EPT_A			(1ull << 8)
#define EPT_D			(1ull << 9)
#define EPTP_WB			6ull
#define EPTP_WALK4		(3ull << 3)
#define EPTP_AD			(1ull << 6)

#endif /* _VMCS_H */
