"""Parts that algorithms share, each with ``init``, ``update`` and ``apply``."""
