// The products of products.cuh on tensor cores: a warp at a time multiplies 16 by 8 numbers with 8 by 8, and adds
// to 16 by 8 sums. Factors are rounded to TF32, which has 10 bits behind the point; sums are float32.
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

static const int BESIDE = 4;  // products of a warp that share their first factor

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

// What is multiplied, of a number.
static __device__ float factor(float x)
{
    return to_tf32(x);
}

// What a warp makes as its job: 16 rows by up to BESIDE times 8 columns, in one slice. `down` jobs are below one
// another.
struct Tiles
{
    int quad, member;
    int slice, row, column, beside;  // `row` is this lane's first one, `column` the warp's

    __device__ Tiles(int job, int down, const Problem &p)
    {
        int lane = threadIdx.x % 32, all = p.across / 8, wide = (all + BESIDE - 1) / BESIDE;
        int first = job % wide * BESIDE;
        quad = lane / 4, member = lane % 4;
        slice = job / wide / down, row = job / wide % down * 16 + quad, column = first * 8;
        beside = all - first < BESIDE ? all - first : BESIDE;
    }

    // How many there are.
    static __device__ int count(int slices, int down, const Problem &p)
    {
        return slices * down * ((p.across / 8 + BESIDE - 1) / BESIDE);
    }
};

// sums [slices, rows, h_pitch] += W h, for `depth` rows of h from k on. A warp takes every slices-th run of 8 along h.
static __device__ void add_products(
    float *sums, const float *W, const float *h, int rows, int k, int depth, const Problem &p)
{
    int down = (rows + 15) / 16;
    for (int job = threadIdx.x / 32; job < Tiles::count(p.slices, down, p); job += blockDim.x / 32)
    {
        const Tiles my(job, down, p);
        const bool exists[2] = {my.row < rows, my.row + 8 < rows};
        float sum[BESIDE][4] = {};
        float *to = sums + (my.slice * rows + my.row) * p.h_pitch + my.column + 2 * my.member;
        for (int n = 0; n < BESIDE; n++)
            for (int i = 0; i < 4; i++)
                if (k > 0 && n < my.beside && exists[i / 2]) sum[n][i] = to[i / 2 * 8 * p.h_pitch + n * 8 + i % 2];
        const float *upper = W + (exists[0] ? my.row : 0) * p.pitch + k + my.member;
        const float *lower = W + (exists[1] ? my.row + 8 : 0) * p.pitch + k + my.member;
        for (int j = 8 * my.slice; j < depth; j += 8 * p.slices)
        {
            const float w[4] = {upper[j], lower[j], upper[j + 4], lower[j + 4]};
            const float *from = h + (j + my.member) * p.h_pitch + my.column + my.quad;
#pragma unroll
            for (int n = 0; n < BESIDE; n++)
            {
                if (n == my.beside) break;
                const float x[2] = {from[n * 8], from[n * 8 + 4 * p.h_pitch]};
                multiply_add(sum[n], w, x);
            }
        }
        for (int n = 0; n < BESIDE; n++)
            for (int i = 0; i < 4; i++)
                if (n < my.beside && exists[i / 2]) to[i / 2 * 8 * p.h_pitch + n * 8 + i % 2] = sum[n][i];
    }
}

// parts [back_slices, H, across] = W' d. A warp takes every back_slices-th run of 8 of the block's rows; a lane
// takes two neighbours of them, which are in different banks than those of the other lanes.
static __device__ void give_parts(float *parts, const float *W, const float *d, int rows, const Problem &p)
{
    int down = (p.H + 15) / 16;
    for (int job = threadIdx.x / 32; job < Tiles::count(p.back_slices, down, p); job += blockDim.x / 32)
    {
        const Tiles my(job, down, p);
        float sum[BESIDE][4] = {};
        for (int j = 8 * my.slice; j < rows; j += 8 * p.back_slices)
        {
            int row = j + 2 * my.member;
            const bool exists[2] = {row < rows, row + 1 < rows};
            const float *from = W + row * p.pitch + my.row;
            const float w[4] = {
                exists[0] ? from[0] : 0, exists[0] ? from[8] : 0,
                exists[1] ? from[p.pitch] : 0, exists[1] ? from[p.pitch + 8] : 0};
            const float *beside = d + row * p.d_pitch + my.column + my.quad;
#pragma unroll
            for (int n = 0; n < BESIDE; n++)
            {
                if (n == my.beside) break;
                const float x[2] = {exists[0] ? beside[n * 8] : 0, exists[1] ? beside[n * 8 + p.d_pitch] : 0};
                multiply_add(sum[n], w, x);
            }
        }
        float *to = parts + ((long long)my.slice * p.H + my.row) * p.across + my.column + 2 * my.member;
        for (int n = 0; n < BESIDE; n++)
            for (int i = 0; i < 4; i++)
                if (n < my.beside && my.row + i / 2 * 8 < p.H) to[i / 2 * 8 * p.across + n * 8 + i % 2] = sum[n][i];
    }
}
