/*
 * fuzz_conf -- configuration files: ours (the first byte is even) and Hadoop's XML.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/conf/conf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *path;
    struct conf c, again;
    struct why why;
    char *text = NULL;
    size_t text_n;
    FILE *f;

    if (n == 0)
        return 0;
    path = data[0] % 2 == 0 ? "input.conf" : "input.xml";
    (void)remove(path);         /* ext4 writes to its disk what replaces a file by cutting it */
    CHECK((f = fopen(path, "we")) != NULL);
    CHECK(fwrite(data + 1, 1, n - 1, f) == n - 1);
    CHECK(fclose(f) == 0);
    CHECK(conf_init(&c, n % 2 ? NN : TT, &why) == RC_OK);
    if (conf_load(&c, path, &why) != RC_OK)
        CHECK(strlen(why.text) > 0);
    CHECK(conf_derive(&c, &why) == RC_OK || strlen(why.text) > 0);
    CHECK(conf_verify(&c, &why) == RC_OK || strlen(why.text) > 0);
    CHECK((f = open_memstream(&text, &text_n)) != NULL);
    conf_print(&c, f);
    CHECK(fclose(f) == 0);
    CHECK(conf_copy(&again, &c, &why) == RC_OK);
    conf_fini(&again);
    conf_fini(&c);
    free(text);
    CHECK(mem_live() == 0);
    return 0;
}
