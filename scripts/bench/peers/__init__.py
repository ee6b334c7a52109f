"""The servers that this one is measured against: each a program that `python -m` starts, told all by its environment.

`*_documented` are written as the server's own documentation teaches it; `*_engine` have this project's code inside.
"""
