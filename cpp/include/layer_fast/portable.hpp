// LF_HD marks a function that both twins compile. nvcc defines __CUDACC__; a host compiler does not.
// In a kernel (LF_ISA) such a function is static: an object for one instruction set may export no inline function.
#pragma once

#ifdef __CUDACC__
#define LF_HD __host__ __device__
#elif defined(LF_ISA)
#define LF_HD static
#else
#define LF_HD
#endif
