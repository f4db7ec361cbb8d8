/* SPDX-License-Identifier: GPL-2.0-only */
/* AML: a byte-code builder for the few objects the DSDT needs. */
#ifndef AML_H
#define AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH 8

/* Output buffer owned by the caller; full is set once something is cut. */
struct aml {
	uint8_t *buf;
	size_t size;
	size_t len;
	bool full;
	size_t open[AML_DEPTH];
	unsigned int depth;
};

/*
 * Things with a package length are opened and closed; the length is put in
 * when they close. Names are four characters, '\' and scopes as in ASL paths
 * of one segment ("\_SB_", "COM1").
 */
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_package(struct aml *a, uint8_t count);
void aml_resources(struct aml *a);
void aml_close(struct aml *a);
/* Close what aml_resources() opened: adds the end tag. */
void aml_resources_close(struct aml *a);

/* Name (@name, ...): the object that follows is its value. */
void aml_name(struct aml *a, const char *name);
void aml_int(struct aml *a, uint32_t v);
/* "PNP0501" as a compressed EISA id. */
void aml_eisaid(struct aml *a, const char *id);

/* Resource descriptors, between aml_resources() and its close. */
void aml_io(struct aml *a, uint16_t base, uint8_t len);
void aml_irq(struct aml *a, unsigned int irq);
/* Ranges that a bridge hands on; @base and @len as they are on both sides. */
void aml_bus_window(struct aml *a, uint16_t base, uint16_t len);
void aml_io_window(struct aml *a, uint16_t base, uint16_t len);
void aml_mem_window(struct aml *a, uint32_t base, uint32_t len);

#endif
