"""The options of commands, read from the flags that their command lines take."""

import argparse

from scripts.base.options import add_flags, read_flags
from scripts.models.options import AddModelOptions, FetchModelOptions


def model_add(*flags: object) -> AddModelOptions:
    """Return what `make model-add` makes of `flags`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, AddModelOptions)
    return read_flags(AddModelOptions, parser.parse_args([str(flag) for flag in flags]))


def model_fetch(*flags: object) -> FetchModelOptions:
    """Return what `make model-fetch` makes of `flags`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, FetchModelOptions)
    return read_flags(FetchModelOptions, parser.parse_args([str(flag) for flag in flags]))
