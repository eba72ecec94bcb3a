/*
 * fuzz_replica -- what a DataNode finds on a disk: meta headers, names of files,
 * VERSION files.
 */
#include "tests/fuzz/fuzz.h"

#include "datanode/layout.h"

static void
meta(const uint8_t *p, size_t n)
{
    uint8_t again[DN_META_HEAD];
    struct dn_meta m;
    struct why why;

    if (dn_meta_parse(p, n, &m, &why) != RC_OK) {
        CHECK(why.rc == RC_CORRUPT);
        return;
    }
    CHECK(m.chunk > 0);
    CHECK(m.chunk <= DN_CHUNK_MAX);
    dn_meta_put(&m, again);
    CHECK(memcmp(again, p, sizeof again) == 0);
    CHECK(dn_meta_bytes(m.chunk, 0) == DN_META_HEAD);
    CHECK(dn_meta_bytes(m.chunk, (uint64_t)m.chunk + 1) > dn_meta_bytes(m.chunk, m.chunk));
    CHECK(dn_meta_at(m.chunk, 0) == DN_META_HEAD);
}

static void
names(const char *text)
{
    struct block_id id;
    struct stamp stamp;
    struct dn_path path;
    char value[64];

    if (dn_name_is_data(text, &id)) {
        CHECK(!dn_name_is_meta(text, &id, &stamp));
        dn_path_data("/d", DN_IN_FINALIZED, id, &path);
        CHECK(strcmp(strrchr(path.p, '/') + 1, text) == 0);
    } else if (dn_name_is_meta(text, &id, &stamp)) {
        dn_path_meta("/d", DN_IN_RBW, id, stamp, &path);
        CHECK(strcmp(strrchr(path.p, '/') + 1, text) == 0);
    }
    if (dn_property(text, "clusterID", value, sizeof value))
        CHECK(strlen(value) < sizeof value);
    if (dn_property(text, "layoutVersion", value, 4))
        CHECK(strlen(value) < 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = mem_strndup(data, n);

    CHECK(text != NULL);
    meta(data, n);
    names(text);
    mem_free(text);
    CHECK(mem_live() == 0);
    return 0;
}
