"""Reading a typed prompt: the page, the queue and the worker process."""
