"""Preparing a model folder: convert and quantise its network, try every way to run it, choose the fastest right one.

Every conversion and trial is a process of its own, so that what fails or crashes is left out and the rest goes on.
Nothing is imported here, for those processes come through here before they are pinned.
"""
