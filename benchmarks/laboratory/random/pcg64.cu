// Random numbers in one kernel, the float32 that NumPy's generator has next.
//
// That generator is PCG64: O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
// Algorithms for Random Number Generation", HMC-CS-2014-0905, the member PCG XSL RR 128/64. Its state s has
// 128 bits, and each output 64:
//
//     s' = a s + c  mod 2^128                                                 one step       (1)
//     output = high ^ low, the halves of s', rotated right by the upper six bits of s'       (2)
//
// m steps at once are a step with other constants (Brown 1994, "Random number generation with arbitrary
// strides"), so that every thread can begin at its own place:
//
//     s(m) = a^m s + c (1 + a + ... + a^(m-1))  mod 2^128                     a jump         (3)
//
// A float32 of NumPy's takes half of an output, the low half first, and is its upper 24 bits times 2^-24.
// A half that was left over by whoever drew before comes first.
//
// __init__.py launches this and makes what it is given.

#define LEVELS 16  // there are up to 2^LEVELS threads

struct Word  // of 128 bits
{
    unsigned long long high, low;
};

struct Jump
{
    Word a, c;
};

struct Draw
{
    Word state;               // before the first output
    Jump jumps[LEVELS + 1];   // over 1, 2, 4, ... outputs
    long long size;           // numbers to draw
    unsigned has_half, half;  // whether one was left over, and which
};

// a s + c mod 2^128, in numbers of 64 bits.
static __device__ Word jumped(const Jump &jump, const Word &s)
{
    Word to;
    to.low = jump.a.low * s.low + jump.c.low;
    to.high = __umul64hi(jump.a.low, s.low) + jump.a.high * s.low + jump.a.low * s.high + jump.c.high;
    to.high += to.low < jump.c.low;  // the carry
    return to;
}

// (2)
static __device__ unsigned long long output(const Word &s)
{
    unsigned long long x = s.high ^ s.low;
    unsigned right = s.high >> 58;
    return x >> right | x << (-right & 63);
}

static __device__ float in_unit_interval(unsigned half)
{
    return (half >> 8) * (1.0f / 16777216.0f);
}

// A thread has the output of its own number and every 2^LEVELS-th one after it: neighbours write beside
// each other.
extern "C" __global__ void pcg64_floats(Draw draw, float *to)
{
    unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
    if (thread == 0 && draw.has_half) to[0] = in_unit_interval(draw.half);
    Word s = jumped(draw.jumps[0], draw.state);
    for (int k = 0; k < LEVELS; k++)
        if (thread >> k & 1) s = jumped(draw.jumps[k], s);
    for (long long i = draw.has_half + 2LL * thread; i < draw.size; i += 2LL << LEVELS)
    {
        unsigned long long bits = output(s);
        to[i] = in_unit_interval((unsigned)bits);
        if (i + 1 < draw.size) to[i + 1] = in_unit_interval((unsigned)(bits >> 32));
        s = jumped(draw.jumps[LEVELS], s);
    }
}
