// The functions of cells that C++ has not, and what its own do not say of NaN. The compiler is told NUMBER, float or
// double. A compiler of plain C++ takes this file, too: so all that includes it is tested on machines without a device.

#ifndef __CUDACC__
#include <math.h>
#define __device__
#endif

typedef NUMBER number;

#define SOME(count) ((count) > 0 ? (count) : 1)  // of an array that may be of none

template <typename F>
static __device__ F maximum(F a, F b)
{
    return a >= b || a != a ? a : b;  // so that NaN stays NaN
}

template <typename F>
static __device__ F minimum(F a, F b)
{
    return a <= b || a != a ? a : b;
}

template <typename F>
static __device__ F sign(F a)
{
    return a > 0 ? F(1) : a < 0 ? F(-1) : a;
}
