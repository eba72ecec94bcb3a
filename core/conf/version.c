#include "core/conf/version.h"

#include <event2/event.h>
#include <expat.h>
#include <lz4.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <sqlite3.h>

#include "config.h"

/* Loading a library costs a short command more than its work does, so being named here is no reason to be loaded. */
#pragma weak sqlite3_libversion
#pragma weak event_get_version
#pragma weak OpenSSL_version
#pragma weak protobuf_c_version
#pragma weak LZ4_versionString
#pragma weak MHD_get_version
#pragma weak XML_ExpatVersion

static void
print_one(FILE *out, const char **between, const char *name, const char *version)
{
    fprintf(out, "%s%s%s", *between, name, version);
    *between = ", ";
}

void
version_print(FILE *out, const char *program)
{
    const char *between = "libraries: ";

    fprintf(out, "%s %s\n", program, PACKAGE_VERSION);
    if (sqlite3_libversion)
        print_one(out, &between, "sqlite ", sqlite3_libversion());
    if (event_get_version)
        print_one(out, &between, "libevent ", event_get_version());
    if (OpenSSL_version)
        print_one(out, &between, "", OpenSSL_version(OPENSSL_VERSION));
    if (protobuf_c_version)
        print_one(out, &between, "protobuf-c ", protobuf_c_version());
    if (LZ4_versionString)
        print_one(out, &between, "lz4 ", LZ4_versionString());
    if (MHD_get_version)
        print_one(out, &between, "libmicrohttpd ", MHD_get_version());
    if (XML_ExpatVersion)
        print_one(out, &between, "", XML_ExpatVersion());
    fprintf(out, "\n");
}
