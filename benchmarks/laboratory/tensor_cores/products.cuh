// The products of the persistent kernels on tensor cores, in the place of the package's products.cuh: a warp at a
// time multiplies 16 by 8 numbers with 8 by 8, and adds to 16 by 8 sums. Factors are rounded to TF32, which has 10 bits
// behind the point; sums are float32. A job is a warp's, and its tile has 8, 16 or 32 columns.
//
// Which of these numbers a lane has is said by the PTX ISA, "mma.m16n8k8", for .tf32. With quad = lane / 4 and
// member = lane % 4 it has, of
//
//   the first factor   rows quad, quad + 8, quad, quad + 8
//                      of columns member, member, member + 4, member + 4
//   the second factor  rows member, member + 4 of column quad
//   the sums           columns 2 member, 2 member + 1 of row quad, and the same of row quad + 8
//
// What is called row k of the second factor has to be column k of the first one, and is otherwise free.

static const int DEEP = 8;  // rows of h at a time

#ifdef __CUDACC__
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "TF32 needs compute capability 8.0"
#endif

// The nearest number of TF32.
static __device__ float to_tf32(float x)
{
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
}

static __device__ void multiply_add(float sum[4], const float first[4], const float second[2])
{
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(__float_as_uint(first[0])), "r"(__float_as_uint(first[1])), "r"(__float_as_uint(first[2])),
          "r"(__float_as_uint(first[3])), "r"(__float_as_uint(second[0])), "r"(__float_as_uint(second[1])));
}
#endif

static __device__ float factor(float x)
{
    return to_tf32(x);
}

// A warp's first job, where the product has so many rows; it makes 16 at a time.
static __device__ Job first_job(int rows, const Problem &p)
{
    return Job(threadIdx.x / 32, (rows + 15) / 16, p);
}

// A lane's place in a job.
struct Lane
{
    int quad, member, slice, row, column;  // `row` is its first one, `column` the warp's

    __device__ Lane(const Job &job)
    {
        quad = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
        slice = job.slice, row = job.tile * 16 + quad, column = job.column;
    }
};

// What a lane has of a run of 8 along the sums. It is loaded one run ahead of its products.
template <int BESIDE>
struct Factors
{
    float first[4], second[BESIDE][2];
};

// sums [slices, rows, h_pitch] += W h, for `depth` rows of h from k on. A warp takes every slices-th run of 8 along
// h; BESIDE of its products share their first factor.
template <int BESIDE>
static __device__ void add_products(
    float *sums, const float *W, const float *h, int rows, int k, int depth, const Job &first, const Problem &p)
{
    const int down = (rows + 15) / 16, wide = p.across / (8 * BESIDE), step = 8 * p.slices;
    for (int job = threadIdx.x / 32; job < p.slices * down * wide; job += blockDim.x / 32)
    {
        const Lane my(job < int(blockDim.x) / 32 ? first : Job(job, down, p));
        const bool exists[2] = {my.row < rows, my.row + 8 < rows};
        float sum[BESIDE][4] = {};
        float *to = sums + (my.slice * rows + my.row) * p.h_pitch + my.column + 2 * my.member;
        for (int n = 0; n < BESIDE; n++)
            for (int i = 0; i < 4; i++)
                if (k > 0 && exists[i / 2]) sum[n][i] = to[i / 2 * 8 * p.h_pitch + n * 8 + i % 2];
        const float *upper = W + (exists[0] ? my.row : 0) * p.pitch + k + my.member;
        const float *lower = W + (exists[1] ? my.row + 8 : 0) * p.pitch + k + my.member;
        const float *from = h + my.member * p.h_pitch + my.column + my.quad;
        auto load = [&](int j) {
            Factors<BESIDE> x = {{upper[j], lower[j], upper[j + 4], lower[j + 4]}};
            for (int n = 0; n < BESIDE; n++)
                for (int i = 0; i < 2; i++) x.second[n][i] = from[(j + 4 * i) * p.h_pitch + n * 8];
            return x;
        };
        int j = 8 * my.slice;
        Factors<BESIDE> next = load(j < depth ? j : 0);
#pragma unroll 2
        for (; j < depth; j += step)
        {
            const Factors<BESIDE> now = next;
            next = load(j + step < depth ? j + step : j);
            for (int n = 0; n < BESIDE; n++) multiply_add(sum[n], now.first, now.second[n]);
        }
        for (int n = 0; n < BESIDE; n++)
            for (int i = 0; i < 4; i++)
                if (exists[i / 2]) to[i / 2 * 8 * p.h_pitch + n * 8 + i % 2] = sum[n][i];
    }
}

// parts [back_slices, H, across] = W' d. A warp takes every back_slices-th run of 8 of the block's rows; a lane
// takes two neighbours of them, which are in different banks than those of the other lanes.
template <int BESIDE>
static __device__ void give_parts(
    float *parts, const float *W, const float *d, int rows, const Job &first, const Problem &p)
{
    const int down = (p.H + 15) / 16, wide = p.across / (8 * BESIDE), step = 8 * p.back_slices;
    for (int job = threadIdx.x / 32; job < p.back_slices * down * wide; job += blockDim.x / 32)
    {
        const Lane my(job < int(blockDim.x) / 32 ? first : Job(job, down, p));
        float sum[BESIDE][4] = {};
        auto load = [&](int j) {
            const int row = j + 2 * my.member;
            const bool exists[2] = {row < rows, row + 1 < rows};
            const float *from = W + row * p.pitch + my.row;
            const float *beside = d + row * p.d_pitch + my.column + my.quad;
            Factors<BESIDE> x = {
                {exists[0] ? from[0] : 0, exists[0] ? from[8] : 0, exists[1] ? from[p.pitch] : 0,
                 exists[1] ? from[p.pitch + 8] : 0}};
            for (int n = 0; n < BESIDE; n++)
                for (int i = 0; i < 2; i++) x.second[n][i] = exists[i] ? beside[n * 8 + i * p.d_pitch] : 0;
            return x;
        };
        int j = 8 * my.slice;
        Factors<BESIDE> next = load(j);
#pragma unroll 2
        for (; j < rows; j += step)
        {
            const Factors<BESIDE> now = next;
            next = load(j + step);
            for (int n = 0; n < BESIDE; n++) multiply_add(sum[n], now.first, now.second[n]);
        }
        float *to = parts + ((long long)my.slice * p.H + my.row) * p.across + my.column + 2 * my.member;
        for (int n = 0; n < BESIDE; n++)
            for (int i = 0; i < 4; i++)
                if (my.row + i / 2 * 8 < p.H) to[i / 2 * 8 * p.across + n * 8 + i % 2] = sum[n][i];
    }
}

static __device__ void add_products(
    float *sums, const float *W, const float *h, int rows, int k, int depth, const Job &first, const Problem &p)
{
    if (p.tile == 32) add_products<4>(sums, W, h, rows, k, depth, first, p);
    else if (p.tile == 16) add_products<2>(sums, W, h, rows, k, depth, first, p);
    else add_products<1>(sums, W, h, rows, k, depth, first, p);
}

static __device__ void give_parts(
    float *parts, const float *W, const float *d, int rows, const Job &first, const Problem &p)
{
    if (p.tile == 32) give_parts<4>(parts, W, d, rows, first, p);
    else if (p.tile == 16) give_parts<2>(parts, W, d, rows, first, p);
    else give_parts<1>(parts, W, d, rows, first, p);
}
