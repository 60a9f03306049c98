// LF_HD marks a function that both twins compile. nvcc defines __CUDACC__; a host compiler does not.
#pragma once

#ifdef __CUDACC__
#define LF_HD __host__ __device__
#else
#define LF_HD
#endif
