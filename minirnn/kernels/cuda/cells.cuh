// The equations of cells.py in CUDA C++, a line each, for one unit of one sequence.
//
// What joins units or sequences comes from outside, as products over all of them: u is U x, w is W h, and
// what is given back, da, is what W, U and b get their gradients from. Arrays hold the gates of the one
// unit, in the order of the rows of U. F is float or double; Act is Tanh or Relu.
//
// A compiler of plain C++ takes this file, too: so it is tested on machines without a device.

#ifndef __CUDACC__
#include <math.h>
#define __host__
#define __device__
#endif

template <typename F>
__host__ __device__ F sigmoid(F a)
{
    return F(0.5) * tanh(F(0.5) * a) + F(0.5);
}

// f, and its derivative as a function of y = f(a).
struct Tanh
{
    template <typename F>
    static __host__ __device__ F f(F a)
    {
        return tanh(a);
    }

    template <typename F>
    static __host__ __device__ F df(F y)
    {
        return 1 - y * y;
    }
};

struct Relu
{
    template <typename F>
    static __host__ __device__ F f(F a)
    {
        return a <= 0 ? F(0) : a;  // so that NaN stays NaN
    }

    template <typename F>
    static __host__ __device__ F df(F y)
    {
        return y > 0 ? F(1) : F(0);
    }
};

namespace cells
{

template <class Act, typename F>
__host__ __device__ void rnn_forward(F u, F w, F b, F &h_new)
{
    F a = u + w + b;    // (1.1)
    h_new = Act::f(a);  // (1.2)
}

template <class Act, typename F>
__host__ __device__ void rnn_backward(F h_new, F dh_new, F &da)
{
    da = dh_new * Act::df(h_new);  // (1.2')
}

// gates: i, f, o, g
template <class Act, typename F>
__host__ __device__ void lstm_forward(
    const F u[4], const F w[4], const F b[4], F c, F gates[4], F &h_new, F &c_new)
{
    F a_i = u[0] + w[0] + b[0];  // (2.1)
    F a_f = u[1] + w[1] + b[1];
    F a_o = u[2] + w[2] + b[2];
    F a_g = u[3] + w[3] + b[3];
    F i = sigmoid(a_i);           // (2.2)
    F f = sigmoid(a_f);           // (2.3)
    F o = sigmoid(a_o);           // (2.4)
    F g = Act::f(a_g);            // (2.5)
    c_new = f * c + i * g;        // (2.6)
    h_new = o * Act::f(c_new);    // (2.7)
    gates[0] = i, gates[1] = f, gates[2] = o, gates[3] = g;
}

template <class Act, typename F>
__host__ __device__ void lstm_backward(
    const F gates[4], F c, F c_new, F dh_new, F dc_new, F da[4], F &dc)
{
    F i = gates[0], f = gates[1], o = gates[2], g = gates[3];
    F y = Act::f(c_new);
    F d_o = dh_new * y;  // (2.7')
    dc_new = dc_new + dh_new * o * Act::df(y);
    F di = dc_new * g;  // (2.6')
    F df = dc_new * c;
    F dg = dc_new * i;
    dc = dc_new * f;
    da[0] = di * i * (1 - i);    // (2.2')
    da[1] = df * f * (1 - f);    // (2.3')
    da[2] = d_o * o * (1 - o);   // (2.4')
    da[3] = dg * Act::df(g);     // (2.5')
}

// gates: r, z, n, and m, the recurrent part of n
template <typename F>
__host__ __device__ void gru_forward(
    const F u[3], const F w[3], const F b[3], F bw, F h, F gates[4], F &h_new)
{
    F u_r = u[0] + b[0], u_z = u[1] + b[1], u_n = u[2] + b[2];  // (3.1)
    F w_r = w[0], w_z = w[1], w_n = w[2];                       // (3.2)
    F r = sigmoid(u_r + w_r);                                   // (3.3)
    F z = sigmoid(u_z + w_z);                                   // (3.4)
    F m = w_n + bw;                                             // (3.5)
    F n = tanh(u_n + r * m);                                    // (3.6)
    h_new = (1 - z) * n + z * h;                                // (3.7)
    gates[0] = r, gates[1] = z, gates[2] = n, gates[3] = m;
}

// du belongs to U and b, dw to W, and its last, dm, to bw; past the product, dh gets `rest`, too.
template <typename F>
__host__ __device__ void gru_backward(
    const F gates[4], F h, F dh_new, F du[3], F dw[3], F &rest)
{
    F r = gates[0], z = gates[1], n = gates[2], m = gates[3];
    F dz = dh_new * (h - n);  // (3.7')
    F dn = dh_new * (1 - z);
    F da_n = dn * (1 - n * n);  // (3.6')
    F dr = da_n * m;
    F dm = da_n * r;
    F da_z = dz * z * (1 - z);  // (3.4')
    F da_r = dr * r * (1 - r);  // (3.3')
    dw[0] = da_r, dw[1] = da_z, dw[2] = dm;  // (3.2')
    rest = dh_new * z;
    du[0] = da_r, du[1] = da_z, du[2] = da_n;  // (3.1')
}

}  // namespace cells
