// A CUDA device for a host compiler: every thread of every block is a thread of the machine, a block's shared
// memory a buffer of its threads. It runs kernels as they are, slowly, all blocks at once. What a warp multiplies
// together, its threads show each other.

#pragma once

#include <pthread.h>
#include <sched.h>

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#define __global__
#define __host__
#define __device__
#define __launch_bounds__(threads, blocks)

struct Index
{
    unsigned x;
};

static thread_local Index threadIdx, blockIdx;
static Index blockDim, gridDim;
static thread_local pthread_barrier_t *block_barrier;
static thread_local unsigned char *dynamic_shared;

// 32 threads, and what they multiply: two places, used in turn.
struct Warp
{
    pthread_barrier_t barrier;
    float first[2][32][4], second[2][32][2];
};

static thread_local Warp *warp;
static thread_local int turn;

static inline unsigned bits_of(float x)
{
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float number_of(unsigned bits)
{
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// The 13 bits that TF32 lacks cut off, as tensor cores do.
static inline float cut(float x) { return number_of(bits_of(x) & ~0x1fffu); }

// The nearest number of TF32, and away from zero if two are: cvt.rna.tf32.f32.
static inline float to_tf32(float x) { return std::isfinite(x) ? cut(number_of(bits_of(x) + 0x1000u)) : x; }

// mma.m16n8k8 for .tf32, from the tables of the PTX ISA: where each number of the factors and sums is.
static inline void multiply_add(float sum[4], const float first[4], const float second[2])
{
    const int lane = threadIdx.x % 32;
    turn = 1 - turn;
    std::memcpy(warp->first[turn][lane], first, 4 * sizeof(float));
    std::memcpy(warp->second[turn][lane], second, 2 * sizeof(float));
    pthread_barrier_wait(&warp->barrier);
    for (int i = 0; i < 4; i++)
    {
        int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 8; k++)
        {
            float a = warp->first[turn][row % 8 * 4 + k % 4][row / 8 + k / 4 * 2];
            float b = warp->second[turn][column * 4 + k % 4][k / 4];
            sum[i] += cut(a) * cut(b);
        }
    }
}

static inline void __syncthreads() { pthread_barrier_wait(block_barrier); }

template <typename F>
static inline F __ldcg(const F *from)
{
    return *from;
}

static inline void arrive(unsigned *count) { __atomic_fetch_add(count, 1, __ATOMIC_RELEASE); }

static inline unsigned arrived(const unsigned *count)
{
    sched_yield();  // others have to run before there is more to see
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

// Run a kernel to its end. Shared memory begins as numbers that are none. Returns whether every block kept to
// the `shared` bytes of its own.
template <class Argument>
static bool launch(void (*kernel)(Argument), const Argument &argument, int grid, int block, size_t shared)
{
    const size_t guard = 64;
    gridDim.x = grid, blockDim.x = block;
    std::vector<pthread_barrier_t> barriers(grid);
    const int warps = (block + 31) / 32;
    std::vector<Warp> all_warps(grid * warps);
    for (int k = 0; k < grid * warps; k++)
    {
        int threads = block - k % warps * 32;
        pthread_barrier_init(&all_warps[k].barrier, 0, threads < 32 ? threads : 32);
    }
    std::vector<std::vector<double>> memory(grid, std::vector<double>((shared + guard) / sizeof(double) + 1));
    std::vector<std::thread> threads;
    for (int k = 0; k < grid; k++)
    {
        pthread_barrier_init(&barriers[k], 0, block);
        std::memset(memory[k].data(), 0xff, shared + guard);
        for (int i = 0; i < block; i++)
            threads.emplace_back([&, k, i] {
                threadIdx.x = i, blockIdx.x = k;
                block_barrier = &barriers[k], warp = &all_warps[k * warps + i / 32];
                dynamic_shared = reinterpret_cast<unsigned char *>(memory[k].data());
                kernel(argument);
            });
    }
    for (std::thread &thread : threads) thread.join();
    for (Warp &each : all_warps) pthread_barrier_destroy(&each.barrier);
    bool kept = true;
    for (int k = 0; k < grid; k++)
    {
        pthread_barrier_destroy(&barriers[k]);
        const unsigned char *end = reinterpret_cast<unsigned char *>(memory[k].data()) + shared;
        for (size_t i = 0; i < guard; i++) kept = kept && end[i] == 0xff;
    }
    return kept;
}
