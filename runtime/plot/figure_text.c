/* figure_text.c — labels come from programs and data files, so they may hold any
 * bytes; what leaves here is valid in XML and harmless in a terminal. */
#include "plot.h"

static uint32_t decode(const unsigned char *s, int *length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3
          : s[0] >> 3 == 30 ? 4 : 0;
    *length = 1;
    if (n <= 1)
        return n ? s[0] : 0xFFFD;
    uint32_t c = s[0] & (0x7Fu >> n);
    for (int i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0xFFFD;
        c = c << 6 | (s[i] & 0x3Fu);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0xFFFD;
    *length = n;
    return c;
}

uint32_t utf8_next(const char **s)
{
    if (!**s)
        return 0;
    int length;
    uint32_t c = decode((const unsigned char *)*s, &length);
    *s += length;
    if (c < 0x20 || c == 0x7F)
        return ' ';
    /* C1 controls, bidirectional overrides and what XML does not allow */
    if ((c >= 0x80 && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) ||
        (c >= 0x2066 && c <= 0x2069) || (c & 0xFFFE) == 0xFFFE)
        return 0xFFFD;
    return c;
}

void utf8_put(Text *t, uint32_t c)
{
    char b[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        b[i] = (char)(0x80 | (c & 0x3F));
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    b[0] = (char)(lead[n] | c);
    text_putn(t, b, n);
}

typedef struct Span { uint32_t from, to; } Span;

static bool among(const Span *spans, int n, uint32_t c)
{
    for (int i = 0; i < n; i++)
        if (c >= spans[i].from && c <= spans[i].to)
            return true;
    return false;
}

/* wcwidth() would depend on the locale, and a drawing must not. */
int char_columns(uint32_t c)
{
    static const Span none[] = {
        {0x300, 0x36F}, {0x483, 0x489}, {0x591, 0x5BD}, {0x610, 0x61A},
        {0x64B, 0x65F}, {0xE31, 0xE31}, {0xE34, 0xE3A}, {0x1AB0, 0x1AFF},
        {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x2060, 0x2064}, {0x20D0, 0x20FF},
        {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF},
        {0xE0100, 0xE01EF},
    };
    static const Span two[] = {
        {0x1100, 0x115F}, {0x231A, 0x231B}, {0x2E80, 0x303E}, {0x3041, 0x4DBF},
        {0x4E00, 0xA4CF}, {0xA960, 0xA97F}, {0xAC00, 0xD7A3}, {0xF900, 0xFAFF},
        {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6},
        {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
        {0x20000, 0x3FFFD},
    };
    if (c < 0x300)
        return 1;
    return among(none, LQ_COUNT(none), c) ? 0 : among(two, LQ_COUNT(two), c) ? 2 : 1;
}

int text_columns(const char *s)
{
    int n = 0;
    while (s && *s && n < 1 << 20)
        n += char_columns(utf8_next(&s));
    return n;
}
