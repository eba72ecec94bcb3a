#include "core/conf/version.h"

#include <event2/event.h>
#include <expat.h>
#include <lz4.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <sqlite3.h>

#include "config.h"

void
version_print(FILE *out, const char *program)
{
    fprintf(out, "%s %s\n", program, PACKAGE_VERSION);
    fprintf(out, "libraries: sqlite %s, libevent %s, %s, protobuf-c %s, lz4 %s, libmicrohttpd %s, %s\n",
            sqlite3_libversion(), event_get_version(), OpenSSL_version(OPENSSL_VERSION), protobuf_c_version(),
            LZ4_versionString(), MHD_get_version(), XML_ExpatVersion());
}
