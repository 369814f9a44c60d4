// Neighbouring numbers, loaded and stored at once: up to 16 bytes.

template <int HOW_MANY>
struct alignas(HOW_MANY == 1 ? sizeof(number) : 16) Run
{
    number at[HOW_MANY];
};

template <int HOW_MANY>
static __device__ Run<HOW_MANY> run(const number *from)
{
    return *reinterpret_cast<const Run<HOW_MANY> *>(from);
}

// Store it from to[k] on. Counted in runs, as the compiler does not see otherwise that it can be stored at once.
template <int HOW_MANY>
static __device__ void put(number *to, int k, const Run<HOW_MANY> &x)
{
    reinterpret_cast<Run<HOW_MANY> *>(to)[unsigned(k) / HOW_MANY] = x;
}
