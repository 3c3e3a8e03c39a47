"""Claude over HTTP: the only importer of anthropic. Failure classes, prices, capabilities.

It retries nothing by itself: an attempt that failed is a typed failure, and the caller decides.
"""
