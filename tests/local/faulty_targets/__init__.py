"""Targets that fail in each way that the fuzzer must notice."""
