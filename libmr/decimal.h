/*
 * decimal -- doubles from and to decimal text, exactly.
 */
#ifndef LIBMR_DECIMAL_H
#define LIBMR_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#define DECIMAL_TEXT 32

/*
 * The number at p, rounded as strtod does; returns the first byte behind it, NULL when there
 * is none before end.  No blanks before it, no hexadecimal; "inf", "infinity" and "nan" in
 * any case.  Independent of the locale.
 */
const char *decimal_parse(const char *p, const char *end, double *ret);

/* The whole of p[0..n) with blanks around; false when it is not a number. */
bool decimal_read(const char *p, size_t n, double *ret);

/* The shortest text that reads back as the same double, with a NUL; returns its length. */
size_t decimal_write(double v, char out[DECIMAL_TEXT]);

#endif
