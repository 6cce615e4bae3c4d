/* What tests/test_infer.c and the library that it builds of fake_ort.c tell each other. */
#ifndef FAKE_ORT_H
#define FAKE_ORT_H
#include <stdint.h>

typedef struct fake {
    int fails;           /* the call at this place fails; 0: none */
    long live;           /* objects that were made and not released */
    uint32_t calls[256]; /* of each place */
    int cuda, trt;       /* 0: not listed, 1: listed, 2: options can be made, 3: it works */
    int old;             /* it has no table of that version */
    int element, ndim, dynamic, sequence; /* what its model takes and gives */
    int dead;                             /* where GetAllocator and the like give nothing */
    char keys[20000];                     /* options of providers, key=value; */
    const void *data[8];                  /* memory that tensors were made over */
    int data_count, terminate;
} fake;

#endif
