/* lqft_sampler.h — a model as a library: what `lqft build model.lqft --shared -o libmodel.so` offers.
 *
 *     lqft_sampler *s = lqft_open(1);                       // seed
 *     lqft_set(s, "kappa", 0.25);                           // before the first draw
 *     int64_t n = lqft_size(s, "phi");
 *     double *phi = malloc(n * sizeof *phi);
 *     while (lqft_draw(s) > 0) lqft_get(s, "phi", phi);         // configurations, [chain][site]
 *     lqft_close(s);
 *
 * A handle is one sample of the model: chains, run step by step, with the same numbers as `lqft run` of
 * the same seed.  Functions that can fail return 0 or a negative number, and lqft_error says why. NULL for a
 * handle, a name or an array, and a handle that was closed, are such failures. A handle must not be used
 * by two threads at once; different handles may. Nothing is written to any file. */
#ifndef LQFT_SAMPLER_H
#define LQFT_SAMPLER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lqft_sampler lqft_sampler;

/* The first sample of the model, not started.  NULL when there is none, when it needs what an earlier
 * task of the model finds, or when there is no code for this processor: lqft_error(NULL) says why. */
lqft_sampler *lqft_open(uint32_t seed);
void          lqft_close(lqft_sampler *s);           /* nothing when it is closed already, or NULL */
/* What went wrong last: of this handle, or (NULL) of this thread's lqft_open, or use of NULL. Never NULL. */
const char   *lqft_error(const lqft_sampler *s);

/* Settings: a parameter, an option of the method, chains, warmup, draws, thin. Before the first draw. A
 * value that is refused changes nothing. */
int    lqft_set(lqft_sampler *s, const char *name, double value);
/* The present value; NaN when there is nothing of that name. */
double lqft_setting(const lqft_sampler *s, const char *name);

/* The fields of the sample: names, by number from 0; NULL beyond the last.  Their shape without the
 * chains: returns the number of axes (at most 16), extents go to dims. */
const char *lqft_field(const lqft_sampler *s, int number);
int         lqft_shape(const lqft_sampler *s, const char *field, int64_t dims[16]);
/* Numbers of lqft_get: chains times elements; complex fields count real and imaginary parts. */
int64_t     lqft_size(const lqft_sampler *s, const char *field);

/* The next configuration of all chains; the first call makes the warm-up too. 1: there is one; 0: `draws`
 * of them have been drawn; negative: an error. */
int lqft_draw(lqft_sampler *s);
/* The present configuration, row-major [chain][…]; of a complex field [chain][part][…]. */
int lqft_get(const lqft_sampler *s, const char *field, double *out);
/* The acceptance of the last draw, a mean over chains; NaN for methods that accept everything. */
double lqft_acceptance(const lqft_sampler *s);

/* The action and its gradient at a configuration, for one chain: `field` of the first action of the model
 * whose parameters are the fields of the sample.  in: one array for each field, in their order, without
 * chains; out: the same. */
int lqft_action(lqft_sampler *s, const double *const *in, double *value);
int lqft_gradient(lqft_sampler *s, const double *const *in, double *const *out);

#ifdef __cplusplus
}
#endif
#endif
