"""The bundle: one directory with everything that servers without internet need."""
