"""Declare the loader of archives that torch.export saves."""

from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(name="pt2", precedence=70, suffixes=(".pt2",))
