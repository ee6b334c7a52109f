"""The options of commands, read from command-line flags."""

import argparse

from scripts.base.options import add_flags, read_flags
from scripts.models.options import AddModelOptions, FetchModelOptions


def model_add(*flags: object) -> AddModelOptions:
    """Return the options that `make model-add` reads from `flags`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, AddModelOptions)
    return read_flags(AddModelOptions, parser.parse_args([str(flag) for flag in flags]))


def model_fetch(*flags: object) -> FetchModelOptions:
    """Return the options that `make model-fetch` reads from `flags`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, FetchModelOptions)
    return read_flags(FetchModelOptions, parser.parse_args([str(flag) for flag in flags]))
