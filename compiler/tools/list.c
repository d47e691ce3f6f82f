/* list.c — lqft words: a class and a word on each line.  The files of editors/ are made
 * from this list. */
#include "tools.h"

#include <string.h>

static bool in_table(const char *word) {
    for (WordClass c = 0; c < WORD_CLASS_COUNT; c++)
        if (c != WORD_BINDER && word_is(word, c)) return true;
    return false;
}

int list_words(FILE *out) {
    const char *words[64];
    for (WordClass c = 0; c < WORD_CLASS_COUNT; c++) {
        int n = words_of(c, words, LQ_COUNT(words));
        for (int i = 0; i < n; i++) fprintf(out, "%s\t%s\n", word_class_name(c), words[i]);
    }
    int n;
    const char *const *functions = builtin_names(&n);
    for (int i = 0; i < n; i++)
        if (!in_table(functions[i])) fprintf(out, "function\t%s\n", functions[i]);
    return 0;
}
