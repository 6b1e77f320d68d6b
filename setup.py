from setuptools import setup

setup(cffi_modules=["build_pow.py:ffibuilder"])
