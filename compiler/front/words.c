/* words.c — the table of words (words.def): which are keywords, and what the others are. */
#include "parse.h"

#include "parser.h"

static const struct Row { const char *word; size_t length; WordClass class; int token; } rows[] = {
#define KEYWORD(token, word, class) {word, sizeof word - 1, WORD_##class, T_##token},
#define WORD(word, class) {word, sizeof word - 1, WORD_##class, 0},
#include "words.def"
#undef KEYWORD
#undef WORD
};

static const char *const class_names[] = {
#define CLASS(upper, name) name,
    WORD_CLASSES
#undef CLASS
};

int word_token(const char *s, size_t n)
{
    for (int i = 0; i < LQ_COUNT(rows); i++)
        if (rows[i].length == n && rows[i].token && *rows[i].word == *s && !memcmp(rows[i].word, s, n))
            return rows[i].token;
    return 0;
}

bool word_is(const char *name, WordClass class)
{
    for (int i = 0; i < LQ_COUNT(rows); i++)
        if (rows[i].class == class && !strcmp(rows[i].word, name)) return true;
    return false;
}

int words_of(WordClass class, const char **out, int most)
{
    int n = 0;
    for (int i = 0; i < LQ_COUNT(rows) && n < most; i++)
        if (rows[i].class == class) out[n++] = rows[i].word;
    return n;
}

const char *word_class_name(WordClass class)
{
    return class_names[class];
}
