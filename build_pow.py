"""How the C core is built: `votenet._pow`, a cffi extension out of csrc/.

The extension is optional: without a C compiler or Python.h the installation goes on, and votenet searches
with hashlib and checks signatures and proofs one by one.
"""

from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
SOURCES = sorted(f"csrc/{path.name}" for path in (ROOT / "csrc").glob("*.c"))
HEADERS = sorted(f"csrc/{path.name}" for path in (ROOT / "csrc").glob("*.h"))

ffibuilder = FFI()
for name in ("pow_cdef.h", "votes_cdef.h", "proofs_cdef.h"):
    ffibuilder.cdef((ROOT / "csrc" / name).read_text(encoding="utf-8"))
ffibuilder.set_source(
    "votenet._pow",
    '#include "pow.h"\n#include "votes_cdef.h"\n#include "proofs_cdef.h"',
    sources=SOURCES,  # relative, as setuptools and source distributions want them
    depends=HEADERS,
    include_dirs=["csrc"],
    # One set of flags for all files: what a kernel needs beyond them stands at its functions.
    extra_compile_args=["-O3"],
    optional=True,
)
