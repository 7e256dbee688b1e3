"""The operations of torch that some code makes."""

from torch.utils._python_dispatch import TorchDispatchMode

# Those of `torch.use_deterministic_algorithms` whose order of addition may change on CUDA, and what is like them.
ORDERLESS = {"index_add", "scatter_add", "scatter_reduce", "put", "histc", "bincount", "median", "kthvalue"}


class Operations(TorchDispatchMode):
    """Notes the name of every operation of torch."""

    THAT_WAIT = frozenset({"nonzero", "_local_scalar_dense", "unique_consecutive"})  # for the device's answer

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func.overloadpacket).removeprefix("aten."))
        return func(*args, **(kwargs or {}))
