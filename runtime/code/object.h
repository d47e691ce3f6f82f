/* object.h — loading relocatable object code into this process. */
#ifndef LQFT_OBJECT_H
#define LQFT_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Object Object;

/* The address of a symbol that the object does not define; NULL: there is none. */
typedef void *ObjectSymbol(void *ctx, const char *name);

/* Copies the code and data of an ELF object (x86-64, position-independent) into memory of
 * its own and binds it.  Trusts nothing in the bytes; NULL and a message when they are not
 * such an object. */
Object *object_load(const char *bytes, size_t size, ObjectSymbol *symbol, void *ctx, char *err, size_t errlen);
/* A function of the object, or NULL. */
void   *object_find(const Object *o, const char *name);
void    object_free(Object *o);

#endif
