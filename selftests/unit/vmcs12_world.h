/* SPDX-License-Identifier: GPL-2.0-only */
/* A vmcs12 that passes every check, and what the checks know beside it */
#ifndef _EMYS_UNIT_VMCS12_WORLD_H
#define _EMYS_UNIT_VMCS12_WORLD_H

#include "../../kmod/nested/check.h"

/* Controls of the valid one */
#define PIN	(0x16 | PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS)
#define PROC	(0x04006172 | CPU_BASED_HLT_EXITING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
#define PROC2	(SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID)
#define EXIT	(0x36dfb | VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_EFER | \
		 VM_EXIT_LOAD_IA32_PAT)
#define ENTRY	(0x11fb | VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_IA32_EFER | \
		 VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_DEBUG_CONTROLS)
#define CR0	0x80010031ULL		/* PG, WP, NE, ET, PE */
#define CR4	0x2020ULL		/* VMXE, PAE */
#define EFER	0xd01ULL		/* NXE, LMA, LME, SCE */
#define VMPTR	0x7000ULL
#define WIDTH	40			/* of physical addresses */

/* The most that a CPU could have, for capabilities */
void world_hardware(struct nested_caps *hw);
/* A 64-bit L1 with a 64-bit guest; @caps is filled and made @env's. */
void world_init(struct vmcs12 *v, struct vmcs12_env *env, struct nested_caps *caps);
/* From that, the guest in virtual-8086 mode; in real-address mode, unrestricted */
void world_v86(struct vmcs12 *v);
void world_real(struct vmcs12 *v);

#endif
