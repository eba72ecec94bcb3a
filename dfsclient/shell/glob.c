#include "dfsclient/shell/glob.h"

#include <string.h>

bool
glob_has_meta(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0')
            text++;
        else if (strchr("*?[{", *text) != NULL)
            return true;
    }
    return false;
}

char *
glob_unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0')
            from++;
        *to++ = *from;
    }
    *to = '\0';
    return text;
}

/* Bytes of the UTF-8 character at s: what ? and [] match. */
static size_t
char_bytes(const char *s)
{
    size_t n = 1;

    while (((unsigned char)s[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* *pattern is behind '['; moves it behind ']'.  False with *pattern unmoved when there is no ']'. */
static bool
match_class(const char **pattern, const char *name, size_t name_n, bool *ret_closed)
{
    const char *p = *pattern;
    bool negate = *p == '!' || *p == '^', hit = false, first = true;

    if (negate)
        p++;
    for (; *p != '\0' && (*p != ']' || first); first = false) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        size_t n = char_bytes(p), m;
        const char *low = p;
        p += n;
        if (*p == '-' && p[1] != ']' && p[1] != '\0') {
            p++;
            if (*p == '\\' && p[1] != '\0')
                p++;
            m = char_bytes(p);
            if (n == 1 && m == 1 && name_n == 1)
                hit = hit || ((unsigned char)*low <= (unsigned char)*name && (unsigned char)*name <= (unsigned char)*p);
            else if (n == name_n && m == name_n)
                hit = hit || (memcmp(low, name, n) <= 0 && memcmp(name, p, n) <= 0);
            p += m;
        } else {
            hit = hit || (n == name_n && memcmp(low, name, n) == 0);
        }
    }
    *ret_closed = *p == ']';
    if (*ret_closed)
        *pattern = p + 1;
    return hit != negate;
}

bool
glob_match(const char *pattern, const char *name)
{
    const char *star = NULL, *star_name = NULL;

    for (;;) {
        const char *next = pattern;
        bool ok = false, closed = true;
        size_t n = *name != '\0' ? char_bytes(name) : 0;

        if (*pattern == '*') {
            star = ++pattern;
            star_name = name;
            continue;
        }
        if (*pattern == '\0' && *name == '\0')
            return true;
        if (*name != '\0' && *pattern == '?') {
            next = pattern + 1;
            ok = true;
        } else if (*name != '\0' && *pattern == '[') {
            next = pattern + 1;
            ok = match_class(&next, name, n, &closed) && closed;
        } else if (*name != '\0' && *pattern != '\0') {
            const char *p = *pattern == '\\' && pattern[1] != '\0' ? pattern + 1 : pattern;
            size_t m = char_bytes(p);
            ok = m == n && memcmp(p, name, n) == 0;
            next = p + m;
        }
        if (ok) {
            pattern = next;
            name += n;
        } else if (star != NULL && *star_name != '\0') {
            star_name += char_bytes(star_name);
            name = star_name;
            pattern = star;
        } else {
            return false;
        }
    }
}

/* The first unescaped '{' of text outside [], or NULL. */
static const char *
find_brace(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0')
            text++;
        else if (*text == '{')
            return text;
    }
    return NULL;
}

/* One alternative between from and the ',' or '}' that ends it at this depth. */
static const char *
alternative_end(const char *from)
{
    unsigned depth = 0;

    for (; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0')
            from++;
        else if (*from == '{')
            depth++;
        else if (*from == '}' && depth > 0)
            depth--;
        else if (depth == 0 && (*from == ',' || *from == '}'))
            return from;
    }
    return NULL;
}

bool
glob_braces(const char *pattern, struct arena *a, char **ret, size_t max, size_t *ret_n)
{
    const char *open = find_brace(pattern), *close, *from, *end;
    char *one;

    if (open == NULL) {
        if (*ret_n == max || (one = arena_strdup(a, pattern)) == NULL)
            return false;
        ret[(*ret_n)++] = one;
        return true;
    }
    for (close = alternative_end(open + 1); close != NULL && *close == ',';)
        close = alternative_end(close + 1);
    if (close == NULL)
        return false;
    for (from = open + 1; from <= close; from = end + 1) {
        end = alternative_end(from);
        one = arena_printf(a, "%.*s%.*s%s", (int)(open - pattern), pattern, (int)(end - from), from, close + 1);
        if (one == NULL || !glob_braces(one, a, ret, max, ret_n))
            return false;
    }
    return true;
}
