"""A processor of lesser instructions than this one has, pretended to a process."""

import os
import platform

import numpy as np


def lesser() -> dict[str, str]:
    """The environment of a process on which NumPy, its linear algebra and the C library use the oldest instructions."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]  # pyright: ignore[reportOptionalSubscript]
    oldest = {"x86_64": "Prescott", "aarch64": "ARMV8"}.get(platform.machine())
    return {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(extensions.get("found", [])),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
        **({"OPENBLAS_CORETYPE": oldest} if oldest else {}),
    }
