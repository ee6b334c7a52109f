"""The bundle: one directory that carries everything to servers without internet."""
