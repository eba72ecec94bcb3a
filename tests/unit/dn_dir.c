#include "tests/unit/dn_dir.h"

#include <stdlib.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "tests/unit/suites.h"

const char *
dn_dir_make(void)
{
    char *dir = mem_strdup("/tmp/unit_dn.XXXXXX");

    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

void
dn_dir_remove(const char *dir)
{
    ck_assert_int_eq(io_remove_tree(io_posix(), dir, NULL), RC_OK);
    mem_free((char *)dir);
}

void
dn_content(uint8_t *p, size_t n, size_t from)
{
    for (size_t i = from; i < from + n; i++)
        *p++ = (uint8_t)((i * 7 + i / 251) % 251);
}
