"""Limits of workers for which no test sets another."""

from worker.contract.limits import LIMITS, MEBIBYTE

MAX_BODY_BYTES = LIMITS["max_body_mb"].default * MEBIBYTE
