// A CUDA device for a host compiler: every thread of every block is a thread of the machine, a block's shared
// memory a buffer of its threads. It runs kernels as they are, slowly, all blocks at once.

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
    std::vector<std::vector<double>> memory(grid, std::vector<double>((shared + guard) / sizeof(double) + 1));
    std::vector<std::thread> threads;
    for (int k = 0; k < grid; k++)
    {
        pthread_barrier_init(&barriers[k], 0, block);
        std::memset(memory[k].data(), 0xff, shared + guard);
        for (int i = 0; i < block; i++)
            threads.emplace_back([&, k, i] {
                threadIdx.x = i, blockIdx.x = k;
                block_barrier = &barriers[k];
                dynamic_shared = reinterpret_cast<unsigned char *>(memory[k].data());
                kernel(argument);
            });
    }
    for (std::thread &thread : threads) thread.join();
    bool kept = true;
    for (int k = 0; k < grid; k++)
    {
        pthread_barrier_destroy(&barriers[k]);
        const unsigned char *end = reinterpret_cast<unsigned char *>(memory[k].data()) + shared;
        for (size_t i = 0; i < guard; i++) kept = kept && end[i] == 0xff;
    }
    return kept;
}
