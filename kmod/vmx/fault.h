/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fault.h - where a VMX instruction that faults goes on; private to vmcs.h.
 *
 * In an asm goto: the instruction at local label 1 jumps to the C label "fail"
 * instead of an oops. checkpatch takes the % of a label operand for an operator,
 * so the one place that has it stands apart; see tools/style.
 */
#ifndef _EMYS_VMX_FAULT_H
#define _EMYS_VMX_FAULT_H

#include <asm/asm.h>

#define VMX_FAULT_TO_FAIL	_ASM_EXTABLE(1b, %l[fail])

#endif
