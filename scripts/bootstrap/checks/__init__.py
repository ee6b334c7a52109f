"""What a server must have, judged from the texts of its files and programs: pure functions.

Each returns what it read, or raises CommandError: what was found, what was needed, and the remedy.
"""
