"""Files that are decoded in a process of their own, for their decoders cannot be stopped, or might crash."""
