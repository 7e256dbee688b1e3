"""How much memory a job took."""

import resource
import sys


def peak_memory_bytes() -> int:
    """Peak memory of this process or, if larger, of its largest finished worker."""
    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * unit
