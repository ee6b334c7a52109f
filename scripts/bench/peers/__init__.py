"""The model servers to compare with: programs that `python -m` starts, configured by environment variables.

`*_documented` follow the server's own documentation; `mosec_engine` uses this project's decoding and engine.
"""
