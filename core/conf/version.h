/*
 * version -- what --version prints: the program and the libraries that it runs against.
 */
#ifndef CORE_CONF_VERSION_H
#define CORE_CONF_VERSION_H

#include <stdio.h>

void version_print(FILE *out, const char *program);

#endif
