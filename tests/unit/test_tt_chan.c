/* Packets with descriptors over a socketpair. */
#include "tasktracker/chan.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/proto/task.pb-c.h"
#include "tests/unit/suites.h"

Suite *suite_tt_chan(void);

static TkReport *
roundtrip(const char *text, const int *fds, size_t n, int got_fds[CHAN_FDS], size_t *got_n)
{
    TkReport r = TK_REPORT__INIT;
    ProtobufCMessage *m = NULL;
    int socks[2];
    struct why why;

    r.kind = TK_REPORT__KIND__FAILED;
    r.text = (char *)text;
    ck_assert_int_eq(pipes_pair(pipes_posix(), PIPES_PACKETS, socks, &why), RC_OK);
    ck_assert_int_eq(chan_send(pipes_posix(), socks[0], &r.base, fds, n, &why), RC_OK);
    ck_assert_int_eq(chan_receive(pipes_posix(), socks[1], &tk_report__descriptor, &m, got_fds, got_n, &why), RC_OK);
    close(socks[0]);
    close(socks[1]);
    return (TkReport *)(void *)m;
}

START_TEST(short_message_arrives)
{
    int fds[CHAN_FDS];
    size_t n = 9;
    TkReport *r = roundtrip("short", NULL, 0, fds, &n);

    ck_assert_str_eq(r->text, "short");
    ck_assert_uint_eq(n, 0);
    chan_free(&r->base);
}
END_TEST

START_TEST(long_message_arrives_with_its_descriptors_in_order)
{
    char *text = mem_alloc(300001), byte;
    int pipes[2][2], give[2], fds[CHAN_FDS];
    size_t n = 0;
    TkReport *r;

    memset(text, 'q', 300000);
    text[300000] = 0;
    ck_assert_int_eq(pipe(pipes[0]) | pipe(pipes[1]), 0);
    give[0] = pipes[0][0];
    give[1] = pipes[1][0];
    r = roundtrip(text, give, 2, fds, &n);
    ck_assert_uint_eq(strlen(r->text), 300000);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(write(pipes[0][1], "A", 1) + write(pipes[1][1], "B", 1), 2);
    ck_assert(read(fds[0], &byte, 1) == 1 && byte == 'A');
    ck_assert(read(fds[1], &byte, 1) == 1 && byte == 'B');
    chan_free(&r->base);
    mem_free(text);
}
END_TEST

START_TEST(peer_that_is_gone_is_closed_in_both_directions)
{
    TkReport r = TK_REPORT__INIT;
    ProtobufCMessage *m;
    int socks[2], fds[CHAN_FDS];
    size_t n;
    struct why why;

    r.kind = TK_REPORT__KIND__DONE;
    ck_assert_int_eq(pipes_pair(pipes_posix(), PIPES_PACKETS, socks, &why), RC_OK);
    close(socks[1]);
    ck_assert_int_eq(chan_send(pipes_posix(), socks[0], &r.base, NULL, 0, &why), RC_CLOSED);
    ck_assert_int_eq(chan_receive(pipes_posix(), socks[0], &tk_report__descriptor, &m, fds, &n, &why), RC_CLOSED);
    close(socks[0]);
}
END_TEST

START_TEST(garbage_is_refused)
{
    static const char *const bad[] = { "\0garbage", "\1", "\1no descriptor", "\0" };
    static const size_t length[] = { 8, 1, 14, 1 };
    ProtobufCMessage *m;
    int socks[2], fds[CHAN_FDS];
    size_t n;
    struct why why;

    ck_assert_int_eq(pipes_pair(pipes_posix(), PIPES_PACKETS, socks, &why), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(send(socks[0], bad[i], length[i], 0), (int)length[i]);
        ck_assert_int_eq(chan_receive(pipes_posix(), socks[1], &tk_report__descriptor, &m, fds, &n, &why), RC_BAD_MESSAGE);
    }
    close(socks[0]);
    close(socks[1]);
}
END_TEST

START_TEST(a_packet_of_nothing_leaves_no_descriptor)
{
    int socks[2], fds[CHAN_FDS], next, give = 0;
    ProtobufCMessage *m = NULL;
    struct why why;
    size_t n = 0;

    ck_assert_int_eq(pipes_pair(pipes_posix(), PIPES_PACKETS, socks, &why), RC_OK);
    next = dup(0);
    close(next);
    ck_assert_int_eq(pipes_posix()->ops->send(pipes_posix(), socks[0], "", 0, &give, 1, &why), RC_OK);
    ck_assert_int_eq(chan_receive(pipes_posix(), socks[1], &tk_report__descriptor, &m, fds, &n, &why), RC_CLOSED);
    ck_assert_int_eq(dup(0), next);
    close(next);
    close(socks[0]);
    close(socks[1]);
}
END_TEST

START_TEST(a_message_that_would_be_much_larger_decoded_is_refused)
{
    static const uint8_t counter[] = { 0x3a, 4, 0x0a, 0, 0x10, 0 };     /* no name, 0 */
    const size_t count = 700000;
    uint8_t *p = mem_alloc(2 + count * sizeof counter);

    p[0] = 0x08;
    p[1] = TK_REPORT__KIND__PROGRESS;
    for (size_t i = 0; i < count; i++)
        memcpy(p + 2 + i * sizeof counter, counter, sizeof counter);
    ck_assert_ptr_null(chan_unpack(&tk_report__descriptor, p, 2 + count * sizeof counter));
    mem_free(p);
}
END_TEST

Suite *
suite_tt_chan(void)
{
    Suite *s = suite_create("tt_chan");
    TCase *t = tcase_create("packets");

    tcase_add_test(t, short_message_arrives);
    tcase_add_test(t, long_message_arrives_with_its_descriptors_in_order);
    tcase_add_test(t, peer_that_is_gone_is_closed_in_both_directions);
    tcase_add_test(t, garbage_is_refused);
    tcase_add_test(t, a_packet_of_nothing_leaves_no_descriptor);
    tcase_add_test(t, a_message_that_would_be_much_larger_decoded_is_refused);
    suite_add_tcase(s, t);
    return s;
}
