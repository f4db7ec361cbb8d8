/* SPDX-License-Identifier: GPL-2.0-only */
/* fields.h - guest state that is in vmcs12 what it is in vmcs02; see rare.c */
#ifndef _EMYS_NESTED_FIELDS_H
#define _EMYS_NESTED_FIELDS_H

#define NESTED_SEG(X, SEG, seg) \
	X(GUEST_##SEG##_SELECTOR, guest_##seg##_selector), \
	X(GUEST_##SEG##_BASE, guest_##seg##_base), \
	X(GUEST_##SEG##_LIMIT, guest_##seg##_limit), \
	X(GUEST_##SEG##_AR_BYTES, guest_##seg##_ar_bytes)

/* X(encoding, member), an expression each, with commas between */
#define NESTED_RARE(X) \
	NESTED_SEG(X, ES, es), NESTED_SEG(X, CS, cs), NESTED_SEG(X, SS, ss), \
	NESTED_SEG(X, DS, ds), \
	NESTED_SEG(X, FS, fs), NESTED_SEG(X, GS, gs), NESTED_SEG(X, LDTR, ldtr), \
	NESTED_SEG(X, TR, tr), \
	X(GUEST_GDTR_BASE, guest_gdtr_base), \
	X(GUEST_GDTR_LIMIT, guest_gdtr_limit), \
	X(GUEST_IDTR_BASE, guest_idtr_base), \
	X(GUEST_IDTR_LIMIT, guest_idtr_limit), \
	X(GUEST_SYSENTER_CS, guest_sysenter_cs), \
	X(GUEST_SYSENTER_ESP, guest_sysenter_esp), \
	X(GUEST_SYSENTER_EIP, guest_sysenter_eip)

#endif
