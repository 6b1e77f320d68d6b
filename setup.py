"""What pyproject.toml cannot say: the C core, the tag of its wheel, and whole folders beside the package."""

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup

SHARED = "share/doc/votenet"
"""Where an installation has documents, second verifier, units and examples, named as in this folder."""


def documents() -> Iterator[tuple[str, list[str]]]:
    """Each folder of an installation, and the files of this folder that go there."""
    yield SHARED, ["README.md", *(name for name in ("CHANGELOG.md", "SECURITY.md") if Path(name).exists())]
    yield "share/man/man1", sorted(str(page) for page in Path("man").glob("*.1"))
    for root in ("docs", "verifier", "deploy", "examples"):
        for folder in sorted({file.parent for file in Path(root).rglob("*") if file.is_file()}):
            if "__pycache__" not in folder.parts:
                yield f"{SHARED}/{folder}", sorted(str(file) for file in folder.iterdir() if file.is_file())


setup(
    cffi_modules=["build_pow.py:ffibuilder"],
    data_files=[(folder, files) for folder, files in documents() if files],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
