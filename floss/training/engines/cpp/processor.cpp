// Which of the INSTRUCTION_SETS of floss/lyapunov/compiler.py this machine can run, as its processor reports it and its
// operating system allows it (cpuid, xgetbv): 0 PORTABLE, 1 AVX2, 2 AVX512. Built for x86-64 alone, with no instructions
// but those of every such processor.

extern "C" int floss_instruction_set() {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    return avx2 ? (avx512 ? 2 : 1) : 0;
}
