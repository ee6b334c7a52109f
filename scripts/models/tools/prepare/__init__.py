"""Prepare a model folder: convert and quantise its network, benchmark every candidate, select the fastest valid one.

Each conversion and benchmark runs in its own process, so that a failure or crash drops that candidate alone. This file
imports nothing, since those processes import it before they are pinned.
"""
